//! Networks and links.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use vnet::{
    Changes, Error, Event, GraphFormat, GraphNotes, LinkOptions, NetworkSpec, NodeKind, NodeOptions,
    PingAllOptions, PluginUse, Progress,
};

use crate::attachment::{Attachment, Recording};
use crate::capture::{CaptureOptions, Target};
use crate::convert::{Int, MTU, Plugin, Time, direction, invalid, plain, seconds};
use crate::error::OrRaise;
use crate::interrupt::interruptible;
use crate::node::Node;
use crate::packets::Recent;
use crate::series::{Rows, Series};

/// A network in a private lab.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Network(pub vnet::Network);

/// One thing for each end of a link.
type Pair<T> = (T, T);

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (*, name, seed, ipv4, ipv6, routing, private_tmp, rootless, busy_poll))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each option of a network, by keyword"
    )]
    fn new(
        py: Python<'_>,
        name: Option<String>,
        seed: Option<u64>,
        ipv4: Option<String>,
        ipv6: Option<String>,
        routing: &str,
        private_tmp: bool,
        rootless: Option<bool>,
        busy_poll: Option<Time>,
    ) -> PyResult<Self> {
        let busy_poll = busy_poll.map(|time| time.duration("busy_poll")).transpose()?;
        let pools = vnet::pools(ipv4.as_deref(), ipv6.as_deref()).or_raise()?;
        let spec = NetworkSpec {
            name,
            seed,
            ipv4: pools.0,
            ipv6: pools.1,
            routing: vnet::routing(routing).or_raise()?,
            private_tmp,
            busy_poll_ns: busy_poll.map(vnet::nanoseconds),
            ..NetworkSpec::default()
        };
        py.detach(|| vnet::Network::new(spec, rootless))
            .or_raise()
            .map(Self)
    }

    #[staticmethod]
    #[pyo3(signature = (path, *, rootless))]
    fn load(py: Python<'_>, path: PathBuf, rootless: Option<bool>) -> PyResult<Self> {
        py.detach(|| vnet::Network::load(&path, rootless))
            .or_raise()
            .map(Self)
    }

    #[staticmethod]
    #[pyo3(signature = (text, *, rootless))]
    fn from_json(py: Python<'_>, text: &str, rootless: Option<bool>) -> PyResult<Self> {
        py.detach(|| vnet::Network::from_json(text, rootless))
            .or_raise()
            .map(Self)
    }

    #[getter]
    fn name(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.name())
    }

    #[getter]
    fn scope(&self) -> u64 {
        self.0.scope().number()
    }

    /// Has `listener(what, done, total, seconds, ended)` called, on the thread that waits, of what takes longer than a second.
    fn on_progress(&self, py: Python<'_>, listener: Py<PyAny>) -> PyResult<()> {
        let hear = move |progress: &Progress| {
            let seconds = progress.elapsed.as_secs_f64();
            let told = (
                progress.what,
                progress.done,
                progress.total,
                seconds,
                progress.ended,
            );
            // Not while the interpreter ends.
            let _ = Python::try_attach(|py| {
                if let Err(error) = listener.call1(py, told) {
                    error.write_unraisable(py, None);
                }
            });
        };
        py.detach(|| self.0.on_progress(Some(Arc::new(hear)))).or_raise()
    }

    /// Returns a filter's text with addresses in place of the names of nodes.
    fn plain_filter(&self, py: Python<'_>, text: &str) -> PyResult<String> {
        py.detach(|| self.0.plain_filter(text)).or_raise()
    }

    #[getter]
    fn seed(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.0.seed()).or_raise()
    }

    #[getter]
    fn started(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_started())
    }

    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_closed())
    }

    fn rootless(&self, py: Python<'_>) -> PyResult<bool> {
        interruptible(py, |cancel| {
            self.0.start(cancel)?;
            self.0.is_rootless()
        })
    }

    fn spec<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let spec = py.detach(|| self.0.spec()).or_raise()?;
        plain(py, &spec.to_json())
    }

    fn capture(
        &self,
        py: Python<'_>,
        to: Target,
        options: &Bound<'_, CaptureOptions>,
    ) -> PyResult<Recording> {
        let (output, options) = (to.output()?, options.get().for_network(&self.0)?);
        let capture = |cancel: vnet::Cancel<'_>| {
            self.0.start(cancel)?;
            self.0.capture(output, options)
        };
        interruptible(py, capture).map(Recording)
    }

    fn recent(
        &self,
        py: Python<'_>,
        most_records: usize,
        most_bytes: usize,
        snaplen: u32,
    ) -> PyResult<Recent> {
        let keep = |cancel: vnet::Cancel<'_>| {
            self.0.start(cancel)?;
            self.0.recent(most_records, most_bytes, snaplen)
        };
        interruptible(py, keep).map(Recent)
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.0.save(&path)).or_raise()
    }

    #[pyo3(signature = (kind, name, *, ip, mac, gateway, routes, dns, sysctls, private_dirs, routing, run, plugins))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each option of a node, by keyword"
    )]
    fn add_node(
        &self,
        py: Python<'_>,
        kind: &str,
        name: String,
        ip: Vec<String>,
        mac: Option<String>,
        gateway: Option<Vec<String>>,
        routes: Vec<(String, String)>,
        dns: Vec<String>,
        sysctls: BTreeMap<String, String>,
        private_dirs: Vec<PathBuf>,
        routing: Option<String>,
        run: Vec<String>,
        plugins: &str,
    ) -> PyResult<Node> {
        let kind = match kind {
            "switch" => NodeKind::Switch,
            "router" => NodeKind::Router,
            _ => NodeKind::Host,
        };
        let options = NodeOptions {
            ip,
            mac,
            gateway,
            routes,
            dns,
            sysctls,
            private_dirs,
            routing,
            run,
            plugins: PluginUse::list_from_json(plugins)
                .map_err(Error::from)
                .or_raise()?,
        };
        let add = || self.0.add_node(options.declare(name, kind)?);
        py.detach(add).or_raise().map(Node)
    }

    #[pyo3(signature = (a, b, *, name, interfaces, ip, mac, mtu, up, impair, schedule, big_tcp, busy_poll, plugins))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each option of a link, by keyword"
    )]
    fn add_link(
        &self,
        py: Python<'_>,
        a: String,
        b: String,
        name: Option<String>,
        interfaces: Pair<Option<String>>,
        ip: Pair<Vec<String>>,
        mac: Pair<Option<String>>,
        mtu: Option<Int>,
        up: bool,
        impair: &str,
        schedule: &str,
        big_tcp: bool,
        busy_poll: Option<Time>,
        plugins: &str,
    ) -> PyResult<Link> {
        let options = LinkOptions {
            name,
            interfaces: interfaces.into(),
            ip: ip.into(),
            mac: mac.into(),
            mtu: mtu.map(|mtu| mtu.within("mtu", MTU)).transpose()?,
            down: !up,
            impair: Changes::from_json(impair).map_err(Error::from).or_raise()?,
            schedule: Event::list_from_json(schedule).map_err(Error::from).or_raise()?,
            big_tcp,
            busy_poll: busy_poll.map(|time| time.duration("busy_poll")).transpose()?,
            plugins: PluginUse::list_from_json(plugins)
                .map_err(Error::from)
                .or_raise()?,
        };
        let add = || self.0.add_link(options.declare(a, b)?);
        py.detach(add).or_raise().map(Link)
    }

    fn node(&self, py: Python<'_>, name: &str) -> PyResult<Node> {
        py.detach(|| self.0.node(name)).or_raise().map(Node)
    }

    fn nodes(&self, py: Python<'_>) -> PyResult<Vec<Node>> {
        let nodes = py.detach(|| self.0.nodes()).or_raise()?;
        Ok(nodes.into_iter().map(Node).collect())
    }

    fn links(&self, py: Python<'_>) -> PyResult<Vec<Link>> {
        let links = py.detach(|| self.0.links()).or_raise()?;
        Ok(links.into_iter().map(Link).collect())
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        interruptible(py, |cancel| self.0.start(cancel))
    }

    fn graph(&self, py: Python<'_>, format: &str) -> PyResult<String> {
        let format: GraphFormat = format.parse().or_raise()?;
        py.detach(|| self.0.graph(format)).or_raise()
    }

    fn picture(&self, py: Python<'_>, notes: &str) -> PyResult<String> {
        let notes: GraphNotes =
            serde_json::from_str(notes).map_err(|error| invalid(format!("notes: {error}")))?;
        py.detach(|| self.0.picture(&notes)).or_raise()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Rows)> {
        let (stats, rows) = interruptible(py, |cancel| {
            self.0.start(cancel)?;
            self.0.sample()
        })?;
        Ok((plain(py, &stats)?, Rows(rows)))
    }

    #[pyo3(signature = (*, every, last))]
    fn series(&self, py: Python<'_>, every: Time, last: Time) -> PyResult<Series> {
        interruptible(py, |cancel| self.0.start(cancel))?;
        Series::start(py, &self.0, &every, &last)
    }

    fn rows(&self, py: Python<'_>, nodes: bool) -> PyResult<Rows> {
        py.detach(|| self.0.rows(nodes)).or_raise().map(Rows)
    }

    #[pyo3(signature = (*, hosts, ipv4, ipv6, timeout))]
    fn ping_all<'py>(
        &self,
        py: Python<'py>,
        hosts: Vec<String>,
        ipv4: bool,
        ipv6: bool,
        timeout: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = PingAllOptions {
            ipv4,
            ipv6,
            timeout: seconds(timeout)?,
            hosts,
        };
        plain(
            py,
            &interruptible(py, |cancel| self.0.ping_all(&options, cancel))?,
        )
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.close()).or_raise()
    }

    fn fds(&self) -> Vec<RawFd> {
        self.0.fds()
    }
}

