//! Runs a simple-form plugin: one call per frame, copied into its buffer and back.

use vnet_abi::{answer, export};

use crate::failure::Failure;
use crate::frames::{Fate, Frame, Frames, Reason};
use crate::guest::{Call, allow};
use crate::instance::{Entry, Instance};
use crate::stage::{BATCH_BUDGET, Stage};
use crate::tally::Offence;

impl Stage {
    pub(crate) fn run_simple(&mut self, frames: &mut Frames) {
        self.revive_if_due();
        let n = frames.len();
        self.tally.bytes_in += frames.bytes();
        let timer = self.timer();
        if let Some(instance) = &mut self.instance {
            instance.store.data_mut().now_ns = frames.list[0].ts_ns;
            allow(&mut instance.store, BATCH_BUDGET);
        }
        for frame in &mut frames.list {
            frame.fate = match self.judge_one(frame) {
                Ok(fate) => fate,
                Err(failure) => {
                    self.fail_one(frame, &failure);
                    Fate::Drop(Reason::Fault)
                }
            };
            self.tally.count(frame.fate);
        }
        self.timed(timer, n);
    }

    fn judge_one(&mut self, frame: &mut Frame) -> Result<Fate, Box<Failure>> {
        let Some(Instance {
            store,
            memory,
            entry: Entry::Simple { on_packet, buffer },
            ..
        }) = &mut self.instance
        else {
            return Ok(self.fate_without_instance());
        };
        let (len, start) = (frame.len as usize, frame.off as usize);
        if len == 0 {
            return Ok(Fate::Drop(Reason::Empty));
        }
        let slot_end = (start / self.stride + 1) * self.stride;
        if frame.len > buffer.cap || start + len > slot_end {
            return Ok(Fate::Drop(Reason::Oversize));
        }
        let Some(bytes) = self.arena.get(start..start + len) else {
            return Ok(Fate::Drop(Reason::BadDesc));
        };
        let addr = buffer.addr as usize;
        let (guest_memory, guest) = memory.data_and_store_mut(&mut *store);
        guest_memory[addr..addr + len].copy_from_slice(bytes);
        guest.call = Call {
            active: true,
            addr: buffer.addr,
            cap: buffer.cap,
            len: frame.len,
            csum: false,
            overrun: false,
        };
        let returned = on_packet
            .call(&mut *store, (buffer.addr as i32, frame.len as i32))
            .map_err(|error| Failure::of_call(export::ON_PACKET, &error))?;
        if returned < 0 {
            return Err(Failure::of_answer(export::ON_PACKET, returned));
        }
        let (guest_memory, guest) = memory.data_and_store_mut(&mut *store);
        guest.call.active = false;
        let call = guest.call;
        let new_len = call.len as usize;
        if call.overrun || start + new_len > slot_end {
            self.tally.offence(Offence::Desc);
            return Ok(Fate::Drop(Reason::BadDesc));
        }
        let Some((verdict, argument)) = answer::unpack(returned) else {
            self.tally.offence(Offence::Verdict);
            return Ok(Fate::Drop(Reason::BadVerdict));
        };
        let fate = self
            .judge
            .fate(verdict, argument, argument, frame.port, &mut self.tally);
        if matches!(fate, Fate::Drop(_)) {
            return Ok(fate);
        }
        if new_len == 0 {
            return Ok(Fate::Drop(Reason::Empty));
        }
        self.arena[start..start + new_len].copy_from_slice(&guest_memory[addr..addr + new_len]);
        frame.len = call.len;
        frame.csum_dirty |= call.csum;
        Ok(fate)
    }

    /// Replaces the instance that failed at a frame; the next frame goes to the fresh one.
    #[cold]
    fn fail_one(&mut self, frame: &Frame, failure: &Failure) {
        let mut left = Vec::new();
        if let Some(instance) = &mut self.instance
            && let Entry::Simple { buffer, .. } = instance.entry
        {
            let addr = buffer.addr as usize;
            let len = frame.len.min(buffer.cap) as usize;
            left = instance.memory()[addr..addr + len].to_vec();
        }
        if self.replace(failure, &left)
            && let Some(instance) = &mut self.instance
        {
            instance.store.data_mut().now_ns = frame.ts_ns;
            allow(&mut instance.store, BATCH_BUDGET);
        }
    }
}
