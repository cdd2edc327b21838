//! The maps of a plugin, as bytes: `vnet._record` knows what they mean.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use vnet::{FieldType, MapCopy, MapInfo, Record};

use crate::attachment::Attachment;
use crate::error::OrRaise;

/// One field: name, type, size in bytes, offset.
type Field = (String, &'static str, u32, usize);

/// Fields and size of a record.
type Layout = (Vec<Field>, u64);

/// Name, key, value, capacity and length of a map.
pub(crate) type Info = (String, Layout, Layout, u32, u32);

fn layout(record: &Record) -> Layout {
    let fields = record.fields().iter().map(|field| {
        let ty = match field.ty {
            FieldType::Unsigned(_) => "unsigned",
            FieldType::Signed(_) => "signed",
            FieldType::BigEndian(_) => "big",
            FieldType::Bool => "bool",
            FieldType::Mac => "mac",
            FieldType::Ip4 => "ip4",
            FieldType::Ip6 => "ip6",
            FieldType::Ip => "ip",
            FieldType::Bytes(_) => "bytes",
            FieldType::Text(_) => "text",
        };
        (field.name.clone(), ty, field.ty.size(), field.offset)
    });
    (fields.collect(), record.size())
}

fn described(map: MapInfo) -> Info {
    (
        map.name,
        layout(&map.key),
        layout(&map.value),
        map.capacity,
        map.len,
    )
}

fn bytes<'py>(py: Python<'py>, value: Option<Vec<u8>>) -> Option<Bound<'py, PyBytes>> {
    value.map(|value| PyBytes::new(py, &value))
}

/// The maps of a plugin after a replay, each with its keys and values.
pub(crate) fn kept<'py>(
    py: Python<'py>,
    maps: Vec<(MapInfo, MapCopy)>,
) -> PyResult<Vec<(Info, Entries<'py>)>> {
    let each = maps
        .into_iter()
        .map(|(map, copy)| Ok((described(map), pairs(py, &copy)?)));
    each.collect()
}

/// Keys with their values.
type Entries<'py> = Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>;

fn pairs<'py>(py: Python<'py>, copy: &MapCopy) -> PyResult<Entries<'py>> {
    let entries = copy.entries().map_err(vnet::Error::from).or_raise()?;
    let pair = |(key, value)| (PyBytes::new(py, key), PyBytes::new(py, value));
    Ok(entries.into_iter().map(pair).collect())
}

/// The maps of a plugin at work.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Maps(vnet::Attachment);

#[pymethods]
impl Maps {
    #[new]
    fn new(attachment: &Attachment) -> Self {
        Self(attachment.0.clone())
    }

    fn all(&self, py: Python<'_>) -> PyResult<Vec<Info>> {
        let maps = py.detach(|| self.0.maps()).or_raise()?;
        Ok(maps.into_iter().map(described).collect())
    }

    fn info(&self, py: Python<'_>, name: &str) -> PyResult<Info> {
        py.detach(|| self.0.map_info(name)).or_raise().map(described)
    }

    fn get<'py>(&self, py: Python<'py>, name: &str, key: Vec<u8>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let value = py.detach(|| self.0.map_get(name, &key)).or_raise()?;
        Ok(bytes(py, value))
    }

    fn set(&self, py: Python<'_>, name: &str, key: Vec<u8>, value: Vec<u8>) -> PyResult<()> {
        py.detach(|| self.0.map_set(name, &key, &value)).or_raise()
    }

    fn remove<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        key: Vec<u8>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let value = py.detach(|| self.0.map_remove(name, &key)).or_raise()?;
        Ok(bytes(py, value))
    }

    fn clear(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        py.detach(|| self.0.map_clear(name)).or_raise()
    }

    /// All keys with their values at one moment.
    fn entries<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Entries<'py>> {
        let copy = py.detach(|| self.0.map_copy(name)).or_raise()?;
        pairs(py, &copy)
    }
}
