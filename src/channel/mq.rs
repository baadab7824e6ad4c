//! The message queue: one frame is one message, and a lifeline says when the peer has gone.

use std::fmt;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_close, mq_getattr, mq_open, mq_receive, mq_send};
use nix::sys::stat::{Mode, fchmod};

use super::frame::{HEADER, MAX_FRAME};
use super::lifeline::Lifeline;
use super::link::Geometry;
use super::transport::{Fault, Read};
use crate::Error;
use crate::record::{Record, Sample};
use crate::sys::fd;
use crate::sys::wait::{self, Interest};

/// All messages have one priority: the kernel would deliver a higher one first, out of order.
const PRIORITY: u32 = 0;

/// A link of less than this cannot carry the largest record.
const MIN_MESSAGE: usize = HEADER + Sample::MAX_SIZE;

/// The system's limits on a queue, for users without CAP_SYS_RESOURCE (mq_overview(7)).
const MSG_MAX: &str = "/proc/sys/fs/mqueue/msg_max";
const MSGSIZE_MAX: &str = "/proc/sys/fs/mqueue/msgsize_max";

/// An open queue descriptor; nix's has no Drop.
struct Queue(Option<MqdT>);

impl Queue {
    fn open(name: &str, direction: MQ_OFlag) -> Result<Self, Error> {
        let flags = direction | MQ_OFlag::O_NONBLOCK | MQ_OFlag::O_CLOEXEC;
        let queue = mq_open(name, flags, Mode::empty(), None)
            .map_err(|errno| Error::os("cannot open message queue", name, errno))?;
        Ok(Self(Some(queue)))
    }

    fn get(&self) -> &MqdT {
        self.0.as_ref().expect("a queue is open until it is dropped")
    }

    fn message_size(&self, name: &str) -> Result<usize, Error> {
        let attributes =
            mq_getattr(self.get()).map_err(|errno| Error::os("cannot measure message queue", name, errno))?;
        Ok(attributes.msgsize() as usize)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            let _ = mq_close(queue);
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.get().as_fd()).finish()
    }
}

/// Creates the queue `name`. Where the user's budget for queues (RLIMIT_MSGQUEUE) does not hold one of the
/// wished size, a smaller one does: it costs speed, never a sample.
pub(crate) fn create(name: &str, geometry: Geometry) -> Result<(), Error> {
    let wished_messages = geometry.messages.min(limit(MSG_MAX, 10));
    let largest = geometry.message_bytes.min(limit(MSGSIZE_MAX, 8192)).clamp(MIN_MESSAGE, MAX_FRAME);
    let mut size = largest;
    loop {
        match create_sized(name, wished_messages, size) {
            Err(Errno::EMFILE | Errno::ENOMEM | Errno::ENOSPC) if size > MIN_MESSAGE => {
                size = (size / 2).max(MIN_MESSAGE)
            }
            Err(errno) => return Err(explain(name, wished_messages, size, errno)),
            Ok(()) => return Ok(()),
        }
    }
}

fn create_sized(name: &str, messages: usize, size: usize) -> Result<(), Errno> {
    let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let attributes = MqAttr::new(0, messages as i64, size as i64, 0);
    let queue = Queue(Some(mq_open(name, flags, mode, Some(&attributes))?));
    // The umask may have taken bits away that the children need.
    fchmod(queue.get().as_fd(), mode)
}

/// What to do where a user's queues hold all the bytes that they may (RLIMIT_MSGQUEUE).
pub(crate) const BUDGET_IS_SPENT: &str = "the limit RLIMIT_MSGQUEUE on your bytes in queues is used up: try 'ulimit -q 819200', \
                                          'ipcpipe clean' or --backend pipe";

fn limit(file: &str, otherwise: usize) -> usize {
    fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(otherwise)
}

