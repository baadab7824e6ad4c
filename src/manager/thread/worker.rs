//! The manager's side of a thread: it starts, steers, watches and joins it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::control::{Control, Shared, Stopped, Wish};
use super::task;
use crate::Error;
use crate::manager::spec::Task;
use crate::sys::wake::Waker;
use crate::sys::{clock, process};

/// The longest name of a thread in bytes that Linux keeps.
const LONGEST_NAME: usize = 15;

/// A thread that performs a task. **Dropping it stops the task and waits for its end.**
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    tid: u32,
}

/// How far a thread is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkerState {
    /// It performs its task.
    Running,
    /// It has not come to a checkpoint yet since it was told to pause.
    Pausing,
    /// It waits at a checkpoint.
    Paused,
    /// It has not come to a checkpoint yet since it was told to stop, or has not finished there.
    Stopping,
    /// It has returned.
    Ended(Outcome),
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With this result.
    Done(String),
    /// Before it was done.
    Stopped,
    /// With a panic that had this message.
    Panicked(String),
}

impl Worker {
    /// Starts a thread that performs `task`; what `ps -L` shows as its name is the first 15 bytes of `name`. `waker` is
    /// woken whenever the state changes and when there is output. Returns once the thread runs.
    ///
    /// # Errors
    /// EAGAIN: the limit on threads.
    pub(crate) fn spawn(name: &str, task: Task, waker: Waker) -> Result<Self, Error> {
        Self::run(name, waker, move |control| task::perform(task, control))
    }

    /// As [`spawn`](Self::spawn) for any function. A panic in it ends the thread alone; std prints its message, since
    /// only a hook for the whole process could keep it from that.
    fn run<F>(name: &str, waker: Waker, task: F) -> Result<Self, Error>
    where
        F: FnOnce(&Control) -> Result<String, Stopped> + Send + 'static,
    {
        let shared = Arc::new(Shared::new(waker));
        let control = Control(Arc::clone(&shared));
        let short = &name[..name.floor_char_boundary(LONGEST_NAME)];
        let body = move || perform(&control, task);
        let thread = Builder::new().name(short.to_owned()).spawn(body).map_err(|error| {
            Error::os("cannot start thread", name, error).hint("raise the limit on processes ('ulimit -u')")
        })?;
        let tid = shared.tid();
        Ok(Self { shared, thread: Some(thread), tid })
    }

    /// The kernel's number of the thread, which `ps -L` shows.
    pub(crate) fn tid(&self) -> u32 {
        self.tid
    }

    /// Has the task park at its next checkpoint. Never blocks, as none of these.
    pub(crate) fn pause(&self) {
        self.shared.wish(Wish::Pause);
    }

    /// Lets a paused task go on.
    pub(crate) fn resume(&self) {
        self.shared.wish(Wish::Run);
    }

    /// Has the task end at its next checkpoint, be it paused or not. This cannot be taken back.
    pub(crate) fn stop(&self) {
        self.shared.wish(Wish::Stop);
    }

    /// How far the thread is.
    pub(crate) fn state(&self) -> WorkerState {
        let state = self.shared.lock();
        match (&state.outcome, state.wish) {
            (Some(outcome), _) => WorkerState::Ended(outcome.clone()),
            (None, Wish::Stop) => WorkerState::Stopping,
            (None, Wish::Pause) if state.is_parked => WorkerState::Paused,
            (None, Wish::Pause) => WorkerState::Pausing,
            (None, Wish::Run) => WorkerState::Running,
        }
    }

    /// What the task printed since the last call, oldest first: nanoseconds since the epoch, and the line.
    pub(crate) fn take_lines(&self) -> Vec<(u64, String)> {
        self.shared.lock().take_lines()
    }

    /// CPU time of the thread so far, or in its whole life.
    pub(crate) fn cpu(&self) -> Duration {
        let mut state = self.shared.lock();
        // The thread takes this lock to say that it ends, so until then its number is its own.
        if state.outcome.is_none() {
            state.cpu = clock::thread_cpu(self.tid).unwrap_or(state.cpu);
        }
        state.cpu
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the task is in its outcome.
            let _ = thread.join();
        }
    }
}

