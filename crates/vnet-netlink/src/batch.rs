use std::os::fd::BorrowedFd;

use rtnetlink::packet_core::NLM_F_ACK;
use serde::{Deserialize, Serialize};

use crate::error::errno;
use crate::exchange::{Exchange, Failure};
use crate::request::{self, Request};
use crate::{Change, LinkSet, NetlinkError};

/// Gives the network namespace a number stands for, or nothing where there is none.
pub type Spaces<'a> = dyn Fn(u32) -> Option<BorrowedFd<'a>> + 'a;

/// A blocking netlink socket that carries out many changes, one after the other.
///
/// It acts in the namespace the calling thread was in when it was opened. Each change
/// is a send of its own, since after a refusal the kernel carries on with the rest of
/// what one send brought it. A request that changes nothing takes 3 µs there and back,
/// a change 10 to 400 µs
/// (`cargo test --release -p vnet-netlink --test lab -- --ignored --nocapture`).
#[derive(Debug)]
pub struct Batch {
    pub(crate) exchange: Exchange,
}

/// A change of a [`Batch`] was refused: those before it are done, it and those behind
/// it are not.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{error}")]
pub struct BatchError {
    /// The place of the change that failed, from 0.
    pub at: usize,
    /// Why it failed.
    #[source]
    pub error: NetlinkError,
}

impl Batch {
    /// Opens a socket in the calling thread's namespace.
    ///
    /// # Errors
    /// [`NetlinkError::Socket`] when the kernel gives none.
    pub fn open() -> Result<Self, NetlinkError> {
        let exchange =
            Exchange::open().map_err(|e| NetlinkError::socket("cannot open a netlink socket", e))?;
        Ok(Self { exchange })
    }

    /// Makes the changes in their order and stops at the first that fails.
    ///
    /// `spaces` gives the namespace that a number stands for, for veth ends that are
    /// made elsewhere ([`PeerEnd`](crate::PeerEnd)).
    ///
    /// # Errors
    /// [`BatchError`]: the place of the change that failed, and why. Names, sizes and
    /// addresses that cannot work are refused without a request.
    pub fn apply(&mut self, changes: &[&Change], spaces: &Spaces<'_>) -> Result<(), BatchError> {
        for (at, change) in changes.iter().enumerate() {
            self.change(change, spaces)
                .map_err(|error| BatchError { at, error })?;
        }
        Ok(())
    }

    fn change(&mut self, change: &Change, spaces: &Spaces<'_>) -> Result<(), NetlinkError> {
        change.check()?;
        for Request { message, flags } in request::requests(change, spaces)? {
            if let Err(failure) = self.exchange.request(message, NLM_F_ACK | flags, |_| {}) {
                return Err(self.explain(change, failure));
            }
        }
        Ok(())
    }

    /// Says what failed, with the names interfaces have at this moment.
    fn explain(&mut self, change: &Change, failure: Failure) -> NetlinkError {
        let Failure::Refused(errno, kernel) = failure else {
            return failure.into_error(&format!("cannot {change}"));
        };
        match (errno, change) {
            // Of the end that is made by the message itself.
            (
                errno::EXIST,
                Change::Veth { index, .. } | Change::Bridge { index, .. } | Change::Ifb { index, .. },
            ) if self.has_number(*index) => NetlinkError::number_taken(change, *index, kernel),
            (errno::BUSY, Change::Veth { peer, .. }) => {
                NetlinkError::number_taken(change, peer.index, kernel)
            }
            (errno::EXIST, Change::Veth { name, peer, .. }) => {
                // The kernel does not say which of the two names is taken.
                let own = self.has_name(name);
                let name = if own { name } else { &peer.name };
                NetlinkError::exists(name, kernel)
            }
            (
                errno::EXIST,
                Change::Bridge { name, .. }
                | Change::Ifb { name, .. }
                | Change::Link {
                    set: LinkSet { name: Some(name), .. },
                    ..
                },
            ) => NetlinkError::exists(name, kernel),
            // The second for an IPv6 default route (`fib6_del`, net/ipv6/ip6_fib.c).
            (errno::SRCH | errno::NOENT, Change::DelRoute(route)) => NetlinkError::NoSuchRoute {
                route: route.describe(&mut |index| self.shown(index)),
            },
            // The number of the filter is taken (`u32_change`, net/sched/cls_u32.c).
            (errno::NOSPC, Change::Redirect { .. }) => {
                let what = change.describe(&mut |index| self.shown(index));
                NetlinkError::refused(format!("cannot {what}"), errno::EXIST, kernel)
            }
            (errno::NODEV, Change::Delete { index } | Change::Link { index, .. })
                if !self.has_number(*index) =>
            {
                NetlinkError::NoSuchInterface {
                    name: format!("#{index}"),
                }
            }
            _ => {
                let what = change.describe(&mut |index| self.shown(index));
                NetlinkError::refused(format!("cannot {what}"), errno, kernel)
            }
        }
    }
}
