//! What the stages ask of the world around them: the time, a wait, bytes of input.

use std::io;
use std::time::Duration;

/// The clock that frames are stamped with.
pub trait Clock {
    /// Nanoseconds of CLOCK_MONOTONIC.
    fn now_ns(&self) -> u64;
}

/// What [`conv`](super::conv()) asks of the world: the time, and waits that end when it is asked to stop.
pub trait World: Clock {
    /// Blocks until `at_ns` on [`Clock`], or until a stop is asked for. An instant of the past is due at once.
    fn wait_until(&mut self, at_ns: u64) -> Wake;

    /// Whether a stop was asked for; never blocks. Called about once a millisecond while samples flow.
    fn stopped(&mut self) -> bool;
}

/// Why [`World::wait_until`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The instant has come.
    Due,
    /// A stop was asked for.
    Stopped,
}

/// A source of bytes that is read without blocking and waited for with a limit.
pub trait Input {
    /// Reads what is there into the front of `buffer` (never empty) without blocking.
    ///
    /// # Errors
    /// The system's error; an interrupted call may be returned as such and is made again.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Taken>;

    /// Blocks until bytes or the end can be read, until `until_ns` on [`Clock`] (`None`: for ever), or
    /// until a stop is asked for.
    fn wait_input(&mut self, until_ns: Option<u64>) -> InputWake;
}

/// What [`Input::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes, at least one.
    Bytes(usize),
    /// The end of the input.
    End,
    /// Nothing at the moment.
    WouldBlock,
}

/// Why [`Input::wait_input`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputWake {
    /// The next read will find something.
    Ready,
    /// The instant has come.
    Due,
    /// A stop was asked for.
    Stopped,
}

/// A duration in whole nanoseconds; what does not fit is for ever.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
