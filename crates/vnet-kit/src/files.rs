//! What the tools carry: templates, SDKs, and the sources that plugins in Rust are built from.

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Returns the template of that path.
pub(crate) fn template(path: &str) -> &'static str {
    find(TEMPLATES, path)
}

/// Returns the SDK file of that name.
pub(crate) fn include(name: &str) -> &'static str {
    find(INCLUDE, name)
}

fn find(files: &'static [(&str, &str)], path: &str) -> &'static str {
    files
        .iter()
        .find(|(name, _)| *name == path)
        .map_or_else(|| unreachable!("{path} is compiled in"), |(_, text)| *text)
}
