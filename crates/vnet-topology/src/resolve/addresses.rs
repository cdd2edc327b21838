//! Subnets of segments and addresses of interfaces.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use vnet_netlink::Cidr;

use crate::error::TopologyError;
use crate::places::{Places, Subject};
use crate::resolve::interfaces::{Kept, place};
use crate::resolve::pool::Pool;
use crate::resolved::{Resolved, Slot};
use crate::spec::{NodeKind, Spec};
use crate::subnet::{Family, Subnet, number};

/// The smallest MTU with which the kernel has IPv6 on an interface (IPV6_MIN_MTU, RFC 8200 5).
const IPV6_MIN_MTU: u32 = 1280;

/// Decides every address: explicit ones first, then those that were decided before, then from each segment's subnet,
/// routers before hosts, in creation order.
pub(crate) fn decide(
    spec: &Spec,
    kept: &Kept<'_>,
    places: &Places,
    plan: &mut Resolved,
) -> Result<(), TopologyError> {
    for family in Family::BOTH {
        Addressing {
            spec,
            kept,
            places,
            family,
        }
        .decide(plan)?;
    }
    Ok(())
}

/// The addressing of one family.
struct Addressing<'a> {
    spec: &'a Spec,
    kept: &'a Kept<'a>,
    places: &'a Places,
    family: Family,
}

/// A network of a segment.
#[derive(Clone, Copy)]
struct Found {
    subnet: Subnet,
    segment: usize,
    /// The first interface that has an address in it.
    slot: Slot,
    /// Whether an earlier plan had it.
    is_old: bool,
}

