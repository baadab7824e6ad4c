//! What can go wrong at either end of a link.

use crate::Error;

/// Why records could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The receiver is gone: it was dropped, or its process died.
    #[error("{link}: the receiver is gone")]
    Disconnected {
        /// The link's name.
        link: String,
    },
    /// The shared memory of the link holds what no receiver writes.
    #[error("{link}: {fault}")]
    Corrupt {
        /// The link's name.
        link: String,
        /// What was found.
        fault: String,
    },
    /// The operating system refused.
    #[error(transparent)]
    System(#[from] Error),
}

/// Why no record could be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The sender is gone without an end: it was dropped, or its process died. Everything that reached
    /// the link was received before this.
    #[error("{link}: the sender is gone without an end of stream")]
    Disconnected {
        /// The link's name.
        link: String,
    },
    /// What arrived is not what any sender of this version sends.
    #[error("{link}: {fault}")]
    Corrupt {
        /// The link's name.
        link: String,
        /// What was found, where, and what was expected.
        fault: String,
    },
    /// The operating system refused.
    #[error(transparent)]
    System(#[from] Error),
}

impl SendError {
    pub(crate) fn disconnected(link: &str) -> Self {
        Self::Disconnected { link: link.to_owned() }
    }

    pub(crate) fn corrupt(link: &str, fault: impl ToString) -> Self {
        Self::Corrupt { link: link.to_owned(), fault: fault.to_string() }
    }
}

impl RecvError {
    pub(crate) fn disconnected(link: &str) -> Self {
        Self::Disconnected { link: link.to_owned() }
    }

    pub(crate) fn corrupt(link: &str, fault: impl ToString) -> Self {
        Self::Corrupt { link: link.to_owned(), fault: fault.to_string() }
    }
}
