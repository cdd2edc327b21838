//! Routes: hosts' default ones, routers' shortest paths, and what the user declared.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use vnet_netlink::Cidr;

use crate::error::TopologyError;
use crate::places::{Places, Subject};
use crate::resolved::{Resolved, ResolvedNode, ResolvedRoute, Slot};
use crate::spec::{Gateway, NodeKind, Routing, Spec};
use crate::subnet::{Family, Subnet};

/// Decides the routes of every node.
pub(crate) fn decide(spec: &Spec, places: &Places, plan: &mut Resolved) -> Result<(), TopologyError> {
    let maps = Family::BOTH.map(|family| Map::of(plan, family));
    for (at, declared) in spec.nodes.iter().enumerate() {
        let mut routes = Routes::default();
        for route in &declared.routes {
            routes.add(explicit(spec, places, plan, at, "routes", route.to, route.via)?);
        }
        if let Gateway::Via(gateways) = &declared.gateway {
            for via in gateways {
                let everything = Family::of(*via).everything();
                routes.add(explicit(spec, places, plan, at, "gateway", everything, *via)?);
            }
        }
        let node = &plan.nodes[at];
        let is_static = declared.routing.unwrap_or(spec.routing) == Routing::Static;
        for map in &maps {
            match node.kind {
                NodeKind::Host if declared.gateway == Gateway::Auto => {
                    routes.add(map.default_route(at, node));
                }
                NodeKind::Router if is_static => {
                    for route in map.shortest_paths(at) {
                        routes.add(Some(route));
                    }
                }
                NodeKind::Host | NodeKind::Router | NodeKind::Switch => {}
            }
        }
        plan.nodes[at].routes = routes.sorted();
    }
    Ok(())
}

/// Finds the interface of a declared route. A node without any address of the family gets the route once it has one.
fn explicit(
    spec: &Spec,
    places: &Places,
    plan: &Resolved,
    node: usize,
    key: &'static str,
    to: Cidr,
    via: IpAddr,
) -> Result<Option<ResolvedRoute>, TopologyError> {
    let found = &plan.nodes[node];
    let addresses = || {
        found
            .interfaces
            .iter()
            .enumerate()
            .flat_map(|(at, interface)| interface.addresses.iter().map(move |address| (at, *address)))
            .filter(|(_, address)| Family::of(address.ip) == Family::of(via))
    };
    let beside = addresses()
        .filter(|(_, address)| Subnet::of(*address).contains(via) && address.ip != via)
        .max_by_key(|(at, address)| (address.prefix, std::cmp::Reverse(*at)));
    if let Some((interface, _)) = beside {
        return Ok(Some(ResolvedRoute { to, via, interface }));
    }
    let networks: Vec<String> = addresses()
        .map(|(_, address)| Subnet::of(address).to_string())
        .collect();
    if networks.is_empty() {
        return Ok(None);
    }
    Err(TopologyError::NotANeighbour {
        at: places.of(spec, Subject::NodeKey(node, key)),
        via: via.to_string(),
        node: format!("{} ({})", found.name, networks.join(", ")),
    })
}

/// The routes of one node; the first one to a destination stays.
#[derive(Default)]
struct Routes {
    routes: Vec<ResolvedRoute>,
    destinations: HashSet<Cidr>,
}

impl Routes {
    fn add(&mut self, route: Option<ResolvedRoute>) {
        self.routes
            .extend(route.filter(|route| self.destinations.insert(route.to)));
    }

    fn sorted(mut self) -> Vec<ResolvedRoute> {
        self.routes.sort_by_key(|route| route.to.ip.is_ipv6());
        self.routes
    }
}

/// The networks of one family and the routers in them.
struct Map {
    family: Family,
    /// In the order of their segments.
    networks: Vec<Subnet>,
    /// By segment: the halves of a segment that was taken apart while the lab ran have one network.
    number_of: HashMap<(usize, Subnet), usize>,
    segment_of: HashMap<Slot, usize>,
    /// Routers in each network with their addresses there, in creation order.
    routers: Vec<Vec<(usize, IpAddr)>>,
    /// Networks of each router by node, in the order of its interfaces.
    of_router: HashMap<usize, Vec<Membership>>,
}

