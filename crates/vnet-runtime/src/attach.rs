//! What is checked and made when a plugin becomes a stage.

use std::sync::Arc;

use vnet_abi::{HEADROOM, MTU_EXTRA, SLOT_ALIGN, import, info_flags};

use crate::config::Config;
use crate::counters::Counters;
use crate::error::Refusal;
use crate::exports::Form;
use crate::frames::{Layer, Traits};
use crate::guest::Host;
use crate::instance::{Entry, Instance};
use crate::layout::BATCH_MAX;
use crate::log::LogWriter;
use crate::manifest::check_capability;
use crate::module::Module;
use crate::options::StageOptions;
use crate::random::Random;

/// Checks grants, layer and configuration, and makes what outlives the instances.
pub(crate) fn host(module: &Module, options: &StageOptions) -> Result<Host, Refusal> {
    let manifest = module.manifest();
    for grant in &options.grants {
        check_capability(grant)?;
    }
    let asked = manifest
        .capabilities
        .iter()
        .any(|capability| capability == import::RANDOM);
    let granted = options.grants.iter().any(|grant| grant == import::RANDOM);
    if module.imports_name("vnet.random") && !granted {
        return Err(
            Refusal::new("wants the capability \"random\", which was not granted")
                .hint("grant it: grants=[\"random\"] in Python, --grant random on the command line"),
        );
    }
    if !manifest.layers.contains(&options.layer) {
        let known: Vec<_> = manifest.layers.iter().map(|layer| layer.name()).collect();
        let (has, device) = match options.layer {
            Layer::L2 => ("Ethernet frames", "an Ethernet device"),
            Layer::L3 => ("IP packets without an Ethernet header", "a TUN device"),
        };
        return Err(Refusal::new(format!(
            "understands {} only and cannot be attached to {device}, which carries {has}",
            known.join(" and ")
        ))
        .hint(format!(
            "a plugin that understands them says \"layers\": [{:?}] in its manifest",
            options.layer.name()
        )));
    }
    Ok(Host {
        log: LogWriter::new(module.name()),
        counters: Counters::new(&manifest.counters),
        random: if asked && granted {
            Random::new(options.seed, module.name(), options.instance)
        } else {
            Random::fixed()
        },
        config: Arc::new(Config::new(&options.config, manifest.schema.as_deref())?),
        bad_pointers: 0,
    })
}

/// Returns what an instance can take, the bytes from slot to slot, and the number of slots.
pub(crate) fn shape(instance: &Instance) -> (Traits, usize, usize) {
    match &instance.entry {
        Entry::Simple { buffer, .. } => {
            let cap = buffer.cap as usize;
            let traits = Traits {
                gso: false,
                csum: false,
                pure: false,
                max_frame: buffer.cap,
                batch: BATCH_MAX,
            };
            (traits, (HEADROOM + cap).next_multiple_of(SLOT_ALIGN), BATCH_MAX)
        }
        Entry::Batch { ring, .. } => {
            let layout = &ring.layout;
            let traits = Traits {
                gso: layout.has(info_flags::GSO),
                csum: layout.has(info_flags::CSUM),
                pure: layout.has(info_flags::PURE),
                max_frame: layout.max_frame() as u32,
                batch: layout.batch(),
            };
            (traits, layout.slot, layout.ring_len)
        }
    }
}

/// Refuses an MTU whose frames do not fit.
pub(crate) fn check_mtu(module: &Module, traits: &Traits, mtu: u32) -> Result<(), Refusal> {
    let needed = u64::from(mtu) + MTU_EXTRA as u64;
    if needed <= u64::from(traits.max_frame) {
        return Ok(());
    }
    let hint = match module.form() {
        Form::Simple => "lower the MTU, or make vnet_frame larger and say so in vnet_frame_cap",
        Form::Batch => "lower the MTU, or make the plugin's slots larger",
    };
    Err(Refusal::new(format!(
        "takes frames of up to {} bytes; MTU {mtu} needs {needed} (MTU + {MTU_EXTRA})",
        traits.max_frame
    ))
    .hint(hint))
}
