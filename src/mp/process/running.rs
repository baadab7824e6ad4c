//! A process that runs, whatever its task returns, and who ends it when nobody has it any more.

use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::children::Listed;
use super::scope::Left;
use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::socket::Socket;
use crate::mp::wire::Message;
use crate::mp::{Error, Result, Worker};
use crate::sys::child::{Child, Ended, Status};
use crate::sys::signal;
use crate::sys::wait::{self, Interest};

/// A process that was started. Dropping it waits for it, or kills it.
#[derive(Debug)]
pub(super) struct Running {
    worker: Worker,
    is_daemon: bool,
    child: Child,
    said: Mutex<Said>,
    _listed: Listed,
}

/// What a child says, and to whom it says it.
#[derive(Debug)]
struct Said {
    control: Socket,
    answer: Progress,
}

/// How far the answer of a child is.
#[derive(Debug)]
enum Progress {
    Awaited,
    Here(Message),
    /// The child closed its end without one.
    Missing,
    Taken,
}

impl Running {
    pub(super) fn new(worker: Worker, is_daemon: bool, child: Child, control: Socket) -> Self {
        let listed = Listed::new(worker.clone());
        Self {
            worker,
            is_daemon,
            child,
            said: Mutex::new(Said { control, answer: Progress::Awaited }),
            _listed: listed,
        }
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    pub(super) fn is_daemon(&self) -> bool {
        self.is_daemon
    }

    pub(super) fn signal(&self, number: i32) {
        self.child.signal_number(number);
    }

    /// Waits until the process has ended, at most `timeout` long (None: for ever); true if it has.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(wait::deadline_in);
        while self.child.try_reap().is_none() {
            let ready = wait::wait_many(&self.news(), deadline).unwrap_or_default();
            if !ready.iter().any(|it| it.any()) {
                return false;
            }
            if ready.get(1).is_some_and(|said| said.any()) {
                self.said().hear();
            }
        }
        // What was said before the end is still to be read.
        self.said().hear();
        true
    }

    fn said(&mut self) -> &mut Said {
        self.said.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is readable when there is news of the process: its end, and its answer.
    pub(super) fn news(&mut self) -> Vec<(BorrowedFd<'_>, Interest)> {
        let mut fds = vec![(self.child.as_fd(), Interest::Read)];
        let said = self.said.get_mut().unwrap_or_else(PoisonError::into_inner);
        if matches!(said.answer, Progress::Awaited) {
            fds.push((said.control.as_fd(), Interest::Read));
        }
        fds
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<Ended> {
        let ended = self.child.try_reap();
        self.said.lock().unwrap_or_else(PoisonError::into_inner).hear();
        ended
    }

    /// What is tried with it by whoever wants its answer.
    pub(super) fn attempt(&self) -> Attempt {
        Attempt::new(Verb::Join, Kind::Process, self.worker.pid.into())
    }

    /// What it has answered, once.
    ///
    /// # Errors
    /// Why there is no answer, of a process that has ended without one.
    pub(super) fn answer(&mut self) -> Result<Message> {
        match std::mem::replace(&mut self.said().answer, Progress::Taken) {
            Progress::Here(message) => Ok(message),
            Progress::Taken => Err(Error::Empty(self.attempt())),
            Progress::Awaited | Progress::Missing => Err(self.failure()),
        }
    }

    fn failure(&self) -> Error {
        match self.child.try_reap().map(|ended| ended.status) {
            Some(Status::Killed(signal)) => Error::Signalled(Box::new(self.worker.clone()), signal),
            Some(Status::Exited(status)) => Error::Exited(Box::new(self.worker.clone()), status),
            Some(Status::Lost) | None => Error::Exited(Box::new(self.worker.clone()), -1),
        }
    }
}

impl Said {
    /// Takes in what has come, without waiting.
    fn hear(&mut self) {
        while matches!(self.answer, Progress::Awaited) {
            match self.control.try_receive() {
                Ok(None) => return,
                Ok(Some(message)) => self.answer = Progress::Here(message),
                Err(_) => self.answer = Progress::Missing,
            }
        }
    }
}

impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process may wait for the thread that panics.
        if self.is_daemon || thread::panicking() {
            self.signal(signal::KILL);
        }
        // One that is paused could never end.
        self.signal(signal::CONT);
        self.wait(None);
    }
}

/// A process as its handle holds it: when the handle is dropped, it is left to the scope that it belongs to.
#[derive(Debug)]
pub(super) struct Held {
    /// None only while it is dropped.
    running: Option<Running>,
    scope: Option<Arc<Left>>,
}

impl Held {
    pub(super) fn new(running: Running, scope: Option<Arc<Left>>) -> Self {
        Self { running: Some(running), scope }
    }
}

impl Deref for Held {
    type Target = Running;

    fn deref(&self) -> &Running {
        self.running.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Running {
        self.running.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(scope), Some(running)) = (&self.scope, self.running.take()) {
            scope.take_over(running);
        }
    }
}
