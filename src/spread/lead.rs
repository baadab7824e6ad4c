//! The process that hands out the work and puts together what was found.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::Error;
use crate::channel::Run;
use crate::count::{self, Io, Progress, Rules, Seams, Tally};
use crate::spread::crew::{self, Member};
use crate::spread::roster::Roster;
use crate::spread::text::{Next, Pieces};
use crate::spread::wire::{COUNTED, Counted, PART, PIECE, REPORT};
use crate::spread::{Feed, Options, Outcome, Report, Text};

/// Below this size starting a second process takes longer than it saves.
const SMALL: u64 = 16 << 20;
/// Bytes of a part that a worker reads itself.
const PART_BYTES: u64 = 4 << 20;
/// Bytes of a piece that travels.
const PIECE_BYTES: u64 = 256 << 10;

/// Counts `text` by `rules` with worker processes.
///
/// Call it where signals that ask for an end do not end this process: a worker ignores those that a terminal sends to
/// all, and lives until its lead lets go of it.
///
/// # Errors
/// Those of [`count::count`]; when workers cannot be started, or one of them dies.
pub fn count(text: Text<'_>, rules: &Rules, options: &Options, progress: &Progress) -> Result<Outcome, Error> {
    let (number, piece) = share(&text, options);
    let pieces = text.cut(options.feed, piece)?;
    let lead = Lead {
        pieces: &pieces,
        progress,
        invalid: AtomicU64::new(u64::MAX),
        is_over: AtomicBool::new(false),
        seams: Mutex::default(),
    };
    let roster = Roster::default();
    let (reports, run) = thread::scope(|scope| {
        let watch = || roster.watch(|| lead.is_to_end());
        let watching = thread::Builder::new().name("roster".to_owned()).spawn_scoped(scope, watch);
        watching.map_err(|error| Error::os("cannot start", "a thread", error))?;
        let _closing = Closing(&roster);
        let (crew, run) = crew::start(number, options, pieces.file.as_ref(), &roster)?;
        Ok::<_, Error>((lead.lead(crew)?, run))
    })?;
    let is_stopped = progress.is_stopped();
    if !is_stopped {
        pieces.check()?;
    }
    outcome(lead, reports, rules, &run, is_stopped)
}

/// Closes the roster however the work ends.
struct Closing<'a>(&'a Roster);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// How many workers there are to be, and of how many bytes a piece.
fn share(text: &Text<'_>, options: &Options) -> (usize, u64) {
    let workers = match (options.workers, text.size) {
        (Some(workers), _) => workers.get(),
        (None, Some(size)) if size < SMALL => 1,
        (None, _) => thread::available_parallelism().map_or(1, NonZeroUsize::get),
    };
    let largest = if options.feed == Feed::Path { PART_BYTES } else { PIECE_BYTES };
    let piece = match (options.piece, text.size) {
        (Some(piece), _) => piece.get() as u64,
        (None, Some(size)) => size.div_ceil(workers as u64).clamp(1, largest),
        (None, None) => PIECE_BYTES,
    };
    let workers = text.size.map_or(workers, |size| workers.min(size.div_ceil(piece).max(1) as usize));
    (workers, piece)
}

fn outcome(
    lead: Lead<'_, '_>,
    reports: Vec<Report>,
    rules: &Rules,
    run: &Run,
    is_stopped: bool,
) -> Result<Outcome, Error> {
    let pieces = lead.pieces;
    let kernel = reports.first().map(Report::kernel).unwrap_or_default();
    let io = reports.first().filter(|_| pieces.file.is_some()).map_or(Io::Read, Report::io);
    let (workers, used) = (reports.len(), reports.iter().map(|report| report.used).collect());
    let mut tally = Tally::default();
    reports.into_iter().for_each(|report| tally.merge(report.tally));
    let size = pieces.size();
    if let Some(invalid) = tally.invalid {
        return Err(invalid.error(&pieces.name, size.unwrap_or(u64::MAX)));
    }
    let is_partial = size != Some(tally.totals.bytes);
    // Characters at a cut were others for those on its left than for those on its right.
    if is_partial && !is_stopped {
        return Err(count::changed(&pieces.name));
    }
    let count = tally.finish(lead.seams.into_inner().unwrap_or_else(PoisonError::into_inner), rules);
    let of_text = count::Outcome { count, size, is_partial, workers, kernel, io };
    Ok(Outcome { of_text, used, remark: run.remark().map(str::to_owned) })
}

