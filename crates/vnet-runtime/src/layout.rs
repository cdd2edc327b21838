//! Where a batch-form plugin says its ring and arena lie, and the checks of that.

use vnet_abi::{
    DESC_SIZE, GSO_SLOT_MIN, HEADROOM, INFO_SIZE, Info, MAGIC, RING_MAX, RING_MIN, SLOT_ALIGN, SLOT_MIN,
    info_flags,
};

use crate::error::Refusal;
use crate::manifest::check_version;

/// Most frames the host offers in one call.
pub(crate) const BATCH_MAX: usize = 64;

/// Where ring and arena lie in guest memory; checked once, and memory never shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) ring: usize,
    pub(crate) desc_size: usize,
    pub(crate) ring_len: usize,
    pub(crate) arena: usize,
    pub(crate) arena_len: usize,
    pub(crate) slot: usize,
    pub(crate) flags: u32,
}

impl Layout {
    /// Reads and checks the block that `vnet_info` returned the address of.
    pub(crate) fn read(memory: &[u8], ptr: i32) -> Result<Layout, Refusal> {
        let ptr = ptr as u32;
        let block = memory
            .get(ptr as usize..)
            .and_then(|tail| tail.first_chunk::<INFO_SIZE>());
        let info = Info::from_bytes(block.ok_or_else(|| {
            Refusal::new(format!(
                "vnet_info answered {ptr:#x}, which leaves no room for vn_info in its memory"
            ))
        })?);
        if info.magic != MAGIC {
            return Err(Refusal::new(format!(
                "vn_info starts with {:02x?}; it must be \"VNET\"",
                info.magic
            ))
            .hint("vnet_info must return the address of a vn_info"));
        }
        check_version(info.major, info.minor)?;
        check(&info, memory.len() as u64)?;
        let slot = info.arena_len as usize / info.ring_len as usize / SLOT_ALIGN * SLOT_ALIGN;
        let layout = Layout {
            ring: info.ring as usize,
            desc_size: info.desc_size as usize,
            ring_len: info.ring_len as usize,
            arena: info.arena as usize,
            arena_len: info.arena_len as usize,
            slot,
            flags: info.flags,
        };
        if slot < SLOT_MIN {
            return Err(
                Refusal::new(format!("its slots have {slot} bytes; {SLOT_MIN} is the least"))
                    .hint("slot = arena_len / ring_len, rounded down to 64"),
            );
        }
        if layout.has(info_flags::GSO) && slot < GSO_SLOT_MIN {
            return Err(Refusal::new(format!(
                "accepts super-frames (GSO) but its slots have {slot} bytes; {GSO_SLOT_MIN} is the least then"
            )));
        }
        Ok(layout)
    }

    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Bytes of all slots together.
    pub(crate) fn slots_len(&self) -> usize {
        self.slot * self.ring_len
    }

    /// Longest frame that fits behind the headroom.
    pub(crate) fn max_frame(&self) -> usize {
        self.slot - HEADROOM
    }

    /// Most frames of one call; as many descriptors are left for answers.
    pub(crate) fn batch(&self) -> usize {
        BATCH_MAX.min(self.ring_len / 2)
    }
}

fn check(info: &Info, memory: u64) -> Result<(), Refusal> {
    let refuse = |text: String| Err(Refusal::new(format!("its vn_info is wrong: {text}")));
    if (info.desc_size as usize) < DESC_SIZE || !info.desc_size.is_multiple_of(8) {
        return refuse(format!(
            "desc_size is {}; it must be {DESC_SIZE} or more and a multiple of 8",
            info.desc_size
        ));
    }
    if !(RING_MIN..=RING_MAX).contains(&(info.ring_len as usize)) {
        return refuse(format!(
            "ring_len is {}; it must be {RING_MIN} to {RING_MAX}",
            info.ring_len
        ));
    }
    if info.flags & !info_flags::ALL != 0 {
        return refuse(format!(
            "flags are {:#x}, of which {:#x} are unknown",
            info.flags,
            info.flags & !info_flags::ALL
        ));
    }
    let ring =
        u64::from(info.ring)..u64::from(info.ring) + u64::from(info.ring_len) * u64::from(info.desc_size);
    let arena = u64::from(info.arena)..u64::from(info.arena) + u64::from(info.arena_len);
    for (name, range) in [("ring", &ring), ("arena", &arena)] {
        if range.start % 8 != 0 {
            return refuse(format!(
                "{name} is at {:#x}, which is not a multiple of 8",
                range.start
            ));
        }
        if range.end > memory {
            return refuse(format!(
                "{name} ends at {:#x}, outside its memory of {memory:#x} bytes",
                range.end
            ));
        }
    }
    if ring.start < arena.end && arena.start < ring.end {
        return refuse(format!("ring {ring:#x?} and arena {arena:#x?} overlap"));
    }
    Ok(())
}