/// A network that a node has an address in.
#[derive(Clone, Copy)]
struct Membership {
    network: usize,
    /// Position of the node's interface.
    interface: usize,
    ip: IpAddr,
}

impl Map {
    fn of(plan: &Resolved, family: Family) -> Self {
        let mut map = Self {
            family,
            networks: Vec::new(),
            number_of: HashMap::new(),
            segment_of: HashMap::new(),
            routers: Vec::new(),
            of_router: HashMap::new(),
        };
        for (at, segment) in plan.segments.iter().enumerate() {
            map.segment_of
                .extend(segment.interfaces.iter().map(|slot| (*slot, at)));
            for subnet in segment.subnets.iter().map(|cidr| Subnet::of(*cidr)) {
                if subnet.family == family {
                    map.number_of.insert((at, subnet), map.networks.len());
                    map.networks.push(subnet);
                    map.routers.push(Vec::new());
                }
            }
        }
        for (at, node) in plan.nodes.iter().enumerate() {
            if node.kind == NodeKind::Router {
                let found = map.memberships(at, node);
                for membership in &found {
                    map.routers[membership.network].push((at, membership.ip));
                }
                map.of_router.insert(at, found);
            }
        }
        map
    }

    /// Lists the networks of a node in the order of its interfaces.
    fn memberships(&self, at: usize, node: &ResolvedNode) -> Vec<Membership> {
        let mut found = Vec::new();
        for (interface, declared) in node.interfaces.iter().enumerate() {
            let Some(segment) = self.segment_of.get(&Slot { node: at, interface }) else {
                continue;
            };
            for address in &declared.addresses {
                if let Some(network) = self.number_of.get(&(*segment, Subnet::of(*address))) {
                    found.push(Membership {
                        network: *network,
                        interface,
                        ip: address.ip,
                    });
                }
            }
        }
        found
    }

    /// Returns a host's route to everywhere: through the first router in the first of its networks that has one.
    fn default_route(&self, at: usize, node: &ResolvedNode) -> Option<ResolvedRoute> {
        self.memberships(at, node).into_iter().find_map(|own| {
            let (_, via) = self.routers[own.network].first()?;
            Some(ResolvedRoute {
                to: self.family.everything(),
                via: *via,
                interface: own.interface,
            })
        })
    }

    /// Returns a router's routes to all networks that are not its own, by the fewest hops; of equally good ways the
    /// one through its earlier interface, then through the earlier router.
    fn shortest_paths(&self, at: usize) -> Vec<ResolvedRoute> {
        let own = self.of_router.get(&at).map_or(&[][..], Vec::as_slice);
        let mut routes = Vec::new();
        let mut networks: HashSet<usize> = own.iter().map(|own| own.network).collect();
        let mut subnets: HashSet<Subnet> = own.iter().map(|own| self.networks[own.network]).collect();
        let mut routers = HashSet::from([at]);
        // Routers to go on from, with the first hop on the way to them.
        let mut queue: VecDeque<(usize, IpAddr, usize)> = VecDeque::new();
        for own in own {
            for (router, via) in &self.routers[own.network] {
                if routers.insert(*router) {
                    queue.push_back((*router, *via, own.interface));
                }
            }
        }
        while let Some((router, via, interface)) = queue.pop_front() {
            for beyond in self.of_router.get(&router).into_iter().flatten() {
                if !networks.insert(beyond.network) {
                    continue;
                }
                let subnet = self.networks[beyond.network];
                if subnets.insert(subnet) {
                    routes.push(ResolvedRoute {
                        to: subnet.cidr(),
                        via,
                        interface,
                    });
                }
                for (next, _) in &self.routers[beyond.network] {
                    if routers.insert(*next) {
                        queue.push_back((*next, via, interface));
                    }
                }
            }
        }
        routes
    }
}
