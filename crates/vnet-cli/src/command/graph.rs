//! `vnet graph`: a picture of the network of a lab file.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vnet::{GraphFormat, Network};

use crate::failure::Failure;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Lab file: TOML, or JSON when its name ends in .json
    file: PathBuf,
    /// How to draw [default: what the name of the output ends in, else text]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// File to write instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// `--format`
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Lines for a terminal
    Text,
    /// A picture for a browser
    Svg,
    /// The language of Graphviz
    Dot,
}

pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    let network = Network::load(&options.file, None)?;
    let picture = network.graph(match options.format.unwrap_or_else(|| usual(options)) {
        Format::Text => GraphFormat::Text,
        Format::Svg => GraphFormat::Svg,
        Format::Dot => GraphFormat::Dot,
    })?;
    match &options.output {
        None => output::data(&picture)?,
        Some(path) => fs::write(path, picture).map_err(|source| Failure::File {
            what: "write",
            path: path.clone(),
            source,
        })?,
    }
    Ok(0)
}

fn usual(options: &Options) -> Format {
    let extension = options.output.as_ref().and_then(|path| path.extension());
    match extension.and_then(|extension| extension.to_str()) {
        Some("svg") => Format::Svg,
        Some("dot" | "gv") => Format::Dot,
        _ => Format::Text,
    }
}
