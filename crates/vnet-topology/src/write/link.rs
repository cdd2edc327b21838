//! Impairments and schedules of links as a document has them.

use serde_json::{Map, Value as Json, json};
use vnet_impair::{Impairment, time_text};

use crate::changes::{Changes, Wanted};
use crate::schedule::{Event, Plug, When};
use crate::spec::LinkSpec;

/// Returns the keys of a link that say how its frames fare, with their values; what is at its default is left out.
pub(super) fn fares(link: &LinkSpec) -> Map<String, Json> {
    let mut map = Map::new();
    let [there, back] = link.impair.each_ref().map(Impairment::entries);
    for key in Impairment::KEYS {
        let of = |entries: &[(&'static str, String)]| {
            let found = entries.iter().find(|(known, _)| known == key);
            found.map(|(_, text)| json!(text))
        };
        let both = [of(&there), of(&back)];
        if both.iter().any(Option::is_some) {
            map.insert((*key).into(), pair(both));
        }
    }
    if !link.schedule.is_empty() {
        map.insert("schedule".into(), link.schedule.iter().map(event).collect());
    }
    if link.big_tcp {
        map.insert("big_tcp".into(), json!(true));
    }
    if let Some(time) = link.busy_poll_ns {
        map.insert("busy_poll".into(), json!(time_text(time)));
    }
    map
}

/// Writes one value where both directions have the same, else two, `"none"` for nothing.
fn pair(both: [Option<Json>; 2]) -> Json {
    let [there, back] = both.map(|value| value.unwrap_or_else(|| json!("none")));
    if there == back {
        there
    } else {
        json!([there, back])
    }
}

fn event(event: &Event) -> Json {
    let mut map = Map::new();
    match event.when {
        When::At(time) => map.insert("at".into(), json!(time_text(time))),
        When::Every(time) => map.insert("every".into(), json!(time_text(time))),
    };
    match event.plug {
        None => None,
        Some(Plug::Up) => map.insert("up".into(), json!(true)),
        Some(Plug::Down) => map.insert("down".into(), json!(true)),
        Some(Plug::DownFor(time)) => map.insert("down".into(), json!(time_text(time))),
    };
    map.extend(changes(&event.changes));
    Json::Object(map)
}

fn changes(changes: &Changes) -> impl Iterator<Item = (String, Json)> {
    changes.changes.iter().map(|(key, wanted)| {
        let both = wanted.each_ref().map(|wanted| wanted.as_ref().map(value));
        ((*key).to_owned(), pair(both))
    })
}

fn value(wanted: &Wanted) -> Json {
    match wanted {
        Wanted::Integer(value) => i64::try_from(*value).map_or_else(|_| json!(value.to_string()), Json::from),
        Wanted::Float(value) => json!(value),
        Wanted::Text(text) => json!(text),
    }
}