impl Addressing<'_> {
    fn decide(&self, plan: &mut Resolved) -> Result<(), TopologyError> {
        let owners = self.take_over(plan)?;
        let found = self.networks(plan);
        self.refuse_overlaps(plan, &found)?;
        let mut subnets = vec![Vec::new(); plan.segments.len()];
        for network in &found {
            subnets[network.segment].push(network.subnet);
        }
        self.fill(plan, &found, &mut subnets, owners)?;
        for (segment, subnets) in plan.segments.iter_mut().zip(subnets) {
            segment.subnets.extend(subnets.into_iter().map(Subnet::cidr));
        }
        Ok(())
    }

    /// Writes explicit and earlier addresses into the plan and returns all of them.
    fn take_over(&self, plan: &mut Resolved) -> Result<HashMap<IpAddr, Slot>, TopologyError> {
        let mut owners: HashMap<IpAddr, Slot> = HashMap::new();
        for node in 0..plan.nodes.len() {
            for at in 0..plan.nodes[node].interfaces.len() {
                let slot = Slot { node, interface: at };
                let decided = self.decided(plan, slot);
                if !decided.is_empty() && !self.takes_family(plan, slot) {
                    return Err(TopologyError::BadValue {
                        at: place(self.spec, self.places, plan, slot, "ip"),
                        found: format!("the MTU of the link is too small for {}", decided[0]),
                        expected: format!("an MTU of at least {IPV6_MIN_MTU} bytes, or no IPv6 address"),
                    });
                }
                for address in decided {
                    if let Some(first) = owners.insert(address.ip, slot) {
                        if first == slot {
                            continue;
                        }
                        return Err(self.taken(plan, address.ip, slot, first));
                    }
                    plan.nodes[node].interfaces[at].addresses.push(address);
                }
            }
        }
        Ok(owners)
    }

    fn taken(&self, plan: &Resolved, ip: IpAddr, slot: Slot, first: Slot) -> TopologyError {
        // The explicit one is the one that can be changed.
        let (slot, first) = if self.explicit(plan, slot).is_empty() {
            (first, slot)
        } else {
            (slot, first)
        };
        TopologyError::Duplicate {
            at: place(self.spec, self.places, plan, slot, "ip"),
            what: format!("the address {ip}"),
            first: Box::new(place(self.spec, self.places, plan, first, "ip")),
            fix: "take another, or leave it out".into(),
        }
    }

    /// Returns the addresses that a spec gives to an interface.
    fn explicit(&self, plan: &Resolved, slot: Slot) -> Vec<Cidr> {
        let interface = plan.interface(slot);
        let end = &self.spec.links[interface.link].end(interface.end).ip;
        let node = &self.spec.nodes[slot.node].ip;
        let node = if interface.number == 0 {
            node.as_slice()
        } else {
            &[]
        };
        node.iter()
            .chain(end)
            .filter(|address| Family::of(address.ip) == self.family)
            .copied()
            .collect()
    }

    fn decided(&self, plan: &Resolved, slot: Slot) -> Vec<Cidr> {
        let explicit = self.explicit(plan, slot);
        if !explicit.is_empty() {
            return explicit;
        }
        let kept = self.kept.find(slot).map_or(&[][..], |kept| &kept.addresses);
        kept.iter()
            .filter(|address| Family::of(address.ip) == self.family)
            .copied()
            .collect()
    }

    /// Finds the networks of each segment, those of an earlier plan first.
    fn networks(&self, plan: &Resolved) -> Vec<Found> {
        let mut found = Vec::new();
        for (number, segment) in plan.segments.iter().enumerate() {
            let mut seen = HashSet::new();
            for wants_old in [true, false] {
                for slot in &segment.interfaces {
                    for address in self.of_family(plan, *slot) {
                        let is_old = self
                            .kept
                            .find(*slot)
                            .is_some_and(|kept| kept.addresses.contains(&address));
                        let subnet = Subnet::of(address);
                        if is_old == wants_old && seen.insert(subnet) {
                            found.push(Found {
                                subnet,
                                segment: number,
                                slot: *slot,
                                is_old,
                            });
                        }
                    }
                }
            }
        }
        found
    }

    fn of_family(&self, plan: &Resolved, slot: Slot) -> impl Iterator<Item = Cidr> + use<> {
        let family = self.family;
        let addresses = plan.interface(slot).addresses.clone();
        addresses
            .into_iter()
            .filter(move |address| Family::of(address.ip) == family)
    }

    /// Refuses networks that overlap in two segments: no router could tell them apart. What has come about while
    /// the lab ran, by taking a link out of a segment, stays.
    fn refuse_overlaps(&self, plan: &Resolved, found: &[Found]) -> Result<(), TopologyError> {
        let mut sorted: Vec<&Found> = found.iter().collect();
        sorted.sort_by_key(|network| (network.subnet.first, network.subnet.prefix));
        // Networks are nested or disjoint: those around the one looked at.
        let mut around: Vec<&Found> = Vec::new();
        for network in sorted {
            while around
                .last()
                .is_some_and(|outer| outer.subnet.last() < network.subnet.first)
            {
                around.pop();
            }
            let clash = around
                .iter()
                .find(|outer| outer.segment != network.segment && !(outer.is_old && network.is_old));
            if let Some(outer) = clash {
                let (first, second) = if outer.segment < network.segment {
                    (*outer, network)
                } else {
                    (network, *outer)
                };
                return Err(TopologyError::Overlap {
                    at: place(self.spec, self.places, plan, second.slot, "ip"),
                    subnet: second.subnet.to_string(),
                    first: Box::new(place(self.spec, self.places, plan, first.slot, "ip")),
                    other: first.subnet.to_string(),
                });
            }
            around.push(network);
        }
        Ok(())
    }

    /// Gives every interface that has no address one.
    fn fill(
        &self,
        plan: &mut Resolved,
        found: &[Found],
        subnets: &mut [Vec<Subnet>],
        mut owners: HashMap<IpAddr, Slot>,
    ) -> Result<(), TopologyError> {
        let (declared, key) = match self.family {
            Family::V4 => (self.spec.ipv4, "ipv4"),
            Family::V6 => (self.spec.ipv6, "ipv6"),
        };
        let Some(declared) = declared else { return Ok(()) };
        let mut pool = Pool::new(Subnet::of(declared));
        for network in found {
            pool.reserve(network.subnet);
        }
        for (at, subnets) in subnets.iter_mut().enumerate() {
            let wanting = self.wanting(plan, at);
            let Some(first) = wanting.first() else { continue };
            let subnet = match subnets.iter().find(|subnet| subnet.has_neighbours()) {
                Some(subnet) => *subnet,
                None => {
                    let size = plan.segments[at].interfaces.len();
                    let subnet = pool.take(size).ok_or_else(|| {
                        let here = place(self.spec, self.places, plan, *first, "ip");
                        TopologyError::Exhausted {
                            at: self.places.of(self.spec, Subject::Lab(key)),
                            what: format!(
                                "{declared} has no free network of {size} addresses left for {here}"
                            ),
                            fix: format!("give {key} a larger one"),
                        }
                    })?;
                    subnets.push(subnet);
                    subnet
                }
            };
            self.number(plan, &wanting, subnet, &mut owners)?;
        }
        Ok(())
    }

    /// Lists the interfaces of a segment that need an address, routers first.
    fn wanting(&self, plan: &Resolved, segment: usize) -> Vec<Slot> {
        let mut wanting: Vec<Slot> = plan.segments[segment]
            .interfaces
            .iter()
            .filter(|slot| self.of_family(plan, **slot).next().is_none())
            .filter(|slot| self.takes_family(plan, **slot))
            .copied()
            .collect();
        wanting.sort_by_key(|slot| plan.nodes[slot.node].kind != NodeKind::Router);
        wanting
    }

    /// Whether the kernel lets the interface have addresses of the family.
    fn takes_family(&self, plan: &Resolved, slot: Slot) -> bool {
        let mtu = plan.links[plan.interface(slot).link].mtu;
        self.family == Family::V4 || mtu.is_none_or(|mtu| mtu >= IPV6_MIN_MTU)
    }

    fn number(
        &self,
        plan: &mut Resolved,
        wanting: &[Slot],
        subnet: Subnet,
        owners: &mut HashMap<IpAddr, Slot>,
    ) -> Result<(), TopologyError> {
        let (mut next, last) = subnet.interfaces();
        for slot in wanting {
            while next <= last && owners.contains_key(&self.family.address(next)) {
                next += 1;
            }
            if next > last {
                return Err(TopologyError::Exhausted {
                    at: place(self.spec, self.places, plan, *slot, "ip"),
                    what: format!(
                        "{subnet} has no free address left for {}",
                        plan.nodes[slot.node].name
                    ),
                    fix: "give the addresses there a shorter prefix length, so that the network is larger"
                        .into(),
                });
            }
            let address = Cidr {
                ip: self.family.address(next),
                prefix: subnet.prefix,
            };
            owners.insert(address.ip, *slot);
            plan.nodes[slot.node].interfaces[slot.interface]
                .addresses
                .push(address);
        }
        Ok(())
    }
}

/// Whether an interface may have the address in the network that its prefix length names.
pub(crate) fn is_an_interfaces(address: Cidr) -> bool {
    let (first, last) = Subnet::of(address).interfaces();
    (first..=last).contains(&number(address.ip))
}
