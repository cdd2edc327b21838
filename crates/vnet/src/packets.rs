//! A capture file as data: its frames, those that a filter takes, and the walks of its packets.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use vnet_packet::Flow;
use vnet_packet::filter::{Filter, FilterError, Names};
use vnet_packet::pcap::{CaptureError, Reader};
use vnet_packet::walk::{Plan, Sighting, Walk, walk_of, walks};
use vnet_packet::wire::MacAddr;

use crate::Error;

/// Bytes read at once.
const BUFFER: usize = 1 << 20;

/// The frames of a capture file, with what it says of them.
#[derive(Debug, Default)]
pub struct Packets {
    records: Vec<Sighting>,
}

impl Packets {
    /// Reads a capture file; one that is still written ends at its last whole frame.
    ///
    /// # Errors
    /// NotFound where there is no such file, Invalid where it is no capture or is damaged, Unsupported for frames that are
    /// neither Ethernet nor IP.
    pub fn read(path: &Path) -> Result<Packets, Error> {
        let shown = path.display();
        // One that was only just begun.
        let is_empty = std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.len() == 0);
        if is_empty {
            return Ok(Packets::default());
        }
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::NotFound {
                what: format!("there is no capture file {shown}"),
                hint: None,
            },
            _ => invalid(format!("{shown} cannot be read: {error}")),
        })?;
        let damaged = |error: CaptureError| invalid(format!("{shown}: {error}"));
        let mut reader = match Reader::open(BufReader::with_capacity(BUFFER, file)) {
            Ok(reader) => reader,
            Err(CaptureError::Truncated { .. }) => return Ok(Packets::default()),
            Err(error) => return Err(damaged(error)),
        };
        let mut names: HashMap<u32, Arc<str>> = HashMap::new();
        let mut records = Vec::new();
        let mut frame = Vec::new();
        loop {
            let record = match reader.next(&mut frame) {
                Ok(Some(record)) => record,
                Ok(None) | Err(CaptureError::Truncated { .. }) => break,
                Err(error) => return Err(damaged(error)),
            };
            let interface = names
                .entry(record.interface)
                .or_insert_with(|| reader.interface(record.interface).0.into());
            records.push(Sighting {
                ts_ns: record.ts_ns,
                interface: Arc::clone(interface),
                direction: record.direction,
                packet: record.packet,
                comment: record.comment.unwrap_or_default(),
                layer: record.linktype.layer().map_err(damaged)?,
                frame: frame.clone(),
                wire_len: record.orig_len,
            });
        }
        Ok(Packets { records })
    }

    pub(crate) fn of(records: Vec<Sighting>) -> Packets {
        Packets { records }
    }

    /// Returns the records in the order of the file.
    #[must_use]
    pub fn records(&self) -> &[Sighting] {
        &self.records
    }

    /// Returns the numbers of the frames that a filter takes.
    #[must_use]
    pub fn chosen(&self, filter: &Filter) -> Vec<usize> {
        let takes = |&at: &usize| self.records[at].is_meant(filter);
        (0..self.records.len()).filter(takes).collect()
    }

    /// Returns the walks of the packets that a filter takes, where the file is a capture of a whole network.
    #[must_use]
    pub fn walks(&self, plan: &Plan, filter: &Filter) -> Vec<Walk> {
        walks(&self.records, plan, filter)
    }

    /// Returns the walk of the packet that a record shows, where these are of a capture of a whole network.
    #[must_use]
    pub fn walk_of(&self, at: usize, plan: &Plan) -> Option<Walk> {
        walk_of(&self.records, plan, at)
    }

    /// Returns the addresses, protocol and ports of a frame, where it has them.
    #[must_use]
    pub fn flow(&self, at: usize) -> Option<Flow> {
        let record = &self.records[at];
        Flow::parse(&record.frame, record.layer)
    }
}

/// The nodes of a network, by the addresses they have.
#[derive(Clone, Debug, Default)]
pub struct NodeNames {
    /// Name, addresses and Ethernet addresses of each.
    pub nodes: Vec<(String, Vec<IpAddr>, Vec<MacAddr>)>,
}

impl Names for NodeNames {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let mut nodes = self.nodes.iter().filter(|(node, ..)| node == name);
        nodes
            .next()
            .map(|(_, found, _)| found.clone())
            .unwrap_or_default()
    }

    fn lladdrs(&self, name: &str) -> Vec<MacAddr> {
        let mut nodes = self.nodes.iter().filter(|(node, ..)| node == name);
        nodes.next().map(|(.., found)| found.clone()).unwrap_or_default()
    }

    fn all(&self) -> Vec<String> {
        self.nodes.iter().map(|(node, ..)| node.clone()).collect()
    }
}

/// Reads a filter, whose errors become ours.
///
/// # Errors
/// Invalid where the text is no filter, with the word that is wrong.
pub fn filter(text: &str, names: &dyn Names) -> Result<Filter, Error> {
    Filter::parse(text, names).map_err(Error::from)
}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Error {
        Error::Invalid {
            what: error.to_string(),
            hint: error.hint().map(str::to_owned),
        }
    }
}

fn invalid(what: String) -> Error {
    Error::Invalid { what, hint: None }
}
