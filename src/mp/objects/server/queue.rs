//! Queues: items wait in them in the order in which they came.

use std::collections::VecDeque;

use super::super::protocol::QueueOperation;
use super::gate::{Client, Gate};
use crate::mp::{Error, Result, wire};

#[derive(Debug)]
struct State {
    items: VecDeque<Box<[u8]>>,
    capacity: u64,
    is_closed: bool,
}

#[derive(Debug)]
pub(super) struct Queue(Gate<State>);

impl Queue {
    pub(super) fn new(capacity: u64) -> Self {
        Self(Gate::new(State { items: VecDeque::new(), capacity, is_closed: false }))
    }

    pub(super) fn perform(&self, operation: &QueueOperation<'_>, client: &Client<'_>, out: &mut Vec<u8>) -> Result<()> {
        match *operation {
            QueueOperation::Put(item, limit) => {
                let put = |state: &mut State| match state {
                    State { is_closed: true, .. } => Some(Err(Error::Closed)),
                    _ if state.items.len() as u64 >= state.capacity => None,
                    _ => Some(Ok(state.items.push_back(item.boxed()))),
                };
                let full = |error| if matches!(limit, Some(time) if time.is_zero()) { Error::Full } else { error };
                self.0.wait(client, limit, put).map_err(|error| if_timed_out(error, full))??;
                self.0.wake();
            }
            QueueOperation::Get(limit) => {
                let get = |state: &mut State| match state.items.pop_front() {
                    None if state.is_closed => Some(Err(Error::Closed)),
                    None => None,
                    Some(item) => Some(Ok(item)),
                };
                let empty = |error| if matches!(limit, Some(time) if time.is_zero()) { Error::Empty } else { error };
                let item = self.0.wait(client, limit, get).map_err(|error| if_timed_out(error, empty))??;
                self.0.wake();
                out.extend_from_slice(&item);
            }
            QueueOperation::Len => wire::encode(&(self.0.look().items.len() as u64), out)?,
            QueueOperation::Capacity => wire::encode(&self.0.look().capacity, out)?,
            QueueOperation::Close => self.0.change(|state| state.is_closed = true),
            QueueOperation::IsClosed => out.push(self.0.look().is_closed.into()),
        }
        Ok(())
    }
}

fn if_timed_out(error: Error, otherwise: impl FnOnce(Error) -> Error) -> Error {
    if matches!(error, Error::TimedOut) { otherwise(error) } else { error }
}
