//! Queues: items wait in them in the order in which they came.

use std::collections::VecDeque;

use super::super::protocol::{Bytes, Limit, QueueOperation};
use super::gate::{Client, Gate, TRIED};
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
            QueueOperation::Put(item, limit) => self.put(item, client, limit)?,
            QueueOperation::Get(limit) => out.extend_from_slice(&self.get(client, limit)?),
            QueueOperation::Len => wire::encode(&(self.0.look().items.len() as u64), out)?,
            QueueOperation::Capacity => wire::encode(&self.0.look().capacity, out)?,
            QueueOperation::Close => self.0.change(|state| state.is_closed = true),
            QueueOperation::IsClosed => out.push(self.0.look().is_closed.into()),
        }
        Ok(())
    }

    fn put(&self, item: Bytes<'_>, client: &Client<'_>, limit: Limit) -> Result<()> {
        let put = |state: &mut State| {
            if state.is_closed {
                return Some(Err(Error::Closed(TRIED)));
            }
            if state.items.len() as u64 >= state.capacity {
                return None;
            }
            state.items.push_back(item.boxed());
            Some(Ok(()))
        };
        self.0.wait(client, limit, put).map_err(|error| at_once(error, limit, Error::Full(TRIED)))??;
        self.0.wake();
        Ok(())
    }

    fn get(&self, client: &Client<'_>, limit: Limit) -> Result<Box<[u8]>> {
        let get = |state: &mut State| match state.items.pop_front() {
            None if state.is_closed => Some(Err(Error::Closed(TRIED))),
            None => None,
            Some(item) => Some(Ok(item)),
        };
        let item = self.0.wait(client, limit, get).map_err(|error| at_once(error, limit, Error::Empty(TRIED)))??;
        self.0.wake();
        Ok(item)
    }
}

/// Whoever did not want to wait is told why he would have had to.
fn at_once(error: Error, limit: Limit, why: Error) -> Error {
    if matches!(error, Error::TimedOut(..)) && limit.is_some_and(|time| time.is_zero()) { why } else { error }
}
