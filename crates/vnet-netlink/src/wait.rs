use std::io;
use std::time::{Duration, Instant};

use futures::StreamExt;
use rtnetlink::{LinkUnspec, MulticastGroup};

use crate::{Interface, Netlink, NetlinkError};

impl Netlink {
    /// Waits until frames can pass the interface, or with `up` false until none
    /// can, and returns it as it then is.
    ///
    /// After carrier comes the kernel takes up to a second to let frames pass; what
    /// is sent before may be lost. It announces the change, and this waits for the
    /// announcement.
    ///
    /// # Errors
    /// [`NetlinkError::NotInTime`] after `timeout`; [`NetlinkError::NoSuchInterface`]
    /// when the interface goes away.
    pub fn wait_operstate(&self, index: u32, up: bool, timeout: Duration) -> Result<Interface, NetlinkError> {
        let deadline = Instant::now() + timeout;
        let done = |interface: &Interface| interface.ready() == up;
        let mut interface = self.link_state(index)?;
        if done(&interface) {
            return self.link_by_index(index);
        }
        let mut changes = self.link_changes()?;
        loop {
            // Looked at again after the subscription began: the change may lie before it.
            interface = self.link_state(index)?;
            if done(&interface) {
                return self.link_by_index(index);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let next = self
                .runtime
                .block_on(async { tokio::time::timeout(left, changes.next()).await });
            if next.is_err() {
                return Err(late(&interface, up, timeout));
            }
        }
    }

    fn link_state(&self, index: u32) -> Result<Interface, NetlinkError> {
        let shown = format!("#{index}");
        self.find_link(LinkUnspec::new_with_index(index), &shown)?
            .ok_or(NetlinkError::NoSuchInterface { name: shown })
    }

    /// Subscribes to the announcements of interfaces.
    fn link_changes(&self) -> Result<impl futures::Stream + Unpin + use<>, NetlinkError> {
        let inside = self.runtime.handle().clone();
        self.ns
            .run(move || {
                let _context = inside.enter();
                let (connection, handle, messages) =
                    rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
                inside.spawn(connection);
                // The connection ends when its last handle goes.
                io::Result::Ok(messages.map(move |message| {
                    let _held = &handle;
                    message
                }))
            })?
            .map_err(|e| NetlinkError::socket("cannot subscribe to interface changes", e))
    }
}

fn late(interface: &Interface, up: bool, timeout: Duration) -> NetlinkError {
    let hint = match (up, interface.state(), interface.kind.as_deref()) {
        (true, "down", _) => "; set it up",
        (true, "no-carrier", Some("veth")) => "; set its peer up",
        (true, "no-carrier", Some("tap" | "tun")) => "; nobody holds it",
        (true, "no-carrier", Some("bridge")) => "; it has no port that is up",
        _ => "",
    };
    NetlinkError::NotInTime {
        name: interface.name.clone(),
        wanted: if up { "up" } else { "down" }.into(),
        seconds: timeout.as_secs_f64(),
        state: format!("{}, {}", interface.state(), interface.operstate),
        hint: hint.into(),
    }
}
