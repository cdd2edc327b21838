//! Impairments and schedules of links.

use vnet_impair::{Given, Impairment};

use crate::changes::{Changes, Wanted};
use crate::error::TopologyError;
use crate::read::cursor::{Cursor, Fields};
use crate::read::tree::{Item, Value};
use crate::schedule::{Event, Plug, When};

/// Another word for `queue`: what netem calls it.
const LIMIT: &str = "limit";

const EVENT: &str =
    "an event, such as { at = \"5s\", delay = \"50ms\" } or { every = \"10s\", down = \"1s\" }";
pub(super) const EVENTS: &str =
    "a list of events, such as [{ at = \"5s\", delay = \"50ms\" }, { every = \"10s\", down = \"1s\" }]";
const WHEN: &str = "at = ... or every = ..., a time such as \"5s\"";
const TIME: &str = "a time such as \"500ms\", or a number of seconds";
const DOWN: &str = "true, or a time such as \"1s\" after which it is up again";

/// Returns all keys that say something of a link's impairments.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    Impairment::KEYS.iter().copied().chain([LIMIT])
}

/// Reads the impairments among the fields of a table, with each value's place in its refusal.
pub(crate) fn changes(fields: &Fields<'_>) -> Result<Changes, TopologyError> {
    let mut changes = Changes::default();
    for key in keys() {
        let Some(value) = fields.get(key) else { continue };
        let key = if key == LIMIT { "queue" } else { key };
        if changes.changes.iter().any(|(known, _)| *known == key) {
            return Err(value.bad("the queue's limit is given twice", "either queue or limit"));
        }
        changes.changes.push((key, both(key, value)?));
    }
    Ok(changes)
}

/// Reads one value for both directions, or a list of two.
fn both(key: &'static str, value: &Cursor<'_>) -> Result<[Option<Wanted>; 2], TopologyError> {
    let Value::List(items) = &value.item.value else {
        let wanted = one(key, value)?;
        return Ok([wanted.clone(), wanted]);
    };
    let [there, back] = &value.elements(items)[..] else {
        return Err(value.bad(
            format!("a list of {}", items.len()),
            "one value, or two: from a to b, and from b to a",
        ));
    };
    Ok([one(key, there)?, one(key, back)?])
}

fn one(key: &str, value: &Cursor<'_>) -> Result<Option<Wanted>, TopologyError> {
    let wanted = match &value.item.value {
        Value::Null => return Ok(None),
        Value::Text(text) if text == "none" => return Ok(None),
        _ => scalar(value.item).ok_or_else(|| value.unexpected(&expected(key)))?,
    };
    // Said at its own place, before it is said what goes together.
    let set = Impairment::default().set(key, Some(wanted.given()));
    set.map_err(|error| value.unexpected(&error.expected))?;
    Ok(Some(wanted))
}

fn scalar(item: &Item) -> Option<Wanted> {
    match &item.value {
        Value::Integer(value) => Some(Wanted::Integer(*value)),
        Value::Float(value) => Some(Wanted::Float(*value)),
        Value::Text(text) => Some(Wanted::Text(text.clone())),
        _ => None,
    }
}

/// Says what a key wants.
fn expected(key: &str) -> String {
    let nothing = Impairment::default().set(key, Some(Given::Text("")));
    nothing.map_or_else(|error| error.expected, |()| "a text".into())
}

/// Reads a time in nanoseconds.
pub(crate) fn time(value: &Cursor<'_>) -> Result<u64, TopologyError> {
    let given = scalar(value.item).ok_or_else(|| value.unexpected(TIME))?;
    vnet_impair::time(given.given()).map_err(|error| value.unexpected(&error.expected))
}

/// Reads a schedule.
pub(crate) fn events(cursor: &Cursor<'_>) -> Result<Vec<Event>, TopologyError> {
    if let Value::List(_) | Value::Table(_) = cursor.item.value {
        return cursor.one_or_more().iter().map(event).collect();
    }
    Err(cursor.unexpected(EVENTS))
}

fn event(cursor: &Cursor<'_>) -> Result<Event, TopologyError> {
    let known: Vec<&str> = ["at", "every", "down", "up"].into_iter().chain(keys()).collect();
    let fields = cursor.fields(&known, EVENT)?;
    let when = match (fields.get("at"), fields.get("every")) {
        (Some(at), None) => When::At(time(at)?),
        (None, Some(every)) => When::Every(time(every)?),
        (Some(_), Some(every)) => return Err(every.bad("its time is given twice", "either at or every")),
        (None, None) => return Err(cursor.missing("at", WHEN)),
    };
    let event = Event {
        when,
        plug: plug(&fields)?,
        changes: changes(&fields)?,
    };
    if let (When::Every(period), Some(value)) = (when, fields.get("every")) {
        let flap = matches!(event.plug, Some(Plug::DownFor(time)) if time < period);
        if !flap || !event.changes.is_empty() {
            let found = "what happens again and again is a flap";
            return Err(value.bad(
                found,
                "down = a time shorter than that of every, and nothing else",
            ));
        }
    }
    if event.plug.is_none() && event.changes.is_empty() {
        return Err(cursor.bad(
            "an event in which nothing happens",
            "down, up, or impairments such as delay",
        ));
    }
    Ok(event)
}

fn plug(fields: &Fields<'_>) -> Result<Option<Plug>, TopologyError> {
    match (fields.get("up"), fields.get("down")) {
        (None, None) => Ok(None),
        (Some(up), None) => match up.item.value {
            Value::Bool(true) => Ok(Some(Plug::Up)),
            _ => Err(up.unexpected("true")),
        },
        (None, Some(down)) => match down.item.value {
            Value::Bool(true) => Ok(Some(Plug::Down)),
            Value::Bool(false) => Err(down.unexpected(DOWN)),
            _ => match time(down)? {
                0 => Err(down.bad("no time at all", DOWN)),
                for_ns => Ok(Some(Plug::DownFor(for_ns))),
            },
        },
        (Some(_), Some(down)) => Err(down.bad("it goes and comes at once", "either down or up")),
    }
}
