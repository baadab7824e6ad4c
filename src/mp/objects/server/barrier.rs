//! Barriers: a number of parties that wait for each other.

use super::super::protocol::{BarrierOperation, BarrierStatus, Limit};
use super::gate::{Client, Gate, TRIED};
use crate::mp::{Error, Result, wire};

#[derive(Debug, Default)]
struct State {
    arrived: u32,
    /// How often all have met, or the barrier was broken or reset: a party waits until this changes.
    round: u64,
    /// The rounds that ended in another way than that all met, with how many of their parties have not heard of it.
    failed: Vec<(u64, u32)>,
    is_broken: bool,
}

impl State {
    /// Sends home those who wait.
    fn fail(&mut self) {
        if self.arrived > 0 {
            self.failed.push((self.round, self.arrived));
        }
        self.round += 1;
        self.arrived = 0;
    }

    /// How `round` ended, for one of its parties that asks once.
    fn end_of(&mut self, round: u64) -> Result<()> {
        let Some(at) = self.failed.iter().position(|(failed, _)| *failed == round) else { return Ok(()) };
        self.failed[at].1 -= 1;
        if self.failed[at].1 == 0 {
            self.failed.swap_remove(at);
        }
        Err(Error::Broken(TRIED))
    }
}

#[derive(Debug)]
pub(super) struct Barrier {
    state: Gate<State>,
    parties: u32,
}

impl Barrier {
    pub(super) fn new(parties: u32) -> Self {
        Self { state: Gate::default(), parties }
    }

    pub(super) fn perform(&self, operation: &BarrierOperation, client: &Client<'_>, out: &mut Vec<u8>) -> Result<()> {
        match *operation {
            BarrierOperation::Wait(limit) => wire::encode(&self.wait(client, limit)?, out)?,
            BarrierOperation::Abort => self.state.change(|state| {
                state.fail();
                state.is_broken = true;
            }),
            BarrierOperation::Reset => self.state.change(|state| {
                state.fail();
                state.is_broken = false;
            }),
            BarrierOperation::Status => {
                let state = self.state.look();
                let (waiting, is_broken) = (state.arrived, state.is_broken);
                wire::encode(&BarrierStatus { parties: self.parties, waiting, is_broken }, out)?;
            }
        }
        Ok(())
    }

    /// Waits until all are there, and says how many came before.
    fn wait(&self, client: &Client<'_>, limit: Limit) -> Result<u32> {
        let (index, round) = self.arrive()?;
        if index + 1 == self.parties {
            return Ok(index);
        }
        let met = self.state.wait(client, limit, |state| (state.round != round).then(|| state.end_of(round)));
        met.unwrap_or_else(|error| self.leave(round, error)).map(|()| index)
    }

    fn arrive(&self) -> Result<(u32, u64)> {
        self.state.change(|state| {
            if state.is_broken {
                return Err(Error::Broken(TRIED));
            }
            let at = (state.arrived, state.round);
            state.arrived += 1;
            if state.arrived == self.parties {
                state.arrived = 0;
                state.round += 1;
            }
            Ok(at)
        })
    }

    /// One who does not wait any longer breaks the barrier, unless all met in that moment.
    fn leave(&self, round: u64, error: Error) -> Result<()> {
        self.state.change(|state| {
            if state.round != round {
                return state.end_of(round);
            }
            state.arrived -= 1;
            state.fail();
            state.is_broken = true;
            Err(error)
        })
    }
}
