//! What can go wrong between processes, as values: a death, a panic or a closed end is an answer, never a hang.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Kind, Verb};
use crate::OneLine;
use crate::sys::signal;

/// The result of what processes do for each other.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A process by the two things that people know it by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Worker {
    /// What it is called: as given, or Process-1 and so on.
    pub name: String,
    /// Its process id. Once the process has ended, the system may give the number to another.
    pub pid: u32,
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", OneLine::text(&self.name), self.pid)
    }
}

/// A panic, as the process that panicked saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    /// What it said.
    pub message: String,
    /// `file:line:column` of the place, empty if it is unknown.
    pub location: String,
    /// The calls that led there, one a line; empty if `RUST_BACKTRACE=0` was set.
    pub backtrace: String,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked at {}: {}", OneLine::text(&self.location), OneLine::text(&self.message))
    }
}

/// Why another process did not give what it was asked for.
///
/// It can be cloned, because one failure may concern many: all jobs of a pool that is gone, say. It prints as one line. It
/// can be what a task returns, so that a task can use `?`: `process.join()??` is its value then.
/// Its debug form is the same line, so that a `main` that returns it shows what a person needs.
#[derive(Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Error {
    /// The function panicked. The process itself may live on.
    Panicked(Box<Worker>, Box<Panic>),
    /// The process exited with this status before it had answered; -1 if somebody else has taken its status.
    Exited(Box<Worker>, i32),
    /// A signal ended the process before it had answered.
    Signalled(Box<Worker>, i32),
    /// The time that was given, so much, is over. Zero: it could not be done at once.
    TimedOut(Attempt, Duration),
    /// It was called off before it had ended.
    Cancelled(Attempt),
    /// The object or its other side is closed: nothing more can come or go.
    Closed(Attempt),
    /// There is no room just now.
    Full(Attempt),
    /// There is nothing just now.
    Empty(Attempt),
    /// Somebody died while he held the lock, so what it protects may be half written. The lock is free again.
    OwnerDied(Attempt),
    /// A party of the barrier is gone or gave up, so the others can never all meet.
    Broken(Attempt),
    /// The process that keeps the shared objects is gone, and they with it.
    ManagerGone(Attempt),
    /// The bytes are not what they should be, or a value cannot be put into bytes.
    Codec(String),
    /// The request makes no sense for the object: an index beyond its end, a type that it does not have.
    Refused(String),
    /// The system refused.
    System(#[serde(with = "shared")] Arc<crate::Error>),
}

impl Error {
    pub(crate) fn codec(why: impl Into<String>) -> Self {
        Self::Codec(why.into())
    }

    /// What no room, no item or no end means to somebody who gave it so much time.
    pub(crate) fn within(self, time: Duration) -> Self {
        match self {
            Self::Full(attempt) | Self::Empty(attempt) | Self::TimedOut(attempt, _) => Self::TimedOut(attempt, time),
            error => error,
        }
    }

    /// A value that does not go into bytes or out of them, with what was tried with it.
    #[cold]
    pub(crate) fn during(self, attempt: Attempt) -> Self {
        match self {
            Self::Codec(why) => Self::Codec(format!("{why}; cannot {attempt}")),
            error => error,
        }
    }

    /// A job that was called off.
    pub(crate) fn job_cancelled() -> Self {
        Self::Cancelled(Attempt::with_some(Verb::Run, Kind::Job))
    }

    /// A job that took longer than it may.
    pub(crate) fn job_late(time: Duration) -> Self {
        Self::TimedOut(Attempt::with_some(Verb::Run, Kind::Job), time)
    }

    /// The same of the job at that place of that batch, if it is about a job.
    pub(crate) fn of_batch(self, batch: u64, place: Option<usize>) -> Self {
        match self {
            Self::Cancelled(attempt) => Self::Cancelled(attempt.of_batch(batch, place)),
            Self::Empty(attempt) => Self::Empty(attempt.of_batch(batch, place)),
            Self::TimedOut(attempt, time) => Self::TimedOut(attempt.of_batch(batch, place), time),
            error => error,
        }
    }

    /// The process that is to blame, where one is known.
    #[must_use]
    pub fn worker(&self) -> Option<&Worker> {
        match self {
            Self::Panicked(worker, _) | Self::Exited(worker, _) | Self::Signalled(worker, _) => Some(worker),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(worker, panic) => write!(f, "{worker} {panic}"),
            Self::Exited(worker, -1) => write!(f, "{worker} has ended, nobody knows how, before it had answered"),
            Self::Exited(worker, status) => write!(f, "{worker} exited with status {status} before it had answered"),
            Self::Signalled(worker, number) => {
                write!(f, "{worker} was killed by {} before it had answered", signal::name(*number))
            }
            Self::TimedOut(it, Duration::ZERO) => write!(f, "cannot {it} at once: {}", it.obstacle()),
            Self::TimedOut(it, time) => write!(f, "cannot {it} within {time:?}: {}", it.obstacle()),
            Self::Cancelled(it) => write!(f, "cannot {it}: it was cancelled"),
            Self::Closed(it) => write!(f, "cannot {it}: {}", it.end()),
            Self::Full(it) => write!(f, "cannot {it}: {}", it.obstacle()),
            Self::Empty(it) => write!(f, "cannot {it}: {}", it.lack()),
            Self::OwnerDied(it) => {
                let object = it.object();
                write!(f, "a process died while it held {object}; what it protects may be half written, so mend it")
            }
            Self::Broken(it) => write!(f, "cannot {it}: it is broken, since a party is gone or gave up; reset it"),
            Self::ManagerGone(it) => {
                write!(f, "cannot {it}: the manager process is gone, and all that it kept; start another")
            }
            Self::Codec(why) => write!(f, "malformed message: {}", OneLine::text(why)),
            Self::Refused(why) => write!(f, "{}", OneLine::text(why)),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::System(Arc::new(error))
    }
}

/// An error that many share, as it travels alone.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(error: &Arc<crate::Error>, serializer: S) -> Result<S::Ok, S::Error> {
        error.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<crate::Error>, D::Error> {
        crate::Error::deserialize(deserializer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp::wire;

    #[test]
    fn an_attempt_in_a_loop_costs_no_allocation() {
        assert!(!std::mem::needs_drop::<Attempt>());
        assert!(size_of::<Error>() <= 40, "{}", size_of::<Error>());
    }

    #[test]
    fn an_error_reads_the_same_in_another_process() {
        let worker = Worker { name: "Process-1".to_owned(), pid: 7 };
        let lock = Attempt::new(Verb::Take, Kind::Lock, 5);
        let system = crate::Error::os("cannot open", "x", std::io::Error::from_raw_os_error(2)).hint("look again");
        for error in [
            Error::Signalled(Box::new(worker), 9),
            Error::Refused("no".to_owned()),
            Error::OwnerDied(lock),
            system.into(),
        ] {
            let mut bytes = Vec::new();
            wire::encode(&error, &mut bytes).unwrap();
            assert_eq!(wire::decode::<Error>(&bytes).unwrap().to_string(), error.to_string());
        }
    }
}
