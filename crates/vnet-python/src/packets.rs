//! The frames of a capture file or of memory, and the walks of their packets.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};
use vnet::{CaptureDirection, NodeNames, Packets as Read, WalkKind, WalkLink, WalkPlace, WalkPlan};

use crate::convert::{invalid, plain};
use crate::error::OrRaise;
use crate::frame::{Frame, Seen};

/// Frames of a capture file, or of what is kept in memory.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Packets(Read);

/// Name, addresses and Ethernet addresses of a node.
type NodeArg = (String, Vec<IpAddr>, Vec<String>);

fn names(nodes: Vec<NodeArg>) -> PyResult<NodeNames> {
    let nodes = nodes.into_iter().map(|(name, addresses, lladdrs)| {
        let lladdrs: Result<Vec<_>, _> = lladdrs.iter().map(|lladdr| lladdr.parse()).collect();
        let lladdrs = lladdrs
            .map_err(|_| invalid(format!("node {name} has an address that is no Ethernet address")))?;
        Ok((name, addresses, lladdrs))
    });
    Ok(NodeNames {
        nodes: nodes.collect::<PyResult<_>>()?,
    })
}

/// Refuses a text that is no filter.
#[pyfunction]
pub(crate) fn check_filter(text: &str, nodes: Vec<NodeArg>) -> PyResult<()> {
    vnet::filter(text, &names(nodes)?).or_raise().map(drop)
}

#[pymethods]
impl Packets {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| Read::read(&path)).or_raise().map(Self)
    }

    fn __len__(&self) -> usize {
        self.0.records().len()
    }

    /// Returns the frame of a number from 0.
    fn frame(&self, at: usize) -> PyResult<Frame> {
        let record = self.0.records().get(at);
        let record = record.ok_or_else(|| PyIndexError::new_err("the capture has no such frame"))?;
        let frame = vnet::Frame {
            bytes: record.frame.clone(),
            ts_ns: record.ts_ns,
            layer: record.layer,
        };
        let seen = Seen {
            interface: Arc::clone(&record.interface),
            direction: record.direction.map(direction_name),
            comment: record.comment.clone(),
            packet: record.packet,
        };
        Ok(Frame(frame, Some(Box::new(seen))))
    }

    /// Returns the numbers of the frames that a filter takes.
    fn chosen(&self, py: Python<'_>, filter: &str, nodes: Vec<NodeArg>) -> PyResult<Vec<usize>> {
        let filter = vnet::filter(filter, &names(nodes)?).or_raise()?;
        Ok(py.detach(|| self.0.chosen(&filter)))
    }

    /// Returns the columns of a table of these frames.
    fn columns<'py>(&self, py: Python<'py>, chosen: Vec<usize>) -> PyResult<Bound<'py, PyDict>> {
        let records = self.0.records();
        if chosen.iter().any(|&at| at >= records.len()) {
            return Err(PyIndexError::new_err("the capture has no such frame"));
        }
        let flows: Vec<_> = chosen.iter().map(|&at| self.0.flow(at)).collect();
        let of = || chosen.iter().map(|&at| &records[at]);
        let columns = PyDict::new(py);
        columns.set_item("timestamp_ns", of().map(|one| one.ts_ns).collect::<Vec<_>>())?;
        columns.set_item("interface", of().map(|one| &*one.interface).collect::<Vec<_>>())?;
        let directions = of().map(|one| one.direction.map(direction_name));
        columns.set_item("direction", directions.collect::<Vec<_>>())?;
        columns.set_item("length", of().map(|one| one.frame.len()).collect::<Vec<_>>())?;
        let text = |address: IpAddr| address.to_string();
        let column = |of: &dyn Fn(&vnet::Flow) -> String| {
            flows
                .iter()
                .map(|flow| flow.as_ref().map(of))
                .collect::<Vec<Option<String>>>()
        };
        columns.set_item("src", column(&|flow| text(flow.src)))?;
        columns.set_item("dst", column(&|flow| text(flow.dst)))?;
        let protocols = flows.iter().map(|flow| flow.map(|flow| flow.protocol));
        columns.set_item("protocol", protocols.collect::<Vec<_>>())?;
        let ports = |end: fn((u16, u16)) -> u16| {
            flows
                .iter()
                .map(move |flow| flow.and_then(|flow| flow.ports).map(end))
                .collect::<Vec<_>>()
        };
        columns.set_item("sport", ports(|(src, _)| src))?;
        columns.set_item("dport", ports(|(_, dst)| dst))?;
        let summaries = py.detach(|| {
            of().map(|one| vnet::summary(&one.frame, one.layer))
                .collect::<Vec<_>>()
        });
        columns.set_item("summary", summaries)?;
        columns.set_item(
            "comment",
            of().map(|one| one.comment.as_str()).collect::<Vec<_>>(),
        )?;
        columns.set_item("packet", of().map(|one| one.packet).collect::<Vec<_>>())?;
        Ok(columns)
    }

    /// Returns the walks of the packets that a filter takes.
    fn walks<'py>(
        &self,
        py: Python<'py>,
        filter: &str,
        nodes: Vec<NodeArg>,
        places: Vec<PlaceArg>,
        links: Vec<LinkArg>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let plan = plan(&nodes, places, links);
        let filter = vnet::filter(filter, &names(nodes)?).or_raise()?;
        let found: Vec<Value> = py.detach(|| self.0.walks(&plan, &filter).iter().map(walk).collect());
        plain(py, &found)
    }

    /// Returns the walk of the packet that a record shows.
    fn walk_of<'py>(
        &self,
        py: Python<'py>,
        at: usize,
        nodes: Vec<NodeArg>,
        places: Vec<PlaceArg>,
        links: Vec<LinkArg>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let plan = plan(&nodes, places, links);
        let found = py.detach(|| self.0.walk_of(at, &plan).as_ref().map(walk));
        plain(py, &found)
    }
}

