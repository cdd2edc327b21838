//! The code the attribute adds.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::{Error, ItemFn, Result};

use crate::manifest;
use crate::maps::{MapLayout, MapOption};
use crate::options::Options;

pub fn plugin(options: &Options, function: &ItemFn) -> Result<TokenStream> {
    let signature = &function.sig;
    let wrong = if signature.inputs.len() != 1 {
        Some("a plugin's function takes one `&mut Packet`")
    } else if !signature.generics.params.is_empty() {
        Some("a plugin's function has no generic parameters")
    } else if signature.asyncness.is_some() {
        Some("a plugin's function is not async")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        return Err(Error::new_spanned(signature, wrong));
    }

    let name = &signature.ident;
    let (ring_len, slot_len) = (options.ring_len(), options.slot_len());
    let flags = options.flags();
    let manifest = manifest::text(options, function);
    let (manifest_len, manifest) = (manifest.len(), Literal::byte_string(manifest.as_bytes()));
    let configure = options.configure.as_ref().map(|configure| {
        quote! {
            const _: fn(&::vnet_plugin::Config<'_>) -> ::core::result::Result<(), &'static str> = #configure;

            #[cfg(target_arch = "wasm32")]
            const _: () = {
                #[unsafe(no_mangle)]
                extern "C" fn vnet_configure(json: u32, len: u32) -> i32 {
                    // SAFETY: the host wrote this JSON before the call and leaves it during the call.
                    unsafe { ::vnet_plugin::rt::on_configure(json, len, #configure) }
                }
            };
        }
    });

    let timer = options.timer.as_ref().map(|timer| {
        quote! {
            const _: fn(u32, u64) = #timer;

            #[cfg(target_arch = "wasm32")]
            const _: () = {
                #[unsafe(no_mangle)]
                extern "C" fn vnet_on_timer(id: u32, now_ns: u64) {
                    ::vnet_plugin::rt::on_timer(id, now_ns, #timer);
                }
            };
        }
    });

    let maps = (!options.maps.is_empty()).then(|| {
        let count = options.maps.len();
        let each = options
            .maps
            .iter()
            .map(|MapOption { name, table, .. }| quote! { #table.describe(#name) });
        let sizes = options.maps.iter().filter_map(|MapOption { table, layout, .. }| {
            let MapLayout {
                key_size, value_size, ..
            } = layout.as_ref()?;
            Some(quote! { const _: () = #table.check_layout(#key_size, #value_size); })
        });
        quote! {
            #(#sizes)*

            #[cfg(target_arch = "wasm32")]
            const _: () = {
                static MAPS: ::vnet_plugin::MapsCell<#count> = ::vnet_plugin::MapsCell::new();

                #[unsafe(no_mangle)]
                extern "C" fn vnet_maps() -> *const u32 {
                    MAPS.fill([#(#each),*])
                }
            };
        }
    });

    Ok(quote! {
        #function

        const _: fn(&mut ::vnet_plugin::Packet) -> ::vnet_plugin::Verdict = #name;

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            static STORE: ::vnet_plugin::rt::Store<#slot_len, #ring_len> = ::vnet_plugin::rt::Store::new();
            static INFO: ::vnet_plugin::rt::InfoCell = ::vnet_plugin::rt::InfoCell::new();

            #[unsafe(link_section = "vnet.manifest")]
            static MANIFEST: [u8; #manifest_len] = *#manifest;

            #[unsafe(no_mangle)]
            extern "C" fn vnet_info() -> *const ::vnet_plugin::abi::Info {
                INFO.fill(&STORE.start(#flags))
            }

            #[unsafe(no_mangle)]
            extern "C" fn vnet_on_batch(desc: u32, n: u32) -> i32 {
                // SAFETY: the host passes the ring that `vnet_info` named, with frames in their
                // own slots, and leaves both alone during the call.
                unsafe { ::vnet_plugin::rt::on_batch(desc, n, STORE.ring_end(), #name) }
            }
        };

        #configure

        #timer

        #maps
    })
}
