//! `ipcpipe::mp` with real processes: this test program starts itself as its own children.

mod abandoned;
mod any;
mod chaos;
mod controller;
mod diagnostics;
mod errors;
mod examples;
mod joinable_queue;
mod memory;
mod objects;
mod pool;
mod process;
mod queue;
mod sync;

ipcpipe::init_before_main!();

use std::time::{Duration, Instant};

/// Waits until `is_so`, which something else brings about.
fn eventually(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came about");
        std::thread::sleep(Duration::from_millis(1));
    }
}
