//! Data that processes share: values, arrays, named memory and lists, each with its lock.

mod plain;
mod unlocked;
mod value;

pub use plain::Plain;
pub use unlocked::{Atomic, Integer, Unlocked};
pub use value::{Value, ValueGuard};
