//! Processes as Rust programs use them: tasks in other processes, and what they share.

mod error;
mod handed;
mod memory;
mod sync;
#[cfg(test)]
mod testing;
mod wire;

pub use error::{Error, Panic, Result, Worker};
pub use memory::{
    Array, ArrayGuard, Atomic, BytesGuard, Integer, Item, Plain, SharedList, SharedMemory, ShmScope, Typecode,
    Unlocked, Value, ValueGuard,
};
pub use sync::{
    Barrier, Condition, Event, Lock, LockGuard, OwnerDied, Permit, RLock, RLockGuard, Semaphore, TryLockError,
};
