//! `vnet plugin inspect`: what a plugin is and what it may do.

use std::fmt::Write;

use clap::Args;
use vnet::Plugin;
use vnet::kit::Inspection;

use super::{subject, table::table};
use crate::args::ModuleCap;
use crate::failure::Failure;
use crate::output;
use crate::plugin_arg;

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// The plugin: a file, the bare name of one that ships with vnet, or a project's folder [default: the project here]
    #[arg(value_name = "FILE", value_parser = plugin_arg::parse)]
    plugin: Option<Plugin>,
    #[command(flatten)]
    cap: ModuleCap,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Inspect) -> Result<i32, Failure> {
    let plugin = subject::plugin(options.plugin.as_ref(), &[], options.cap)?;
    let found = vnet::inspect(&plugin)?;
    if options.json {
        output::json(&found)?;
    } else {
        output::data(&text(&found))?;
    }
    Ok(0)
}

fn text(found: &Inspection) -> String {
    let manifest = &found.manifest;
    let version = manifest
        .version
        .as_deref()
        .map(|v| format!(" {v}"))
        .unwrap_or_default();
    let mut text = format!(
        "{}{version}: {}\n\n",
        found.name,
        manifest.description.as_deref().unwrap_or("no description")
    );
    let layers: Vec<&str> = manifest.layers.iter().map(|layer| layer.name()).collect();
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("form", format!("{}, ABI {}", found.form, manifest.abi)),
        row("layers", layers.join(", ")),
        row(
            "size",
            format!("{} bytes, {} KiB of memory", found.size, found.memory / 1024),
        ),
    ];
    if !manifest.present {
        rows.push(row("manifest", "none: defaults hold".into()));
    }
    if let Some(traits) = found.traits {
        let mut takes = vec![
            format!("frames of {} bytes", traits.max_frame),
            format!("{} at once", traits.batch),
        ];
        for (is, what) in [(traits.gso, "super-frames"), (traits.csum, "partial checksums")] {
            if is {
                takes.push(what.to_owned());
            }
        }
        rows.push(row("takes", takes.join(", ")));
    }
    if let Some(error) = &found.start_error {
        rows.push(row("start", error.clone()));
    }
    let asks = if manifest.capabilities.is_empty() {
        "nothing".into()
    } else {
        manifest.capabilities.join(", ")
    };
    rows.push(row("asks for", asks));
    if let Some(policy) = manifest.on_fault {
        rows.push(row("on fault", format!("{policy:?}").to_lowercase()));
    }
    if manifest.state_version != 0 {
        rows.push(row("state version", manifest.state_version.to_string()));
    }
    let reasons: Vec<String> = manifest
        .reasons
        .iter()
        .map(|(code, text)| format!("{code} {text}"))
        .collect();
    for (name, list) in [
        ("reasons", reasons),
        ("counters", manifest.counters.clone()),
        ("maps", manifest.maps.keys().cloned().collect()),
        ("exports", found.exports.clone()),
        ("imports", found.imports.clone()),
    ] {
        if !list.is_empty() {
            rows.push(row(name, list.join(", ")));
        }
    }
    text += &table(&rows, &[]);
    text += "\nit may\n";
    for may in &found.may {
        let _ = writeln!(text, "  {may}");
    }
    text += "\nconfiguration\n";
    if found.config.is_empty() {
        text += if manifest.config.is_some() {
            "  none\n"
        } else {
            "  no schema: any\n"
        };
        return text;
    }
    let heading = ["  key", "type", "default", "limits", "what it is"]
        .map(str::to_owned)
        .to_vec();
    let keys = found.config.iter().map(|key| {
        let default = match &key.default {
            Some(default) => default.clone(),
            None if key.required => "(required)".to_owned(),
            None => "-".to_owned(),
        };
        vec![
            format!("  {}", key.key),
            key.kind.clone(),
            default,
            key.limits.clone(),
            key.description.clone(),
        ]
    });
    text += &table(&std::iter::once(heading).chain(keys).collect::<Vec<_>>(), &[]);
    text
}
