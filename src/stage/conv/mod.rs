//! conv, the converter: takes samples from a source at a pace and sends each to every consumer.
//!
//! Samples are taken as they fall due, all that are due at once, and no wait is entered with a sample held
//! back: a paced stream has frames of one sample and no batching delay, a flood fills its frames by itself.

mod input;
mod lines;
mod pace;
mod random;
mod source;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::pace::{Lookout, Schedule};
use super::fault::Fault;
use super::world::{InputWake, Wake, World, nanos};
use crate::channel::Fanout;
use crate::record::Sample;

pub use self::input::InputSource;
pub use self::lines::{Column, LineParser, Lines, MAX_LINE, Pushed};
pub use self::random::{RandomSource, system_seed};
pub use self::source::{Fill, Samples};

/// How much, how long and how fast [`conv`] converts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvOptions {
    /// End after so many samples; `None`: no such limit.
    pub count: Option<u64>,
    /// End after so long; `None`: no such limit.
    pub duration: Option<Duration>,
    /// From one sample to the next; zero is as fast as the consumers take them.
    pub interval: Duration,
}

/// What ended the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// [`ConvOptions::count`] was reached.
    Count,
    /// [`ConvOptions::duration`] was over.
    Duration,
    /// The source had no more.
    EndOfInput,
    /// The world asked for it.
    Stopped,
    /// The source or a consumer failed; [`ConvOutcome::fault`] says how.
    Fault,
}

/// What [`conv`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvOutcome {
    /// Samples given to the consumers.
    pub produced: u64,
    /// The order-sensitive checksum over them.
    pub digest: u64,
    /// What ended the stream.
    pub ended: Ended,
    /// Invalid lines of the input that were passed over.
    pub skipped: u64,
    /// What went wrong. It is present without [`Ended::Fault`] where only the end could not be delivered.
    pub fault: Option<Fault>,
}

/// Sends `samples` to all of `out` until a limit of `options`, the end of the source or a stop, then ends
/// the links.
///
/// The first sample is due at once and the n-th `(n - 1) * interval` later, by an absolute schedule without
/// drift. Consumers that are behind block conv; a backlog above the longer of the interval and 100 ms is
/// then forgiven instead of being caught up in a burst. Limits and stop take effect within about a
/// millisecond, unless a consumer blocks. `progress` is called with the samples so far about ten times a
/// second and at the end.
///
/// A consumer that is gone ends the stream; the others get their end.
pub fn conv<S: Samples, W: World>(
    samples: S,
    mut out: Fanout<Sample>,
    options: &ConvOptions,
    world: &mut W,
    progress: impl FnMut(u64),
) -> ConvOutcome {
    let mut converter = Converter::new(samples, &mut out, options, world, progress);
    let ended = converter.run();
    let (produced, skipped) = (converter.produced, converter.samples.skipped());
    let digest = out.digest();
    let finished = out.finish().map_err(Fault::from);
    let (ended, fault) = match ended {
        Ok(ended) => (ended, finished.err()),
        Err(fault) => (Ended::Fault, Some(fault)),
    };
    ConvOutcome { produced, digest, ended, skipped, fault }
}

/// How many samples are taken at once at most: they stay in the first-level cache on their way to a frame.
const TAKE: usize = 2048;

struct Converter<'a, S, W, P> {
    samples: S,
    out: &'a mut Fanout<Sample>,
    world: &'a mut W,
    room: Box<[Sample]>,
    count: u64,
    produced: u64,
    schedule: Schedule,
    lookout: Lookout<P>,
}

impl<'a, S: Samples, W: World, P: FnMut(u64)> Converter<'a, S, W, P> {
    fn new(samples: S, out: &'a mut Fanout<Sample>, options: &ConvOptions, world: &'a mut W, progress: P) -> Self {
        let room = vec![0.0; out.frame_capacity().min(TAKE)].into();
        let now = world.now_ns();
        let schedule = Schedule::new(now, nanos(options.interval));
        let lookout = Lookout::new(now, options.duration.map(nanos), progress);
        let count = options.count.unwrap_or(u64::MAX);
        Self { samples, out, world, room, count, produced: 0, schedule, lookout }
    }

    fn run(&mut self) -> Result<Ended, Fault> {
        let ended = self.convert();
        self.lookout.close(self.produced);
        // The checksum covers what has left.
        let flushed = self.flush();
        ended.and_then(|ended| flushed.map(|()| ended))
    }

    fn convert(&mut self) -> Result<Ended, Fault> {
        while self.produced < self.count {
            if let Some(ended) = self.look() {
                return Ok(ended);
            }
            let due = self.schedule.due(self.lookout.now).min(self.count - self.produced);
            let ended = if due == 0 { self.pause()? } else { self.pass_on(due)? };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
        Ok(Ended::Count)
    }

    /// A pace needs the time at every turn, a flood only now and then.
    fn look(&mut self) -> Option<Ended> {
        let must = self.schedule.is_paced() || self.lookout.is_due();
        if must { self.lookout.look(self.world, self.produced) } else { None }
    }

    /// Takes up to `due` samples and feeds them to the consumers.
    fn pass_on(&mut self, due: u64) -> Result<Option<Ended>, Fault> {
        let most = self.room.len().min(usize::try_from(due).unwrap_or(usize::MAX));
        let (taken, fill) = self.samples.take(&mut self.room[..most]);
        self.feed(taken)?;
        self.schedule.advance(taken);
        self.lookout.passed(taken);
        match fill {
            Fill::More => Ok(None),
            Fill::Dry => self.await_input(),
            Fill::End => Ok(Some(Ended::EndOfInput)),
            Fill::Fault(fault) => Err(fault),
        }
    }

    fn feed(&mut self, taken: usize) -> Result<(), Fault> {
        if let Err(error) = self.out.feed(&self.room[..taken]) {
            // The consumers that are left got all of it.
            self.produced = self.produced.max(self.out.count());
            return Err(error.into());
        }
        self.produced += taken as u64;
        Ok(())
    }

    /// Waits for the next sample to fall due, or for the end of the time.
    fn pause(&mut self) -> Result<Option<Ended>, Fault> {
        let until = self.lookout.limit(self.schedule.next_at());
        self.flush()?;
        self.lookout.before_wait(until, self.produced);
        match self.world.wait_until(until) {
            Wake::Due => {
                self.lookout.asked(until);
                Ok(None)
            }
            Wake::Stopped => Ok(Some(Ended::Stopped)),
        }
    }

    /// Waits for a silent source.
    fn await_input(&mut self) -> Result<Option<Ended>, Fault> {
        if self.produced == self.count {
            return Ok(None);
        }
        let until = self.lookout.deadline;
        self.flush()?;
        self.lookout.before_wait(until.unwrap_or(u64::MAX), self.produced);
        match self.samples.wait(until) {
            InputWake::Ready | InputWake::Due => Ok(None),
            InputWake::Stopped => Ok(Some(Ended::Stopped)),
        }
    }

    /// Sends what is held back.
    fn flush(&mut self) -> Result<(), Fault> {
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests;
