//! What cut a stage short, told apart by what a launcher does about it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::channel::{RecvError, SendError};

/// Why a stage could not do all of its work: one line that names the object, and its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What to make of it.
    pub kind: FaultKind,
    /// What failed, on what and why, in one line.
    pub text: String,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The process at the other end of a link is gone: a consequence of something that happened there.
    PeerGone,
    /// A link carried what no sender sends.
    Corrupt,
    /// Nobody reads the output any more.
    OutputClosed,
    /// Input, output or the system failed.
    Failed,
}

impl Fault {
    /// A failure of input, output or the system.
    #[must_use]
    pub fn failed(text: impl Into<String>) -> Self {
        Self { kind: FaultKind::Failed, text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        let kind = match error {
            SendError::Disconnected { .. } => FaultKind::PeerGone,
            SendError::Corrupt { .. } => FaultKind::Corrupt,
            SendError::System(_) => FaultKind::Failed,
        };
        Self { kind, text: error.to_string() }
    }
}

impl From<RecvError> for Fault {
    fn from(error: RecvError) -> Self {
        let kind = match error {
            RecvError::Disconnected { .. } => FaultKind::PeerGone,
            RecvError::Corrupt { .. } => FaultKind::Corrupt,
            RecvError::System(_) => FaultKind::Failed,
        };
        Self { kind, text: error.to_string() }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::failed(error.to_string())
    }
}
