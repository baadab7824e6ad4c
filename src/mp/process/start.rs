//! The child's side of a process: how it finds out what it is for, runs it and answers.

use std::cell::RefCell;
use std::env;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde::{Deserialize, Serialize};

use crate::mp::attempt::{Attempt, Kind, Verb};
use crate::mp::process::current::{self, Current};
use crate::mp::socket::Socket;
use crate::mp::wire::{self, Message};
use crate::mp::{Panic, Result, Worker, task};
use crate::sys::handle::Handle;
use crate::sys::socket::peer_pid;
use crate::sys::wait::{self, Interest};
use crate::sys::{fd, process, signal};

/// The first argument of a child. Its standard input is then a socket to its parent.
pub(super) const MARK: &str = "--ipcpipe-task";

/// A program that never calls [`init`] would start itself again in every child, without end.
static IS_CALLED: AtomicBool = AtomicBool::new(false);

/// Refuses to start a child that would not know what it is.
pub(super) fn expect_init() -> Result<()> {
    if IS_CALLED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let why = "ipcpipe::init() was not called, by which a child finds out what it is for";
    let error = crate::Error::refused("cannot start", "a process of this program", why);
    Err(error.hint("make it the first line of main, or in tests write ipcpipe::init_before_main!() once").into())
}

/// The first message of a parent; the arguments of the task follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) name: String,
    pub(super) is_daemon: bool,
    pub(super) identity: String,
    pub(super) task: String,
}

/// The one message of a child; what the task returned follows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Returned,
    Panicked(Panic),
    /// The arguments were none, or the result cannot be serialised.
    Failed(String),
}

/// Runs the task for which this process was started, if it was started for one, and ends the process then; else it does
/// nothing. **The first line of `main` of every program that starts processes**: a child is the same program.
///
/// ```no_run
/// ipcpipe::init();
/// // what the program does
/// ```
pub fn init() {
    IS_CALLED.store(true, Ordering::Relaxed);
    if env::args_os().nth(1).is_some_and(|word| word == MARK)
        && let Ok(control) = fd::take_input_socket()
    {
        // What a child answers is all that it says, so its exit status is no news.
        let _ = parent(control.as_fd()).and_then(|parent| run(Socket::from_fd(control).watch(parent.clone()), parent));
        process::leave(0);
    }
}

/// What a program's table of initialisers calls before `main`. See [`init_before_main!`](crate::init_before_main).
#[doc(hidden)]
pub extern "C" fn before_main() {
    init();
}

/// Has [`init`] called before `main`: for the tests of a crate, whose `main` is the test harness's.
///
/// Written once in the root of a test crate, or under `#[cfg(test)]` in that of a library. Programs call `init()`: code
/// before `main` runs before anything of theirs is set up.
///
/// ```
/// ipcpipe::init_before_main!();
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! init_before_main {
    () => {
        #[used]
        #[allow(unsafe_code)]
        #[unsafe(link_section = ".init_array")]
        static IPCPIPE_INIT: extern "C" fn() = $crate::mp::__private::before_main;
    };
}

/// The process that started this one, as long as it lives; None where it cannot be seen, in another pid namespace.
fn parent(control: BorrowedFd<'_>) -> Result<Option<Arc<Handle>>> {
    let gone = |error| crate::Error::os("cannot find", "the parent", error);
    let parent = Handle::peer(control).map_err(gone)?;
    // Whoever has the number of a parent that has ended is not the parent.
    if parent.is_some() && peer_pid(&control) != Some(std::os::unix::process::parent_id()) {
        return Err(crate::mp::Error::Closed(Attempt::with_some(Verb::Receive, Kind::Pipe)));
    }
    Ok(parent.map(Arc::new))
}

fn run(mut control: Socket, parent: Option<Arc<Handle>>) -> Result<()> {
    let mut message = control.receive()?;
    let (start, at) = wire::decode_prefix::<Start>(&message.bytes)?;
    message.bytes.drain(..at);
    introduce(&start);
    if start.is_daemon {
        die_with(parent, &control)?;
    }
    panic::set_hook(Box::new(note_panic));
    let answer = match perform(&start.task, message) {
        Ok(answer) => answer,
        Err(failed) => wire::encode_two_with_handles(&failed, &())?,
    };
    control.send(&answer)
}

fn introduce(start: &Start) {
    let worker = Worker { name: start.name.clone(), pid: std::process::id() };
    let parent = Some(std::os::unix::process::parent_id());
    current::become_child(Current { worker, is_daemon: start.is_daemon, parent }, start.identity.clone());
    // A name with a zero byte is the only one that is refused, and it keeps the program's.
    let _ = process::set_name(&start.name);
}

/// The answer of the task of that name, or why it has none.
fn perform(task: &str, args: Message) -> std::result::Result<Message, Answer> {
    let failed = |error: crate::mp::Error| Answer::Failed(error.to_string());
    let entry = task::find(task).ok_or_else(|| Answer::Failed(format!("no task {task} in this program")))?;
    let mut bytes = Vec::new();
    wire::encode(&Answer::Returned, &mut bytes).map_err(failed)?;
    let call = || wire::exchange(args.fds, || entry.run(&args.bytes, &mut bytes));
    match catch(call) {
        Ok(Ok(fds)) => Ok(Message { bytes, fds }),
        Ok(Err(error)) => Err(failed(error)),
        Err(panic) => Err(Answer::Panicked(panic)),
    }
}

/// Ends this process when its parent does. PR_SET_PDEATHSIG would come when the thread ends that started it, and the socket
/// alone stays open as long as anybody has it whom the parent has forked.
fn die_with(parent: Option<Arc<Handle>>, control: &Socket) -> Result<()> {
    let lifeline = fd::duplicate(control.as_fd(), "the socket to the parent")?;
    let watch = move || {
        let mut fds = vec![(lifeline.as_fd(), Interest::HangUp)];
        fds.extend(parent.iter().map(|parent| (parent.as_fd(), Interest::Read)));
        let _ = wait::wait_many(&fds, None);
        signal::die_by(signal::KILL)
    };
    let spawned = thread::Builder::new().name("lifeline".to_owned()).spawn(watch);
    spawned.map_err(|error| crate::Error::os("cannot start", "the thread that watches the parent", error))?;
    Ok(())
}

thread_local! {
    /// The last panic of this thread.
    static PANIC: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Keeps what a panic says for the answer, instead of printing it here where nobody may look.
fn note_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a value that is no text").to_owned();
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let wants_backtrace = env::var_os("RUST_BACKTRACE").is_none_or(|it| it != "0");
    let backtrace =
        if wants_backtrace { std::backtrace::Backtrace::force_capture().to_string() } else { String::new() };
    PANIC.with(|last| *last.borrow_mut() = Some(Panic { message, location, backtrace }));
}

/// Calls `function`; a panic is a value.
pub(crate) fn catch<T>(function: impl FnOnce() -> T) -> std::result::Result<T, Panic> {
    panic::catch_unwind(AssertUnwindSafe(function)).map_err(|payload| {
        let noted = PANIC.with(|last| last.borrow_mut().take());
        noted.unwrap_or_else(|| {
            let text = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied());
            let message = text.unwrap_or("a value that is no text").to_owned();
            Panic { message, location: String::new(), backtrace: String::new() }
        })
    })
}