/// The life of the thread.
fn perform(control: &Control, task: impl FnOnce(&Control) -> Result<String, Stopped>) {
    let tid = process::thread_id();
    control.0.tell(|state| state.tid = Some(tid));
    let outcome = match catch_unwind(AssertUnwindSafe(|| task(control))) {
        Ok(Ok(result)) => Outcome::Done(result),
        Ok(Err(Stopped)) => Outcome::Stopped,
        Err(payload) => Outcome::Panicked(message(&*payload)),
    };
    control.0.tell(|state| {
        state.cpu = clock::thread_cpu(tid).unwrap_or(state.cpu);
        state.outcome = Some(outcome);
    });
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;
    use crate::sys::testing::eventually;
    use crate::sys::wait;
    use crate::sys::wait::{Interest, wait};

    const TICK: Duration = Duration::from_millis(5);

    /// Waits on the waker, as a manager does, until the worker is in this state.
    fn await_state(worker: &Worker, waker: &Waker, expected: &WorkerState) {
        let deadline = wait::deadline_in(Duration::from_secs(10));
        loop {
            waker.clear();
            if worker.state() == *expected {
                return;
            }
            let [woken] = wait([(waker.as_fd(), Interest::Read)], deadline).unwrap();
            assert!(woken.ready, "{:?} and no wake", worker.state());
        }
    }

    #[test]
    fn a_thread_ticks_parks_goes_on_and_stops() {
        let waker = Waker::new().unwrap();
        let worker = Worker::spawn("größte Schraube", Task::Tick { every: TICK }, waker.clone()).unwrap();
        let name = std::fs::read_to_string(format!("/proc/self/task/{}/comm", worker.tid())).unwrap();
        assert_eq!(name, "größte Schrau\n");
        let mut lines = Vec::new();
        eventually(|| {
            lines.extend(worker.take_lines());
            lines.len() >= 3
        });
        assert!(lines.iter().map(|(_, line)| line.as_str()).take(3).eq(["tick 1", "tick 2", "tick 3"]));
        assert!(lines.windows(2).all(|pair| pair[0].0 < pair[1].0));
        worker.pause();
        await_state(&worker, &waker, &WorkerState::Paused);
        worker.take_lines();
        std::thread::sleep(4 * TICK);
        assert_eq!((worker.take_lines(), worker.state()), (Vec::new(), WorkerState::Paused));
        worker.resume();
        assert_eq!(worker.state(), WorkerState::Running);
        eventually(|| !worker.take_lines().is_empty());
        worker.pause();
        worker.stop();
        worker.resume();
        await_state(&worker, &waker, &WorkerState::Ended(Outcome::Stopped));
        assert!(worker.cpu() > Duration::ZERO);
        assert_eq!(worker.cpu(), worker.cpu());
    }

    #[test]
    fn a_sleep_ends_at_once_by_a_stop_and_is_stretched_by_a_pause() {
        let waker = Waker::new().unwrap();
        let start = Instant::now();
        drop(Worker::spawn("t", Task::Tick { every: Duration::MAX }, waker.clone()).unwrap());
        assert!(start.elapsed() < Duration::from_secs(5));

        let task = |control: &Control| control.sleep(Duration::from_millis(60)).map(|()| "slept".into());
        let start = Instant::now();
        let worker = Worker::run("t", waker.clone(), task).unwrap();
        worker.pause();
        await_state(&worker, &waker, &WorkerState::Paused);
        std::thread::sleep(Duration::from_millis(60));
        worker.resume();
        await_state(&worker, &waker, &WorkerState::Ended(Outcome::Done("slept".into())));
        assert!(start.elapsed() > Duration::from_millis(110), "{:?}", start.elapsed());
    }

    #[test]
    fn a_task_between_checkpoints_is_pausing_or_stopping() {
        let waker = Waker::new().unwrap();
        let (go, gone) = channel();
        let task = move |control: &Control| {
            gone.recv().unwrap();
            control.checkpoint()?;
            Ok("done".into())
        };
        let worker = Worker::run("t", waker.clone(), task).unwrap();
        worker.pause();
        assert_eq!(worker.state(), WorkerState::Pausing);
        worker.stop();
        assert_eq!(worker.state(), WorkerState::Stopping);
        go.send(()).unwrap();
        await_state(&worker, &waker, &WorkerState::Ended(Outcome::Stopped));
    }

    #[test]
    fn a_panic_is_an_outcome() {
        let waker = Waker::new().unwrap();
        for (task, expected) in [
            ((|_| panic!("plain")) as fn(&Control) -> _, "plain"),
            (|_| panic!("{} {}", 1, 2), "1 2"),
            (|_| std::panic::panic_any(1), "a panic without a message"),
        ] {
            let worker = Worker::run("t", waker.clone(), task).unwrap();
            await_state(&worker, &waker, &WorkerState::Ended(Outcome::Panicked(expected.into())));
        }
    }

    #[test]
    fn output_that_nobody_takes_is_bounded() {
        let waker = Waker::new().unwrap();
        let task = |control: &Control| {
            (0..10_005).for_each(|number| control.print(number.to_string()));
            Ok(String::new())
        };
        let worker = Worker::run("t", waker.clone(), task).unwrap();
        await_state(&worker, &waker, &WorkerState::Ended(Outcome::Done(String::new())));
        let lines = worker.take_lines();
        assert_eq!((lines.len(), lines[0].1.as_str(), lines[9999].1.as_str()), (10_000, "5", "10004"));
        assert_eq!(worker.take_lines(), []);

        let task = |control: &Control| {
            control.print("a\n\nb\n");
            control.print("");
            control.print("é".repeat(1_000_000));
            control.print("c");
            Ok(String::new())
        };
        let worker = Worker::run("t", waker.clone(), task).unwrap();
        await_state(&worker, &waker, &WorkerState::Ended(Outcome::Done(String::new())));
        assert!(worker.take_lines().iter().map(|(_, line)| line.len()).eq([1]));
    }
}
