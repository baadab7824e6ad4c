//! Processes that belong together: all end well, or none goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::running::Running;
use super::{Process, ProcessBuilder};
use crate::mp::Result;
use crate::mp::task::{Args, Task};
use crate::sys::signal;

/// Where processes that belong together are started; see [`scope`].
#[derive(Debug)]
pub struct Scope(Arc<Left>);

/// The processes of a scope whose handles were dropped.
#[derive(Debug, Default)]
pub(super) struct Left(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    running: Vec<Running>,
    /// Nobody will look after those that come now.
    is_over: bool,
}

/// Calls `work`, which starts processes that belong together, and leaves none of them behind: **if it succeeds, those that it
/// has not joined are waited for; if it fails or panics, they are killed**, so that nobody waits for a process that waits for
/// him. All of them are daemons too, and end when this process is killed. As in [`std::thread::scope`], a handle that is
/// dropped inside leaves its process running; a handle that is taken out of the scope kills its process when it is dropped.
///
/// It blocks until all have ended, as `work` does. What it fails with can be of any type, so a `work` that ends in `Ok(..)` has
/// to name it: `|scope| -> mp::Result<_> { .. }`.
///
/// ```standalone_crate
/// use ipcpipe::mp::{self, Queue};
/// use ipcpipe::task;
///
/// fn put(queue: Queue<u32>) {
///     (1..=3).for_each(|n| queue.put(&n).expect("nobody closes it"));
/// }
///
/// fn sum(queue: Queue<u32>) -> u32 {
///     queue.iter().sum()
/// }
///
/// fn main() -> mp::Result<()> {
///     ipcpipe::init();
///     let queue = Queue::bounded(1)?;
///     let sum = mp::scope(|scope| {
///         let puts = scope.spawn(task!(put), queue.clone())?;
///         // If this fails, nobody will ever get what the first one puts.
///         let sums = scope.spawn(task!(sum), queue.clone())?;
///         puts.join()?;
///         queue.close();
///         sums.join()
///     })?;
///     assert_eq!(sum, 6);
///     Ok(())
/// }
/// ```
///
/// # Errors
/// What `work` fails with.
pub fn scope<T, E>(work: impl FnOnce(&Scope) -> Result<T, E>) -> Result<T, E> {
    let scope = Scope(Arc::default());
    let done = work(&scope);
    if done.is_ok() {
        scope.0.wait();
    }
    done
}

impl Scope {
    /// [`Process::spawn`] in the scope.
    ///
    /// # Errors
    /// As [`Process::spawn`].
    pub fn spawn<A: Serialize, R>(&self, task: Task<A, R>, args: impl Args<A>) -> Result<Process<R>> {
        self.start(Process::builder(task, args))
    }

    /// [`ProcessBuilder::spawn`] in the scope.
    ///
    /// # Errors
    /// As [`Process::spawn`].
    pub fn start<A: Serialize, R>(&self, process: ProcessBuilder<A, R>) -> Result<Process<R>> {
        process.daemon(true).spawn_in(Some(Arc::clone(&self.0)))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Left {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a process whose handle is gone; after the scope it is killed here.
    pub(super) fn take_over(&self, mut running: Running) {
        if !running.wait(Some(Duration::ZERO)) {
            let late = self.with(|state| {
                if state.is_over {
                    return Some(running);
                }
                state.running.push(running);
                None
            });
            drop(late);
        }
    }

    /// Waits for those that were left.
    fn wait(&self) {
        // One that is paused could never end, nor one that waits for it.
        self.with(|state| state.running.iter().for_each(|running| running.signal(signal::CONT)));
        while let Some(mut running) = self.with(|state| state.running.pop()) {
            running.wait(None);
        }
    }

    /// Kills those that were left: all of them first, for each may wait for another one.
    fn end(&self) {
        let left = self.with(|state| {
            state.is_over = true;
            std::mem::take(&mut state.running)
        });
        left.iter().for_each(|running| running.signal(signal::KILL));
    }
}
