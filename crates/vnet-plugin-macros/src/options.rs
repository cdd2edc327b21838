//! The options between the attribute's parentheses.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitInt, LitStr, Path, Result, Token, braced, bracketed};

use crate::maps::{self, MapOption};

/// Bytes that ring and arena may take: the host's cap on a guest's memory is 16 MiB.
const STORE_MAX: usize = 14 << 20;
const GSO_SLOT_MIN: usize = 65_536 + 256;
const OPTIONS: [&str; 17] = [
    "gso",
    "csum",
    "pure",
    "name",
    "version",
    "description",
    "layers",
    "capabilities",
    "reasons",
    "counters",
    "config",
    "configure",
    "on_fault",
    "maps",
    "timer",
    "ring_len",
    "slot_len",
];

/// The attribute's options, checked one by one and against each other.
#[derive(Default)]
pub struct Options {
    pub gso: bool,
    pub csum: bool,
    pub pure: bool,
    pub name: Option<LitStr>,
    pub version: Option<LitStr>,
    pub description: Option<LitStr>,
    pub layers: Vec<LitStr>,
    pub capabilities: Vec<LitStr>,
    pub reasons: Vec<(u16, LitStr)>,
    pub counters: Vec<LitStr>,
    pub config: Option<LitStr>,
    pub on_fault: Option<LitStr>,
    pub configure: Option<Path>,
    pub timer: Option<Path>,
    pub maps: Vec<MapOption>,
    ring_len: Option<usize>,
    slot_len: Option<usize>,
}

impl Options {
    pub fn ring_len(&self) -> usize {
        self.ring_len.unwrap_or(128)
    }

    /// An odd multiple of 64, so that neighbouring frames fall into different cache sets.
    pub fn slot_len(&self) -> usize {
        self.slot_len.unwrap_or(if self.gso { 65_856 } else { 2_112 })
    }

    /// The bits of `vn_info.flags`.
    pub fn flags(&self) -> u32 {
        u32::from(self.gso) | u32::from(self.csum) << 1 | u32::from(self.pure) << 2
    }

    fn check(&self, span: Span) -> Result<()> {
        if self.gso && self.slot_len() < GSO_SLOT_MIN {
            return Err(Error::new(
                span,
                format!("`gso` takes a `slot_len` of {GSO_SLOT_MIN} or more"),
            ));
        }
        let has_timer = self.capabilities.iter().any(|name| name.value() == "timer");
        if self.timer.is_some() && !has_timer {
            return Err(Error::new(
                span,
                "`timer` needs the capability: add `capabilities = [\"timer\"]`",
            ));
        }
        let store = self.ring_len() * (self.slot_len() + 40);
        if store > STORE_MAX {
            return Err(Error::new(
                span,
                format!(
                    "ring and arena take {store} bytes, of {STORE_MAX} that a guest has for them: lower `ring_len` or `slot_len`"
                ),
            ));
        }
        Ok(())
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let span = input.span();
        let mut options = Options::default();
        let mut seen: Vec<String> = Vec::new();
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            let name = key.to_string();
            if seen.contains(&name) {
                return Err(Error::new(key.span(), format!("`{name}` is given twice")));
            }
            if !OPTIONS.contains(&name.as_str()) {
                return Err(unknown(&key));
            }
            if !matches!(name.as_str(), "gso" | "csum" | "pure") {
                input.parse::<Token![=]>()?;
            }
            options.value(&key, &name, input)?;
            seen.push(name);
            if input.is_empty() {
                break;
            }
            input.parse::<Token![,]>()?;
        }
        options.check(span)?;
        Ok(options)
    }
}

impl Options {
    fn value(&mut self, key: &Ident, name: &str, input: ParseStream<'_>) -> Result<()> {
        match name {
            "gso" => self.gso = true,
            "csum" => self.csum = true,
            "pure" => self.pure = true,
            "name" => self.name = Some(input.parse()?),
            "version" => self.version = Some(input.parse()?),
            "description" => self.description = Some(input.parse()?),
            "layers" => self.layers = strings(input, &["l2", "l3"])?,
            "capabilities" => self.capabilities = strings(input, &["random", "inject", "timer"])?,
            "reasons" => self.reasons = reasons(input)?,
            "counters" => self.counters = counters(input)?,
            "config" => self.config = Some(json(input)?),
            "on_fault" => self.on_fault = Some(one_of(input.parse()?, &["closed", "open"])?),
            "configure" => self.configure = Some(input.parse()?),
            "timer" => self.timer = Some(input.parse()?),
            "maps" => self.maps = maps::parse(input)?,
            "ring_len" => self.ring_len = Some(number(input, 8, 1024, 1)?),
            "slot_len" => self.slot_len = Some(number(input, 192, STORE_MAX, 64)?),
            _ => return Err(unknown(key)),
        }
        Ok(())
    }
}

fn unknown(key: &Ident) -> Error {
    Error::new(
        key.span(),
        format!("unknown option `{key}`; there are {}", OPTIONS.join(", ")),
    )
}

