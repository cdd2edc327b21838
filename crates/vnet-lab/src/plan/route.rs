use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use vnet_netlink::{Change, Cidr, RouteSpec};
use vnet_sandbox::Step;
use vnet_topology::{NodeKind, ResolvedNode};

use super::node::subject;
use super::{Plan, Undo};
use crate::ground::Ground;
use crate::numbers::{Numbers, in_node};

/// A route of a plan: the gateway and the interface by its number in the node.
type Way = (IpAddr, u32);

impl Plan {
    /// Gives a node the routes it has in the plan, and takes those away that it had before.
    pub(super) fn routes(
        &mut self,
        old: Option<&ResolvedNode>,
        node: &ResolvedNode,
        numbers: &Numbers,
        ground: &Ground,
    ) {
        if node.kind == NodeKind::Switch {
            return;
        }
        let ipv6 = ground.has_ipv6(node);
        let ways = ways(node, ipv6);
        let before = old.map(|old| self::ways(old, ipv6)).unwrap_or_default();
        let present: HashSet<u32> = node.interfaces.iter().map(|interface| interface.id).collect();
        // With an interface its routes go.
        let kept: HashSet<u32> = old
            .iter()
            .flat_map(|old| &old.interfaces)
            .filter(|interface| present.contains(&interface.id))
            .map(in_node)
            .collect();
        let of = subject(node);
        let space = numbers.space(&node.name).0;
        let net = |change| Step::Net { space, change };
        for (to, way) in &ways {
            let was = before.get(to);
            if was == Some(way) {
                continue;
            }
            // It takes the place of the earlier one to the same network.
            let undo = match was {
                Some(was) => Change::AddRoute(route(*to, *was)),
                None => Change::DelRoute(route(*to, *way)),
            };
            self.undo.push(Undo {
                of: self.make.len(),
                step: net(undo),
                made: None,
            });
            self.make.push(&of, net(Change::AddRoute(route(*to, *way))));
        }
        for (to, way) in &before {
            if !ways.contains_key(to) && kept.contains(&way.1) {
                self.stale.push(net(Change::DelRoute(route(*to, *way))));
            }
        }
    }
}

fn ways(node: &ResolvedNode, ipv6: bool) -> HashMap<Cidr, Way> {
    node.routes
        .iter()
        .filter(|route| ipv6 || route.to.ip.is_ipv4())
        .map(|route| (route.to, (route.via, in_node(&node.interfaces[route.interface]))))
        .collect()
}

fn route(to: Cidr, (via, index): Way) -> RouteSpec {
    RouteSpec {
        to,
        via: Some(via),
        index: Some(index),
        metric: None,
    }
}
