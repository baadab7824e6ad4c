//! `ipcpipe manager`: every surface of the real binary, and the processes that it makes.
//!
//! Whatever a test starts inherits a mark in its environment, and [`Sandbox`](crate::sandbox::Sandbox) fails a test that
//! leaves anybody with that mark.

mod attacks;
mod bench;
mod clients;
mod dialogue;
mod harness;
mod logs;
mod names;
mod order;
mod pauses;
mod policy;
mod pool_faults;
mod pools;
mod processes;
mod prompt;
mod quit;
mod ready;
mod rows;
mod save;
mod script;
mod serve;
mod socket;
mod terminal;
mod threads;
mod trees;
mod up;

pub(crate) use harness::{Client, Server};
pub(crate) use terminal::{CTRL_C, Terminal};
