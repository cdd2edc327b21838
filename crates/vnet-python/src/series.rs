//! Samples of numbers, as a table.

use std::ffi::CStr;

use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use vnet::{Keep, Row};

use crate::arrow::{Buffer, Column, Stream};
use crate::convert::{Time, plain};
use crate::error::OrRaise;

/// Rows by value.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Rows(pub Vec<Row>);

#[pymethods]
impl Rows {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn arrow<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let columns = py.detach(|| columns(&self.0));
        PyCapsule::new_with_value(py, Stream::new(columns), c"arrow_array_stream")
    }

    /// The columns as lists, by name; counts of reasons are dicts.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        let set = |name: &str, values: Vec<Option<&str>>| columns.set_item(name, values);
        columns.set_item("time", self.all(|row| row.time_ns))?;
        set("kind", self.all(|row| Some(&*row.kind)))?;
        set("node", self.all(|row| row.node.as_deref()))?;
        set("interface", self.all(|row| row.interface.as_deref()))?;
        set("link", self.all(|row| row.link.as_deref()))?;
        set("stage", self.all(|row| row.stage.as_deref()))?;
        set("direction", self.all(|row| row.direction.as_deref()))?;
        set("state", self.all(|row| row.state.as_deref()))?;
        columns.set_item("frames", self.all(|row| row.frames))?;
        columns.set_item("bytes", self.all(|row| row.bytes))?;
        columns.set_item("drops", self.all(|row| row.drops))?;
        let reasons: Vec<_> = self
            .0
            .iter()
            .map(|row| plain(py, &row.reasons))
            .collect::<PyResult<_>>()?;
        columns.set_item("reasons", reasons)?;
        columns.set_item("queue", self.all(|row| row.queue))?;
        columns.set_item("ns_per_packet", self.all(|row| row.ns_per_packet))?;
        columns.set_item("cpu_ns", self.all(|row| row.cpu_ns))?;
        Ok(columns)
    }
}

impl Rows {
    fn all<'a, T>(&'a self, value: impl Fn(&'a Row) -> T) -> Vec<T> {
        self.0.iter().map(value).collect()
    }
}

/// Samples that a thread takes.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Series(vnet::Series);

impl Series {
    pub fn start(py: Python<'_>, network: &vnet::Network, every: &Time, last: &Time) -> PyResult<Self> {
        let (every, time) = (every.duration("every")?, last.duration("last")?);
        let keep = Keep {
            time,
            ..Keep::default()
        };
        py.detach(|| network.series(every, keep)).or_raise().map(Self)
    }
}

#[pymethods]
impl Series {
    fn rows(&self, py: Python<'_>) -> PyResult<Rows> {
        py.detach(|| self.0.rows()).or_raise().map(Rows)
    }

    /// Samples kept, taken, missed.
    fn counts(&self, py: Python<'_>) -> PyResult<(usize, u64, u64)> {
        py.detach(|| self.0.counts()).or_raise()
    }

    fn is_over(&self, py: Python<'_>) -> PyResult<(bool, Option<String>)> {
        py.detach(|| self.0.is_over()).or_raise()
    }

