//! Who listens in a node.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use super::Node;
use crate::command::Command;
use crate::error::Error;

/// Longest time a look from inside may take.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// Time between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// `TCP_LISTEN` and `TCP_CLOSE` of `include/net/tcp_states.h`; a bound UDP socket shows the second.
const LISTENING: &str = "0A";
const BOUND: &str = "07";

/// Over what a service is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        })
    }
}

impl FromStr for Transport {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "tcp" => Ok(Transport::Tcp),
            "udp" => Ok(Transport::Udp),
            other => Err(Error::Invalid {
                what: format!("{other:?} is no transport"),
                hint: Some("write tcp or udp".into()),
            }),
        }
    }
}

/// Returns the sockets of the namespace that a process is in, as the kernel lists them; `None` when it has ended, or is hidden.
///
/// `/proc/PID/net` shows them to anybody who may see the process.
pub(super) fn of_process(pid: u32, transport: Transport) -> Result<Option<String>, Error> {
    let mut sockets = None::<String>;
    for version in ["", "6"] {
        let path = format!("/proc/{pid}/net/{transport}{version}");
        match std::fs::read_to_string(&path) {
            Ok(table) => sockets.get_or_insert_default().push_str(&table),
            // A kernel without IPv6 has no second table; of a process that has ended EINVAL says that it has no namespace.
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(Error::io(&format!("cannot read {path}"), &error)),
        }
    }
    Ok(sockets)
}

fn is_absent(error: &io::Error) -> bool {
    let absent = [
        rustix::io::Errno::NOENT,
        rustix::io::Errno::INVAL,
        rustix::io::Errno::SRCH,
    ];
    absent
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Returns the sockets of a node by looking from inside.
pub(super) fn of_node(node: &Node, transport: Transport) -> Result<String, Error> {
    let tables = [
        format!("/proc/net/{transport}"),
        format!("/proc/net/{transport}6"),
    ];
    let cat = Command::new(["cat".to_owned()].into_iter().chain(tables));
    let done = cat.netns(node.netns()?).timeout(LAST_LOOK).run()?;
    Ok(String::from_utf8_lossy(&done.stdout.unwrap_or_default()).into_owned())
}

/// Tells whether one of these sockets listens on a port, by either IP version.
pub(super) fn listens(sockets: &str, port: u16, transport: Transport) -> bool {
    let state = match transport {
        Transport::Tcp => LISTENING,
        Transport::Udp => BOUND,
    };
    sockets.lines().any(|line| is_at(line, port, state))
}

/// Reads a line such as `  0: 00000000:1F40 00000000:0000 0A ...`: number, own address, the other's, state.
fn is_at(line: &str, port: u16, state: &str) -> bool {
    let mut words = line.split_ascii_whitespace().skip(1);
    let own = words.next().and_then(|address| address.rsplit(':').next());
    let found = own.and_then(|hex| u16::from_str_radix(hex, 16).ok());
    found == Some(port) && words.nth(1) == Some(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    fn here(port: u16, transport: Transport) -> bool {
        let sockets = of_process(std::process::id(), transport).unwrap().unwrap();
        listens(&sockets, port, transport)
    }

    #[test]
    fn a_listener_is_seen_by_either_ip_version_and_gone_when_it_is_closed() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                eprintln!("not run for {address}: the machine has no such address");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            assert!(here(port, Transport::Tcp));
            drop(listener);
            assert!(!here(port, Transport::Tcp));
        }
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(here(socket.local_addr().unwrap().port(), Transport::Udp));
    }

    #[test]
    fn a_process_that_has_ended_has_no_sockets() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(of_process(pid, Transport::Tcp).unwrap(), None);
    }

    #[test]
    fn a_connection_from_a_port_is_no_listener() {
        let line = "   1: 0100007F:1F40 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0";
        assert!(!is_at(line, 8000, LISTENING));
        let line = "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0";
        assert!(is_at(line, 8000, LISTENING));
        assert!(!is_at(line, 80, LISTENING));
    }
}
