//! Frames that code outside the engine judges, on a thread of its own: what the worker has of it, and the other end.
//!
//! The worker never waits: it keeps each frame, queues a copy, and carries the frame on when the answer is there. Frames are
//! answered, and go on, in the order they came.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vnet_runtime::{Fate, FaultReport, Reason, Stage, StageStats};

use crate::forward::Held;
use crate::ring::Tag;
use crate::sink::{SinkReceiver, SinkSender, Taken, sink};
use crate::stage::StageId;
use crate::worker::{Mailbox, Message, Serial};

/// Most frames that wait for their answers.
const MOST: usize = 1024;

/// Names of reasons that are told apart; frames dropped for more are counted as `other`.
const REASONS: usize = 256;

/// A frame somebody is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which one it is; the answer names it.
    pub number: u64,
    /// The whole frame, in wire size and with complete checksums.
    pub bytes: Vec<u8>,
    /// Number of the port as a plugin there would see it.
    pub port: u16,
    /// Host flags as a plugin there would see them.
    pub flags: u16,
    /// When the engine read it, in nanoseconds since the Unix epoch.
    pub ts_ns: u64,
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It ends here, for a reason in the user's words.
    Drop(Option<String>),
    /// It goes to another port, as a plugin's REDIRECT.
    Redirect(u16),
    /// It goes back where it came from, as a plugin's TX.
    SendBack,
    /// Whoever judges failed: the stage's fault policy decides, and the frame's bytes are those that came.
    Fault(FaultReport),
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which question it answers.
    pub number: u64,
    /// What becomes of the frame.
    pub verdict: Verdict,
    /// The frame in its new form, where it has one.
    pub bytes: Option<Vec<u8>>,
    /// How long it took to answer.
    pub took: Duration,
}

/// Makes a stage whose frames are judged through a [`Caller`]: `stage` lends it memory, its name, its policy and its fault life
/// cycle, and never runs.
///
/// # Errors
/// What the kernel says when it gives no descriptor.
pub fn callout(stage: Stage) -> io::Result<(Seated, Caller)> {
    let (sender, questions) = sink()?;
    let (answer, answers) = channel();
    let shared = Arc::new(Shared::default());
    let callout = Callout {
        sender,
        answers,
        shared: Arc::clone(&shared),
        waiting: VecDeque::new(),
        asked: 0,
        counts: Counts::default(),
    };
    let seated = Seated {
        stage,
        callout: Some(Box::new(callout)),
    };
    let caller = Caller {
        questions,
        answer,
        shared,
    };
    Ok((seated, caller))
}

/// A stage on its way to its place.
#[derive(Debug)]
pub struct Seated {
    pub(crate) stage: Stage,
    pub(crate) callout: Option<Box<Callout>>,
}

impl From<Stage> for Seated {
    fn from(stage: Stage) -> Self {
        Self { stage, callout: None }
    }
}

impl Seated {
    /// Returns the stage, which for a callout only lends what that needs.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }
}

#[derive(Default)]
struct Shared {
    home: Mutex<Option<Home>>,
    /// Whether the worker was told of answers and has not looked yet.
    is_told: AtomicBool,
    /// Questions below this number need no answer any more.
    settled: AtomicU64,
}

/// Where answers are announced.
#[derive(Clone)]
pub(crate) struct Home {
    pub mailbox: Arc<Mailbox>,
    pub serial: Serial,
}

/// The end at which frames are judged. One thread uses it.
pub struct Caller {
    questions: SinkReceiver,
    answer: Sender<Answer>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

impl Caller {
    /// Waits for a frame, at most `timeout`, and returns it with those that came right behind it, at most `most`; `None` once
    /// there will be no more.
    ///
    /// # Errors
    /// What the kernel says when it cannot wait.
    pub fn next(&self, most: usize, timeout: Option<Duration>) -> io::Result<Option<Vec<Question>>> {
        let mut batch = Vec::new();
        let mut timeout = timeout;
        while batch.len() < most.max(1) {
            let taken = self.questions.recv_tagged(timeout, |tag, bytes| Question {
                number: tag.number,
                bytes,
                port: tag.port,
                flags: tag.flags,
                ts_ns: tag.ts_ns,
            })?;
            match taken {
                Taken::Frame(question) if self.is_settled(question.number) => {}
                Taken::Frame(question) => {
                    batch.push(question);
                    timeout = Some(Duration::ZERO);
                }
                Taken::TimedOut => break,
                Taken::Ended if batch.is_empty() => return Ok(None),
                Taken::Ended => break,
            }
        }
        Ok(Some(batch))
    }

    /// Returns whether a frame's fate was decided without its answer, because the stage was taken off.
    #[must_use]
    pub fn is_settled(&self, number: u64) -> bool {
        number < self.shared.settled.load(Ordering::Acquire)
    }

    /// Answers the oldest question that has no answer yet.
    pub fn answer(&self, id: StageId, answer: Answer) {
        // Without a worker nobody needs it.
        let _ = self.answer.send(answer);
        // Under the lock, so that whoever moves the stage to another worker sees that this one was told.
        let home = self.shared.home.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.shared.is_told.swap(true, Ordering::AcqRel)
            && let Some(Home { mailbox, serial }) = &*home
        {
            let job = Box::new(move |carried: &mut crate::carried::Carried| carried.take_answers(id));
            mailbox.tell(Message::Work(*serial, job));
        }
    }

