//! Arenas of several stages that are the same pages, so that frames go from one to the next without a copy.
//!
//! Each guest keeps its own linear memory: only the pages of its arena that the host fills, where nothing but slots
//! lies, are replaced by pages of a file in memory that the others map, too. What a guest can reach thereby are slots of frames that went, or
//! go, through the same chain.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};

use crate::exports::Form;
use crate::instance::Instance;
use crate::stage::Stage;

/// How an arena's slots lie; only arenas that agree in it can be the same pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArenaShape {
    /// Bytes of the slots that the host fills, in whole pages.
    len: usize,
    stride: usize,
}

/// Pages that can be the arena of several stages at once.
///
/// Whoever shares them among stages sees to it that only one of those has frames at any time.
#[derive(Clone)]
pub struct SharedArena(Arc<Pages>);

struct Pages {
    file: OwnedFd,
    shape: ArenaShape,
}

impl fmt::Debug for SharedArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedArena").field(&self.0.shape).finish()
    }
}

impl PartialEq for SharedArena {
    fn eq(&self, other: &SharedArena) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl SharedArena {
    /// Makes pages of zeros for arenas of a shape.
    ///
    /// # Errors
    ///
    /// What the kernel says when it gives no file in memory (memfd_create(2)).
    pub fn new(shape: ArenaShape) -> io::Result<SharedArena> {
        let file = memfd_create("vnet-arena", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, shape.len as u64)?;
        Ok(SharedArena(Arc::new(Pages { file, shape })))
    }
}

impl Stage {
    /// Returns the shape of the arena, where other pages can take its place.
    ///
    /// That is so for the batch form, while the plugin is in service, where the arena begins with a page.
    #[must_use]
    pub fn arena_shape(&mut self) -> Option<ArenaShape> {
        if self.module.form() != Form::Batch {
            return None;
        }
        let slots = self.instance.as_mut()?.slots();
        let page = page_size();
        let len = (self.stride * self.traits.batch).checked_next_multiple_of(page)?;
        let fits = slots.as_ptr().addr().is_multiple_of(page) && len <= slots.len();
        fits.then_some(ArenaShape {
            len,
            stride: self.stride,
        })
    }

    /// Puts shared pages in the place of the arena; what lies there is lost.
    ///
    /// A fresh instance after a fault takes the same pages where it can.
    ///
    /// # Errors
    ///
    /// What mmap(2) says, or that the arena has another shape.
    pub fn share_arena(&mut self, pages: &SharedArena) -> io::Result<()> {
        if self.shared.as_ref() == Some(pages) {
            return Ok(());
        }
        let fits = self.arena_shape() == Some(pages.0.shape);
        let Some(instance) = self.instance.as_mut().filter(|_| fits) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the arena does not begin with a page, or another has other slots",
            ));
        };
        put(instance, pages.0.shape, Some(pages))?;
        self.shared = Some(pages.clone());
        Ok(())
    }

    /// Gives the stage an arena of its own again; what lies there is lost.
    ///
    /// Where the kernel has no pages for it the plugin goes on with a fresh instance.
    pub fn unshare_arena(&mut self) {
        let Some(pages) = self.shared.take() else { return };
        if let Some(mut instance) = self.instance.take() {
            if put(&mut instance, pages.0.shape, None).is_ok() {
                self.instance = Some(instance);
            } else {
                self.retire(instance);
                self.arena = vec![0; self.stride * self.slots];
            }
        }
    }

    /// Says whether two stages' arenas are the same pages just now.
    #[inline]
    #[must_use]
    pub fn shares_arena_with(&self, other: &Stage) -> bool {
        self.shared.is_some()
            && self.shared == other.shared
            && self.instance.is_some()
            && other.instance.is_some()
    }

    /// Says whether the arena's pages may be others' arena, too.
    #[inline]
    #[must_use]
    pub fn shares_arena(&self) -> bool {
        self.shared.is_some()
    }

    /// Gives a fresh instance the pages that the stage shares; it keeps its own where that fails.
    pub(crate) fn share_again(&mut self) {
        let Some(pages) = self.shared.take() else { return };
        let fits = self.arena_shape() == Some(pages.0.shape);
        if let Some(instance) = self.instance.as_mut().filter(|_| fits) {
            match put(instance, pages.0.shape, Some(&pages)) {
                Ok(()) => self.shared = Some(pages),
                Err(error) => tracing::warn!("{}: its arena is not shared any more: {error}", self.name()),
            }
        }
    }
}

fn page_size() -> usize {
    // SAFETY: it takes a number and returns one.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(usize::MAX)
}

/// Replaces pages of an instance's slots, which the caller found to be of this shape.
fn put(instance: &mut Instance, shape: ArenaShape, pages: Option<&SharedArena>) -> io::Result<()> {
    let slots = &mut instance.slots()[..shape.len];
    let (start, len) = (slots.as_mut_ptr().cast(), slots.len());
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // The pages are slots within the instance's linear memory, which is readable and writable memory of this process
    // that does not move, and which is unmapped as a whole with the instance. `slots`, the one reference into them, is
    // not used again.
    match pages {
        // SAFETY: as said above the old pages are ours to replace; the new ones are the same to every later access but
        // for their contents, and bytes that change between two uses of an arena are what a guest's memory is anyway.
        Some(pages) => unsafe {
            let flags = MapFlags::SHARED | MapFlags::FIXED;
            mmap(start, len, access, flags, &pages.0.file, 0)?;
        },
        // SAFETY: as said above, the old pages are ours to replace.
        None => unsafe {
            mmap_anonymous(start, len, access, MapFlags::PRIVATE | MapFlags::FIXED)?;
        },
    }
    Ok(())
}
