//! A task in a process of its own: started, watched, paused, ended and joined.

mod any;
mod builder;
mod children;
mod current;
mod running;
mod scope;
mod start;

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mp::task::{Args, Task};
use crate::mp::{Error, Result, Worker, wire};
use crate::sys::child::{Ended, Status, Usage};
use crate::sys::wait::Interest;
use crate::sys::{proc, signal};

pub use any::wait_any;
pub use builder::ProcessBuilder;
pub use children::children;
pub use current::{Current, current};
pub use scope::{Scope, scope};
pub(crate) use start::catch;
pub use start::{before_main, init};

use running::Held;
use start::Answer;

/// A process that runs one task of this program, and the result that it will give.
///
/// It is this program started anew (never a fork of its memory), so the first line of `main` has to be
/// [`init`]: there the child finds out what it is for, runs the task and ends. What the task returns, or how
/// the process failed to return, is what [`join`](Process::join) gives.
///
/// **Dropping it waits for the process, unless it is a daemon, which is killed.** That is how Python's multiprocessing
/// treats the children of a program that ends. While a thread panics, every process that it drops is killed.
///
/// Processes that wait for each other, or for this one, belong into a [`scope()`]: where a `?` leaves it early, say because the
/// next process cannot be started, those that are there are ended. Without one, the `?` would drop the first process, and
/// wait for it, while it waits for what never comes.
///
/// ```standalone_crate
/// use ipcpipe::mp::Process;
/// use ipcpipe::task;
///
/// fn div(a: f64, b: f64) -> f64 {
///     a / b
/// }
///
/// fn main() -> ipcpipe::mp::Result<()> {
///     ipcpipe::init();
///     let process = Process::spawn(task!(div), (4.0, 2.0))?;
///     assert_eq!(process.join()?, 2.0);
///     Ok(())
/// }
/// ```
#[must_use = "dropping a process waits for it"]
#[derive(Debug)]
pub struct Process<R> {
    running: Held,
    result: PhantomData<fn() -> R>,
}

impl<R> Process<R> {
    /// Starts a process that runs `task` with `args`, named Process-1 and so on. It takes about a millisecond; the process
    /// inherits standard output and standard error, and has no standard input.
    ///
    /// # Errors
    /// When no process can be started (limits on processes or descriptors), or an argument cannot be serialised.
    pub fn spawn<A: Serialize>(task: Task<A, R>, args: impl Args<A>) -> Result<Self> {
        ProcessBuilder::new(task, args.into_task_args()).spawn()
    }

    /// A process still to be started, for which more is to be said.
    ///
    /// ```no_run
    /// # use ipcpipe::{mp::Process, task};
    /// let beat = Process::builder(task!(|n: u32| println!("{n}")), (3,)).name("heart").daemon(true).spawn()?;
    /// # Ok::<(), ipcpipe::mp::Error>(())
    /// ```
    pub fn builder<A: Serialize>(task: Task<A, R>, args: impl Args<A>) -> ProcessBuilder<A, R> {
        ProcessBuilder::new(task, args.into_task_args())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.worker().pid
    }

