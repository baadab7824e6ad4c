//! Many short commands, at most so many of them at once.
//!
//! A [`Runner`] starts a job for each input that it is given, every one in a process group of its own, and answers it with
//! an [`Outcome`] when it is over. It is a machine and no thread: whoever owns it waits until its descriptor is readable
//! or its deadline has come, and then calls [`Runner::turn`], which never blocks. A job is over when its first process has
//! ended and its output too, or 100 ms later if a process that it has left behind holds the output. One that was ended,
//! for its time was up or nobody wants it any more, is over when nobody is left in its process group.
//!
//! The end of the owner ends no job: the jobs are foreign programs, and what sends them a signal then (PR_SET_PDEATHSIG) would
//! take a process more to start each of them. Their environment can have a mark by which a guard finds them, see
//! [`Policy::environment`].

mod capture;
mod control;
mod course;
mod joblog;
mod outcome;
mod policy;
mod runner;
mod running;
mod template;
#[cfg(test)]
mod tests;

pub use capture::Output;
pub use joblog::{Entry, HEADER, quoted};
pub use outcome::{End, Job, Note, Outcome, Statistics};
pub use policy::{Policy, Streams};
pub use runner::Runner;
pub use template::{Template, find_program};