/// What the threads of the lead share.
struct Lead<'a, 't> {
    pieces: &'a Pieces<'t>,
    progress: &'a Progress,
    /// Where the smallest invalid sequence begins, if there is one.
    invalid: AtomicU64,
    /// Something has failed.
    is_over: AtomicBool,
    seams: Mutex<Seams>,
}

impl Lead<'_, '_> {
    /// Keeps all workers busy until there is nothing left to do, each from a thread of its own.
    fn lead(&self, crew: Vec<Member>) -> Result<Vec<Report>, Error> {
        thread::scope(|scope| {
            let spawn = |member| {
                let thread = thread::Builder::new().name("lead".to_owned());
                thread.spawn_scoped(scope, || self.serve_or_stop(member))
            };
            let threads: Vec<_> = crew.into_iter().map(spawn).collect();
            let failed = |error| Error::os("cannot start", "a thread for a worker", error);
            let ended = threads.into_iter().map(|thread| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(error) => Err(failed(error)),
            });
            let results: Vec<_> = ended.collect();
            results.into_iter().collect()
        })
    }

    /// True if nobody takes any more pieces, and what was counted is all that is wanted.
    fn is_to_end(&self) -> bool {
        self.progress.is_stopped() || self.is_over.load(Ordering::Relaxed)
    }

    /// As [`Lead::serve`]; what fails for one worker ends the work of all.
    fn serve_or_stop(&self, member: Member) -> Result<Report, Error> {
        let served = self.serve(member);
        if served.is_err() {
            self.is_over.store(true, Ordering::Relaxed);
        }
        served
    }

    fn serve(&self, mut member: Member) -> Result<Report, Error> {
        let (mut buffer, mut answer) = (Vec::new(), Vec::new());
        while !self.is_to_end() {
            let bytes = match self.pieces.next(self.invalid.load(Ordering::Relaxed), &mut buffer)? {
                None => break,
                Some(Next::Part(part)) => {
                    member.send(PART, part, &[])?;
                    part[1] - part[0]
                }
                Some(Next::Piece(start)) => {
                    member.send(PIECE, [start, 0], &buffer)?;
                    buffer.len() as u64
                }
            };
            member.hear(COUNTED, &mut answer)?;
            let Counted { seams, invalid } = read(&answer)?;
            if let Some(offset) = invalid {
                self.invalid.fetch_min(offset, Ordering::Relaxed);
            }
            self.seams.lock().unwrap_or_else(PoisonError::into_inner).merge(seams);
            self.progress.add(bytes);
        }
        member.dismiss()?;
        member.hear(REPORT, &mut answer)?;
        let report = read(&answer)?;
        member.end();
        Ok(report)
    }
}

fn read<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::refused("cannot read", "what a worker found", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters at a cut that were others for those on its left than for those on its right are counted twice or by
    /// nobody; that is no partial count.
    #[test]
    fn bytes_that_do_not_add_up_are_an_error_unless_the_count_was_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(&path, vec![b'e'; 10_000]).unwrap();
        let outcome = |is_stopped| {
            let pieces = Text::open(&path)?.cut(Feed::Path, PART_BYTES)?;
            let lead = Lead {
                pieces: &pieces,
                progress: &Progress::new(),
                invalid: AtomicU64::new(u64::MAX),
                is_over: AtomicBool::new(false),
                seams: Mutex::default(),
            };
            outcome(lead, Vec::new(), &Rules::default(), &Run::new(), is_stopped)
        };
        let stopped = outcome(true).unwrap().of_text;
        assert_eq!((stopped.is_partial, stopped.size), (true, Some(10_000)));
        let error = outcome(false).unwrap_err().to_string();
        assert!(error.ends_with("the file was changed while it was counted"), "{error}");
    }
}
