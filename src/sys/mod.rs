//! Thin, safe wrappers over what the kernel offers: descriptors, waiting, clocks, children,
//! signals and semaphores. This room knows nothing of links, stages or people.

pub mod child;
pub mod clock;
pub mod fd;
pub mod handle;
pub mod input;
pub(crate) mod map;
pub(crate) mod pages;
pub mod poller;
pub mod proc;
pub mod process;
pub(crate) mod runtime;
pub(crate) mod semaphore;
pub(crate) mod shared;
pub mod signal;
pub(crate) mod socket;
pub(crate) mod stream;
pub mod terminal;
#[cfg(test)]
pub(crate) mod testing;
pub mod wait;
pub mod wake;
