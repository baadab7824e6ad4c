//! What happened to one process or thread, with causes: the answer to `why`.

use std::collections::VecDeque;

use crate::manager::protocol::{Status, Transition};
use crate::sys::clock;

/// Transitions that are kept; the oldest go first.
const KEPT: usize = 1000;

/// The present state and how it came about.
#[derive(Debug)]
pub(crate) struct History {
    name: String,
    transitions: VecDeque<Transition>,
}

impl History {
    /// Begins with `status`.
    pub(crate) fn new(name: &str, status: Status, cause: impl Into<String>) -> Self {
        let mut history = Self { name: name.to_owned(), transitions: VecDeque::new() };
        history.record(status, cause, None);
        history
    }

    /// The present state.
    pub(crate) fn status(&self) -> &Status {
        &self.transitions.back().expect("a history begins with a transition and keeps the last one").status
    }

    /// Goes to `status` because of `cause`.
    pub(crate) fn record(&mut self, status: Status, cause: impl Into<String>, pid: Option<u32>) {
        if self.transitions.len() == KEPT {
            self.transitions.pop_front();
        }
        let (name, cause) = (self.name.clone(), cause.into());
        self.transitions.push_back(Transition { ts_ns: clock::realtime_ns(), name, status, cause, pid });
    }

    /// All that are kept, oldest first.
    pub(crate) fn transitions(&self) -> impl Iterator<Item = &Transition> {
        self.transitions.iter()
    }
}
