use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use vnet_netlink::{Cidr, Interface, Mac, NetlinkError};
use vnet_sys::NetNs;

use super::Owner;
use super::keeper::Keeper;
use super::local::{Answer, Local};
use super::request::{DeviceReply, DeviceRequest, Edit};
use crate::{Lab, SandboxError, Space};

/// How long a device that was set up may take until frames pass it.
pub const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// The first number of a device a user makes in a lab. Who builds the lab chooses numbers below, and the kernel would
/// choose one of those.
const FIRST_NUMBER: u32 = 2_000_000;

static NEXT_NUMBER: AtomicU32 = AtomicU32::new(FIRST_NUMBER);

/// A network namespace in which devices are made and found: one this process may enter, or one of a [`Lab`].
#[derive(Debug)]
pub struct Namespace {
    way: Way,
    ns: NetNs,
}

/// How what is asked of a namespace gets there.
#[derive(Debug)]
enum Way {
    /// This process does it.
    Local(Local),
    /// The same, but what does not die with a descriptor is made by the process's keeper.
    Kept(Local),
    /// The lab's helper does it.
    Lab(Arc<Lab>, Space),
}

impl Namespace {
    /// Takes the namespace of the calling thread.
    ///
    /// # Errors
    /// [`SandboxError::Sys`], [`SandboxError::Netlink`].
    pub fn current() -> Result<Self, SandboxError> {
        Self::at(NetNs::current()?)
    }

    /// Takes the namespace at a path such as `/run/netns/blue`.
    ///
    /// # Errors
    /// [`SandboxError::Sys`] when there is none or it may not be entered.
    pub fn at_path(path: &Path) -> Result<Self, SandboxError> {
        Self::at(NetNs::open(path)?)
    }

    /// Takes the namespace behind a descriptor.
    ///
    /// # Errors
    /// [`SandboxError::Sys`] when it is something else or may not be entered.
    pub fn at_fd(fd: OwnedFd) -> Result<Self, SandboxError> {
        Self::at(NetNs::from_fd(fd)?)
    }

    /// Takes a namespace that is open.
    ///
    /// # Errors
    /// [`SandboxError::Sys`] when it may not be entered.
    pub fn at(ns: NetNs) -> Result<Self, SandboxError> {
        let way = Way::Local(Local::open(ns.clone())?);
        Ok(Self { way, ns })
    }

    /// Takes a namespace of a lab; what is made there ends with the lab at the latest.
    ///
    /// # Errors
    /// [`SandboxError::LabClosed`] and what the helper answers when there is no such space.
    pub fn in_lab(lab: Arc<Lab>, space: Space) -> Result<Self, SandboxError> {
        let ns = lab.netns(space)?;
        let way = Way::Lab(lab, space);
        Ok(Self { way, ns })
    }

    /// Has veth pairs and bridges made by the process's keeper, a helper that deletes them when this process dies by
    /// whatever cause. In a lab it changes nothing: the lab ends with the process.
    #[must_use]
    pub fn kept(self) -> Self {
        let way = match self.way {
            Way::Local(local) => Way::Kept(local),
            other => other,
        };
        Self { way, ns: self.ns }
    }

    /// Returns the namespace itself; one of a lab can be held and compared, but not always entered.
    #[must_use]
    pub fn netns(&self) -> &NetNs {
        &self.ns
    }

    /// Returns the lab it is part of, and which part.
    #[must_use]
    pub fn lab(&self) -> Option<(&Arc<Lab>, Space)> {
        match &self.way {
            Way::Lab(lab, space) => Some((lab, *space)),
            Way::Local(_) | Way::Kept(_) => None,
        }
    }

    /// Returns the interface of that name.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`]; [`SandboxError::Sys`] when it cannot be a name.
    pub fn link(&self, name: &str) -> Result<Interface, SandboxError> {
        self.one(&DeviceRequest::Link {
            name: name.to_owned(),
        })
    }