fn one_of(value: LitStr, allowed: &[&str]) -> Result<LitStr> {
    if allowed.contains(&value.value().as_str()) {
        return Ok(value);
    }
    Err(Error::new(value.span(), format!("expected one of {allowed:?}")))
}

fn strings(input: ParseStream<'_>, allowed: &[&str]) -> Result<Vec<LitStr>> {
    let content;
    bracketed!(content in input);
    let list = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
    list.into_iter()
        .map(|value| {
            if allowed.is_empty() {
                Ok(value)
            } else {
                one_of(value, allowed)
            }
        })
        .collect()
}

fn counters(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    let list = strings(input, &[])?;
    if let Some(late) = list.get(256) {
        return Err(Error::new(late.span(), "a plugin has at most 256 counters"));
    }
    match list.iter().find(|name| !(1..=64).contains(&name.value().len())) {
        Some(name) => Err(Error::new(name.span(), "a counter's name is 1 to 64 bytes long")),
        None => Ok(list),
    }
}

fn reasons(input: ParseStream<'_>) -> Result<Vec<(u16, LitStr)>> {
    let content;
    braced!(content in input);
    let mut list: Vec<(u16, LitStr)> = Vec::new();
    while !content.is_empty() {
        let first: LitInt = content.parse()?;
        let last = if content.peek(Token![..=]) {
            content.parse::<Token![..=]>()?;
            content.parse()?
        } else {
            first.clone()
        };
        let codes = match (first.base10_parse::<u16>(), last.base10_parse::<u16>()) {
            (Ok(first), Ok(last))
                if first != 0 && list.iter().all(|(known, _)| !(first..=last).contains(known)) =>
            {
                first..=last
            }
            _ => {
                return Err(Error::new(
                    first.span(),
                    "a reason's code is 1 to 65535, each once; 0 is a drop without a reason",
                ));
            }
        };
        content.parse::<Token![:]>()?;
        let text: LitStr = content.parse()?;
        for (number, code) in codes.enumerate() {
            let text = LitStr::new(&text.value().replace("{}", &number.to_string()), text.span());
            list.push((code, text));
        }
        if content.is_empty() {
            break;
        }
        content.parse::<Token![,]>()?;
    }
    Ok(list)
}

fn json(input: ParseStream<'_>) -> Result<LitStr> {
    let text: LitStr = input.parse()?;
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text.value()) {
        Ok(_) => Ok(text),
        Err(error) => Err(Error::new(text.span(), format!("not a JSON object: {error}"))),
    }
}

fn number(input: ParseStream<'_>, least: usize, most: usize, multiple: usize) -> Result<usize> {
    let literal: LitInt = input.parse()?;
    match literal.base10_parse::<usize>() {
        Ok(value) if (least..=most).contains(&value) && value.is_multiple_of(multiple) => Ok(value),
        _ => Err(Error::new(
            literal.span(),
            format!("expected {least} to {most}, a multiple of {multiple}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(options: &str) -> String {
        syn::parse_str::<Options>(options)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn gives_sizes_that_the_host_takes() {
        let of = |options: &str| syn::parse_str::<Options>(options).expect("right options");
        let (plain, gso, own) = (of(""), of("pure, gso"), of("ring_len = 8, slot_len = 192,"));
        assert_eq!(
            (plain.ring_len(), plain.slot_len(), plain.flags()),
            (128, 2_112, 0)
        );
        assert_eq!((gso.ring_len(), gso.slot_len(), gso.flags()), (128, 65_856, 5));
        assert_eq!((own.ring_len(), own.slot_len()), (8, 192));
    }

    #[test]
    fn refuses_wrong_options_in_words() {
        for (options, word) in [
            ("gro", "unknown option `gro`"),
            ("gso, gso", "given twice"),
            (r#"layers = ["l4"]"#, "l2"),
            (r#"on_fault = "shut""#, "closed"),
            (r#"reasons = {0: "none"}"#, "1 to 65535"),
            (r#"reasons = {1: "a", 1: "b"}"#, "each once"),
            (r#"counters = [""]"#, "1 to 64 bytes"),
            (r#"maps = {"": A}"#, "a map has a name"),
            (r#"maps = {"a": A, "a": B}"#, "each its own"),
            (r#"maps = {"a": A("k: u9" => "v: u8")}"#, "unknown type \"u9\""),
            (r#"maps = {"a": A("k: u8")}"#, "expected `=>`"),
            (r#"maps = {"a": A("k: u8" => "v: u8, v: u8")}"#, "two fields"),
            (r#"config = "{""#, "not a JSON object"),
            (r#"config = "[]""#, "not a JSON object"),
            ("timer = tick", "capabilities = [\"timer\"]"),
            ("slot_len = 200", "a multiple of 64"),
            ("ring_len = 7", "8 to 1024"),
            ("gso, slot_len = 2112", "65792 or more"),
            ("gso, ring_len = 1024", "lower `ring_len`"),
        ] {
            let found = refusal(options);
            assert!(found.contains(word), "{options}: {found:?}");
        }
    }
}
