//! The integration tests: the real binary, real processes, real kernel objects.
//!
//! No test sleeps for luck: each waits for a condition with a deadline (`sandbox::wait_for`). Each runs in a sandbox
//! of its own, which fails the test if a process, a name or a file is left.

mod bench;
mod cli;
mod conformance;
mod count;
mod crash;
mod demo;
mod logfile;
mod manager;
mod map;
mod names;
mod output;
mod pipeline;
mod readme;
mod sandbox;
mod shutdown;
mod tidy;
