//! What does the jobs of a pool: worker processes, or commands.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::manager::pool::commands::CommandEngine;
use crate::manager::pool::tasks::TaskEngine;
use crate::manager::protocol::{JobEnd, WorkerRow};
use crate::mp::{self, Departure};

/// Something that happened.
#[derive(Debug)]
pub(super) enum News {
    /// It works, or never will.
    Up(Result<(), String>),
    /// A job is done: its batch, its place there, and what came of it.
    Done(u64, usize, JobEnd),
    /// A worker was started.
    Started(WorkerRow),
    /// A worker has ended: why, how it came to that, and true if another one takes its place.
    Ended(WorkerRow, mp::Error, Departure, bool),
    /// Workers have printed something.
    Output(Vec<u8>),
    /// Something is not as it was asked for.
    Remark(String),
}

/// The two kinds.
#[derive(Debug)]
pub(super) enum Engine {
    Tasks(Box<TaskEngine>),
    Commands(Box<CommandEngine>),
    /// Nobody works any more, and nothing is held for it.
    Ended,
}

impl Engine {
    pub(super) fn watch<'a>(&'a self, mut each: impl FnMut(BorrowedFd<'a>)) {
        match self {
            Self::Tasks(tasks) => tasks.watch(each),
            Self::Commands(commands) => each(commands.fd()),
            Self::Ended => {}
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Tasks(tasks) => tasks.deadline(),
            Self::Commands(commands) => commands.deadline(),
            Self::Ended => None,
        }
    }

    pub(super) fn turn(&mut self, now: Instant) -> Vec<News> {
        let mut news = Vec::new();
        match self {
            Self::Tasks(tasks) => tasks.turn(now, &mut news),
            Self::Commands(commands) => commands.turn(now, &mut news),
            Self::Ended => {}
        }
        news
    }

    pub(super) fn cancel(&mut self, batch: u64, now: Instant) {
        match self {
            Self::Tasks(tasks) => tasks.cancel(batch),
            Self::Commands(commands) => commands.cancel(batch, now),
            Self::Ended => {}
        }
    }

    pub(super) fn pause(&mut self, now: Instant) {
        match self {
            Self::Tasks(tasks) => tasks.pause(now),
            Self::Commands(commands) => commands.pause(now),
            Self::Ended => {}
        }
    }

    pub(super) fn resume(&mut self, now: Instant) {
        match self {
            Self::Tasks(tasks) => tasks.resume(now),
            Self::Commands(commands) => commands.resume(now),
            Self::Ended => {}
        }
    }

    /// True if everybody stands still. Who does not is told again.
    pub(super) fn is_still(&mut self) -> bool {
        match self {
            Self::Tasks(tasks) => tasks.is_still(),
            Self::Commands(commands) => commands.is_still(),
            Self::Ended => true,
        }
    }

    /// Ends everybody: workers at once, commands as `hard` says.
    pub(super) fn stop(&mut self, now: Instant, hard: bool) {
        match self {
            Self::Tasks(tasks) => tasks.stop(),
            Self::Commands(commands) => commands.stop(now, hard),
            Self::Ended => {}
        }
    }

    /// True if nobody is left.
    pub(super) fn is_over(&mut self) -> bool {
        match self {
            Self::Tasks(tasks) => tasks.is_over(),
            Self::Commands(commands) => commands.is_over(),
            Self::Ended => true,
        }
    }

    /// Who works now.
    pub(super) fn crew(&self) -> Vec<WorkerRow> {
        match self {
            Self::Tasks(tasks) => tasks.crew().collect(),
            Self::Commands(commands) => commands.crew(),
            Self::Ended => Vec::new(),
        }
    }
}
