//! A state that requests wait for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::protocol::Limit;
use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::socket::Socket;
use crate::mp::{Error, Result};

/// How long a waiter sleeps before he looks whether his client is still there.
const NAP: Duration = Duration::from_millis(100);

/// In the errors of the server; the client knows what it tried, and says so.
pub(super) const TRIED: Attempt = Attempt::with_some(Verb::Use, Kind::Manager);

/// For whom a request is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    /// The number of the connection.
    pub(super) id: u64,
    pub(super) socket: &'a Socket,
    /// Set when the object that the request is about is no more.
    pub(super) is_removed: &'a AtomicBool,
}

impl Client<'_> {
    /// # Errors
    /// [`Error::Closed`] when the client is gone, and [`Error::Refused`] when the object is.
    fn check(&self) -> Result<()> {
        if self.is_removed.load(Ordering::Relaxed) {
            return Err(removed());
        }
        if self.socket.is_gone() { Err(Error::Closed(TRIED)) } else { Ok(()) }
    }
}

pub(super) fn removed() -> Error {
    Error::Refused("the object was removed".to_owned())
}

/// A lock whose holder never leaves the state in pieces, so that a panic while it was held means nothing.
pub(super) fn locked<S>(state: &Mutex<S>) -> MutexGuard<'_, S> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
pub(super) struct Gate<S> {
    state: Mutex<S>,
    changed: Condvar,
}

impl<S> Gate<S> {
    pub(super) fn new(state: S) -> Self {
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The state, for a look.
    pub(super) fn look(&self) -> MutexGuard<'_, S> {
        locked(&self.state)
    }

    /// Changes the state, and has all who wait try anew.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let result = change(&mut self.look());
        self.changed.notify_all();
        result
    }

    /// Has all who wait try anew, after a change that was made some other way.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Waits until `attempt` gives something.
    ///
    /// # Errors
    /// [`Error::TimedOut`], and what became of the client or the object meanwhile.
    pub(super) fn wait<R>(
        &self,
        client: &Client<'_>,
        limit: Limit,
        mut attempt: impl FnMut(&mut S) -> Option<R>,
    ) -> Result<R> {
        let mut state = self.look();
        if let Some(result) = attempt(&mut state) {
            return Ok(result);
        }
        let start = Instant::now();
        loop {
            let left = limit.map_or(NAP, |limit| limit.saturating_sub(start.elapsed()));
            if left.is_zero() {
                return Err(Error::TimedOut(TRIED, Duration::ZERO));
            }
            let waited = self.changed.wait_timeout(state, left.min(NAP));
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            client.check()?;
            if let Some(result) = attempt(&mut state) {
                return Ok(result);
            }
        }
    }
}