    /// Its name, which ps(1) and pstree(1) show as well (the first 15 bytes of it as the name of the command).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.worker().name
    }

    /// Name and process id.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        self.running.worker()
    }

    /// True if it is to be killed when this process ends, or drops it.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.running.is_daemon()
    }

    /// True until it has ended. It never blocks. What has come of the result is taken in, so a loop of this question is
    /// a way to wait.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.ended().is_none()
    }

    /// Waits until the process has ended, at most `timeout` long (None: for ever); true if it has. The result stays for
    /// [`join`](Self::join). A result of any size is taken in meanwhile, so the child never waits for a reader.
    pub fn wait(&mut self, timeout: Option<Duration>) -> bool {
        self.running.wait(timeout)
    }

    /// What is readable when there is news of the process.
    fn news(&mut self) -> Vec<(BorrowedFd<'_>, Interest)> {
        self.running.news()
    }

    /// How it ended and what it used; None while it runs. A process that has ended is found out without blocking.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.running.ended()
    }

    /// What the process has used: CPU time and memory. None while it runs.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.ended().map(|ended| ended.usage)
    }

    /// How it ended: exit status or signal. None while it runs.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.ended().map(|ended| ended.status)
    }

    /// Sends a signal, by its number. One that has ended already is no error: nobody else is ever signalled.
    pub fn signal(&self, number: i32) {
        self.running.signal(number);
    }

    /// Stops the process (SIGSTOP) and waits until it stands still; false if it has ended instead.
    pub fn pause(&mut self) -> bool {
        self.signal(signal::STOP);
        // Nothing tells of a stop but wait(2) of the one parent thread; it comes within microseconds of the signal.
        loop {
            match proc::stat(self.pid()) {
                Some(stat) if stat.is_stopped() => return true,
                Some(stat) if !stat.is_zombie() => std::thread::sleep(Duration::from_micros(50)),
                _ => return false,
            }
        }
    }

    /// Has a paused process go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(signal::CONT);
    }

    /// Kills the process (SIGKILL) and waits for its end, which nothing can hold up.
    pub fn kill(&mut self) {
        self.signal(signal::KILL);
        self.wait(None);
    }

    /// Asks the process to end (SIGTERM), and kills it if it has not done so after `grace`. A paused one is woken, so that
    /// it can heed the request. It blocks until the process has ended.
    pub fn terminate(&mut self, grace: Duration) {
        self.signal(signal::TERM);
        self.resume();
        if !self.wait(Some(grace)) {
            self.kill();
        }
    }
}

impl<R: DeserializeOwned> Process<R> {
    /// Waits for the end of the process, however long that takes, and gives what the task returned.
    ///
    /// # Errors
    /// [`Error::Panicked`], [`Error::Exited`] and [`Error::Signalled`] for a process that ended without a result,
    /// [`Error::Codec`] for arguments or a result that could not be serialised, [`Error::Empty`] if a
    /// [`join_timeout`](Self::join_timeout) has taken the result before.
    pub fn join(mut self) -> Result<R> {
        self.wait(None);
        self.take()
    }

    /// [`join`](Self::join), but waits at most `timeout`. The process goes on when the time is over.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use ipcpipe::{mp::{Error, Process}, task};
    /// # fn work() {}
    /// let mut process = Process::spawn(task!(work), ())?;
    /// if let Err(Error::TimedOut(..)) = process.join_timeout(Duration::from_secs(2)) {
    ///     process.terminate(Duration::from_secs(1));
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TimedOut`], and those of [`join`](Self::join).
    pub fn join_timeout(&mut self, timeout: Duration) -> Result<R> {
        if self.wait(Some(timeout)) { self.take() } else { Err(Error::TimedOut(self.running.attempt(), timeout)) }
    }

    fn take(&mut self) -> Result<R> {
        let mut message = self.running.answer()?;
        let (answer, at) = wire::decode_prefix::<Answer>(&message.bytes)?;
        match answer {
            Answer::Returned => {
                message.bytes.drain(..at);
                wire::decode_with_handles(message)
            }
            Answer::Panicked(panic) => Err(Error::Panicked(Box::new(self.worker().clone()), Box::new(panic))),
            Answer::Failed(why) => Err(Error::Codec(why)),
        }
    }
}

impl<R> AsFd for Process<R> {
    /// The pidfd of pidfd_open(2): readable once the process has ended. For event loops.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.running.as_fd()
    }
}

/// Waits for all of `processes`, and gives their results in the order of the processes.
pub fn join_all<R: DeserializeOwned>(processes: impl IntoIterator<Item = Process<R>>) -> Vec<Result<R>> {
    // All are there before the first is waited for, also if they are started only when they are asked for.
    let processes: Vec<_> = processes.into_iter().collect();
    processes.into_iter().map(Process::join).collect()
}
