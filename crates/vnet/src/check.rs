//! What `vnet plugin check` does.

use vnet_runtime::{CheckOptions, CheckReport};

use crate::error::Error;
use crate::plugin::Plugin;

/// Loads a plugin and shows it thousands of hostile frames, without a device; configuration and grants are the plugin's own.
///
/// # Errors
/// [`Error::PluginRejected`] with the reason in words, [`Error::NotFound`] when there is no such file.
pub fn check(plugin: &Plugin, mut options: CheckOptions) -> Result<CheckReport, Error> {
    let module = plugin.module()?;
    options.config = plugin.config.json(module.manifest().config.as_ref());
    options.grants.clone_from(&plugin.grants);
    Ok(vnet_runtime::check(&module, options))
}
