//! Which plugin a command means: a file, a shipped one, or the one of a project.

use std::path::{Path, PathBuf};

use vnet::Plugin;
use vnet::kit::Project;

use crate::args::{Grant, ModuleCap, granted};
use crate::failure::Failure;

/// Returns the plugin itself: what was named, with a project's folder standing for its module; the project here when nothing was.
pub(super) fn plugin(named: Option<&Plugin>, grants: &[Grant], cap: ModuleCap) -> Result<Plugin, Failure> {
    let named = named.cloned().map(|plugin| Plugin {
        grants: granted(grants),
        module_cap: cap.bytes,
        ..plugin
    });
    let named = named.as_ref();
    match project(named)? {
        None => Ok(named.cloned().unwrap_or_default()),
        Some(project) => {
            let module = project.module();
            if !module.is_file() {
                return Err(Failure::not_found(
                    format!(
                        "{} is not built: {} does not exist",
                        project.name,
                        module.display()
                    ),
                    format!("build it: vnet plugin build {}", project.dir.display()),
                ));
            }
            Ok(Plugin {
                source: with_folder(&module),
                grants: granted(grants),
                module_cap: cap.bytes.or(project.language.module_cap()),
                ..named.cloned().unwrap_or_default()
            })
        }
    }
}

/// Returns the project that was named, or is here when nothing was; `None` for a plugin that is no project.
pub(super) fn project(named: Option<&Plugin>) -> Result<Option<Project>, Failure> {
    let dir = match named {
        None => PathBuf::from("."),
        Some(plugin) if Path::new(&plugin.source).is_dir() => PathBuf::from(&plugin.source),
        Some(_) => return Ok(None),
    };
    Ok(Some(Project::open(&dir).map_err(vnet::Error::from)?))
}

/// A bare name would be a shipped plugin's.
fn with_folder(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains('/') {
        text
    } else {
        format!("./{text}")
    }
}
