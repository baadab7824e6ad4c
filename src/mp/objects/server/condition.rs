//! Conditions: connections that wait for a notification, each with a ticket.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::protocol::{ConditionOperation, Limit};
use super::gate::{Client, Gate};
use super::object::{Kept, Object};
use crate::mp::{Error, Result, wire};

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// The tickets that were not notified yet, the oldest first.
    waiting: VecDeque<u64>,
}

impl State {
    fn notify(&mut self, number: u64) {
        let number = usize::try_from(number).unwrap_or(usize::MAX).min(self.waiting.len());
        self.waiting.drain(..number);
    }
}

#[derive(Debug)]
pub(super) struct Condition {
    state: Gate<State>,
    lock: Arc<Kept>,
}

impl Condition {
    pub(super) fn new(lock: Arc<Kept>) -> Self {
        Self { state: Gate::default(), lock }
    }

    pub(super) fn perform(&self, operation: &ConditionOperation, client: &Client<'_>, out: &mut Vec<u8>) -> Result<()> {
        match *operation {
            ConditionOperation::Wait(limit) => wire::encode(&self.wait(client, limit)?, out),
            ConditionOperation::Notify(number) => {
                self.state.change(|state| state.notify(number));
                Ok(())
            }
        }
    }

    /// Gives the lock back until there is a notification, and says whether there was one, and whether a holder of the lock
    /// died meanwhile.
    fn wait(&self, client: &Client<'_>, limit: Limit) -> Result<(bool, bool)> {
        let Object::Lock(lock) = &self.lock.object else { return Err(Error::Refused("it has no lock".to_owned())) };
        if !lock.is_held_by(client.id) {
            return Err(Error::Refused("this thread does not hold the lock of the condition".to_owned()));
        }
        // Before the lock is given back, so that no notification gets lost.
        let ticket = self.state.change(|state| {
            state.next += 1;
            state.waiting.push_back(state.next);
            state.next
        });
        lock.unlock(client.id)?;
        let waited = self.state.wait(client, limit, |state| (!state.waiting.contains(&ticket)).then_some(()));
        let notified = self.state.change(|state| {
            let before = state.waiting.len();
            state.waiting.retain(|it| *it != ticket);
            before == state.waiting.len()
        });
        match waited {
            Ok(()) | Err(Error::TimedOut(..)) => {}
            Err(error) => {
                // What was meant for one who is gone goes to the next.
                self.state.change(|state| state.notify(notified.into()));
                return Err(error);
            }
        }
        Ok((notified, lock.lock(client, None)?))
    }
}
