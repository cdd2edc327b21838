//! What the authors of plugins do with them: the tools of `vnet-kit`, on plugins as users name them.

use std::path::Path;

use vnet_kit::{BenchOptions, BenchReport, Inspection, KitError, TestReport};
use vnet_lab::{Listener, Teller};
use vnet_runtime::{LoadOptions, Module};

use crate::error::Error;
use crate::plugin::Plugin;

/// Describes a plugin: its manifest, its exports, what it may do.
///
/// # Errors
/// [`Error::PluginRejected`] with the reason in words, [`Error::NotFound`] when there is no such plugin.
pub fn inspect(plugin: &Plugin) -> Result<Inspection, Error> {
    Ok(vnet_kit::inspect(&plugin.module()?))
}

/// Runs a file of cases on a plugin; see `docs/plugin-tools.md` for the file.
///
/// # Errors
/// As [`inspect`], and [`Error::Invalid`] where the file is wrong.
pub fn test_plugin(plugin: &Plugin, cases: &Path) -> Result<TestReport, Error> {
    Ok(vnet_kit::test(&plugin.module()?, cases)?)
}

/// Measures what a plugin costs a packet, with frames in memory; configuration and grants are the plugin's own. `listener` hears how
/// far it has come.
///
/// # Errors
/// As [`inspect`], and [`Error::Invalid`] where a frame does not fit the plugin.
pub fn bench(
    plugin: &Plugin,
    mut options: BenchOptions,
    listener: Option<Listener>,
) -> Result<BenchReport, Error> {
    const STEPS: usize = 1000;
    let module = plugin.module()?;
    options.config = plugin.config.json(module.manifest().config.as_ref());
    options.grants.clone_from(&plugin.grants);
    options.shipped = plugin.shipped_name().map(str::to_owned);
    let metered = Module::load(
        &plugin.find()?,
        &LoadOptions {
            metered: true,
            ..plugin.load_options()
        },
    )?;
    let mut teller = Teller::new(listener, "measuring the plugin", STEPS);
    let mut told = |share: f64| teller.at((share * STEPS as f64) as usize);
    Ok(vnet_kit::bench(&module, Some(&metered), &options, &mut told)?)
}

impl From<KitError> for Error {
    fn from(error: KitError) -> Error {
        match error {
            KitError::Invalid { what, hint } => Error::Invalid { what, hint },
            KitError::NotFound { what, hint } => Error::NotFound { what, hint },
            KitError::Build { what } => Error::System {
                what,
                errno: None,
                hint: None,
            },
            KitError::System { what } => Error::System {
                what,
                errno: None,
                hint: None,
            },
            KitError::Plugin(error) => error.into(),
        }
    }
}
