//! `vnet plugin build`: from source to a module that was checked.

use std::path::PathBuf;

use clap::Args;
use vnet::kit::{self, Built, Project};
use vnet::{CheckOptions, Plugin};

use super::check;
use crate::args::{Grant, ModuleCap, granted};
use crate::failure::Failure;
use crate::live::Live;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct Build {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    cap: ModuleCap,
    /// Print the check's report as one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Build) -> Result<i32, Failure> {
    let project = Project::open(&options.dir).map_err(vnet::Error::from)?;
    let built = compiled(&project)?;
    // The check is of the plugin alone: it gets whatever it asks for.
    let plugin = Plugin {
        grants: granted(&[Grant::Random, Grant::Inject, Grant::Timer]),
        module_cap: options.cap.bytes.or(project.language.module_cap()),
        ..Plugin::new(built.path().display().to_string())
    };
    match check::judge(&plugin, CheckOptions::default(), options.json) {
        Ok(code) => {
            let module = built.keep().map_err(vnet::Error::from)?;
            output::note(&format!("built {}", module.display()));
            Ok(code)
        }
        Err(failure) => {
            let module = built.module();
            let stays = if module.is_file() {
                format!("{} stays as it was", module.display())
            } else {
                format!("{} is not made", module.display())
            };
            output::note(&format!("{stays}: mend what the check names, then build again"));
            Err(failure)
        }
    }
}

/// Compiles a project, which may take a while; at a terminal it says so.
fn compiled(project: &Project) -> Result<Built, Failure> {
    let live = Live::on_terminal();
    if let Some(live) = &live {
        live.say(&format!("building {} from {}", project.name, project.source));
    }
    Ok(kit::build(project).map_err(vnet::Error::from)?)
}
