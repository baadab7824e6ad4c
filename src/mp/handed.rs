//! How a shared object gets into another process: as the descriptor of its memory.

use std::os::fd::{BorrowedFd, OwnedFd};

/// An object that is found again by the descriptor of its memory alone, because the memory says what it is.
pub(crate) trait Handed: Sized {
    /// The descriptor.
    fn fd(&self) -> BorrowedFd<'_>;

    /// The object whose memory another process made.
    ///
    /// # Errors
    /// When the memory holds no such object.
    fn attach(file: OwnedFd) -> Result<Self, crate::Error>;
}
