//! Events: a flag that is waited for.

use super::super::protocol::EventOperation;
use super::gate::{Client, Gate};
use crate::mp::Result;

#[derive(Debug, Default)]
struct State {
    is_set: bool,
    /// How often it was set. Whoever waited then goes on, even if it is cleared before he looks.
    times: u64,
}

#[derive(Debug, Default)]
pub(super) struct Event(Gate<State>);

impl Event {
    pub(super) fn perform(&self, operation: &EventOperation, client: &Client<'_>, out: &mut Vec<u8>) -> Result<()> {
        match *operation {
            EventOperation::Set => self.0.change(|state| {
                state.is_set = true;
                state.times += 1;
            }),
            EventOperation::Clear => self.0.look().is_set = false,
            EventOperation::IsSet => out.push(self.0.look().is_set.into()),
            EventOperation::Wait(limit) => {
                let mut before = None;
                self.0.wait(client, limit, |state| {
                    let before = *before.get_or_insert(state.times);
                    (state.is_set || state.times != before).then_some(())
                })?;
            }
        }
        Ok(())
    }
}
