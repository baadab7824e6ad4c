//! log, the logger: writes every sample to a file.

mod file;
mod format;
mod recover;

use std::fs::File;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::file::{LogFile, WriteFault};
use self::format::Time;
use super::fault::Fault;
use super::latency::{Latency, LatencyRecorder};
use super::world::{Clock, nanos};
use crate::Error;
use crate::channel::{Batch, Received, Receiver, RecvError};
use crate::record::Sample;

pub use self::format::LogFormat;
pub use self::recover::{Recovered, cut_torn, recover};

/// How [`log()`] writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOptions {
    /// What messages call the file.
    pub name: String,
    /// The layout of the file.
    pub format: LogFormat,
    /// When what was written is forced to the disk.
    pub fsync: Fsync,
    /// Drop what a regular file holds before the first sample.
    pub truncate: bool,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, in nanoseconds: it turns the time of sending into that of day.
    pub epoch_offset_ns: i64,
}

/// When what was written is forced to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fsync {
    /// Never; the system does so in its time.
    Never,
    /// Once, at the end.
    #[default]
    End,
    /// After every write.
    Always,
    /// So long after a write at the latest, also when no other follows, and at the end.
    Every(Duration),
}

/// What [`log()`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOutcome {
    /// Records that are in the file, whole, by this run.
    pub logged: u64,
    /// The order-sensitive checksum over the records received: those logged, unless there is a fault.
    pub digest: u64,
    /// Bytes in the file by this run.
    pub bytes: u64,
    /// From sending to the write, per sample.
    pub latency: Latency,
    /// Whether the file ends with a whole record.
    pub whole: bool,
    /// What went wrong.
    pub fault: Option<Fault>,
}

/// Writes the samples of `rx` to the end of `file` until their end.
///
/// Everything received is written before log blocks for more. Where a write fails, the file is cut back to
/// the last whole record, log returns, and conv finds it gone. `file` should be in append mode, or written
/// by nobody else. An empty file gets the header of its format.
pub fn log(mut rx: Receiver<Sample>, file: File, options: &LogOptions, clock: &impl Clock) -> LogOutcome {
    let nothing = LogOutcome { logged: 0, digest: 0, bytes: 0, latency: Latency::default(), whole: true, fault: None };
    let file = match LogFile::new(file, options) {
        Ok(file) => file,
        Err(error) => return LogOutcome { fault: Some(error.into()), ..nothing },
    };
    let mut log =
        Logger { file, options, clock, unwritten: Vec::new(), latency: LatencyRecorder::new(), sync_at: None };
    let received = log.receive(&mut rx);
    let fault = log.finish(received, rx.count()).err();
    LogOutcome {
        logged: log.file.records(),
        digest: rx.digest(),
        bytes: log.file.bytes(),
        latency: log.latency.latency(),
        whole: log.file.is_whole(),
        fault,
    }
}

/// The most frames that wait for one write.
const FRAMES: usize = 1024;

struct Logger<'a, C> {
    file: LogFile,
    options: &'a LogOptions,
    clock: &'a C,
    /// Send time and records of each frame since the last write.
    unwritten: Vec<(u64, u64)>,
    latency: LatencyRecorder,
    /// When a periodic sync is due; `None` while the disk has everything.
    sync_at: Option<u64>,
}

/// What ends the receiving before the end of the stream.
enum Stop {
    Link(RecvError),
    Write(WriteFault),
    Sync(Error),
}

impl<C: Clock> Logger<'_, C> {
    fn receive(&mut self, rx: &mut Receiver<Sample>) -> Result<(), Stop> {
        loop {
            match self.wait(rx).map_err(Stop::Link)? {
                Received::End => return Ok(()),
                Received::Batch(batch) => self.append(&batch).map_err(Stop::Write)?,
                Received::TimedOut => self.sync().map_err(Stop::Sync)?,
            }
            if self.file.is_full() || self.unwritten.len() >= FRAMES || !rx.is_ready() {
                self.write()?;
            }
        }
    }

    /// The next batch; gives up when a periodic sync is due.
    fn wait<'r>(&self, rx: &'r mut Receiver<Sample>) -> Result<Received<'r, Sample>, RecvError> {
        match self.sync_at {
            None => Ok(rx.recv()?.map_or(Received::End, Received::Batch)),
            Some(at) => rx.recv_timeout(Duration::from_nanos(at.saturating_sub(self.clock.now_ns()))),
        }
    }

    fn append(&mut self, batch: &Batch<'_, Sample>) -> Result<(), WriteFault> {
        let time = match self.options.format.has_time() {
            true => Time::new(batch.sent_ns().saturating_add_signed(self.options.epoch_offset_ns)),
            false => Time::default(),
        };
        self.unwritten.push((batch.sent_ns(), batch.len() as u64));
        self.file.append(batch, batch.first_seq(), &time)
    }

    fn write(&mut self) -> Result<(), Stop> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        self.file.write().map_err(Stop::Write)?;
        let now = self.clock.now_ns();
        for (sent_ns, records) in self.unwritten.drain(..) {
            self.latency.record(sent_ns, now, records);
        }
        self.sync_as_told(now).map_err(Stop::Sync)
    }

    /// After a write: syncs if that is due, or notes when it will be.
    fn sync_as_told(&mut self, now: u64) -> Result<(), Error> {
        match self.options.fsync {
            Fsync::Never | Fsync::End => Ok(()),
            Fsync::Always => self.sync(),
            Fsync::Every(period) => {
                let at = *self.sync_at.get_or_insert(now.saturating_add(nanos(period)));
                if now >= at { self.sync() } else { Ok(()) }
            }
        }
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.sync_at = None;
        self.file.sync()
    }

    /// Writes and syncs what is left, as far as it still can be, and says what went wrong.
    fn finish(&mut self, received: Result<(), Stop>, count: u64) -> Result<(), Fault> {
        let written = match received {
            Ok(()) => self.write(),
            Err(Stop::Link(error)) => self.write().and(Err(Stop::Link(error))),
            Err(stop) => Err(stop),
        };
        let fault = match written {
            Ok(()) => None,
            Err(Stop::Sync(error)) => return Err(error.into()),
            Err(Stop::Link(error)) => Some(error.into()),
            Err(Stop::Write(fault)) => Some(Fault::from(self.file.describe(fault, count))),
        };
        let synced = if self.options.fsync == Fsync::Never { Ok(()) } else { self.sync() };
        match (fault, synced) {
            (None, Ok(())) => Ok(self.file.check_length()?),
            (None, Err(error)) => Err(error.into()),
            (Some(fault), Ok(())) => Err(fault),
            (Some(Fault { kind, text }), Err(error)) => Err(Fault { kind, text: format!("{text}; {error}") }),
        }
    }
}

#[cfg(test)]
mod tests;
