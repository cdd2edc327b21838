//! Links that go down and up.

use std::time::Duration;

use vnet_netlink::{Change, LinkSet, NetlinkError};
use vnet_sandbox::{SandboxError, Space, Step};

use crate::error::LabError;
use crate::island::{Key, ports_of};
use crate::loops;
use crate::network::{Live, Network, State, unknown_link};
use crate::plan::{lab_ends, switch_ports};

/// How long the carrier of a link may take to come.
const CARRIER: Duration = Duration::from_secs(1);

/// How a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LinkState {
    /// Whether it is declared up.
    pub up: bool,
    /// Whether frames can pass: both its ends are up too.
    pub carrier: bool,
    /// Whether the engine carries its frames.
    pub engine: bool,
}

impl Network {
    /// Plugs a link in or out: both its ends see the carrier come or go. Returns when frames can pass, or cannot; an interface
    /// that its node has set down itself has no carrier either way.
    ///
    /// In a network that is not started it holds for its start.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Refused`].
    pub fn set_link_up(&self, link: &str, up: bool) -> Result<(), LabError> {
        let mut state = self.inner.open()?;
        let at = state.link_at(link)?;
        state.plug(link, up, Some(CARRIER))?;
        state.spec.links[at].up = up;
        Ok(())
    }

    /// Returns how a link is. One of a network that is not started has no carrier.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Sandbox`].
    pub fn link_state(&self, link: &str) -> Result<LinkState, LabError> {
        let mut state = self.inner.open()?;
        let resolved = state.resolved()?;
        let Some((_, found)) = resolved.link(link) else {
            return Err(unknown_link(&resolved, link));
        };
        let Some(live) = &state.live else {
            return Ok(LinkState {
                up: found.up,
                carrier: false,
                engine: false,
            });
        };
        let ends = lab_ends(&resolved, found);
        let present = live.lab.links(Space::LAB)?;
        Ok(LinkState {
            up: found.up,
            carrier: ends
                .iter()
                .all(|index| present.iter().any(|end| end.index == *index && end.ready())),
            engine: live.is_in_engine(link),
        })
    }
}

fn set_up(index: u32, up: bool) -> Step {
    Step::Net {
        space: Space::LAB.0,
        change: Change::Link {
            index,
            set: LinkSet {
                up: Some(up),
                ..LinkSet::default()
            },
        },
    }
}

impl State {
    /// Plugs a link in or out, and does not change what was declared; waits for the carrier where it comes, if at all.
    pub(crate) fn plug(&mut self, link: &str, up: bool, wait: Option<Duration>) -> Result<(), LabError> {
        let before = self.resolved()?;
        if let Some(live) = &self.live {
            live.plug(link, up, wait)?;
        }
        self.change_link(link, |link| link.up = up)?;
        if let Some(live) = &self.live {
            loops::warn(&before, &live.plan);
        }
        Ok(())
    }
}

impl Live {
    /// Sets the lab ends of a link up or down; a node sees that as its carrier.
    fn plug(&self, link: &str, up: bool, wait: Option<Duration>) -> Result<(), LabError> {
        let Some((_, found)) = self.plan.link(link) else {
            return Err(unknown_link(&self.plan, link));
        };
        let ends = lab_ends(&self.plan, found);
        let set = |up: bool| ends.iter().map(move |index| set_up(*index, up));
        let steps: Vec<Step> = set(up).collect();
        if let Err(refused) = self.lab.apply(&steps) {
            // An end may be gone: the other one is as it was all the same.
            for step in set(found.up) {
                if let Err(error) = self.lab.apply(&[step]) {
                    tracing::warn!(target: "vnet::lab", %error, "an end of link {link} may be other than declared");
                }
            }
            return Err(LabError::refused(format!("link {link}"), refused.error));
        }
        if up {
            let waited = wait.map_or(Ok(()), |time| self.lab.wait_ready(Space::LAB, &ends, time));
            match waited {
                Ok(()) | Err(SandboxError::Netlink(NetlinkError::NotInTime { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        } else {
            for port in switch_ports(&self.plan, found) {
                if let Some(held) = self.islands.get(&Key::Switch(port.switch)) {
                    held.forget_learnt(port.lab_end);
                }
            }
        }
        Ok(())
    }

    /// Whether the engine carries a link's frames.
    pub(crate) fn is_in_engine(&self, link: &str) -> bool {
        let Some((_, found)) = self.plan.link(link) else {
            return false;
        };
        let own = self.islands.contains_key(&Key::Link(link.to_owned()));
        own || switch_ports(&self.plan, found)
            .into_iter()
            .any(|port| self.islands.contains_key(&Key::Switch(port.switch)))
    }

    /// The link behind a lab end of a switch, and the node at its other end.
    pub(crate) fn behind(&self, switch: &str, lab_end: u32) -> Option<(String, String)> {
        ports_of(&self.plan, switch)
            .into_iter()
            .find(|port| port.lab_end == lab_end)
            .map(|port| (port.link, port.neighbour))
    }
}
