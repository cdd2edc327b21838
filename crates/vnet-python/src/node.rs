//! Nodes of networks, and the places on them that plugins are attached to.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};
use std::path::PathBuf;

use pyo3::prelude::*;
use vnet::{Error, IperfOptions, Netns, NodeKind, PingOptions, Popen, SocketSpec, Stream};

use crate::attachment::{Attachment, Recording};
use crate::capture::{CaptureOptions, Target};
use crate::command::CommandLine;
use crate::convert::{BITS32, Int, PORT, Plugin, direction, invalid, plain, seconds};
use crate::error::OrRaise;
use crate::interrupt::interruptible;
use crate::process::Process;

/// A host, switch or router.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Node(pub vnet::Node);

#[pymethods]
impl Node {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn kind(&self) -> &'static str {
        match self.0.kind() {
            NodeKind::Host => "host",
            NodeKind::Switch => "switch",
            NodeKind::Router => "router",
        }
    }

    fn describe(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.describe())
    }

    fn interfaces<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &self.live(py, || self.0.interfaces())?)
    }

    #[pyo3(signature = (command, *, stdin, stdout, stderr, env, cwd))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each option of a command, by keyword"
    )]
    fn popen(
        &self,
        py: Python<'_>,
        command: CommandLine,
        stdin: Option<i32>,
        stdout: Option<i32>,
        stderr: Option<i32>,
        env: Option<HashMap<OsString, OsString>>,
        cwd: Option<PathBuf>,
    ) -> PyResult<Process> {
        let command = match command {
            CommandLine::Text(text) => Popen::shell(text),
            CommandLine::Words(words) => Popen::new(words),
        };
        let command = Popen {
            env: env.map(|env| env.into_iter().collect()),
            cwd,
            stdin: stream(stdin, Stream::Null)?,
            stdout: stream(stdout, Stream::Inherit)?,
            stderr: stream(stderr, Stream::Inherit)?,
            ..command
        };
        self.live(py, || self.0.popen(command)).map(Process::new)
    }

    #[pyo3(signature = (domain, kind, protocol, *, bind, device))]
    fn socket(
        &self,
        py: Python<'_>,
        domain: i32,
        kind: i32,
        protocol: i32,
        bind: Option<(String, Int)>,
        device: Option<String>,
    ) -> PyResult<RawFd> {
        let spec = SocketSpec {
            domain,
            kind,
            protocol,
            bind: bind
                .map(|(host, port)| address(&host, port.within("the port of bind", PORT)?))
                .transpose()?,
            device,
        };
        Ok(self.live(py, || self.0.socket(&spec))?.into_raw_fd())
    }

    #[pyo3(signature = (to, *, count, interval, timeout, size, ipv6))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each option of a ping, by keyword"
    )]
    fn ping<'py>(
        &self,
        py: Python<'py>,
        to: &str,
        count: Int,
        interval: f64,
        timeout: f64,
        size: Int,
        ipv6: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = PingOptions {
            count: count.within("count", BITS32)?,
            interval: seconds(interval)?,
            timeout: seconds(timeout)?,
            size: size.within("size", PORT)?,
            ipv6,
            ..PingOptions::default()
        };
        plain(
            py,
            &interruptible(py, |cancel| self.0.ping(to, &options, cancel))?,
        )
    }

    #[pyo3(signature = (to, *, seconds, udp, rate, streams, length, ipv6))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each option of a measurement, by keyword"
    )]
    fn iperf<'py>(
        &self,
        py: Python<'py>,
        to: &str,
        seconds: f64,
        udp: bool,
        rate: Option<f64>,
        streams: Int,
        length: Option<Int>,
        ipv6: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = IperfOptions {
            duration: self::seconds(seconds)?,
            udp,
            rate_bps: rate.map(bits_per_second).transpose()?,
            streams: streams.within("streams", BITS32)?,
            length: length.map(|length| length.within("length", BITS32)).transpose()?,
            ipv6,
            ..IperfOptions::default()
        };
        plain(
            py,
            &interruptible(py, |cancel| self.0.iperf(to, &options, cancel))?,
        )
    }

    #[pyo3(signature = (port, *, listen, listen_port, to))]
    fn forward(
        &self,
        py: Python<'_>,
        port: Int,
        listen: &str,
        listen_port: Int,
        to: Option<&str>,
    ) -> PyResult<Forward> {
        let port = port.within("port", 1..=65_535)?;
        let listen = address(listen, listen_port.within("listen_port", PORT)?)?;
        self.live(py, || self.0.forward(port, listen, to)).map(Forward)
    }

    #[pyo3(signature = (to, via, interface, metric))]
    fn add_route(
        &self,
        py: Python<'_>,
        to: &str,
        via: Option<&str>,
        interface: Option<&str>,
        metric: Option<Int>,
    ) -> PyResult<()> {
        let metric = metric.map(|metric| metric.within("metric", BITS32)).transpose()?;
        self.live(py, || self.0.add_route(to, via, interface, metric))
    }

    #[pyo3(signature = (to, via, interface, metric))]
    fn del_route(
        &self,
        py: Python<'_>,
        to: &str,
        via: Option<&str>,
        interface: Option<&str>,
        metric: Option<Int>,
    ) -> PyResult<()> {
        let metric = metric.map(|metric| metric.within("metric", BITS32)).transpose()?;
        self.live(py, || self.0.del_route(to, via, interface, metric))
    }

    fn add_address(&self, py: Python<'_>, interface: Option<&str>, address: &str) -> PyResult<()> {
        self.live(py, || self.0.add_address(interface, address))
    }

    fn del_address(&self, py: Python<'_>, interface: Option<&str>, address: &str) -> PyResult<()> {
        self.live(py, || self.0.del_address(interface, address))
    }

    fn add_neighbour(&self, py: Python<'_>, interface: Option<&str>, ip: &str, mac: &str) -> PyResult<()> {
        self.live(py, || self.0.add_neighbour(interface, ip, mac))
    }

    fn del_neighbour(&self, py: Python<'_>, interface: Option<&str>, ip: &str) -> PyResult<()> {
        self.live(py, || self.0.del_neighbour(interface, ip))
    }

    fn sysctl(&self, py: Python<'_>, key: &str) -> PyResult<String> {
        self.live(py, || self.0.sysctl(key))
    }

    fn set_sysctl(&self, py: Python<'_>, key: &str, value: &str) -> PyResult<()> {
        self.live(py, || self.0.set_sysctl(key, value))
    }

    fn fdb(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        self.live(py, || self.0.fdb())
    }

    fn capture(
        &self,
        py: Python<'_>,
        interfaces: Option<Vec<String>>,
        to: Target,
        options: &Bound<'_, CaptureOptions>,
    ) -> PyResult<Recording> {
        let (output, options) = (to.output()?, options.get().for_network(self.0.network())?);
        let capture = |cancel: vnet::Cancel<'_>| {
            self.0.network().start(cancel)?;
            self.0.capture(interfaces, output, options)
        };
        interruptible(py, capture).map(Recording)
    }

    fn remove(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.remove()).or_raise()
    }
}

