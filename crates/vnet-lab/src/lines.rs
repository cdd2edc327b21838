//! The two lines of an impaired link, in whichever pipeline they run.

use std::path::{Path, PathBuf};

use vnet_datapath::{EngineError, LineAt, Pipeline};
use vnet_impair::{Impairment, LineStats, Ready};

use crate::error::LabError;

/// What a link's directions are called where fates are drawn: from a to b, and from b to a.
const DIRECTIONS: [&str; 2] = ["a-b", "b-a"];

/// What both directions of a link are to be, made ready; `None`: nothing befalls its frames.
pub type ReadyLines = [Option<Ready>; 2];

/// The lines of one link from its first impairment on: which are on, and what those that are off have counted last.
#[derive(Debug, Default)]
pub struct LinkLines {
    /// How many lines each direction has had that were taken off.
    began: [u32; 2],
    now: ReadyLines,
    last: [Option<LineStats>; 2],
}

impl LinkLines {
    /// Returns whether nothing befalls its frames just now.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.now.iter().all(Option::is_none)
    }

    /// Sets both directions at their seats in the pipeline, or leaves them as they were. A line that is taken off sends what it
    /// holds first; `seed` and `link`, the link's name, decide the fates.
    ///
    /// # Errors
    /// [`EngineError`] when the pipeline has ended, or has no such seat.
    pub fn set(
        &mut self,
        pipeline: &Pipeline,
        seats: [LineAt; 2],
        (seed, link): (u64, &str),
        lines: &ReadyLines,
    ) -> Result<(), EngineError> {
        let before = self.now[0].clone();
        self.set_one(pipeline, seats[0], (seed, link, 0), lines[0].as_ref())?;
        let second = self.set_one(pipeline, seats[1], (seed, link, 1), lines[1].as_ref());
        if second.is_err() {
            // Where that fails, too, the pipeline has ended, which the caller learns anyway.
            drop(self.set_one(pipeline, seats[0], (seed, link, 0), before.as_ref()));
        }
        second
    }

    /// Returns the numbers of both directions, the last ones of a line that is off.
    ///
    /// # Errors
    /// [`EngineError`] when the pipeline has ended.
    pub fn stats(
        &self,
        pipeline: &Pipeline,
        seats: [LineAt; 2],
    ) -> Result<[Option<LineStats>; 2], EngineError> {
        let mut stats = self.last.clone();
        for ((stats, at), now) in stats.iter_mut().zip(seats).zip(&self.now) {
            if now.is_some() {
                *stats = Some(pipeline.line_stats(at)?);
            }
        }
        Ok(stats)
    }

    /// Returns what lines have counted that are off.
    #[must_use]
    pub fn last(&self) -> [Option<LineStats>; 2] {
        self.last.clone()
    }

    fn set_one(
        &mut self,
        pipeline: &Pipeline,
        at: LineAt,
        (seed, link, direction): (u64, &str, usize),
        line: Option<&Ready>,
    ) -> Result<(), EngineError> {
        let ends = self.now[direction].is_some() && line.is_none();
        if self.now[direction].is_none() && line.is_none() {
            return Ok(());
        }
        if ends {
            self.last[direction] = Some(pipeline.line_stats(at)?);
        }
        // A line that comes again does not repeat the fates of the one that was taken off.
        let key = match self.began[direction] {
            0 => vnet_impair::key(seed, link, DIRECTIONS[direction]),
            again => vnet_impair::key(seed, link, &format!("{}#{again}", DIRECTIONS[direction])),
        };
        pipeline.set_line(at, key, line.cloned())?;
        self.began[direction] += u32::from(ends);
        self.now[direction] = line.cloned();
        Ok(())
    }
}

/// Makes the impairments of a link ready, which reads their traces and tables: a relative path is that of `directory`, or of the
/// process.
///
/// # Errors
/// [`LabError::BadArgument`] with the link, the file and what is wrong with it.
pub fn ready_lines(
    link: &str,
    impair: &[Impairment; 2],
    directory: Option<&Path>,
) -> Result<ReadyLines, LabError> {
    let mut read = |path: &Path| {
        let path = directory.map_or_else(|| PathBuf::from(path), |directory| directory.join(path));
        std::fs::read_to_string(path)
    };
    let mut lines = ReadyLines::default();
    for (line, impair) in lines.iter_mut().zip(impair) {
        if !impair.is_none() {
            let made = impair.ready(&mut read);
            *line = Some(made.map_err(|error| {
                let fix = "name a file that can be read; a relative path is that of the lab file, or of the process";
                LabError::bad(format!("link {link}: {error}"), fix)
            })?);
        }
    }
    Ok(lines)
}
