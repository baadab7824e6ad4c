//! What happened: kept for clients, and written to where the log goes.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::Error;
use crate::manager::events::Events;
use crate::manager::protocol::{Event, Level};
use crate::manager::sink::{Log, Sink};
use crate::sys::clock;
use crate::sys::wait::{Interest, wait};

/// The events of a manager and its log.
#[derive(Debug)]
pub(crate) struct EventLog {
    events: Events,
    log: Log,
    count: u64,
}

impl EventLog {
    /// Nothing has happened yet.
    ///
    /// # Errors
    /// When the file that `sink` names cannot be opened.
    pub(crate) fn open(sink: &Sink) -> Result<Self, Error> {
        Ok(Self { events: Events::new(), log: Log::open(sink)?, count: 0 })
    }

    /// Adds what happened last. Should the log fail, that is an event too, and the first of a series is told.
    pub(crate) fn push(&mut self, event: Event) {
        let failed = self.log.write(&event);
        self.keep(event);
        if let Err(error) = failed {
            let (event, msg) = ("log-failed".to_owned(), error.to_string());
            let (ts_ns, level) = (clock::realtime_ns(), Level::Error);
            self.keep(Event { ts_ns, level, event, target: String::new(), pid: None, msg, lost: 0 });
        }
    }

    fn keep(&mut self, event: Event) {
        self.count += 1;
        self.events.push(event);
    }

    /// How many there were so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// See [`Events::read`].
    pub(crate) fn read(&self, cursor: &mut u64) -> Option<Event> {
        self.events.read(cursor)
    }

    /// See [`Events::cursor_last`].
    pub(crate) fn cursor_last(&self, count: Option<usize>) -> u64 {
        self.events.cursor_last(count)
    }

    /// See [`Events::end_cursor`].
    pub(crate) fn end_cursor(&self) -> u64 {
        self.events.end_cursor()
    }

    /// The descriptor that the log waits for.
    pub(crate) fn watch<'a>(&'a self, mut each: impl FnMut(BorrowedFd<'a>, Interest)) {
        if let Some(fd) = self.log.waits_for() {
            each(fd, Interest::Write);
        }
    }

    /// When to [`flush`](Self::flush) though the descriptor is not ready.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.log.deadline()
    }

    /// Writes what can be written now.
    pub(crate) fn flush(&mut self, now: Instant) {
        self.log.flush(now);
    }

    /// Writes what is left, until `end` at most.
    pub(crate) fn finish(&mut self, end: Instant) {
        while let Some(fd) = self.log.waits_for() {
            if !wait([(fd, Interest::Write)], Some(end)).is_ok_and(|[log]| log.ready) {
                return;
            }
            self.log.flush(Instant::now());
        }
    }
}
