//! From a document to a spec.

mod cursor;
mod impair;
mod link;
mod node;
mod tree;
mod values;

use toml::de::DeTable;

use crate::changes::Changes;
use crate::error::{Place, TopologyError};
use crate::places::{Declared, Places, Subject};
use crate::read::cursor::{Cursor, Lines, Source};
use crate::resolve::resolve_at;
use crate::schedule::Event;
use crate::spec::{DEFAULT_IPV4, DEFAULT_IPV6, PluginUse, Spec};

pub(crate) use values::address;

const LAB: &str = "a lab: name, hosts, switches, routers, links";
const TOP: [&str; 12] = [
    "name",
    "seed",
    "ipv4",
    "ipv6",
    "routing",
    "private_tmp",
    "busy_poll",
    "hosts",
    "switches",
    "routers",
    "links",
    "nodes",
];

impl Spec {
    /// Reads a lab file; `file` is its name for errors.
    ///
    /// ```toml
    /// name = "two hosts and a switch"      # all of these are optional
    /// routing = "static"
    ///
    /// [hosts.h1]
    /// ip = "10.0.0.1/24"
    ///
    /// [hosts.h2]                           # its addresses are automatic
    ///
    /// [switches.s1]
    ///
    /// [[links]]
    /// ends = ["h1", "s1"]
    ///
    /// [[links]]
    /// ends = ["h2", "s1"]
    /// plugins = ["drop_bcast"]
    /// ```
    ///
    /// Nodes without any settings may be listed (`hosts = ["h1", "h2"]`), and so may links without any
    /// (`links = [["h1", "s1"], ["h2", "s1"]]`). The order of the nodes in the file, of whatever kind, is the order
    /// of their creation.
    ///
    /// # Errors
    /// The first fault with line and column, [`resolve`](crate::resolve)'s refusals included.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, TopologyError> {
        Self::declared_in_toml(text, file).map(|(spec, _)| spec)
    }

    /// Reads a lab file as [`Spec::from_toml`], and says where in it the plugins stand.
    ///
    /// # Errors
    /// As [`Spec::from_toml`].
    pub fn declared_in_toml(text: &str, file: &str) -> Result<(Self, Declared), TopologyError> {
        let lines = Lines::new(file, text);
        let source = Source::Toml(&lines);
        let document = DeTable::parse(text).map_err(|error| TopologyError::Syntax {
            at: source.place(error.span().map_or(0, |span| span.start), ""),
            reason: error.message().to_owned(),
        })?;
        let item = tree::of_toml(&document);
        read(&Cursor::new(source, &item))
    }

    /// Reads a JSON document: the keys of a lab file, with `nodes` as a list of tables that have a `name` and a
    /// `kind` (`host`, `switch` or `router`); `hosts`, `switches` and `routers` work as well.
    ///
    /// # Errors
    /// The first fault with its key, [`resolve`](crate::resolve)'s refusals included.
    pub fn from_json(text: &str) -> Result<Self, TopologyError> {
        let item = json(text).map_err(|error| TopologyError::Syntax {
            at: Place::named("the lab document"),
            reason: error.to_string(),
        })?;
        read(&Cursor::new(Source::Json(None), &item)).map(|(spec, _)| spec)
    }

    /// Reads a lab file of JSON; `file` is its name for errors. Where in it the plugins stand is known by key alone.
    ///
    /// # Errors
    /// As [`Spec::from_json`]; the line is known where the text is no JSON.
    pub fn declared_in_json(text: &str, file: &str) -> Result<(Self, Declared), TopologyError> {
        let item = json(text).map_err(|error| {
            let said = error.to_string();
            TopologyError::Syntax {
                at: Place {
                    file: Some((file.to_owned(), error.line(), error.column())),
                    key: String::new(),
                },
                reason: match said.rfind(" at line ") {
                    Some(end) => said[..end].to_owned(),
                    None => said,
                },
            }
        })?;
        read(&Cursor::new(Source::Json(Some(file)), &item))
    }
}

/// Reads impairments to set, as a JSON object.
pub(crate) fn changes(text: &str) -> Result<Changes, TopologyError> {
    const EXPECTED: &str = "impairments, such as delay = \"10ms\"";
    let item = alone(text)?;
    let keys: Vec<&str> = impair::keys().collect();
    let fields = Cursor::new(Source::Json(None), &item).fields(&keys, EXPECTED)?;
    impair::changes(&fields)
}

/// Reads a schedule, as a JSON list.
pub(crate) fn events(text: &str) -> Result<Vec<Event>, TopologyError> {
    let item = alone(&format!(r#"{{"schedule":{text}}}"#))?;
    let cursor = Cursor::new(Source::Json(None), &item);
    let fields = cursor.fields(&["schedule"], impair::EVENTS)?;
    fields.get("schedule").map_or(Ok(Vec::new()), impair::events)
}

/// Reads plugins, as a JSON list.
pub(crate) fn plugins(text: &str) -> Result<Vec<PluginUse>, TopologyError> {
    let item = alone(&format!(r#"{{"plugins":{text}}}"#))?;
    let cursor = Cursor::new(Source::Json(None), &item);
    let fields = cursor.fields(&["plugins"], "a list of plugins")?;
    fields.get("plugins").map_or(Ok(Vec::new()), values::plugins)
}

fn alone(text: &str) -> Result<tree::Item, TopologyError> {
    json(text).map_err(|error| TopologyError::Syntax {
        at: Place::named("what a link or node is told"),
        reason: error.to_string(),
    })
}

fn json(text: &str) -> Result<tree::Item, serde_json::Error> {
    let mut item: tree::Item = serde_json::from_str(text)?;
    tree::number(&mut item, &mut 0);
    Ok(item)
}

fn read(top: &Cursor<'_>) -> Result<(Spec, Declared), TopologyError> {
    let fields = top.fields(&TOP, LAB)?;
    let mut spec = Spec::default();
    let mut places = Places::default();
    for key in ["name", "seed", "ipv4", "ipv6"] {
        let place = fields.get(key).map_or_else(|| top.absent(key), Cursor::place);
        places.note(Subject::Lab(key), place);
    }
    if let Some(name) = fields.get("name") {
        spec.name = Some(name.text("the lab's name")?.to_owned());
    }
    if let Some(seed) = fields.get("seed") {
        spec.seed = Some(seed.integer("a number from 0 up")?);
    }
    if let Some(pool) = fields.get("ipv4") {
        spec.ipv4 = values::pool(pool, DEFAULT_IPV4)?;
    }
    if let Some(pool) = fields.get("ipv6") {
        spec.ipv6 = values::pool(pool, DEFAULT_IPV6)?;
    }
    if let Some(routing) = fields.get("routing") {
        spec.routing = values::routing(routing)?;
    }
    if let Some(private) = fields.get("private_tmp") {
        spec.private_tmp = private.boolean("true or false")?;
    }
    if let Some(time) = fields.get("busy_poll") {
        spec.busy_poll_ns = Some(impair::time(time)?);
    }
    node::read_all(&fields, &mut spec, &mut places)?;
    link::read_all(&fields, &mut spec, &mut places)?;
    resolve_at(&spec, None, &places)?;
    Ok((spec, Declared(places)))
}
