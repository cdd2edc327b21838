//! `vnet plugin build`: from source to a module that was checked.

use std::path::PathBuf;

use clap::Args;
use vnet::kit::{self, Project};
use vnet::{CheckOptions, Plugin};

use super::check;
use crate::args::{Grant, granted};
use crate::failure::Failure;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct Build {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Print the check's report as one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Build) -> Result<i32, Failure> {
    let project = Project::open(&options.dir).map_err(vnet::Error::from)?;
    let module = kit::build(&project).map_err(vnet::Error::from)?;
    output::note(&format!("built {}", module.display()));
    let source = std::path::absolute(&module).unwrap_or(module);
    // The check is of the plugin alone: it gets whatever it asks for.
    let plugin = Plugin {
        grants: granted(&[Grant::Random, Grant::Inject, Grant::Timer]),
        ..Plugin::new(source.display().to_string())
    };
    check::judge(&plugin, CheckOptions::default(), options.json)
}