/// A link of a network.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Link(pub vnet::Link);

#[pymethods]
impl Link {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn ends(&self) -> (&str, &str) {
        self.0.ends()
    }

    fn interfaces(&self, py: Python<'_>) -> PyResult<Pair<Option<String>>> {
        self.live(py, || self.0.interfaces())
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &self.live(py, || self.0.state())?)
    }

    fn impair(&self, py: Python<'_>, changes: &str) -> PyResult<()> {
        let changes = Changes::from_json(changes).map_err(Error::from).or_raise()?;
        py.detach(|| self.0.impair(&changes)).or_raise()
    }

    fn impairments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &py.detach(|| self.0.impairments()).or_raise()?)
    }

    fn set_schedule(&self, py: Python<'_>, events: &str) -> PyResult<()> {
        let events = Event::list_from_json(events).map_err(Error::from).or_raise()?;
        py.detach(|| self.0.set_schedule(events)).or_raise()
    }

    fn is_up(&self, py: Python<'_>) -> PyResult<bool> {
        py.detach(|| self.0.is_up()).or_raise()
    }

    fn set_up(&self, py: Python<'_>, up: bool) -> PyResult<()> {
        py.detach(|| self.0.set_up(up)).or_raise()
    }

    fn attach(
        &self,
        py: Python<'_>,
        plugin: &Bound<'_, Plugin>,
        direction: &str,
        position: Option<usize>,
    ) -> PyResult<Attachment> {
        let (plugin, direction) = (&plugin.get().0, self::direction(direction)?);
        self.live(py, || self.0.attach(plugin, direction, position))
            .map(Attachment)
    }

    fn capture(
        &self,
        py: Python<'_>,
        to: Target,
        options: &Bound<'_, CaptureOptions>,
    ) -> PyResult<Recording> {
        let (output, options) = (to.output()?, options.get().for_network(self.0.network())?);
        self.live(py, || self.0.capture(output, options)).map(Recording)
    }

    fn remove(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.remove()).or_raise()
    }

    fn describe(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.describe())
    }
}

impl Link {
    /// Asks something of a network that runs.
    fn live<T: Send>(&self, py: Python<'_>, ask: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
        interruptible(py, |cancel| {
            self.0.network().start(cancel)?;
            ask()
        })
    }
}
