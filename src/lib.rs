#![doc = include_str!("../docs/crate.md")]
#![deny(unsafe_code)]

pub mod channel;
pub mod count;
mod error;
pub mod jobs;
pub mod manager;
pub mod mp;
pub mod pipeline;
pub mod record;
pub mod spread;
pub mod stage;
pub mod sys;
pub mod tasks;

pub use error::{Error, OneLine};
pub use mp::init;