impl Node {
    /// Returns its namespace, for devices and commands in it.
    pub(crate) fn netns(&self, py: Python<'_>) -> PyResult<Netns> {
        self.live(py, || self.0.netns())
    }

    /// Asks something of a network that runs.
    fn live<T: Send>(&self, py: Python<'_>, ask: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
        interruptible(py, |cancel| {
            self.0.network().start(cancel)?;
            ask()
        })
    }
}

/// Where on a node a plugin goes: an interface, or the only one, or a whole switch.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Place {
    node: vnet::Node,
    interface: Option<String>,
}

#[pymethods]
impl Place {
    #[new]
    #[pyo3(signature = (node, interface))]
    fn new(node: &Bound<'_, Node>, interface: Option<String>) -> Self {
        Self {
            node: node.get().0.clone(),
            interface,
        }
    }

    fn attach(
        &self,
        py: Python<'_>,
        plugin: &Bound<'_, Plugin>,
        direction: &str,
        position: Option<usize>,
    ) -> PyResult<Attachment> {
        let (plugin, direction) = (&plugin.get().0, self::direction(direction)?);
        let attach = |cancel: vnet::Cancel<'_>| {
            self.node.network().start(cancel)?;
            self.node
                .attach(self.interface.as_deref(), plugin, direction, position)
        };
        interruptible(py, attach).map(Attachment)
    }
}

/// A port of the host that leads to one in a node.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Forward(vnet::Forward);

#[pymethods]
impl Forward {
    fn address(&self, py: Python<'_>) -> (String, u16) {
        let address = py.detach(|| self.0.local_addr());
        (address.ip().to_string(), address.port())
    }

    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_closed())
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

fn address(host: &str, port: u16) -> PyResult<SocketAddr> {
    // As in Python's own sockets.
    let any = if host.is_empty() { "0.0.0.0" } else { host };
    let ip: IpAddr = any
        .parse()
        .map_err(|_| invalid(format!("{host:?} is not an IP address; write 127.0.0.1 or ::1")))?;
    Ok(SocketAddr::new(ip, port))
}

fn bits_per_second(rate: f64) -> PyResult<u64> {
    if (1.0..=1e15).contains(&rate) {
        return Ok(rate as u64);
    }
    Err(invalid(format!("{rate} bit/s is no rate; give at least 1")))
}

/// Reads a stream: `None`, a descriptor, which is duplicated, or a constant of Python's `subprocess`.
fn stream(arg: Option<i32>, none: Stream) -> PyResult<Stream> {
    const PIPE: i32 = -1;
    const STDOUT: i32 = -2;
    const DEVNULL: i32 = -3;
    match arg {
        None => Ok(none),
        Some(PIPE) => Ok(Stream::Pipe),
        Some(STDOUT) => Ok(Stream::Stdout),
        Some(DEVNULL) => Ok(Stream::Null),
        Some(fd) if fd < 0 => Err(invalid(format!("{fd} is not a file descriptor"))),
        Some(fd) => {
            // SAFETY: `fd` is not negative. It is only duplicated, by a call that answers EBADF when it is not open; the
            // borrow ends with this statement.
            let copy = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
            copy.map(Stream::Fd)
                .map_err(|error| invalid(format!("file descriptor {fd}: {error}")))
        }
    }
}
