//! Signals as descriptors and messages: nothing in the program runs inside a handler but one write(2).

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{SigHandler, SigSet, Signal};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::Error;

/// The signals that ask a program to end.
pub const REQUESTS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// The requests that a program heeds. A SIGHUP that was ignored at its start stays ignored, because nohup(1) arranged
/// it; SIGINT and SIGQUIT are heeded all the same, because a shell without job control ignores them in everything that
/// it starts with `&`.
pub fn requests() -> impl Iterator<Item = Signal> {
    REQUESTS.into_iter().filter(|&signal| signal != Signal::SIGHUP || !is_ignored(signal))
}

/// The requests that ask a server to end, for one that takes SIGHUP for a wish to open its files anew.
pub const ENDS: [Signal; 3] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// What a process leaves to the one that it works for: the keys that a terminal tells all its programs of, its going away,
/// and a write that nobody reads, which is an error then.
pub const LEFT_TO_OTHERS: [Signal; 4] = [Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGPIPE];

/// Ends a process at once; for [`on_parent_death`](crate::sys::process::on_parent_death).
pub const DEATH: Signal = Signal::SIGKILL;

/// What a terminal that goes away sends, and what asks a server to open its files anew.
pub const HANG_UP: Signal = Signal::SIGHUP;

/// The signal that a parent gets when a child ends.
pub const CHILD_ENDED: Signal = Signal::SIGCHLD;

/// What a writer gets whose file would exceed RLIMIT_FSIZE. It ends a program that does not expect it; for one that
/// catches it, the write fails instead (EFBIG). Unlike an ignored signal, a caught one is no inheritance.
pub const FILE_TOO_LONG: Signal = Signal::SIGXFSZ;

/// Asks a process to end.
pub const TERM: i32 = Signal::SIGTERM as i32;

/// Stops a process; it cannot be caught.
pub const STOP: i32 = Signal::SIGSTOP as i32;

/// Lets a stopped process go on.
pub const CONT: i32 = Signal::SIGCONT as i32;

/// Ends a process; it cannot be caught.
pub const KILL: i32 = Signal::SIGKILL as i32;

/// The number of the signal that a writer gets whose reader has gone.
pub const BROKEN_PIPE: i32 = Signal::SIGPIPE as i32;

/// Signals that arrive as readiness of a descriptor, to be waited for beside others with poll(2).
///
/// signal-hook restarts interrupted calls, so a blocked read would not notice a signal; whoever
/// blocks includes [`Signals::as_fd`] in what it waits for.
pub struct Signals(SignalDelivery<UnixStream, SignalOnly>);

impl Signals {
    /// Catches `signals` from now on.
    ///
    /// # Errors
    /// EMFILE; EINVAL for a signal that cannot be caught.
    pub fn catch(signals: &[Signal]) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let numbers = signals.iter().map(|&signal| signal as i32);
        SignalDelivery::with_pipe(read, write, SignalOnly, numbers).map(Self)
    }

    /// Catches the [`requests`] from now on.
    ///
    /// # Errors
    /// EMFILE.
    pub fn catch_requests() -> Result<Self, Error> {
        Self::catch(&requests().collect::<Vec<_>>()).map_err(|error| Error::os("cannot catch", "signals", error))
    }

    /// Takes what arrived since the last call; never blocks. Several of one kind count as one.
    pub fn take(&mut self) -> Vec<Signal> {
        self.0.pending().filter_map(|number| Signal::try_from(number).ok()).collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_read().as_fd()
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Signals").field(&self.as_fd()).finish()
    }
}

/// Signals that wait, for as long as this guard lives. A child that is spawned meanwhile starts with them waiting, so
/// that none kills it before it has said what to do about them; it calls [`unblock`] when it has.
#[derive(Debug)]
pub struct Blocked(SigSet);

impl Blocked {
    /// Has `signals` wait.
    ///
    /// # Errors
    /// None in practice.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        set.thread_block()?;
        Ok(Self(set))
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // Fails only for a malformed set.
        let _ = self.0.thread_unblock();
    }
}

