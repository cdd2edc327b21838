//! The workers of this process: as many as it may use processors, made on demand, and none where there is no pipeline.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::worker::{Mailbox, Serial, Worker};

struct Hand {
    mailbox: Arc<Mailbox>,
    /// Pipelines it carries.
    load: usize,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Pool {
    workers: Vec<Hand>,
    /// How many were ever made, for their names.
    made: u64,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    workers: Vec::new(),
    made: 0,
});

thread_local! {
    /// The lock on the pool, held by a thread that is about to fork or has just done so.
    static HELD: RefCell<Option<MutexGuard<'static, Pool>>> = const { RefCell::new(None) };
}

fn lock() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> T {
    HELD.with_borrow_mut(|held| match held {
        Some(pool) => work(pool),
        None => work(&mut lock()),
    })
}

/// Keeps all other threads from starting and ending workers until [`after_fork`]; the thread that is about to fork calls it.
pub fn before_fork() {
    HELD.with_borrow_mut(|held| {
        if held.is_none() {
            *held = Some(lock());
        }
    });
}

/// Ends [`before_fork`].
pub fn after_fork() {
    HELD.take();
}

/// Forgets the workers of the process this one was forked from, which do not live here; called in the child before
/// [`after_fork`].
pub fn forked() {
    with_pool(|pool| std::mem::forget(std::mem::take(pool)));
}

/// Returns a name that no other pipeline of this process has.
pub(crate) fn next_serial() -> Serial {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A pipeline's claim on a worker; the worker ends with the last.
pub(crate) struct Place {
    mailbox: Arc<Mailbox>,
}

/// Finds the worker that carries the fewest pipelines, and makes one where none is idle and a processor may be.
///
/// # Errors
/// When the kernel gives the first worker no descriptor or thread.
pub(crate) fn enter() -> io::Result<Place> {
    with_pool(|pool| {
        pool.workers.retain(|hand| !hand.thread.is_finished());
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        if pool.workers.len() < most
            && let Err(error) = pool.grow()
            && pool.workers.is_empty()
        {
            return Err(error);
        }
        let hand = pool.workers.iter_mut().min_by_key(|hand| hand.load);
        let hand = hand.ok_or_else(|| io::Error::other("no worker thread"))?;
        hand.load += 1;
        Ok(Place {
            mailbox: Arc::clone(&hand.mailbox),
        })
    })
}

impl Pool {
    fn grow(&mut self) -> io::Result<()> {
        let (worker, mailbox) = Worker::new()?;
        let thread = std::thread::Builder::new()
            .name(format!("vnet-worker-{}", self.made))
            .spawn(move || worker.run())?;
        self.made += 1;
        self.workers.push(Hand {
            mailbox,
            load: 0,
            thread,
        });
        Ok(())
    }
}

impl Place {
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let idle = with_pool(|pool| {
            let i = pool
                .workers
                .iter()
                .position(|hand| Arc::ptr_eq(&hand.mailbox, &self.mailbox))?;
            pool.workers[i].load -= 1;
            (pool.workers[i].load == 0).then(|| pool.workers.swap_remove(i))
        });
        if let Some(hand) = idle {
            hand.mailbox.tell(crate::worker::Message::Quit);
            let _ = hand.thread.join();
        }
    }
}
