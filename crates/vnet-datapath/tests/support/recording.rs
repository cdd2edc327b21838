//! Recordings under the names of tests.

use std::path::Path;

use vnet_datapath::{Output, RecordOptions, Recorder, Scope, ScopePort};
use vnet_packet::pcap;

/// Begins a recording.
pub fn record(path: &Path) -> Recorder {
    Recorder::start(Output::File(path.to_owned()), RecordOptions::default()).unwrap()
}

/// Both directions of some ports.
pub fn scope(ports: &[(usize, String)]) -> Scope {
    let port = |(number, name): &(usize, String)| ScopePort {
        number: *number,
        name: name.clone(),
        arriving: true,
        leaving: Some(pcap::Direction::Outbound),
        ..ScopePort::default()
    };
    Scope {
        whole: "s".into(),
        ports: ports.iter().map(port).collect(),
        names: Vec::new(),
    }
}
