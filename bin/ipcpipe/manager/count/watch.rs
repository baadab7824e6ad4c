//! Somebody who waits while it is counted: hears Ctrl-C, draws the progress bar, and says what goes wrong.

use std::env;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ipcpipe::Error;
use ipcpipe::count::Progress;
use ipcpipe::sys::proc;
use ipcpipe::sys::signal::{self, Signals};
use ipcpipe::sys::wait::{self, Interest};
use ipcpipe::sys::wake::Waker;
use std::os::fd::AsFd as _;

/// A count that is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_millis(500);
/// Time from one look to the next.
const TICK: Duration = Duration::from_millis(100);
/// Requests to end after which nothing is waited for any more.
const INSISTENCE: usize = 3;
/// The bar is drawn at most so many times a second.
const HERTZ: u8 = 10;

/// What the one who waits and those who work share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) progress: Progress,
    /// Wakes whoever waits for bytes that may never come.
    pub(super) stop: Waker,
    place: Option<String>,
    bar: Mutex<Option<ProgressBar>>,
    failures: AtomicU64,
    anonymous_kib: AtomicU64,
}

impl Shared {
    /// Says what has gone wrong with one text; the others are counted.
    pub(super) fn complain(&self, error: &Error) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.remark(error);
    }

    /// Says what a person should know.
    pub(super) fn remark(&self, what: impl std::fmt::Display) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let say = || super::say(self.place.as_deref(), what);
        match &*bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// Looks how much memory there is now; the most that was ever seen.
    pub(super) fn anonymous_kib(&self) -> u64 {
        let now = proc::own_anonymous_kib().unwrap_or(0);
        self.anonymous_kib.fetch_max(now, Ordering::Relaxed).max(now)
    }
}

/// The one who waits.
#[derive(Debug)]
pub(super) struct Watch {
    /// None until somebody waits.
    signals: Option<Signals>,
    stopped_by: Option<i32>,
    requests: usize,
    shared: Shared,
}

impl Watch {
    /// Nobody waits yet. From the first wait on this program does not die of Ctrl-C and its like.
    pub(super) fn start(place: Option<&str>) -> Result<Self, Error> {
        let shared = Shared {
            progress: Progress::new(),
            stop: Waker::new()?,
            place: place.map(str::to_owned),
            bar: Mutex::new(None),
            failures: AtomicU64::new(0),
            anonymous_kib: AtomicU64::new(0),
        };
        Ok(Self { signals: None, stopped_by: None, requests: 0, shared })
    }

    /// The signal that asked for the end.
    pub(super) fn stopped_by(&self) -> Option<i32> {
        self.stopped_by
    }

    /// True if something went wrong that was said.
    pub(super) fn has_failed(&self) -> bool {
        self.shared.failures.load(Ordering::Relaxed) > 0
    }

    /// What the workers get.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Has `work` done in a thread of its own, which looks at `size` bytes, if that is known, and waits for it.
    pub(super) fn during<T: Send>(
        &mut self,
        size: Option<u64>,
        work: impl FnOnce(&Shared) -> T + Send,
    ) -> Result<T, Error> {
        self.beside(work, |shared| draw(shared, size))
    }

    /// As [`Watch::during`], for work before the count: there is no bar.
    pub(super) fn before<T: Send>(&mut self, work: impl FnOnce(&Shared) -> T + Send) -> Result<T, Error> {
        self.beside(work, |_| ())
    }

    fn beside<T: Send>(&mut self, work: impl FnOnce(&Shared) -> T + Send, show: impl Fn(&Shared)) -> Result<T, Error> {
        let done = Waker::new()?;
        let Self { signals, stopped_by, requests, shared } = self;
        let signals = match signals {
            Some(signals) => signals,
            None => signals.insert(Signals::catch_requests()?),
        };
        let shared = &*shared;
        let failed = |error| Error::os("cannot start", "a thread", error);
        thread::scope(|scope| {
            let worker = thread::Builder::new().name("count".into()).spawn_scoped(scope, {
                let done = done.clone();
                move || {
                    let _done = WakeAtEnd(done);
                    work(shared)
                }
            });
            let worker = worker.map_err(failed)?;
            let began = Instant::now();
            while !worker.is_finished() {
                let fds = [(done.as_fd(), Interest::Read), (signals.as_fd(), Interest::Read)];
                let ready = wait::wait(fds, wait::deadline_in(TICK));
                let [over, signalled] = ready.map_err(|error| Error::os("cannot wait for", "the count", error))?;
                if signalled.any() {
                    hear(signals, stopped_by, requests, shared);
                }
                if over.any() {
                    break;
                }
                if began.elapsed() > PATIENCE {
                    show(shared);
                }
                shared.anonymous_kib();
            }
            let result = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            if let Some(bar) = shared.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
                bar.finish_and_clear();
            }
            Ok(result)
        })
    }
}

/// A thread that panics is over as well.
struct WakeAtEnd(Waker);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        self.0.wake();
    }
}

fn hear(signals: &mut Signals, stopped_by: &mut Option<i32>, requests: &mut usize, shared: &Shared) {
    for signal in signals.take() {
        *requests += 1;
        if *requests >= INSISTENCE {
            signal::die_by(signal as i32);
        }
        stopped_by.get_or_insert(signal as i32);
        shared.progress.stop();
        shared.stop.wake();
    }
}

/// Shows how far it is, on a terminal.
fn draw(shared: &Shared, size: Option<u64>) {
    let mut bar = shared.bar.lock().unwrap_or_else(PoisonError::into_inner);
    if bar.is_none() {
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        if dumb || !io::stderr().is_terminal() {
            return;
        }
        let template = match size {
            Some(_) => "{bar:40} {percent:>3}%  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left",
            None => "{bytes}  {bytes_per_sec}  {elapsed}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is a constant");
        let target = ProgressDrawTarget::stderr_with_hz(HERTZ);
        *bar = Some(ProgressBar::with_draw_target(size, target).with_style(style));
    }
    if let Some(bar) = &*bar {
        bar.set_position(shared.progress.done());
    }
}
