//! `vnet plugin new`: a project to start from.

use std::path::PathBuf;

use clap::Args;
use vnet::kit::{self, Language};

use crate::failure::Failure;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct New {
    /// Name of the plugin and of the folder to make: a lower-case letter, then letters, digits and _
    name: String,
    /// Language: rust, c, c++, zig, assemblyscript, go or wat
    #[arg(long, value_name = "LANGUAGE", value_parser = language)]
    lang: Language,
    /// Folder to make it in
    #[arg(long = "in", value_name = "DIR", default_value = ".")]
    parent: PathBuf,
}

fn language(text: &str) -> Result<Language, String> {
    text.parse::<Language>().map_err(|error| error.to_string())
}

pub(crate) fn run(options: &New) -> Result<i32, Failure> {
    let project = kit::create(&options.parent, &options.name, options.lang).map_err(vnet::Error::from)?;
    output::data(&format!("{}\n", project.dir.display()))?;
    let dir = project.dir.display();
    output::note(&format!(
        "a plugin in {}: build it with `vnet plugin build {dir}`, then `vnet plugin test {dir}`",
        project.language
    ));
    Ok(0)
}
