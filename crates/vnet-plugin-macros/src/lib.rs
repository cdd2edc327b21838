//! Attribute macro behind vnet-plugin.
#![forbid(unsafe_code)]

mod expand;
mod manifest;
mod maps;
mod options;

use proc_macro::TokenStream;
use syn::{ItemFn, parse_macro_input};

/// Makes `fn(&mut Packet) -> Verdict` a vnet plugin: ring, arena, exports and manifest.
///
/// ```text
/// /// Drops what is longer than a limit.
/// #[plugin(
///     gso, csum, pure,
///     layers = ["l2", "l3"],
///     reasons = {1: "too long"},
///     counters = ["long"],
///     config = r#"{"type": "object", "properties": {"limit": {"type": "integer"}}}"#,
///     configure = configure,
/// )]
/// fn drop_long(pkt: &mut Packet) -> Verdict { ... }
/// ```
///
/// | option | meaning | default |
/// |---|---|---|
/// | `gso` | the plugin accepts super-frames of up to 64 KiB | it gets segments |
/// | `csum` | it accepts partial checksums | it gets complete ones |
/// | `pure` | the verdict depends on the bytes alone, nothing is rewritten or counted | |
/// | `name`, `version`, `description` | manifest | the function's name, the package's version, the function's doc comment |
/// | `layers` | `"l2"`: frames with an Ethernet header, `"l3"`: without | `["l2"]` |
/// | `reasons` | names of the codes of `Verdict::DropFor`; in `16..=255: "rule_{}"` each is numbered from 0 | |
/// | `counters` | counters that are shown before their first addition | |
/// | `config` | JSON schema of the configuration, as a string | anything goes |
/// | `configure` | `fn(&Config<'_>) -> Result<(), &'static str>`, called once before the first frame | |
/// | `capabilities` | what the operator must grant: `"timer"`, `"inject"`, `"random"` | |
/// | `timer` | `fn(id: u32, now_ns: u64)`, called when a timer comes | |
/// | `maps` | names of the static `Map`s that the host sees, with what their bytes mean: `{"macs": MACS("mac: mac, vlan: be16" => "port: u16")}`; plain `{"macs": MACS}` shows bytes | |
/// | `on_fault` | `"closed"` (drop) or `"open"` (pass) while no instance runs | the host's: closed |
/// | `ring_len` | descriptors; half of them are a batch | 128 |
/// | `slot_len` | bytes of a slot: 128 of headroom, then the frame; a multiple of 64 | 2,112; with `gso` 65,856 |
///
/// A plugin that moves headers (VLAN, tunnels) declares neither `gso` nor `csum`.
#[proc_macro_attribute]
pub fn plugin(options: TokenStream, function: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as options::Options);
    let function = parse_macro_input!(function as ItemFn);
    expand::plugin(&options, &function)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
