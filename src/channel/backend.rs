//! The five mechanisms by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kernel mechanism that carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// An anonymous pipe (pipe(7)).
    Pipe,
    /// A named pipe (fifo(7)).
    Fifo,
    /// A POSIX message queue (mq_overview(7)).
    Mq,
    /// A POSIX shared-memory segment (shm_overview(7)) with semaphores (sem_overview(7)).
    Shm,
    /// A Unix stream socket (unix(7)).
    Socket,
}

impl Backend {
    /// All of them, in the order in which they are listed everywhere.
    pub const ALL: [Backend; 5] = [Backend::Pipe, Backend::Fifo, Backend::Mq, Backend::Shm, Backend::Socket];

    /// The name that people type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Backend::Pipe => "pipe",
            Backend::Fifo => "fifo",
            Backend::Mq => "mq",
            Backend::Shm => "shm",
            Backend::Socket => "socket",
        }
    }

    /// What it is, in the kernel's terms.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Backend::Pipe => "anonymous pipe",
            Backend::Fifo => "named pipe (FIFO)",
            Backend::Mq => "POSIX message queue",
            Backend::Shm => "shared memory with semaphores",
            Backend::Socket => "Unix stream socket",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is the name of no backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no backend '{0}'; choose pipe, fifo, mq, shm or socket")]
pub struct UnknownBackend(String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        Self::ALL.into_iter().find(|backend| backend.name() == text).ok_or_else(|| UnknownBackend(text.to_owned()))
    }
}
