//! What a task and its manager share: what is wanted of the task, how far it is, and what it printed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::worker::Outcome;
use crate::sys::wake::Waker;

/// Lines that wait to be taken, at most.
const MOST_LINES: usize = 10_000;

/// Bytes of lines that wait to be taken, at most.
const MOST_BYTES: usize = 1024 * 1024;

/// What a task sees of its manager.
///
/// A task calls [`checkpoint`](Self::checkpoint) often, a thousand times a second or more, and returns when it answers
/// [`Stopped`].
#[derive(Debug)]
pub struct Control(pub(super) Arc<Shared>);

/// The task is to end; it hands this on to whoever called it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread was asked to stop")
    }
}

impl std::error::Error for Stopped {}

impl Control {
    /// Blocks as long as the thread is paused. Costs a nanosecond when nothing is wanted.
    ///
    /// # Errors
    /// [`Stopped`] once the thread is to end, every time from then on.
    pub fn checkpoint(&self) -> Result<(), Stopped> {
        if !self.0.is_wanted.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.0.park_while_paused(self.0.lock()).map(drop)
    }

    /// Blocks for `time`. A pause stretches it by its own length.
    ///
    /// # Errors
    /// [`Stopped`], at once, when the thread is to end.
    pub fn sleep(&self, time: Duration) -> Result<(), Stopped> {
        let mut left = time;
        let mut state = self.0.lock();
        loop {
            state = self.0.park_while_paused(state)?;
            if left.is_zero() {
                return Ok(());
            }
            let start = Instant::now();
            (state, _) = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            left = left.saturating_sub(start.elapsed());
        }
    }

    /// Adds `text` to the output of the thread in the manager, as one line or as many as it has. Never blocks: of what
    /// the manager has not taken yet, 10 000 lines and 1 MiB are kept, the oldest going first.
    pub fn print(&self, text: impl Into<String>) {
        let text = text.into();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let mut state = self.0.lock();
        // While lines wait, the wake that came with the first of them does too.
        let is_first = state.lines.is_empty();
        for line in text.strip_suffix('\n').unwrap_or(&text).split('\n') {
            state.push(now, line);
        }
        drop(state);
        if is_first {
            self.0.waker.wake();
        }
    }
}

/// Both sides of a thread.
#[derive(Debug)]
pub(super) struct Shared {
    /// True when the next checkpoint has to look at the state.
    is_wanted: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
    waker: Waker,
}

/// What the lock protects. Nothing foreign runs under it, so it is never found half changed.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) wish: Wish,
    pub(super) is_parked: bool,
    /// The kernel's number of the thread, once it runs.
    pub(super) tid: Option<u32>,
    pub(super) outcome: Option<Outcome>,
    /// CPU time when it was last looked at.
    pub(super) cpu: Duration,
    lines: VecDeque<(u64, String)>,
    bytes: usize,
}

/// What is wanted of the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wish {
    #[default]
    Run,
    Pause,
    Stop,
}

impl Shared {
    pub(super) fn new(waker: Waker) -> Self {
        let (is_wanted, state, changed) = (AtomicBool::new(false), Mutex::default(), Condvar::new());
        Self { is_wanted, state, changed, waker }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the task know what is wanted. A stop cannot be taken back.
    pub(super) fn wish(&self, wish: Wish) {
        let mut state = self.lock();
        if state.wish != Wish::Stop {
            state.wish = wish;
            self.is_wanted.store(wish != Wish::Run, Ordering::Relaxed);
            self.changed.notify_all();
        }
    }

    /// Changes the state on the task's side, and tells whoever waits for it.
    pub(super) fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
        self.waker.wake();
    }

    /// The kernel's number of the thread; waits until it runs.
    pub(super) fn tid(&self) -> u32 {
        let mut state = self.lock();
        loop {
            match state.tid {
                Some(tid) => return tid,
                None => state = self.wait(state),
            }
        }
    }

    fn park_while_paused<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, Stopped> {
        while state.wish == Wish::Pause {
            if !state.is_parked {
                state.is_parked = true;
                self.waker.wake();
            }
            state = self.wait(state);
        }
        if state.is_parked {
            state.is_parked = false;
            self.waker.wake();
        }
        if state.wish == Wish::Stop { Err(Stopped) } else { Ok(state) }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, now: u64, line: &str) {
        let line = &line[..line.floor_char_boundary(MOST_BYTES)];
        self.lines.push_back((now, line.to_owned()));
        self.bytes += line.len();
        while self.lines.len() > MOST_LINES || self.bytes > MOST_BYTES {
            self.bytes -= self.lines.pop_front().map_or(self.bytes, |(_, line)| line.len());
        }
    }

    pub(super) fn take_lines(&mut self) -> Vec<(u64, String)> {
        self.bytes = 0;
        std::mem::take(&mut self.lines).into()
    }
}
