//! Locks, held by a connection: that is, by one thread of one process.

use std::time::Duration;

use super::super::protocol::{Limit, LockOperation};
use super::gate::{Client, Gate};
use crate::mp::{Error, Result};

#[derive(Debug, Default)]
struct State {
    holder: Option<u64>,
    /// How often the holder has taken it.
    depth: u64,
    /// The last holder died, and nobody has been told.
    has_died: bool,
}

#[derive(Debug)]
pub(super) struct Lock {
    state: Gate<State>,
    is_recursive: bool,
}

impl Lock {
    pub(super) fn new(is_recursive: bool) -> Self {
        Self { state: Gate::default(), is_recursive }
    }

    pub(super) fn perform(&self, operation: &LockOperation, client: &Client<'_>, out: &mut Vec<u8>) -> Result<()> {
        match *operation {
            LockOperation::Lock(limit) => out.push(self.lock(client, limit)?.into()),
            LockOperation::Unlock => self.unlock(client.id)?,
        }
        Ok(())
    }

    /// Takes the lock, and says whether its last holder died.
    pub(super) fn lock(&self, client: &Client<'_>, limit: Limit) -> Result<bool> {
        let is_own = self.state.look().holder == Some(client.id);
        let limit = match limit {
            None if is_own && !self.is_recursive => {
                return Err(Error::Refused("this thread holds the lock and would wait for itself".to_owned()));
            }
            // It would not get it later either.
            Some(_) if is_own => Some(Duration::ZERO),
            limit => limit,
        };
        self.state.wait(client, limit, |state| match state.holder {
            Some(holder) if holder != client.id || !self.is_recursive => None,
            _ => {
                state.holder = Some(client.id);
                state.depth += 1;
                Some(std::mem::take(&mut state.has_died))
            }
        })
    }

    /// Gives back what was taken once.
    ///
    /// # Errors
    /// [`Error::Refused`] if somebody else holds it, or nobody.
    pub(super) fn unlock(&self, client: u64) -> Result<()> {
        let mut state = self.state.look();
        if state.holder != Some(client) {
            return Err(Error::Refused("this thread does not hold the lock".to_owned()));
        }
        state.depth -= 1;
        if state.depth == 0 {
            state.holder = None;
            drop(state);
            self.state.wake();
        }
        Ok(())
    }

    /// The connection has ended.
    pub(super) fn abandon(&self, client: u64) {
        self.state.change(|state| {
            if state.holder == Some(client) {
                *state = State { has_died: true, ..State::default() };
            }
        });
    }

    pub(super) fn is_held_by(&self, client: u64) -> bool {
        self.state.look().holder == Some(client)
    }
}
