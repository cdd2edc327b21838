//! Links of a document.

use crate::error::TopologyError;
use crate::places::{Places, Subject};
use crate::read::cursor::{Cursor, Fields};
use crate::read::impair;
use crate::read::tree::Value;
use crate::read::values;
use crate::spec::{End, EndSpec, LinkSpec, Spec};

const LINKS: &str = "a list of links, such as [[\"h1\", \"s1\"], [\"h2\", \"s1\"]], or tables [[links]]";
const LINK: &str = "a link: two names such as [\"h1\", \"s1\"], or a table with ends = [\"h1\", \"s1\"]";
const ENDS: &str = "the two ends, such as [\"h1\", \"s1\"]";
const END: &str = "the name of a node, or a table such as { node = \"h1\", ip = \"10.0.0.1/24\" }";
const KEYS: [&str; 10] = [
    "ends",
    "a",
    "b",
    "name",
    "mtu",
    "up",
    "plugins",
    "schedule",
    "big_tcp",
    "busy_poll",
];

/// Reads all links in the order of the document.
pub(crate) fn read_all(top: &Fields<'_>, spec: &mut Spec, places: &mut Places) -> Result<(), TopologyError> {
    let Some(links) = top.get("links") else {
        return Ok(());
    };
    let all: Vec<&str> = KEYS.into_iter().chain(impair::keys()).collect();
    match &links.item.value {
        Value::List(items) => {
            for link in links.elements(items) {
                let read = read_link(&link, &all, spec.links.len(), places)?;
                spec.links.push(read);
            }
        }
        // Tables by name, as nodes have them.
        Value::Table(_) => {
            for field in links.entries(LINKS)? {
                let at = spec.links.len();
                let keys: Vec<&str> = all.iter().copied().filter(|key| *key != "name").collect();
                let mut read = read_link(&field.value, &keys, at, places)?;
                read.name = Some(field.key.to_owned());
                places.note(Subject::LinkKey(at, "name"), field.key_place());
                spec.links.push(read);
            }
        }
        _ => return Err(links.unexpected(LINKS)),
    }
    Ok(())
}

fn read_link(
    link: &Cursor<'_>,
    keys: &[&str],
    at: usize,
    places: &mut Places,
) -> Result<LinkSpec, TopologyError> {
    places.note(Subject::Link(at), link.place());
    if matches!(link.item.value, Value::List(_)) {
        let (a, b) = ends(link, at, places)?;
        return Ok(LinkSpec {
            a,
            b,
            ..LinkSpec::new("", "")
        });
    }
    let fields = link.fields(keys, LINK)?;
    let (a, b) = match (fields.get("ends"), fields.get("a"), fields.get("b")) {
        (Some(both), None, None) => ends(both, at, places)?,
        (None, Some(a), Some(b)) => (end(a, at, End::A, places)?, end(b, at, End::B, places)?),
        (Some(_), Some(extra), _) | (Some(_), _, Some(extra)) => {
            return Err(extra.bad("the ends are given twice", "either ends, or a and b"));
        }
        (None, Some(_), None) => return Err(link.missing("b", END)),
        (None, None, Some(_)) => return Err(link.missing("a", END)),
        (None, None, None) => return Err(link.missing("ends", ENDS)),
    };
    let mut read = LinkSpec {
        a,
        b,
        ..LinkSpec::new("", "")
    };
    for key in ["name", "mtu", "up", "plugins", "big_tcp", "schedule"] {
        if let Some(value) = fields.get(key) {
            places.note(Subject::LinkKey(at, key), value.place());
        }
    }
    if let Some(value) = fields.get("name") {
        read.name = Some(value.text("the link's name")?.to_owned());
    }
    if let Some(value) = fields.get("mtu") {
        read.mtu = Some(value.integer("a number of bytes, such as 1500")?);
    }
    if let Some(value) = fields.get("up") {
        read.up = value.boolean("true or false")?;
    }
    impair::changes(&fields)?.apply_at(&mut read.impair, |_| link.place())?;
    if let Some(value) = fields.get("schedule") {
        read.schedule = impair::events(value)?;
        for (number, place) in values::places(value) {
            places.note(Subject::LinkEvent(at, number), place);
        }
    }
    if let Some(value) = fields.get("big_tcp") {
        read.big_tcp = value.boolean("true or false")?;
    }
    if let Some(value) = fields.get("busy_poll") {
        read.busy_poll_ns = Some(impair::time(value)?);
    }
    if let Some(value) = fields.get("plugins") {
        read.plugins = values::plugins(value)?;
        for (number, place) in values::places(value) {
            places.note(Subject::LinkPlugin(at, number), place);
        }
    }
    Ok(read)
}

fn ends(cursor: &Cursor<'_>, at: usize, places: &mut Places) -> Result<(EndSpec, EndSpec), TopologyError> {
    let Value::List(items) = &cursor.item.value else {
        return Err(cursor.unexpected(ENDS));
    };
    let [a, b] = &cursor.elements(items)[..] else {
        return Err(cursor.bad(format!("a list of {}", items.len()), ENDS));
    };
    Ok((end(a, at, End::A, places)?, end(b, at, End::B, places)?))
}

fn end(cursor: &Cursor<'_>, at: usize, end: End, places: &mut Places) -> Result<EndSpec, TopologyError> {
    places.note(Subject::EndOf(at, end), cursor.place());
    if let Value::Text(node) = &cursor.item.value {
        return Ok(EndSpec::new(node));
    }
    let fields = cursor.fields(&["node", "interface", "ip", "mac"], END)?;
    for key in ["node", "interface", "ip", "mac"] {
        if let Some(value) = fields.get(key) {
            places.note(Subject::EndKey(at, end, key), value.place());
        }
    }
    let node = fields.get("node").ok_or_else(|| cursor.missing("node", END))?;
    let mut read = EndSpec::new(node.text(END)?);
    if let Some(value) = fields.get("interface") {
        read.interface = Some(value.text("the interface's name")?.to_owned());
    }
    if let Some(value) = fields.get("ip") {
        read.ip = values::addresses(value)?;
    }
    if let Some(value) = fields.get("mac") {
        read.mac = Some(values::mac(value)?);
    }
    Ok(read)
}