    /// Returns the interface of that name, or nothing when there is none.
    ///
    /// # Errors
    /// [`SandboxError::Sys`] when it cannot be a name.
    pub fn try_link(&self, name: &str) -> Result<Option<Interface>, SandboxError> {
        match self.link(name) {
            Ok(interface) => Ok(Some(interface)),
            Err(SandboxError::Netlink(NetlinkError::NoSuchInterface { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the interface of that number.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchInterface`].
    pub fn link_by_index(&self, index: u32) -> Result<Interface, SandboxError> {
        self.one(&DeviceRequest::LinkByIndex { index })
    }

    /// Returns all interfaces of the namespace, by number.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn links(&self) -> Result<Vec<Interface>, SandboxError> {
        match self.ask(&DeviceRequest::Links)? {
            (DeviceReply::Links(links), _) => Ok(links),
            _ => Err(self.misunderstood()),
        }
    }

    /// Waits until frames can pass the interface, at most [`READY_TIMEOUT`], and returns it as it then is.
    ///
    /// # Errors
    /// [`NetlinkError::NotInTime`]; [`NetlinkError::NoSuchInterface`] when it goes away.
    pub fn wait_ready(&self, index: u32) -> Result<Interface, SandboxError> {
        if let Way::Local(local) | Way::Kept(local) = &self.way {
            return Ok(local.netlink.wait_operstate(index, true, READY_TIMEOUT)?);
        }
        let deadline = Instant::now() + READY_TIMEOUT;
        let mut pause = Duration::from_micros(500);
        loop {
            let interface = self.link_by_index(index)?;
            if interface.ready() {
                return Ok(interface);
            }
            if Instant::now() >= deadline {
                return Err(SandboxError::Netlink(NetlinkError::NotInTime {
                    state: format!("{}, {}", interface.state(), interface.operstate),
                    name: interface.name,
                    wanted: "up".into(),
                    seconds: READY_TIMEOUT.as_secs_f64(),
                    hint: "".into(),
                }));
            }
            // The helper has other things to do than to wait for one interface, so it is asked again.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Sets the interface up.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn set_up(&self, index: u32) -> Result<(), SandboxError> {
        self.edit(index, Edit::Up(true))
    }

    /// Sets the interface down; the kernel then forgets its IPv6 addresses and routes.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn set_down(&self, index: u32) -> Result<(), SandboxError> {
        self.edit(index, Edit::Up(false))
    }

    /// Sets the MTU, in bytes of payload.
    ///
    /// # Errors
    /// [`NetlinkError::BadMtu`] with what the interface takes.
    pub fn set_mtu(&self, index: u32, mtu: u32) -> Result<(), SandboxError> {
        self.edit(index, Edit::Mtu(mtu))
    }

    /// Gives the interface an address; an IPv6 one is usable at once.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] with `EEXIST` when it has it already.
    pub fn add_address(&self, index: u32, address: Cidr) -> Result<(), SandboxError> {
        self.edit(index, Edit::AddAddress(address))
    }

    /// Takes an address from the interface.
    ///
    /// # Errors
    /// [`NetlinkError::Refused`] with `EADDRNOTAVAIL` when it has none such.
    pub fn del_address(&self, index: u32, address: Cidr) -> Result<(), SandboxError> {
        self.edit(index, Edit::DelAddress(address))
    }

    /// Makes the interface a port of a bridge, both by number.
    ///
    /// # Errors
    /// [`NetlinkError::NotABridge`]; [`NetlinkError::Refused`] with the kernel's reason.
    pub fn add_port(&self, bridge: u32, port: u32) -> Result<(), SandboxError> {
        self.edit(port, Edit::AddPort { bridge })
    }

    /// Takes the interface out of its bridge.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn remove_port(&self, port: u32) -> Result<(), SandboxError> {
        self.edit(port, Edit::RemovePort)
    }

    /// Fixes the Ethernet address of a neighbour, so that nobody asks for it.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn add_neighbour(&self, index: u32, ip: IpAddr, mac: Mac) -> Result<(), SandboxError> {
        self.edit(index, Edit::AddNeighbour { ip, mac })
    }

    /// Forgets the neighbours the interface has learnt, but not those that were fixed.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn flush_neighbours(&self, index: u32) -> Result<(), SandboxError> {
        self.edit(index, Edit::FlushNeighbours)
    }

    /// Sets the alias, a free text of up to 255 bytes; an empty one clears it.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn set_alias(&self, index: u32, alias: &str) -> Result<(), SandboxError> {
        self.edit(index, Edit::Alias(alias.to_owned()))
    }

    /// Deletes the interface, whoever made it; the other end of a veth goes with it.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn delete(&self, index: u32) -> Result<(), SandboxError> {
        self.edit(index, Edit::Delete)
    }

    /// Deletes an interface this process has made, with the other end if it is a
    /// veth. One that is gone, or that has another name or owner by now, is left
    /// alone and is no error.
    ///
    /// # Errors
    /// [`SandboxError::Netlink`].
    pub fn release(&self, interface: &Interface) -> Result<(), SandboxError> {
        let request = DeviceRequest::Release {
            index: interface.index,
            owner: Owner::this_process(),
        };
        match self.ask(&request) {
            // With the lab everything in it has gone, and with a node what was in it.
            Ok(_) | Err(SandboxError::LabClosed { .. } | SandboxError::NoSuchSpace { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn edit(&self, index: u32, edit: Edit) -> Result<(), SandboxError> {
        self.ask(&DeviceRequest::Edit { index, edit }).map(drop)
    }

    /// Deletes what was just made, after a step that followed failed.
    pub(super) fn undo(&self, made: &Interface, persist: bool) -> Result<(), SandboxError> {
        if persist {
            self.delete(made.index)
        } else {
            self.release(made)
        }
    }

    fn one(&self, request: &DeviceRequest) -> Result<Interface, SandboxError> {
        match self.ask(request)? {
            (DeviceReply::Link(interface), _) => Ok(*interface),
            _ => Err(self.misunderstood()),
        }
    }

    pub(super) fn ask(&self, request: &DeviceRequest) -> Result<Answer, SandboxError> {
        self.ask_of(request, self)
    }

    /// Asks for something that concerns a second namespace too, which a request calls number 1 outside of a lab.
    pub(super) fn ask_of(&self, request: &DeviceRequest, there: &Self) -> Result<Answer, SandboxError> {
        match &self.way {
            Way::Local(local) => local.execute(request, &|_| Some(there.ns.clone())),
            Way::Kept(local) if request.leaves_something() => Keeper::ask(request, &[&local.ns, &there.ns]),
            Way::Kept(local) if matches!(request, DeviceRequest::Release { .. }) => {
                match Keeper::release(request, &local.ns) {
                    // A keeper that is gone cannot delete it, and neither can it be left.
                    None => local.execute(request, &|_| None),
                    Some(answer) => answer,
                }
            }
            Way::Kept(local) => local.execute(request, &|_| Some(there.ns.clone())),
            Way::Lab(lab, space) => match lab.device(*space, request)? {
                (DeviceReply::Failed(fault), _) => Err(fault.into()),
                answer => Ok(answer),
            },
        }
    }

    /// Returns the number a request gives to `there`, in which `name` is to be made; nothing for this namespace itself.
    pub(super) fn number_of(&self, there: &Self, name: &str) -> Result<Option<u32>, SandboxError> {
        match (&self.way, &there.way) {
            _ if self.ns.same_as(&there.ns) => Ok(None),
            (Way::Lab(a, _), Way::Lab(b, space)) if Arc::ptr_eq(a, b) => Ok(Some(space.0)),
            (Way::Lab(..), _) | (_, Way::Lab(..)) => Err(SandboxError::BadArgument {
                what: format!("{name} would lie in another sandbox than its peer"),
                fix: "make a pair in each and join them with a Wire".to_owned(),
            }),
            _ => Ok(Some(1)),
        }
    }

    /// Chooses the number of a device to be made; the kernel does outside of a lab.
    pub(super) fn number(&self, asked: Option<u32>) -> Option<u32> {
        asked
            .or_else(|| matches!(self.way, Way::Lab(..)).then(|| NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)))
    }

    pub(super) fn refuse_persistent(&self, persist: bool, name: &str) -> Result<(), SandboxError> {
        if !persist || self.lab().is_none() {
            return Ok(());
        }
        Err(SandboxError::BadArgument {
            what: format!("{name} cannot outlive this process: everything in a sandbox ends with it"),
            fix: "leave persist out, or make it as root in the host's namespace".to_owned(),
        })
    }

    /// Says who made or holds the interface that is in the way, where its alias or /proc tells.
    pub(super) fn name_owner(&self, error: SandboxError) -> SandboxError {
        let name = match &error {
            SandboxError::Netlink(NetlinkError::Exists { name, .. })
            | SandboxError::Busy { name, owner: None } => name.clone(),
            _ => return error,
        };
        let alias = self.link(&name).ok().and_then(|link| link.alias);
        let owner = alias
            .and_then(|alias| Some(alias.parse::<Owner>().ok()?.describe()))
            .or_else(|| match &self.way {
                Way::Local(_) | Way::Kept(_) => {
                    Some(self.ns.run(|| vnet_sys::tun::holder(&name)).ok()??.to_string())
                }
                Way::Lab(..) => None,
            });
        SandboxError::Busy { name, owner }
    }

    /// Says that what came back is no answer to what was asked.
    pub(super) fn misunderstood(&self) -> SandboxError {
        SandboxError::BadArgument {
            what: "the helper answered something else than it was asked".to_owned(),
            fix: "install vnet again, so that the helper is of the same version".to_owned(),
        }
    }
}
