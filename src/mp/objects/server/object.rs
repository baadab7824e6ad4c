//! The objects of a server, by their numbers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::super::protocol::{New, Operation};
use super::barrier::Barrier;
use super::condition::Condition;
use super::dict::Dict;
use super::event::Event;
use super::gate::{Client, removed};
use super::list::List;
use super::lock::Lock;
use super::namespace::Namespace;
use super::queue::Queue;
use super::semaphore::Semaphore;
use super::value::Value;
use crate::mp::{Error, Result};

#[derive(Debug)]
pub(super) enum Object {
    Value(Value),
    List(List),
    Dict(Dict),
    Namespace(Namespace),
    Queue(Queue),
    Lock(Lock),
    Semaphore(Semaphore),
    Condition(Condition),
    Event(Event),
    Barrier(Barrier),
}

impl Object {
    pub(super) fn perform(&self, operation: &Operation<'_>, client: &Client<'_>, out: &mut Vec<u8>) -> Result<()> {
        match (self, operation) {
            (Self::Value(value), Operation::Value(operation)) => value.perform(operation, out),
            (Self::List(list), Operation::List(operation)) => list.perform(operation, out),
            (Self::Dict(dict), Operation::Dict(operation)) => dict.perform(operation, out),
            (Self::Namespace(names), Operation::Namespace(operation)) => names.perform(operation, out),
            (Self::Queue(queue), Operation::Queue(operation)) => queue.perform(operation, client, out),
            (Self::Lock(lock), Operation::Lock(operation)) => lock.perform(operation, client, out),
            (Self::Semaphore(semaphore), Operation::Semaphore(operation)) => semaphore.perform(operation, client, out),
            (Self::Condition(condition), Operation::Condition(operation)) => condition.perform(operation, client, out),
            (Self::Event(event), Operation::Event(operation)) => event.perform(operation, client, out),
            (Self::Barrier(barrier), Operation::Barrier(operation)) => barrier.perform(operation, client, out),
            _ => Err(Error::Refused("the object is of another kind".to_owned())),
        }
    }

    /// True if something of the object is that connection's until it gives it back.
    pub(super) fn is_held_by(&self, client: u64) -> bool {
        match self {
            Self::Lock(lock) => lock.is_held_by(client),
            Self::Semaphore(semaphore) => semaphore.is_held_by(client),
            _ => false,
        }
    }

    /// That connection has ended.
    pub(super) fn abandon(&self, client: u64) {
        match self {
            Self::Lock(lock) => lock.abandon(client),
            Self::Semaphore(semaphore) => semaphore.abandon(client),
            _ => {}
        }
    }
}

/// An object, and whether it was removed while somebody used it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) object: Object,
    pub(super) is_removed: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Objects {
    next: AtomicU64,
    kept: RwLock<HashMap<u64, Arc<Kept>>>,
}

impl Objects {
    pub(super) fn find(&self, number: u64) -> Result<Arc<Kept>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.get(&number).cloned().ok_or_else(removed)
    }

    /// The number of the new object.
    pub(super) fn create(&self, new: &New<'_>) -> Result<u64> {
        let object = match new {
            New::Value(bytes) => Object::Value(Value::new(bytes.boxed())),
            New::List => Object::List(List::empty()),
            New::Array(items) => Object::List(List::array(items)),
            New::Dict => Object::Dict(Dict::default()),
            New::Namespace => Object::Namespace(Namespace::default()),
            New::Queue(capacity) => Object::Queue(Queue::new(*capacity)),
            New::Lock => Object::Lock(Lock::new(false)),
            New::RLock => Object::Lock(Lock::new(true)),
            New::Semaphore { permits, is_bounded } => Object::Semaphore(Semaphore::new(*permits, *is_bounded)),
            New::Condition(lock) => Object::Condition(Condition::new(self.find(*lock)?)),
            New::Event => Object::Event(Event::default()),
            New::Barrier(0) => return Err(Error::Refused("a barrier for nobody".to_owned())),
            New::Barrier(parties) => Object::Barrier(Barrier::new(*parties)),
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let kept = Arc::new(Kept { object, is_removed: AtomicBool::new(false) });
        self.kept.write().unwrap_or_else(PoisonError::into_inner).insert(number, kept);
        Ok(number)
    }

    pub(super) fn remove(&self, number: u64) -> Result<()> {
        let gone = self.kept.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        gone.ok_or_else(removed)?.is_removed.store(true, Ordering::Relaxed);
        Ok(())
    }
}
