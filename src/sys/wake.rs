//! Waking a thread that waits on descriptors.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

use crate::Error;
use crate::sys::fd;

/// A descriptor that other threads make readable (eventfd(2)). Clones are the same one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A waker that nobody has woken yet, closed on exec.
    ///
    /// # Errors
    /// EMFILE or ENFILE: the process or the system is out of descriptors.
    pub fn new() -> Result<Self, Error> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|errno| {
            let error = Error::os("cannot create an event descriptor", "", errno);
            match errno {
                rustix::io::Errno::MFILE => error.hint(fd::RAISE_LIMIT),
                _ => error,
            }
        })?;
        Ok(Self(Arc::new(fd)))
    }

    /// Makes it readable, if it is not yet. Never blocks.
    pub fn wake(&self) {
        // Fails only when the counter is full, and then it is readable.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable until the next [`wake`](Self::wake). Never blocks. Call it before looking at what the wakes
    /// were about, so that none is lost.
    pub fn clear(&self) {
        // Fails only when nobody has woken it.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::wait::{Interest, look, wait};

    #[test]
    fn a_wake_from_another_thread_ends_a_wait_until_it_is_cleared() {
        let waker = Waker::new().unwrap();
        let ready = || look(waker.as_fd(), Interest::Read).unwrap().ready;
        assert!(!ready());
        waker.clear();
        let other = waker.clone();
        let thread = std::thread::spawn(move || (0..3).for_each(|_| other.wake()));
        assert!(wait([(waker.as_fd(), Interest::Read)], None).unwrap()[0].ready);
        thread.join().unwrap();
        waker.clear();
        assert!(!ready());
    }
}
