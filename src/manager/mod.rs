//! Named processes and threads: created, paused, resumed, ended, watched and explained.
//!
//! [`Command`] is what a manager can be told, [`protocol`] is how a client and a manager talk.

pub mod command;
pub mod guard;
pub mod name;
pub mod protocol;
pub mod spec;
#[cfg(test)]
mod testing;
pub mod thread;
pub(crate) mod tree;
pub mod word;

pub use command::{Command, Kind, Selector, Targets};
pub use name::Name;
