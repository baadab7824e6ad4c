//! Processes as Rust programs use them: tasks in other processes, and what they share.

#[doc = include_str!("../../docs/coming-from-python.md")]
pub mod coming_from_python {}
mod any;
mod attempt;
mod controller;
mod error;
mod glance;
mod handed;
mod holder;
mod memory;
mod objects;
mod pipe;
mod pool;
mod process;
mod queue;
mod socket;
mod sync;
mod task;
#[cfg(test)]
mod testing;
mod timer;
mod wire;

pub use any::Any;
pub use attempt::Attempt;
pub use controller::{BatchId, BatchResults, Controller, ControllerEvent, ProcessResult};
pub use error::{Error, Panic, Result, Worker};
pub use memory::{
    AbandonedMemory, Array, ArrayGuard, Atomic, BytesGuard, Integer, Item, Plain, SharedList, SharedMemory, ShmScope,
    Typecode, Unlocked, Value, ValueGuard,
};
pub use objects::{
    ArrayProxy, BarrierProxy, ConditionProxy, DictProxy, EventProxy, ListProxy, LockProxy, LockProxyError,
    LockProxyGuard, Manager, Map, NamespaceProxy, PermitProxy, Proxy, QueueProxy, QueueProxyIter, RLockProxy,
    RLockProxyGuard, SemaphoreProxy, ValueProxy,
};
pub use pipe::{Connection, Receiver, ReceiverIntoIter, ReceiverIter, Sender, channel, pipe};
pub use pool::{
    AsCompleted, Batch, Departure, Imap, ImapUnordered, Job, MOST_WORKERS, Pool, PoolBuilder, PoolNews, WorkerStats,
    as_completed,
};
pub use process::{Current, Process, ProcessBuilder, Scope, children, current, init, join_all, scope, wait_any};
pub use queue::{JoinableIter, JoinableQueue, Queue, QueueItem, QueueIter};
pub use sync::{
    Barrier, Condition, Event, Lock, LockGuard, OwnerDied, Permit, RLock, RLockGuard, Semaphore, TryLockError,
};
pub use task::{Args, Task, TaskFn, Update};
pub use timer::Timer;

/// What the macros write into the code of others.
#[doc(hidden)]
pub mod __private {
    pub use linkme;

    pub use super::process::before_main;
    pub use super::task::{Entry, IPCPIPE_TASKS, invoke, typed};
}
