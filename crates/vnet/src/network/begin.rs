//! What a declaration asks for beyond nodes and links: plugins and commands, begun once the lab runs.

use std::path::Path;

use vnet_packet::Layer;
use vnet_runtime::OnFault;
use vnet_topology::{Declared, LinkSpec, Place, PluginUse, Spec};

use super::process::{self, Popen};
use super::stream::Stream;
use super::{Network, place};
use crate::error::Error;
use crate::plugin::{Config, Direction, Plugin};

impl Network {
    /// Attaches the plugins and starts the commands of the whole declaration, in its order, plugins first.
    pub(super) fn begin(&self) -> Result<(), Error> {
        let spec = self.spec()?;
        for link in spec.links.iter().filter(|link| !link.plugins.is_empty()) {
            if let Some(name) = &link.name {
                self.begin_link(name)?;
            }
        }
        for node in &spec.nodes {
            self.begin_plugins(&place::switch(&node.name), &node.plugins)?;
        }
        for node in &spec.nodes {
            self.begin_commands(&node.name, &node.run)?;
        }
        Ok(())
    }

    /// Attaches the plugins and starts the commands of one node.
    pub(super) fn begin_node(&self, name: &str) -> Result<(), Error> {
        let spec = self.spec()?;
        let Some(node) = spec.nodes.iter().find(|node| node.name == name) else {
            return Ok(());
        };
        self.begin_plugins(&place::switch(name), &node.plugins)?;
        self.begin_commands(name, &node.run)
    }

    /// Attaches the plugins of one link.
    pub(super) fn begin_link(&self, name: &str) -> Result<(), Error> {
        let spec = self.spec()?;
        let link = spec.links.iter().find(|link| link.name.as_deref() == Some(name));
        let plugins = link.map_or(&[][..], |link| &link.plugins);
        self.begin_plugins(&place::link(name), plugins)
    }

    fn begin_plugins(&self, at: &vnet_lab::At, plugins: &[PluginUse]) -> Result<(), Error> {
        let default = match at {
            vnet_lab::At::Link(_) => Direction::Both,
            _ => Direction::Ingress,
        };
        for declared in plugins {
            let attachment = place::attach(
                self,
                at,
                &plugin(declared, self.inner.directory.as_deref())?,
                direction(declared)?.unwrap_or(default),
                None,
            )?;
            tracing::debug!("plugin {} attached as declared", attachment.name());
        }
        Ok(())
    }

    fn begin_commands(&self, node: &str, commands: &[String]) -> Result<(), Error> {
        for command in commands {
            let popen = Popen {
                stdout: Stream::Inherit,
                stderr: Stream::Inherit,
                ..Popen::shell(command)
            };
            // The network keeps it until it is closed.
            drop(process::start(self, node, popen)?);
        }
        Ok(())
    }
}

/// Starts each plugin that a lab file names once, and drops it, so that one that cannot be is refused with its place before
/// anything is made.
pub(super) fn check_plugins(spec: &Spec, places: &Declared, directory: Option<&Path>) -> Result<(), Error> {
    let check = |declared: &PluginUse, ports: usize, mtu: Option<u32>, place: Place| {
        let ports = u16::try_from(ports).unwrap_or(u16::MAX);
        let started = direction(declared)
            .and_then(|_| plugin(declared, directory)?.stage(Layer::L2, ports, mtu.unwrap_or(USUAL_MTU)));
        started.map(drop).map_err(|error| refused(&error, place))
    };
    for (at, link) in spec.links.iter().enumerate() {
        for (number, declared) in link.plugins.iter().enumerate() {
            check(declared, 2, link.mtu, places.link_plugin(spec, at, number))?;
        }
    }
    for (at, node) in spec.nodes.iter().enumerate() {
        let ends_here = |link: &&LinkSpec| link.a.node == node.name || link.b.node == node.name;
        let links: Vec<&LinkSpec> = spec.links.iter().filter(ends_here).collect();
        let mtu = links.iter().map(|link| link.mtu.unwrap_or(USUAL_MTU)).max();
        for (number, declared) in node.plugins.iter().enumerate() {
            check(declared, links.len(), mtu, places.node_plugin(spec, at, number))?;
        }
    }
    Ok(())
}

/// What an interface has that nobody gave an MTU, in bytes.
const USUAL_MTU: u32 = 1500;

/// Says where in the lab file a plugin that cannot be stands.
fn refused(error: &Error, place: Place) -> Error {
    let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
    let what = format!("{place}: {error}{hint}");
    match place.file {
        Some((file, line, _)) => Error::LabFile {
            what,
            file,
            line,
            key: place.key,
        },
        None => Error::Invalid { what, hint: None },
    }
}

fn plugin(declared: &PluginUse, directory: Option<&Path>) -> Result<Plugin, Error> {
    let beside = directory.map(|directory| directory.join(&declared.plugin));
    let source = match beside.filter(|path| path.is_file()) {
        Some(path) => path.display().to_string(),
        None => declared.plugin.clone(),
    };
    Ok(Plugin {
        config: Config::Json(declared.config.clone().into()),
        on_fault: on_fault(declared)?,
        grants: declared.grants.clone(),
        module_cap: declared.module_cap.map(|bytes| bytes as usize),
        ..Plugin::new(source)
    })
}

fn direction(declared: &PluginUse) -> Result<Option<Direction>, Error> {
    declared.direction.as_deref().map(str::parse).transpose()
}

fn on_fault(declared: &PluginUse) -> Result<Option<OnFault>, Error> {
    match declared.on_fault.as_deref() {
        None => Ok(None),
        Some("closed") => Ok(Some(OnFault::Closed)),
        Some("open") => Ok(Some(OnFault::Open)),
        Some(other) => Err(Error::Invalid {
            what: format!("on_fault of plugin {} is {other:?}", declared.plugin),
            hint: Some("write closed or open".into()),
        }),
    }
}
