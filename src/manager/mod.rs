//! Named processes and threads: created, paused, resumed, ended, watched and explained.
//!
//! [`Command`] is what a manager can be told, [`protocol`] is how a client and a manager talk.

pub mod client;
pub mod command;
// The loop that uses these comes with another commit, and takes the permission away.
#[cfg_attr(not(test), allow(dead_code))]
mod connection;
pub mod name;
pub mod protocol;
#[cfg_attr(not(test), allow(dead_code))]
pub mod socket;
pub mod spec;
pub mod word;

pub use command::{Command, Kind, Selector, Targets};
pub use name::Name;