    #[getter]
    fn every(&self) -> f64 {
        self.0.every().as_secs_f64()
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

/// What a column of texts has of a row.
type Text = fn(&Row) -> Option<&str>;

fn columns(rows: &[Row]) -> Column {
    let names: [(&CStr, Text); 7] = [
        (c"kind", |row| Some(&row.kind)),
        (c"node", |row| row.node.as_deref()),
        (c"interface", |row| row.interface.as_deref()),
        (c"link", |row| row.link.as_deref()),
        (c"stage", |row| row.stage.as_deref()),
        (c"direction", |row| row.direction.as_deref()),
        (c"state", |row| row.state.as_deref()),
    ];
    let mut children = vec![numbers(c"time", c"tsn:UTC", rows, |row| {
        Some(row.time_ns.to_ne_bytes())
    })];
    children.extend(
        names
            .into_iter()
            .map(|(name, value)| texts(name, rows.iter().map(value))),
    );
    children.push(numbers(c"frames", c"L", rows, |row| {
        Some(row.frames.to_ne_bytes())
    }));
    children.push(numbers(c"bytes", c"L", rows, |row| Some(row.bytes.to_ne_bytes())));
    children.push(numbers(c"drops", c"L", rows, |row| Some(row.drops.to_ne_bytes())));
    children.push(reasons(rows));
    children.push(numbers(c"queue", c"L", rows, |row| {
        row.queue.map(u64::to_ne_bytes)
    }));
    children.push(numbers(c"ns_per_packet", c"g", rows, |row| {
        row.ns_per_packet.map(f64::to_ne_bytes)
    }));
    children.push(numbers(c"cpu_ns", c"L", rows, |row| {
        row.cpu_ns.map(u64::to_ne_bytes)
    }));
    structure(c"", rows.len(), children)
}

fn structure(name: &'static CStr, length: usize, children: Vec<Column>) -> Column {
    Column {
        name,
        format: c"+s",
        nullable: false,
        length,
        nulls: 0,
        buffers: vec![None],
        children,
    }
}

fn numbers(
    name: &'static CStr,
    format: &'static CStr,
    rows: &[Row],
    value: impl Fn(&Row) -> Option<[u8; 8]>,
) -> Column {
    let values: Vec<_> = rows.iter().map(value).collect();
    let (bitmap, nulls) = validity(values.iter().map(Option::is_some));
    let bytes: Vec<u8> = values.into_iter().flat_map(Option::unwrap_or_default).collect();
    Column {
        name,
        format,
        nullable: true,
        length: rows.len(),
        nulls,
        buffers: vec![bitmap, Some(Buffer::of(&bytes))],
        children: Vec::new(),
    }
}

/// Texts with 64-bit offsets (`U`).
fn texts<'a>(name: &'static CStr, values: impl ExactSizeIterator<Item = Option<&'a str>>) -> Column {
    let length = values.len();
    let (mut bytes, mut ends, mut valid) = (Vec::new(), offsets(length), Vec::with_capacity(length));
    for value in values {
        bytes.extend_from_slice(value.unwrap_or_default().as_bytes());
        ends.extend_from_slice(&(bytes.len() as u64).to_ne_bytes());
        valid.push(value.is_some());
    }
    let (bitmap, nulls) = validity(valid.into_iter());
    Column {
        name,
        format: c"U",
        nullable: true,
        length,
        nulls,
        buffers: vec![bitmap, Some(Buffer::of(&ends)), Some(Buffer::of(&bytes))],
        children: Vec::new(),
    }
}

fn offsets(length: usize) -> Vec<u8> {
    let mut ends = Vec::with_capacity(8 * (length + 1));
    ends.extend_from_slice(&0_u64.to_ne_bytes());
    ends
}

/// Maps of text to number, whose offsets have 32 bits.
fn reasons(rows: &[Row]) -> Column {
    let entries: Vec<(&str, u64)> = rows
        .iter()
        .flat_map(|row| row.reasons.iter().map(|(name, count)| (name.as_str(), *count)))
        .collect();
    let mut ends = Vec::with_capacity(4 * (rows.len() + 1));
    let mut end = 0_i32;
    ends.extend_from_slice(&end.to_ne_bytes());
    for row in rows {
        end = end.saturating_add(i32::try_from(row.reasons.len()).unwrap_or(i32::MAX));
        ends.extend_from_slice(&end.to_ne_bytes());
    }
    let counts: Vec<u8> = entries
        .iter()
        .flat_map(|(_, count)| count.to_ne_bytes())
        .collect();
    let mut keys = texts(c"key", entries.iter().map(|(name, _)| Some(*name)));
    keys.nullable = false;
    let values = Column {
        name: c"value",
        format: c"L",
        nullable: true,
        length: entries.len(),
        nulls: 0,
        buffers: vec![None, Some(Buffer::of(&counts))],
        children: Vec::new(),
    };
    Column {
        name: c"reasons",
        format: c"+m",
        nullable: true,
        length: rows.len(),
        nulls: 0,
        buffers: vec![None, Some(Buffer::of(&ends))],
        children: vec![structure(c"entries", entries.len(), vec![keys, values])],
    }
}

/// A bitmap of what is there, least significant bit first, and how many are not; no bitmap where all are.
fn validity(valid: impl ExactSizeIterator<Item = bool>) -> (Option<Buffer>, usize) {
    let mut bits = vec![0_u8; valid.len().div_ceil(8)];
    let mut nulls = 0;
    for (at, valid) in valid.enumerate() {
        if valid {
            bits[at / 8] |= 1 << (at % 8);
        } else {
            nulls += 1;
        }
    }
    ((nulls > 0).then(|| Buffer::of(&bits)), nulls)
}
