//! A lab of several namespaces, as the helper keeps it.

use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use vnet_netlink::{Batch, BatchError, Change, Cidr, Interface, LinkSet, Mac, PeerEnd, RouteSpec};
use vnet_sys::{NetNs, caps};

const SOON: Duration = Duration::from_secs(10);

/// Namespaces by number, 0 the lab's own, and a socket in each.
pub(crate) struct Spaces {
    namespaces: Vec<NetNs>,
    batches: Vec<Batch>,
}

/// Runs a test with that many nodes, or says why it cannot run.
pub(crate) fn with_nodes(nodes: usize, test: impl FnOnce(&mut Spaces)) {
    if !caps::has_sys_admin() {
        eprintln!("skipped: making a network namespace needs CAP_SYS_ADMIN");
        return;
    }
    test(&mut Spaces::new(nodes));
}

impl Spaces {
    pub(crate) fn new(nodes: usize) -> Self {
        let namespaces: Vec<_> = (0..=nodes).map(|_| NetNs::create().unwrap()).collect();
        // As in a lab: else every interface of it sends IPv6 chatter of its own.
        namespaces[0]
            .run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"))
            .unwrap()
            .unwrap();
        let batches = namespaces
            .iter()
            .map(|ns| ns.run(Batch::open).unwrap().unwrap())
            .collect();
        Self { namespaces, batches }
    }

    pub(crate) fn namespace(&self, space: u32) -> &NetNs {
        &self.namespaces[space as usize]
    }

    pub(crate) fn batch(&mut self, space: u32) -> &mut Batch {
        &mut self.batches[space as usize]
    }

    pub(crate) fn try_apply(&mut self, space: u32, changes: &[Change]) -> Result<(), BatchError> {
        let changes: Vec<_> = changes.iter().collect();
        let namespaces = &self.namespaces;
        let fd = |number: u32| -> Option<BorrowedFd<'_>> { namespaces.get(number as usize).map(AsFd::as_fd) };
        self.batches[space as usize].apply(&changes, &fd)
    }

    pub(crate) fn apply(&mut self, space: u32, changes: &[Change]) {
        self.try_apply(space, changes).unwrap();
    }

    /// Applies one change that must fail, and returns what is said.
    pub(crate) fn refused(&mut self, space: u32, change: Change) -> vnet_netlink::NetlinkError {
        let text = change.to_string();
        let Err(error) = self.try_apply(space, &[change]) else {
            panic!("done: {text}");
        };
        error.error
    }

    pub(crate) fn link(&mut self, space: u32, index: u32) -> Option<Interface> {
        let links = self.batch(space).links().unwrap();
        links.into_iter().find(|link| link.index == index)
    }

    /// Runs a program in a namespace and returns its exit and output; nothing where it
    /// is not installed.
    pub(crate) fn program(&self, space: u32, line: &str) -> Option<(bool, String)> {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap());
        let output = self.namespaces[space as usize]
            .run(|| command.args(words).output())
            .unwrap()
            .ok()?;
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Some((output.status.success(), text))
    }

    /// Waits until frames can pass the interface.
    pub(crate) fn ready(&mut self, space: u32, index: u32) {
        wait_for(&format!("#{index} of {space} ready"), || {
            self.link(space, index).is_some_and(|link| link.ready())
        });
    }
}

/// Waits until `done`, and fails after a deadline.
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// A veth pair from the lab's own namespace, `v<index>`, to `eth0` (16) of a node.
pub(crate) fn veth(index: u32, node: u32) -> Change {
    Change::Veth {
        index,
        name: format!("v{index}"),
        mac: None,
        mtu: None,
        peer: PeerEnd {
            space: node,
            index: 16,
            name: "eth0".to_owned(),
            mac: Some(node_mac(node)),
        },
    }
}

pub(crate) fn node_mac(node: u32) -> Mac {
    let [a, b, c, d] = node.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

pub(crate) fn up(index: u32) -> Change {
    set(
        index,
        LinkSet {
            up: Some(true),
            ..LinkSet::default()
        },
    )
}

pub(crate) fn set(index: u32, set: LinkSet) -> Change {
    Change::Link { index, set }
}

pub(crate) fn address(index: u32, text: &str) -> Change {
    Change::AddAddress {
        index,
        address: cidr(text),
    }
}

pub(crate) fn route(to: &str, via: &str) -> RouteSpec {
    RouteSpec {
        to: cidr(to),
        via: Some(via.parse().unwrap()),
        index: None,
        metric: None,
    }
}