/// Name, node and interface of a place, whether it is a port, and its Ethernet address, empty where it is not known.
type PlaceArg = (String, String, String, bool, String);

/// Name of a link, and the places at its ends.
type LinkArg = (String, String, String);

fn plan(nodes: &[NodeArg], places: Vec<PlaceArg>, links: Vec<LinkArg>) -> WalkPlan {
    let of = |(node, addresses, _): &NodeArg| {
        let node = node.clone();
        addresses
            .iter()
            .map(move |address| (*address, node.clone()))
            .collect::<Vec<_>>()
    };
    let place = |(name, node, interface, is_port, lladdr): PlaceArg| WalkPlace {
        name,
        node,
        interface,
        is_port,
        lladdr: lladdr.parse().ok(),
    };
    WalkPlan {
        addresses: nodes.iter().flat_map(of).collect(),
        places: places.into_iter().map(place).collect(),
        links: links
            .into_iter()
            .map(|(name, a, b)| WalkLink { name, ends: [a, b] })
            .collect(),
    }
}

/// The last frames of a network, in memory while it runs.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Recent(pub vnet::Recent);

/// Number, interface, whether it left, nanoseconds since 1970, length and summary of a frame.
type RecentArg = (u64, String, bool, u64, u32, String);

#[pymethods]
impl Recent {
    /// Returns the last `most` frames from a number on of these interfaces, the oldest first, and the number of the next.
    fn last(
        &self,
        py: Python<'_>,
        number: u64,
        most: usize,
        interfaces: HashSet<String>,
    ) -> (Vec<RecentArg>, u64) {
        py.detach(|| {
            let (frames, next) = self.0.last(number, most, |name| interfaces.contains(name));
            let frame = |f: vnet::RecentFrame| {
                (
                    f.number,
                    f.interface.to_string(),
                    f.is_outbound,
                    f.ts_ns,
                    f.len,
                    f.summary,
                )
            };
            (frames.into_iter().map(frame).collect(), next)
        })
    }

    /// Returns all that is kept, and the place in it of a frame's number; None where that one is not kept any more.
    fn packets(&self, py: Python<'_>, number: u64) -> Option<(Packets, usize)> {
        let found = py.detach(|| self.0.packets(number));
        found.map(|(packets, at)| (Packets(packets), at))
    }

    /// Returns how many frames the engine had no room for so far.
    fn lost(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.0.lost())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.stop()).or_raise()
    }
}

fn walk(walk: &vnet::Walk) -> Value {
    let hops: Vec<Value> = walk.hops.iter().map(hop).collect();
    json!({
        "hops": hops,
        "outcome": walk.outcome,
        "delivered_to": walk.delivered_to,
        "held_by": walk.held_by,
        "is_open": walk.is_open,
        "is_ambiguous": walk.is_ambiguous,
    })
}

fn hop(hop: &vnet::Hop) -> Value {
    let kind = match hop.kind {
        WalkKind::Sent => "sent",
        WalkKind::Received => "received",
        WalkKind::Port => "port",
        WalkKind::Plugin => "plugin",
        WalkKind::Impairment => "impairment",
        WalkKind::Switch => "switch",
    };
    let changes: Vec<_> = hop
        .changes
        .iter()
        .map(|one| (one.field, &one.before, &one.after))
        .collect();
    json!({
        "kind": kind,
        "node": hop.node,
        "interface": hop.interface,
        "link": hop.link,
        "stage": hop.stage,
        "place": hop.place(),
        "verdict": hop.verdict,
        "reason": hop.reason,
        "ts_ns": hop.ts_ns,
        "waited_ns": hop.waited_ns,
        "changes": changes,
        "comment": hop.comment,
        "parent": hop.parent,
        "frames": hop.frames,
        "before": hop.before,
        "after": hop.after,
        "is_end": hop.is_end(),
    })
}

fn direction_name(direction: CaptureDirection) -> &'static str {
    match direction {
        CaptureDirection::Inbound => "in",
        CaptureDirection::Outbound => "out",
    }
}
