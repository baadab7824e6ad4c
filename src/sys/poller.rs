//! Waiting on many descriptors at a cost that does not grow with their number: epoll(7).

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{Timespec, epoll};

/// Answers that one look takes at most; the next look has the others.
const MOST: usize = 256;

/// Descriptors under observation, each with a key of its own. It is readable itself when one of them is, so that poll(2)
/// can wait on all of them as on one.
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// A poller that observes nothing yet, closed on exec.
    ///
    /// # Errors
    /// EMFILE or ENFILE: the process or the system is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll })
    }

    /// Observes `fd` until its last copy is closed: `key` is answered as long as it can be read or its other side is gone.
    ///
    /// # Errors
    /// EPERM for a regular file or a directory, ENOSPC or ENOMEM.
    pub fn add(&self, fd: impl AsFd, key: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?)
    }

    /// The keys of those with news, in no order. Never blocks.
    ///
    /// # Errors
    /// None in practice.
    pub fn look(&mut self, keys: &mut Vec<u64>) -> io::Result<()> {
        keys.clear();
        // Kept from look to look it would bind the poller to one thread, for an event may hold a pointer.
        let mut events = [MaybeUninit::uninit(); MOST];
        match epoll::wait(&self.epoll, &mut events[..], Some(&Timespec::default())) {
            Ok((events, _)) => keys.extend(events.iter().map(|event| event.data.u64())),
            // A signal came first; nothing is lost, because what has news still has it at the next look.
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Poller").field(&self.epoll).finish()
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;
    use crate::sys::fd::pipe;
    use crate::sys::wait::{Interest, look};

    #[test]
    fn news_are_told_until_they_are_read_and_what_is_closed_is_forgotten() {
        let mut poller = Poller::new().unwrap();
        let (first, second) = (pipe().unwrap(), pipe().unwrap());
        poller.add(&first.0, 7).unwrap();
        poller.add(&second.0, 8).unwrap();
        let mut keys = vec![1];
        poller.look(&mut keys).unwrap();
        assert!(keys.is_empty() && !look(poller.as_fd(), Interest::Read).unwrap().ready);
        File::from(first.1.try_clone().unwrap()).write_all(b"x").unwrap();
        for _ in 0..2 {
            poller.look(&mut keys).unwrap();
            assert!(keys == [7] && look(poller.as_fd(), Interest::Read).unwrap().ready);
        }
        File::from(first.0.try_clone().unwrap()).read_exact(&mut [0]).unwrap();
        drop(second.1);
        poller.look(&mut keys).unwrap();
        assert_eq!(keys, [8]);
        drop(second.0);
        poller.look(&mut keys).unwrap();
        assert!(keys.is_empty());
    }
}
