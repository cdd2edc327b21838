//! What a node may be declared with.

use std::path::{Component, Path};

use crate::check::Check;
use crate::error::TopologyError;
use crate::names::{NODE_NAME_RULE, is_node_name};
use crate::places::Subject;
use crate::spec::{Gateway, NodeKind, NodeSpec, PluginUse};
use crate::subnet::{Family, Subnet};

impl Check<'_> {
    pub(super) fn nodes(&self) -> Result<(), TopologyError> {
        for (at, node) in self.spec.nodes.iter().enumerate() {
            if !is_node_name(&node.name) {
                return Err(self.bad(Subject::Node(at), format!("{:?}", node.name), NODE_NAME_RULE));
            }
            if node.kind == NodeKind::Switch {
                self.switch(at, node)?;
                continue;
            }
            if !node.plugins.is_empty() {
                let found = format!("a {} has no plugins", node.kind);
                let expected = "plugins at a switch or a link";
                return Err(self.bad(Subject::NodeKey(at, "plugins"), found, expected));
            }
            if node.kind == NodeKind::Host && node.routing.is_some() {
                let found = "a host does no routing";
                return Err(self.bad(Subject::NodeKey(at, "routing"), found, "it at a router"));
            }
            self.addresses(&node.ip, Subject::NodeKey(at, "ip"))?;
            self.mac(node.mac, Subject::NodeKey(at, "mac"))?;
            self.routes(at, node)?;
            self.surroundings(at, node)?;
        }
        Ok(())
    }

    /// Refuses what only a node with a namespace of its own can have.
    fn switch(&self, at: usize, node: &NodeSpec) -> Result<(), TopologyError> {
        let has = [
            ("ip", !node.ip.is_empty()),
            ("mac", node.mac.is_some()),
            ("sysctls", !node.sysctls.is_empty()),
            ("private_dirs", !node.private_dirs.is_empty()),
            ("dns", !node.dns.is_empty()),
            ("gateway", node.gateway != Gateway::Auto),
            ("routes", !node.routes.is_empty()),
            ("routing", node.routing.is_some()),
            ("run", !node.run.is_empty()),
        ];
        if let Some((key, _)) = has.into_iter().find(|(_, has)| *has) {
            let found = format!("a switch has no {key} in this version");
            return Err(self.bad(Subject::NodeKey(at, key), found, "it at a host or router"));
        }
        self.plugins(&node.plugins, Subject::NodeKey(at, "plugins"))
    }

    fn routes(&self, at: usize, node: &NodeSpec) -> Result<(), TopologyError> {
        let mut seen = Vec::new();
        let subject = Subject::NodeKey(at, "routes");
        for route in &node.routes {
            let network = Subnet::of(route.to).cidr();
            if network != route.to {
                return Err(self.bad(
                    subject,
                    format!("{} has host bits", route.to),
                    format!("the network {network}"),
                ));
            }
            if Family::of(route.to.ip) != Family::of(route.via) {
                let found = format!("{} via {} mixes IPv4 and IPv6", route.to, route.via);
                return Err(self.bad(subject, found, "a gateway of the same family"));
            }
            self.gateway(route.via, subject)?;
            if seen.contains(&route.to) {
                let found = format!("two routes to {}", route.to);
                return Err(self.bad(subject, found, "one for each destination"));
            }
            seen.push(route.to);
        }
        let Gateway::Via(gateways) = &node.gateway else {
            return Ok(());
        };
        let subject = Subject::NodeKey(at, "gateway");
        for via in gateways {
            self.gateway(*via, subject)?;
        }
        let expected = "at most one IPv4 and one IPv6 address, \"auto\" or \"none\"";
        if gateways.is_empty() {
            return Err(self.bad(subject, "no address", expected));
        }
        for family in Family::BOTH {
            let count = gateways.iter().filter(|via| Family::of(**via) == family).count();
            if count > 1 {
                return Err(self.bad(subject, format!("{count} {family} gateways"), expected));
            }
            if count == 1 && seen.contains(&family.everything()) {
                let found = format!("a default route for {family} stands in routes too");
                return Err(self.bad(subject, found, "one of them"));
            }
        }
        Ok(())
    }

    /// Checks what the programs of a node find around them.
    fn surroundings(&self, at: usize, node: &NodeSpec) -> Result<(), TopologyError> {
        for (key, value) in &node.sysctls {
            let plain = key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            if !plain || !key.starts_with("net.") || key.split('.').any(str::is_empty) {
                let expected = "a setting of the network, such as \"net.ipv4.ip_forward\"";
                return Err(self.bad(Subject::NodeKey(at, "sysctls"), format!("{key:?}"), expected));
            }
            if value.contains('\0') || value.contains('\n') {
                return Err(self.bad(Subject::NodeKey(at, "sysctls"), format!("{value:?}"), "one line"));
            }
        }
        for directory in &node.private_dirs {
            if !is_private_dir(directory) {
                let expected = "the absolute path of a directory, without \"..\", such as \"/var/lib/dhcp\"";
                return Err(self.bad(
                    Subject::NodeKey(at, "private_dirs"),
                    format!("{:?}", directory.display().to_string()),
                    expected,
                ));
            }
        }
        if let Some(command) = node
            .run
            .iter()
            .find(|command| command.trim().is_empty() || command.contains('\0'))
        {
            return Err(self.bad(
                Subject::NodeKey(at, "run"),
                format!("{command:?}"),
                "a shell command",
            ));
        }
        Ok(())
    }

    pub(super) fn plugins(&self, plugins: &[PluginUse], subject: Subject) -> Result<(), TopologyError> {
        for used in plugins {
            if used.plugin.is_empty() {
                return Err(self.bad(
                    subject,
                    "\"\"",
                    "the name of a plugin, or the path of a .wasm file",
                ));
            }
            let policies = ["closed", "open"];
            if let Some(policy) = used.on_fault.as_deref().filter(|text| !policies.contains(text)) {
                let found = format!("on_fault = {policy:?}");
                return Err(self.bad(subject, found, "\"closed\" or \"open\""));
            }
            let directions = ["ingress", "egress", "both"];
            if let Some(direction) = used
                .direction
                .as_deref()
                .filter(|text| !directions.contains(text))
            {
                let found = format!("direction = {direction:?}");
                return Err(self.bad(subject, found, "\"ingress\", \"egress\" or \"both\""));
            }
            let known = ["random", "inject", "timer"];
            if let Some(unknown) = used.grants.iter().find(|name| !known.contains(&name.as_str())) {
                let found = format!("grants = [{unknown:?}]");
                return Err(self.bad(subject, found, "\"random\", \"inject\" or \"timer\""));
            }
        }
        Ok(())
    }
}

fn is_private_dir(directory: &Path) -> bool {
    let mut parts = directory.components();
    let text = directory.to_str();
    parts.next() == Some(Component::RootDir)
        && parts.clone().next().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && text.is_some_and(|text| !text.contains(['\0', '\n']))
}