/// Lets `signals` in, those that waited first.
///
/// # Errors
/// None in practice.
pub fn unblock(signals: &[Signal]) -> io::Result<()> {
    signals.iter().copied().collect::<SigSet>().thread_unblock()?;
    Ok(())
}

/// Whoever a process belongs to, and how long it may live on without it.
#[derive(Clone, Copy, Debug)]
pub struct Guardian {
    /// The process id of the parent that spawned this process.
    pub pid: u32,
    /// After this time without the parent, SIGALRM ends an orphan that is stuck.
    pub grace: Duration,
}

impl Guardian {
    /// True while the parent lives. Once it is dead another process has adopted us.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        nix::unistd::getppid().as_raw() == self.pid as i32
    }
}

/// Answers `signal` by writing `message` to `to`, instead of dying. An orphan, to whom SIGTERM comes by
/// PR_SET_PDEATHSIG and who has nobody to tell, starts the alarm that ends it should it be stuck.
///
/// `message` has at most PIPE_BUF bytes, so it never mixes with what the process itself writes.
///
/// # Errors
/// EINVAL for a signal that cannot be caught; EMFILE.
pub fn relay(signal: Signal, to: Arc<OwnedFd>, message: Vec<u8>, guardian: Guardian) -> io::Result<()> {
    let seconds = u32::try_from(guardian.grace.as_secs().max(1)).unwrap_or(u32::MAX);
    let action = move || {
        // A full or closed pipe means that nobody listens, which is nothing a handler could mend.
        let _ = nix::unistd::write(&to, &message);
        if !guardian.is_alive() {
            nix::unistd::alarm::set(seconds);
        }
    };
    // SAFETY: the action calls write, getppid and alarm only, all async-signal-safe (signal-safety(7)).
    unsafe { signal_hook::low_level::register(signal as i32, action) }?;
    Ok(())
}

/// Ignores `signals` in this process and, by inheritance, in what it executes.
///
/// # Errors
/// EINVAL for a signal that cannot be ignored.
pub fn ignore(signals: &[Signal]) -> io::Result<()> {
    for &signal in signals {
        // SAFETY: ignoring installs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) }?;
    }
    Ok(())
}

/// Gives `signals` their default action, whatever a parent or the language's runtime arranged: an ignored SIGCHLD is
/// inherited and loses every exit status, and Rust's handler for SIGSEGV survives the first one that kill(1) sends.
///
/// # Errors
/// EINVAL for a signal whose action cannot be set.
pub fn restore_default(signals: &[Signal]) -> io::Result<()> {
    for &signal in signals {
        // SAFETY: the default action runs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// True if `signal` is ignored, which it is at the start when a parent such as nohup(1) arranged it.
#[must_use]
fn is_ignored(signal: Signal) -> bool {
    // SAFETY: sigaction is plain data, for which all zero bytes are a value.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only asks; the pointer is to a live local.
    let status = unsafe { libc::sigaction(signal as i32, std::ptr::null(), &raw mut now) };
    status == 0 && now.sa_sigaction == libc::SIG_IGN
}

/// Ends this process by `signal` as if it had never been caught, so that the parent sees a death by
/// signal: an exit status of 130 would let a shell loop run on after Ctrl-C.
pub fn die_by(signal: i32) -> ! {
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    std::process::exit(128 + signal)
}

/// The name of a signal by its number: `SIGTERM`, or `signal 34` for one without a name.
#[must_use]
pub fn name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

/// The number of the signal that is written as `TERM`, `SIGTERM`, `sigterm` or `15`; None for what is no signal. A
/// real-time signal has a number only, 34 to 64.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|number| (1..=64).contains(number));
    }
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    full.parse::<Signal>().ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_known_by_name_and_number() {
        for text in ["TERM", "SIGTERM", "sigterm", "Term", "15", "015"] {
            assert_eq!(number(text), Some(15), "{text}");
        }
        assert_eq!((number("64"), number("USR1"), number("1")), (Some(64), Some(10), Some(1)));
        for text in ["", "0", "65", "-1", "+15", "SIG", "SIGSIGTERM", "TERMINATE", "99999999999"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert!((1..=31).all(|signal| number(&name(signal)) == Some(signal)));
    }
}