    /// Has [`Caller::next`] return `None` from here on.
    pub fn close(&self) {
        self.shared.settled.store(u64::MAX, Ordering::Release);
        self.questions.end();
    }
}

/// A frame that waits for its answer, or for those before it.
pub(crate) struct Waiting {
    pub number: u64,
    /// Its way was clear without an answer.
    pub is_free: bool,
    pub held: Held,
}

#[derive(Default)]
struct Counts {
    packets_in: u64,
    bytes_in: u64,
    passed: u64,
    redirected: u64,
    tx: u64,
    dropped: u64,
    drops: BTreeMap<String, u64>,
    answers: u64,
    took: Duration,
}

/// What the worker has of a stage that is judged elsewhere.
pub(crate) struct Callout {
    sender: SinkSender,
    answers: Receiver<Answer>,
    shared: Arc<Shared>,
    waiting: VecDeque<Waiting>,
    /// Numbers given so far.
    asked: u64,
    counts: Counts,
}

impl std::fmt::Debug for Callout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callout")
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl Callout {
    /// Takes note of the worker that has it.
    pub(crate) fn settle_in(&self, home: &Home) {
        let mut known = self.shared.home.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(home.clone());
        // What the worker before was told, it did not do.
        self.shared.is_told.store(false, Ordering::Release);
    }

    pub(crate) fn held(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= MOST
    }

    /// Counts a frame that came.
    pub(crate) fn count_in(&mut self, len: usize) {
        self.counts.packets_in += 1;
        self.counts.bytes_in += len as u64;
    }

    /// Asks about a frame and keeps it; gives it back where the queue has no room for its bytes.
    #[expect(
        clippy::result_large_err,
        reason = "what is not taken goes back to its owner, without a box on the packet path"
    )]
    pub(crate) fn ask(&mut self, tag: &Tag, bytes: &[u8], held: Held) -> Result<(), Held> {
        let number = self.asked;
        if !self.sender.push_tagged(&Tag { number, ..*tag }, bytes) {
            return Err(held);
        }
        self.asked += 1;
        self.waiting.push_back(Waiting {
            number,
            is_free: false,
            held,
        });
        Ok(())
    }

    /// Keeps a frame that goes on behind those that wait.
    pub(crate) fn follow(&mut self, held: Held) {
        self.waiting.push_back(Waiting {
            number: self.asked,
            is_free: true,
            held,
        });
    }

    /// Wakes whoever answers, when there are questions since the last call.
    pub(crate) fn ring(&mut self) {
        self.sender.ring();
    }

    /// Lets the next answer be announced again; before the answers are looked at.
    pub(crate) fn begin_look(&self) {
        self.shared.is_told.swap(false, Ordering::AcqRel);
    }

    /// Returns the oldest frame and its answer, `None` for one that needs none.
    pub(crate) fn next_answered(&mut self) -> Option<(Waiting, Option<Answer>)> {
        if self.waiting.front()?.is_free {
            return Some((self.waiting.pop_front()?, None));
        }
        loop {
            let answer = self.answers.try_recv().ok()?;
            // One for a frame that was settled without it comes too late.
            if answer.number == self.waiting.front()?.number {
                self.counts.answers += 1;
                self.counts.took += answer.took;
                return Some((self.waiting.pop_front()?, Some(answer)));
            }
        }
    }

    /// Takes the oldest frame away from whoever has not answered.
    pub(crate) fn give_up(&mut self) -> Option<Waiting> {
        self.shared.settled.store(self.asked, Ordering::Release);
        self.waiting.pop_front()
    }

    /// Counts what became of a frame.
    pub(crate) fn count(&mut self, fate: Fate, reason: Option<&str>) {
        let counts = &mut self.counts;
        match fate {
            Fate::Unset | Fate::Pass => counts.passed += 1,
            Fate::Redirect(_) => counts.redirected += 1,
            Fate::Tx => counts.tx += 1,
            Fate::Drop(host) => {
                counts.dropped += 1;
                let name = match (reason, host) {
                    (Some(reason), _) => reason,
                    (None, Reason::Plugin(_)) => "drop",
                    (None, host) => host.name(),
                };
                if let Some(n) = counts.drops.get_mut(name) {
                    *n += 1;
                } else {
                    let name = if counts.drops.len() < REASONS {
                        name
                    } else {
                        "other"
                    };
                    *counts.drops.entry(name.to_owned()).or_default() += 1;
                }
            }
        }
    }

    /// Writes its own numbers over those of the plugin that never runs.
    pub(crate) fn tell(&self, stats: &mut StageStats) {
        let counts = &self.counts;
        "python".clone_into(&mut stats.form);
        stats.version = None;
        stats.waiting = self.waiting.len() as u64;
        stats.packets_in = counts.packets_in - stats.waiting;
        stats.bytes_in = counts.bytes_in;
        stats.passed = counts.passed;
        stats.dropped = counts.dropped;
        stats.redirected = counts.redirected;
        stats.tx = counts.tx;
        stats.drops = counts.drops.clone();
        stats.runs = counts.answers;
        stats.guest_ns = u64::try_from(counts.took.as_nanos()).unwrap_or(u64::MAX);
        stats.ns_per_packet = if counts.answers == 0 {
            0.0
        } else {
            stats.guest_ns as f64 / counts.answers as f64
        };
    }
}
