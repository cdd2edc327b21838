//! The text of /etc/hosts.

use std::fmt::Write as _;

use crate::resolved::Resolved;

/// Lists every address of every node with its name, so that programs find nodes without a name server.
pub(crate) fn text(plan: &Resolved) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    for node in &plan.nodes {
        for address in node.interfaces.iter().flat_map(|interface| &interface.addresses) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}\t{}", address.ip, node.hostname);
        }
    }
    text
}
