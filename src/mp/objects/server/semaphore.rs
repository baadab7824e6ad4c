//! Semaphores, which know who has their permits.

use std::collections::HashMap;

use super::super::protocol::SemaphoreOperation;
use super::gate::{Client, Gate};
use crate::mp::{Error, Result, wire};

#[derive(Debug, Default)]
struct State {
    free: u32,
    /// How many permits each connection has.
    held: HashMap<u64, u32>,
    /// Free ones and those that will come back.
    permits: u32,
}

#[derive(Debug)]
pub(super) struct Semaphore {
    state: Gate<State>,
    most: u32,
}

impl Semaphore {
    pub(super) fn new(permits: u32, is_bounded: bool) -> Self {
        let state = State { free: permits, held: HashMap::new(), permits };
        Self { state: Gate::new(state), most: if is_bounded { permits } else { u32::MAX } }
    }

    pub(super) fn perform(&self, operation: &SemaphoreOperation, client: &Client<'_>, out: &mut Vec<u8>) -> Result<()> {
        match *operation {
            SemaphoreOperation::Acquire(limit) => self.state.wait(client, limit, |state| {
                state.free = state.free.checked_sub(1)?;
                *state.held.entry(client.id).or_default() += 1;
                Some(())
            })?,
            SemaphoreOperation::Return => self.state.change(|state| {
                state.give_up(client.id)?;
                state.free += 1;
                Ok::<_, Error>(())
            })?,
            SemaphoreOperation::Forget => self.state.change(|state| {
                state.give_up(client.id)?;
                state.permits -= 1;
                Ok::<_, Error>(())
            })?,
            SemaphoreOperation::Release => self.state.change(|state| {
                if state.permits == self.most {
                    return Err(Error::Refused(format!("the semaphore has all its {} permits", self.most)));
                }
                state.permits += 1;
                state.free += 1;
                Ok(())
            })?,
            SemaphoreOperation::Available => wire::encode(&self.state.look().free, out)?,
        }
        Ok(())
    }

    /// The connection has ended: its permits come back.
    pub(super) fn abandon(&self, client: u64) {
        self.state.change(|state| state.free += state.held.remove(&client).unwrap_or(0));
    }

    pub(super) fn is_held_by(&self, client: u64) -> bool {
        self.state.look().held.contains_key(&client)
    }
}

impl State {
    fn give_up(&mut self, client: u64) -> Result<()> {
        let held = self.held.get_mut(&client);
        let held = held.ok_or_else(|| Error::Refused("this thread has no permit".to_owned()))?;
        *held -= 1;
        if *held == 0 {
            self.held.remove(&client);
        }
        Ok(())
    }
}
