//! What is checked and made when a plugin becomes a stage.

use std::sync::Arc;

use vnet_abi::{HEADROOM, IMPORT_MODULE, MTU_EXTRA, SLOT_ALIGN, info_flags, log_level};

use crate::asked::{Asked, Granted};
use crate::config::Config;
use crate::counters::Counters;
use crate::error::Refusal;
use crate::exports::Form;
use crate::frames::{Layer, Traits};
use crate::guest::Host;
use crate::instance::{Entry, Instance};
use crate::layout::BATCH_MAX;
use crate::log::LogWriter;
use crate::manifest::check_grant;
use crate::module::Module;
use crate::options::StageOptions;
use crate::random::Random;

/// Bytes of an Ethernet header, the shortest frame there is.
const ETHERNET_MIN: usize = 14;

/// Bytes of an IPv4 header, the shortest packet there is.
const IP_MIN: usize = 20;

/// Checks grants, layer and configuration, and makes what outlives the instances.
pub(crate) fn host(module: &Module, options: &StageOptions) -> Result<Host, Refusal> {
    let manifest = module.manifest();
    for grant in &options.grants {
        check_grant(grant)?;
    }
    let granted = Granted::new(&manifest.capabilities, &options.grants);
    let mut log = LogWriter::new(module.name());
    for name in &manifest.capabilities {
        if options.grants.contains(name) {
            continue;
        }
        if module.imports_name(&format!("{IMPORT_MODULE}.{name}")) {
            return Err(
                Refusal::new(format!("wants the capability {name:?}, which was not granted")).hint(format!(
                    "grant it: grants=[{name:?}] in Python and lab files, --grant {name} on the command line"
                )),
            );
        }
        log.host(
            log_level::WARN,
            &format!("asks for the capability {name:?}, which was not granted: it does without"),
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
        log,
        counters: Counters::new(&manifest.counters),
        random: if granted.random {
            Random::new(options.seed, module.name(), options.instance)
        } else {
            Random::fixed()
        },
        config: Arc::new(Config::new(&options.config, manifest.schema.as_deref())?),
        granted,
        asked: Asked::default(),
        ports: options.ports,
        frame_min: match options.layer {
            Layer::L2 => ETHERNET_MIN,
            Layer::L3 => IP_MIN,
        },
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
