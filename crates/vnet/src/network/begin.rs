//! What a declaration asks for beyond nodes and links: plugins and commands, begun once the lab runs.

use vnet_runtime::OnFault;
use vnet_topology::PluginUse;

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
            let direction = declared.direction.as_deref().map(str::parse).transpose()?;
            let attachment = place::attach(
                self,
                at,
                &self.plugin(declared)?,
                direction.unwrap_or(default),
                None,
            )?;
            tracing::debug!("plugin {} attached as declared", attachment.name());
        }
        Ok(())
    }

    fn plugin(&self, declared: &PluginUse) -> Result<Plugin, Error> {
        let beside = self
            .inner
            .directory
            .as_ref()
            .map(|directory| directory.join(&declared.plugin));
        let source = match beside.filter(|path| path.is_file()) {
            Some(path) => path.display().to_string(),
            None => declared.plugin.clone(),
        };
        Ok(Plugin {
            config: Config::Json(declared.config.clone().into()),
            on_fault: on_fault(declared)?,
            ..Plugin::new(source)
        })
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
