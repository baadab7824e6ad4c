//! Named processes and threads: created, paused, resumed, ended, watched and explained.
//!
//! [`Command`] is what a manager can be told, [`protocol`] is how a client and a manager talk.

pub mod client;
pub mod command;
// The loop that uses these comes with another commit, and takes the permission away.
#[cfg_attr(not(test), allow(dead_code))]
mod connection;
#[cfg_attr(not(test), allow(dead_code))]
mod date;
#[cfg_attr(not(test), allow(dead_code))]
mod events;
pub mod logd;
pub mod name;
#[cfg_attr(not(test), allow(dead_code))]
mod output;
pub mod protocol;
#[cfg_attr(not(test), allow(dead_code))]
mod ready;
#[cfg_attr(not(test), allow(dead_code))]
mod ring;
#[cfg_attr(not(test), allow(dead_code))]
mod rotate;
#[cfg_attr(not(test), allow(dead_code))]
pub mod sink;
#[cfg_attr(not(test), allow(dead_code))]
pub mod socket;
pub mod spec;
pub mod word;

pub use command::{Command, Kind, Selector, Targets};
pub use name::Name;
