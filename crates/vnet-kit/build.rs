//! Collects what the tools carry: the templates, the SDKs of every language, and the sources of every crate that a plugin in
//! Rust is built from, so that a project needs neither this repository nor a registry.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// The crates of ours that a plugin is built from; what they need of others follows from their manifests.
const SDK: [&str; 4] = ["vnet-abi", "vnet-packet", "vnet-plugin", "vnet-plugin-macros"];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let root = here.join("../..").canonicalize().expect("the workspace");
    let mut templates = Files::default();
    templates.tree(&here.join("templates"), "");
    let mut headers = Files::default();
    headers.tree(&root.join("plugins/include"), "");
    let (vendor, patches) = vendor(&root, &out);
    let text = format!(
        "pub(crate) const TEMPLATES: &[(&str, &str)] = &[\n{}];\n\
         pub(crate) const INCLUDE: &[(&str, &str)] = &[\n{}];\n\
         pub(crate) const VENDOR: &[(&str, &str)] = &[\n{}];\n\
         pub(crate) const PATCHES: &[&str] = &{patches:?};\n",
        templates.text(),
        headers.text(),
        vendor.text()
    );
    fs::write(out.join("files.rs"), text).expect("OUT_DIR can be written");
    for path in [
        "crates/vnet-kit/build.rs",
        "crates/vnet-kit/templates",
        "plugins/include",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    for name in SDK {
        for part in ["src", "Cargo.toml"] {
            println!(
                "cargo::rerun-if-changed={}",
                root.join("crates").join(name).join(part).display()
            );
        }
    }
}

/// Files by the path they get, each with the path they have.
#[derive(Default)]
struct Files(BTreeMap<String, PathBuf>);

impl Files {
    fn tree(&mut self, dir: &Path, prefix: &str) {
        let mut entries: Vec<_> = fs::read_dir(dir)
            .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
            .flatten()
            .collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                self.tree(&entry.path(), &format!("{name}/"));
            } else {
                self.0.insert(name, entry.path());
            }
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, path) in &self.0 {
            let _ = writeln!(
                text,
                "    ({name:?}, include_str!({:?})),",
                path.display().to_string()
            );
        }
        text
    }
}

/// Returns the sources of every crate below the SDK, each in a folder of its name, and the names of those of others.
fn vendor(root: &Path, out: &Path) -> (Files, Vec<String>) {
    let packages = packages(root);
    let mut files = Files::default();
    let mut names = Vec::new();
    let mut wanted: Vec<String> = SDK.map(String::from).to_vec();
    while let Some(name) = wanted.pop() {
        if names.contains(&name) {
            continue;
        }
        let package = &packages[&name];
        let manifest = PathBuf::from(package["manifest_path"].as_str().expect("a path"));
        let dir = manifest.parent().expect("a folder");
        files.tree(&dir.join("src"), &format!("{name}/src/"));
        if SDK.contains(&name.as_str()) {
            let fresh = out.join(format!("{name}.toml"));
            fs::write(&fresh, ours(package)).expect("OUT_DIR can be written");
            files.0.insert(format!("{name}/Cargo.toml"), fresh);
        } else {
            let fresh = out.join(format!("{name}.toml"));
            let text = fs::read_to_string(&manifest).expect("a manifest");
            fs::write(&fresh, theirs(&text)).expect("OUT_DIR can be written");
            files.0.insert(format!("{name}/Cargo.toml"), fresh);
            for entry in fs::read_dir(dir).expect("a folder").flatten() {
                let file = entry.file_name().to_string_lossy().into_owned();
                if file == "build.rs" || file.starts_with("LICENSE") {
                    files.0.insert(format!("{name}/{file}"), entry.path());
                }
            }
        }
        wanted.extend(needed(package).map(|dep| dep["name"].as_str().expect("a name").to_owned()));
        names.push(name);
    }
    names.retain(|name| !SDK.contains(&name.as_str()));
    names.sort();
    (files, names)
}

/// Asks cargo where the sources of every package lie.
///
/// It has fetched those that this crate is compiled with; where it wants the rest of the workspace's too, it may fetch them.
fn packages(root: &Path) -> BTreeMap<String, Value> {
    let cargo = env::var_os("CARGO").expect("cargo sets it");
    let host = env::var("HOST").expect("cargo sets it");
    let ask = |offline: &[&str]| {
        Command::new(&cargo)
            .args([
                "metadata",
                "--format-version",
                "1",
                "--locked",
                "--filter-platform",
                &host,
            ])
            .args(offline)
            .arg("--manifest-path")
            .arg(root.join("Cargo.toml"))
            .output()
            .expect("cargo runs")
    };
    let mut output = ask(&["--offline"]);
    if !output.status.success() {
        output = ask(&[]);
    }
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut packages: BTreeMap<String, Value> = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("a list") {
        let name = package["name"].as_str().expect("a name").to_owned();
        // Of two versions the newer is meant: the SDK's own requirements are the workspace's.
        let version = |package: &Value| {
            let text = package["version"].as_str().unwrap_or_default().to_owned();
            text.split('.')
                .map(|part| part.parse::<u64>().unwrap_or(0))
                .collect::<Vec<_>>()
        };
        if packages
            .get(&name)
            .is_none_or(|other| version(other) < version(package))
        {
            packages.insert(name, package.clone());
        }
    }
    packages
}

/// The dependencies that a plugin's build needs: neither those of tests nor those of features it does not turn on.
fn needed(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|dep| {
            dep["kind"].as_str() != Some("dev")
                && dep["optional"] == Value::Bool(false)
                && dep["target"].is_null()
        })
}

/// A published manifest without what cargo would resolve and no build needs: the dependencies of
/// no platform at all, by which serde's crates hold their versions together.
fn theirs(manifest: &str) -> String {
    let mut keep = true;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = !line.starts_with("[target.\"cfg(any())\"");
        }
        if keep {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// A manifest without the workspace around it.
fn ours(package: &Value) -> String {
    let mut text = String::from("[package]\n");
    for key in ["name", "version", "edition", "description", "license"] {
        let _ = writeln!(text, "{key} = {}", package[key]);
    }
    let is_macro = package["targets"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|target| target["kind"][0] == "proc-macro");
    if is_macro {
        text.push_str("\n[lib]\nproc-macro = true\n");
    }
    text.push_str("\n[features]\n");
    for (name, list) in package["features"].as_object().into_iter().flatten() {
        let list: Vec<&str> = list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|item| !item.starts_with("dep:"))
            .collect();
        let _ = writeln!(text, "{name} = {list:?}");
    }
    text.push_str("\n[dependencies]\n");
    for dep in needed(package) {
        let name = dep["name"].as_str().expect("a name");
        let place = if dep["path"].is_null() {
            format!("version = {}", dep["req"])
        } else {
            format!("path = \"../{name}\"")
        };
        let _ = writeln!(
            text,
            "{name} = {{ {place}, default-features = {}, features = {} }}",
            dep["uses_default_features"], dep["features"]
        );
    }
    text
}
