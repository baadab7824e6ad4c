//! stub
use crate::Error;
use crate::manager::spec::Task;
use crate::sys::wake::Waker;
use std::time::Duration;
#[derive(Debug)]
pub(crate) struct Worker;
#[derive(Debug)]
pub(crate) enum Outcome {
    Done(String),
    Stopped,
    Panicked(String),
}
#[derive(Debug)]
pub(crate) enum WorkerState {
    Running,
    Pausing,
    Paused,
    Stopping,
    Ended(Outcome),
}
impl Worker {
    pub(crate) fn spawn(_: &str, _: Task, _: Waker) -> Result<Self, Error> {
        todo!()
    }
    pub(crate) fn tid(&self) -> u32 {
        0
    }
    pub(crate) fn pause(&self) {}
    pub(crate) fn resume(&self) {}
    pub(crate) fn stop(&self) {}
    pub(crate) fn state(&self) -> WorkerState {
        WorkerState::Running
    }
    pub(crate) fn take_lines(&self) -> Vec<(u64, String)> {
        vec![]
    }
    pub(crate) fn cpu(&self) -> Duration {
        Duration::ZERO
    }
}