fn explain(name: &str, messages: usize, size: usize, errno: Errno) -> Error {
    let error = Error::os("cannot create message queue", format!("{name} ({messages} x {size} B)"), errno);
    match errno {
        Errno::EMFILE if fd::are_used_up() => error.hint(fd::RAISE_LIMIT),
        Errno::EMFILE | Errno::ENOMEM => error.hint(BUDGET_IS_SPENT),
        Errno::ENOSPC => error.hint("the system has no more queues: see /proc/sys/fs/mqueue/queues_max"),
        Errno::EINVAL => error.hint("the system's limits are /proc/sys/fs/mqueue/msg_max and msgsize_max"),
        Errno::ENOSYS => error.hint("this kernel has no POSIX message queues; use --backend pipe"),
        _ => error,
    }
}

/// The sending side.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Queue,
    pub(crate) lifeline: Lifeline,
    message: Vec<u8>,
    max_message: usize,
}

impl Writer {
    pub(crate) fn open(name: &str, lifeline: OwnedFd) -> Result<Self, Error> {
        let queue = Queue::open(name, MQ_OFlag::O_WRONLY)?;
        let max_message = queue.message_size(name)?;
        Ok(Self { queue, lifeline: Lifeline::new(lifeline), message: Vec::with_capacity(max_message), max_message })
    }

    pub(crate) fn max_message(&self) -> usize {
        self.max_message
    }

    pub(crate) fn write(&mut self, header: &[u8], records: &[u8]) -> Result<(), Fault> {
        self.message.clear();
        self.message.extend_from_slice(header);
        self.message.extend_from_slice(records);
        loop {
            match mq_send(self.queue.get(), &self.message, PRIORITY) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait_for_room()?,
                Err(errno) => return Err(Fault::system("cannot send a message", "", errno.into())),
            }
        }
    }

    /// A full queue is waited for together with the lifeline: the receiver's death makes no room.
    fn wait_for_room(&self) -> Result<(), Fault> {
        let fds = [(self.queue.get().as_fd(), Interest::Write), (self.lifeline.as_fd(), Interest::HangUp)];
        let [_, peer] =
            wait::wait(fds, None).map_err(|error| Fault::system("cannot wait for a message queue", "", error))?;
        if peer.hung_up { Err(Fault::Disconnected) } else { Ok(()) }
    }
}

/// The receiving side.
#[derive(Debug)]
pub(crate) struct Reader {
    queue: Queue,
    lifeline: Lifeline,
    max_message: usize,
}

impl Reader {
    pub(crate) fn open(name: &str, lifeline: OwnedFd) -> Result<Self, Error> {
        let queue = Queue::open(name, MQ_OFlag::O_RDONLY)?;
        let max_message = queue.message_size(name)?;
        Ok(Self { queue, lifeline: Lifeline::new(lifeline), max_message })
    }

    pub(crate) fn read(&mut self, space: &mut [u8], deadline: Option<Instant>) -> Result<Read, Fault> {
        let mut last_chance = false;
        loop {
            let count = self.take(space)?;
            if count > 0 {
                return Ok(Read::Bytes(count));
            }
            if last_chance {
                return Err(Fault::Disconnected);
            }
            let fds = [(self.queue.get().as_fd(), Interest::Read), (self.lifeline.as_fd(), Interest::HangUp)];
            let [message, peer] = wait::wait(fds, deadline)
                .map_err(|error| Fault::system("cannot wait for a message queue", "", error))?;
            if !message.any() && !peer.any() {
                return Ok(Read::TimedOut);
            }
            // The sender may have sent and died since the queue was found empty: look once more.
            last_chance = peer.hung_up;
        }
    }

    /// Takes the messages that are there, as many as have room; answers their bytes. A short message says that its
    /// sender had no more, so that none is looked for behind it.
    fn take(&self, space: &mut [u8]) -> Result<usize, Fault> {
        let mut taken = 0;
        let mut priority = PRIORITY;
        while space.len() - taken >= self.max_message {
            match mq_receive(self.queue.get(), &mut space[taken..], &mut priority) {
                Ok(count) => {
                    taken += count;
                    if count < self.max_message / 2 {
                        break;
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                // What was taken is passed on first; the next call meets the error again.
                Err(_) if taken > 0 => break,
                Err(errno) => return Err(Fault::system("cannot receive a message", "", errno.into())),
            }
        }
        Ok(taken)
    }
}
