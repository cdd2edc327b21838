use std::fs;

use vnet_netlink::Change;

use super::node::Nodes;
use super::serve::Server;
use super::{check, failed_io, refused};
use crate::SandboxError;
use crate::lab::Step;
use crate::lab::message::Reply;

impl Server<'_> {
    /// Makes the steps in their order and stops at the first that fails.
    pub(super) fn apply(&mut self, steps: Vec<Step>) -> Reply {
        if steps.len() > check::MOST_STEPS {
            return Reply::Failed(
                refused(format!("a request has more than {} steps", check::MOST_STEPS)).into(),
            );
        }
        let mut at = 0;
        let mut steps = steps.into_iter().peekable();
        while let Some(step) = steps.next() {
            let outcome = match step {
                Step::Node { space, spec } => self.nodes.make(space, spec).map_err(|error| (0, error)),
                Step::DropNode { space } => self.drop_node(space).map_err(|error| (0, error)),
                Step::Sysctl { space, key, value } => {
                    set(&mut self.nodes, space, &key, &value).map_err(|error| (0, error))
                }
                Step::Net { space, change } => {
                    // Neighbouring changes of one space go to the kernel together.
                    let mut changes = vec![change];
                    while let Some(Step::Net { change, .. }) = steps
                        .next_if(|step| matches!(step, Step::Net { space: other, .. } if *other == space))
                    {
                        changes.push(change);
                    }
                    let changes: Vec<&Change> = changes.iter().collect();
                    let outcome = self.nodes.change(space, &changes);
                    at += changes.len() - 1;
                    outcome.map_err(|(within, error)| {
                        at -= changes.len() - 1;
                        (within, error)
                    })
                }
            };
            if let Err((within, error)) = outcome {
                return Reply::StepFailed {
                    at: at + within,
                    fault: error.into(),
                };
            }
            at += 1;
        }
        Reply::Done
    }

    fn drop_node(&mut self, space: u32) -> Result<(), SandboxError> {
        self.commands.kill_space(space, &self.nodes);
        self.nodes.forget(space).map(drop)
    }

    pub(super) fn set_hosts(&mut self, text: &str) -> Result<(), SandboxError> {
        let files = &self.nodes.lab.files;
        if !files.own_hosts() {
            return Err(SandboxError::BadArgument {
                what: "nodes cannot have an /etc/hosts of the lab, since the machine has none".to_owned(),
                fix: "make an empty one".to_owned(),
            });
        }
        if text.len() > check::MOST_HOSTS {
            return Err(refused(format!(
                "the /etc/hosts has more than {} bytes",
                check::MOST_HOSTS
            )));
        }
        files
            .write("hosts", text)
            .map_err(|e| failed_io("cannot write the lab's /etc/hosts", e))
    }
}

/// Sets a kernel parameter. /proc/sys/net shows the network namespace of who looks.
fn set(nodes: &mut Nodes, space: u32, key: &str, value: &str) -> Result<(), SandboxError> {
    let path = check::sysctl(key)?;
    check::value(key, value)?;
    nodes.enter(space)?;
    // Not `fs::write`, which would make a file where the kernel has no such parameter.
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, value.as_bytes()))
        .map_err(|e| failed_io(format!("cannot set {key} to {value:?}"), e))
}

/// Reads a kernel parameter.
pub(super) fn get(nodes: &mut Nodes, space: u32, key: &str) -> Result<String, SandboxError> {
    let path = check::sysctl(key)?;
    nodes.enter(space)?;
    fs::read_to_string(path)
        .map(|text| text.trim_end().to_owned())
        .map_err(|e| failed_io(format!("cannot read {key}"), e))
}
