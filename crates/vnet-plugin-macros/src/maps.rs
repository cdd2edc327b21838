//! The option `maps`: which static tables the host sees, and what their keys and values mean.

use proc_macro2::Span;
use syn::parse::ParseStream;
use syn::{Error, LitStr, Path, Result, Token, braced, parenthesized};
use vnet_abi::record;

/// One table: `"macs": MACS`, or with its layout `"macs": MACS("mac: mac" => "port: u16")`.
pub struct MapOption {
    pub name: LitStr,
    pub table: Path,
    pub layout: Option<MapLayout>,
}

/// The fields of a table's keys and values, and how many bytes they add up to.
pub struct MapLayout {
    pub key: LitStr,
    pub key_size: usize,
    pub value: LitStr,
    pub value_size: usize,
}

pub fn parse(input: ParseStream<'_>) -> Result<Vec<MapOption>> {
    let content;
    braced!(content in input);
    let mut list: Vec<MapOption> = Vec::new();
    while !content.is_empty() {
        let name: LitStr = content.parse()?;
        if name.value().is_empty() || list.iter().any(|known| known.name.value() == name.value()) {
            return Err(Error::new(name.span(), "a map has a name, each its own"));
        }
        content.parse::<Token![:]>()?;
        let table = content.call(Path::parse_mod_style)?;
        let layout = if content.peek(syn::token::Paren) {
            let texts;
            parenthesized!(texts in content);
            let key: LitStr = texts.parse()?;
            texts.parse::<Token![=>]>()?;
            let value: LitStr = texts.parse()?;
            if !texts.is_empty() {
                return Err(texts.error("expected MAP(\"key fields\" => \"value fields\")"));
            }
            Some(MapLayout {
                key_size: size(&key)?,
                key,
                value_size: size(&value)?,
                value,
            })
        } else {
            None
        };
        list.push(MapOption { name, table, layout });
        if content.is_empty() {
            break;
        }
        content.parse::<Token![,]>()?;
    }
    Ok(list)
}

fn size(text: &LitStr) -> Result<usize> {
    let wrong = |error: String, span: Span| Error::new(span, error);
    let size = record::size(&text.value()).map_err(|error| wrong(error.to_string(), text.span()))?;
    usize::try_from(size).map_err(|error| wrong(error.to_string(), text.span()))
}
