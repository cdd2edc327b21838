//! The sockets that a forked child must not keep.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use vnet_sys::io::inode;

const SLOTS: usize = 64;

/// Numbers of open sockets, read without a lock: whoever forks may do so while another thread adds one.
///
/// Each is kept with a part of its inode, so that a number that was closed and given to another file is told apart.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Block);

/// Slots are free where they are 0; what is full has another block behind it, which stays.
#[derive(Debug)]
struct Block {
    slots: [AtomicU64; SLOTS],
    next: OnceLock<Box<Block>>,
}

/// Keeps a socket in the list until it is dropped.
#[derive(Debug)]
pub(crate) struct Listed {
    list: Arc<Sockets>,
    entry: u64,
}

impl Default for Block {
    fn default() -> Self {
        Self {
            slots: [const { AtomicU64::new(0) }; SLOTS],
            next: OnceLock::new(),
        }
    }
}

impl Sockets {
    /// Adds a socket, until what is returned is dropped.
    pub(crate) fn list(self: &Arc<Self>, socket: impl AsFd) -> Listed {
        let entry = entry(socket.as_fd().as_raw_fd()).unwrap_or_default();
        if entry != 0 {
            self.0.replace(0, entry, true);
        }
        Listed {
            list: Arc::clone(self),
            entry,
        }
    }

    /// Returns the numbers of those that are open, without taking a lock.
    pub(crate) fn open(&self) -> Vec<RawFd> {
        let mut open = Vec::new();
        let mut block = Some(&self.0);
        while let Some(current) = block {
            let slots = current.slots.iter().map(|slot| slot.load(Ordering::Acquire));
            open.extend(slots.filter(|slot| *slot != 0).filter_map(|slot| {
                let fd = (slot >> 32) as RawFd - 1;
                (entry(fd) == Some(slot)).then_some(fd)
            }));
            block = current.next.get().map(Box::as_ref);
        }
        open
    }
}

impl Block {
    /// Writes `new` over the first `old`, in a further block where it is to `grow`.
    fn replace(&self, old: u64, new: u64, grow: bool) {
        let swap = |slot: &AtomicU64| {
            slot.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let mut block = self;
        while !block.slots.iter().any(swap) {
            block = match block.next.get() {
                Some(next) => next,
                None if grow => block.next.get_or_init(Box::default),
                None => return,
            };
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if self.entry != 0 {
            self.list.0.replace(self.entry, 0, false);
        }
    }
}

/// A descriptor's number, counted from 1, and the lower half of its inode; `None` for one that is not open.
fn entry(fd: RawFd) -> Option<u64> {
    let number = u64::try_from(fd).ok()? + 1;
    Some(number << 32 | inode(fd)? & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn it_names_what_is_open_and_not_what_took_its_number() {
        let list = Arc::new(Sockets::default());
        let sockets: Vec<TcpListener> = (0..SLOTS + 5)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let mut listed: Vec<Listed> = sockets.iter().map(|socket| list.list(socket)).collect();
        let numbers: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
        assert_eq!(list.open(), numbers);
        listed.remove(3);
        assert_eq!(list.open().len(), numbers.len() - 1);
        assert!(!list.open().contains(&numbers[3]));
        // The slot is free again, and the list no longer.
        let again = list.list(&sockets[3]);
        assert_eq!(list.open(), numbers);
        drop(sockets);
        let _others: Vec<TcpListener> = (0..SLOTS)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        assert_eq!(list.open(), Vec::<RawFd>::new());
        drop((listed, again));
    }
}
