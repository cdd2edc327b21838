//! The manifest as JSON.

use serde_json::{Map, Value, json};
use syn::{Expr, ExprLit, ItemFn, Lit, LitStr, Meta};

use crate::options::Options;

/// Returns the manifest of a plugin: what the options say, else what the function and its
/// package do.
pub fn text(options: &Options, function: &ItemFn) -> String {
    let mut manifest = Map::new();
    let name = options
        .name
        .as_ref()
        .map_or_else(|| function.sig.ident.to_string(), LitStr::value);
    manifest.insert("name".into(), name.into());
    manifest.insert("abi".into(), "1.0".into());
    let version = options.version.as_ref().map(LitStr::value);
    if let Some(version) = version.or_else(|| std::env::var("CARGO_PKG_VERSION").ok()) {
        manifest.insert("version".into(), version.into());
    }
    if let Some(description) = options
        .description
        .as_ref()
        .map(LitStr::value)
        .or_else(|| first_paragraph(function))
    {
        manifest.insert("description".into(), description.into());
    }
    insert_list(&mut manifest, "layers", &options.layers);
    insert_list(&mut manifest, "capabilities", &options.capabilities);
    insert_list(&mut manifest, "counters", &options.counters);
    if !options.reasons.is_empty() {
        let reasons: Map<String, Value> = options
            .reasons
            .iter()
            .map(|(code, text)| (code.to_string(), json!(text.value())))
            .collect();
        manifest.insert("reasons".into(), reasons.into());
    }
    let maps: Map<String, Value> = options
        .maps
        .iter()
        .filter_map(|map| {
            let layout = map.layout.as_ref()?;
            let entry = json!({"key": layout.key.value(), "value": layout.value.value()});
            Some((map.name.value(), entry))
        })
        .collect();
    if !maps.is_empty() {
        manifest.insert("maps".into(), maps.into());
    }
    if let Some(config) = &options.config {
        let schema = serde_json::from_str(&config.value()).expect("the option was parsed before");
        manifest.insert("config".into(), schema);
    }
    if let Some(on_fault) = &options.on_fault {
        manifest.insert("on_fault".into(), on_fault.value().into());
    }
    Value::Object(manifest).to_string()
}

fn insert_list(manifest: &mut Map<String, Value>, key: &str, list: &[LitStr]) {
    if !list.is_empty() {
        manifest.insert(key.into(), list.iter().map(LitStr::value).collect());
    }
}

/// Returns the first paragraph of the function's doc comment, on one line.
fn first_paragraph(function: &ItemFn) -> Option<String> {
    let lines = function
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("doc"))
        .map_while(|attr| match &attr.meta {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text), ..
                }) => Some(text.value().trim().to_string()),
                _ => None,
            },
            _ => None,
        });
    let paragraph: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    (!paragraph.is_empty()).then(|| paragraph.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(options: &str, function: &str) -> Value {
        let options = syn::parse_str(options).expect("right options");
        let function = syn::parse_str(function).expect("a function");
        serde_json::from_str(&text(&options, &function)).expect("JSON")
    }

    #[test]
    fn says_what_the_function_says() {
        let found = manifest(
            "",
            "/// Drops frames\n/// at will.\n///\n/// More.\nfn drop_all(_: &mut Packet) -> Verdict {}",
        );
        let version = env!("CARGO_PKG_VERSION");
        let expected = json!({"name": "drop_all", "abi": "1.0", "version": version, "description": "Drops frames at will."});
        assert_eq!(found, expected);
    }

    #[test]
    fn says_what_the_options_say() {
        let options = r##"gso, name = "n", version = "2", description = "a \"d\"", layers = ["l2", "l3"],
            capabilities = ["random"], counters = ["c"], reasons = {1: "one", 300: "more", 400..=402: "rule_{}"},
            config = r#"{"type": "object"}"#, on_fault = "open", configure = path::to,
            maps = {"plain": PLAIN, "macs": path::MACS("mac: mac, vlan: be16" => "port: u16")}"##;
        let expected = json!({
            "name": "n", "abi": "1.0", "version": "2", "description": "a \"d\"", "layers": ["l2", "l3"],
            "capabilities": ["random"], "counters": ["c"], "reasons": {"1": "one", "300": "more", "400": "rule_0", "401": "rule_1", "402": "rule_2"},
            "config": {"type": "object"}, "on_fault": "open",
            "maps": {"macs": {"key": "mac: mac, vlan: be16", "value": "port: u16"}},
        });
        assert_eq!(manifest(options, "fn f() {}"), expected);
    }
}
