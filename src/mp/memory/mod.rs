//! Data that processes share: values, arrays, named memory and lists, each with its lock.

mod abandoned;
mod array;
mod block;
mod item;
mod list;
mod plain;
mod scope;
mod segment;
mod typecode;
mod unlocked;
mod value;

pub use abandoned::AbandonedMemory;
pub use array::{Array, ArrayGuard};
pub use item::Item;
pub use list::SharedList;
pub use plain::Plain;
pub use scope::ShmScope;
pub use segment::{BytesGuard, SharedMemory};
pub use typecode::Typecode;
pub use unlocked::{Atomic, Integer, Unlocked};
pub use value::{Value, ValueGuard};
