//! `demo`: the techniques of multiprocessing, each as a short program that says what happens.
//!
//! A demo is one file, which `demo --show` prints: a function `run` and the tasks that it gives to other processes. It runs in
//! a process of its own ([`performer`]), which leads a group with all that it starts, so that the one who watches
//! ([`audience`]) can end everything at once.

mod audience;
mod performer;

use ipcpipe::mp;
use serde::Serialize;

use super::Status;
use super::count::Ended;
use super::grammar::{DemoArgs, Form, Options};
use super::session::Lost;
use super::view::write;

use self::performer::say;
pub(crate) use self::performer::{PerformerArgs, run as perform};

/// A technique that can be shown.
#[derive(Debug)]
pub(crate) struct Demo {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it shows, in a line.
    about: &'static str,
    /// Its file.
    source: &'static str,
    /// Shows it, and says what came of it.
    run: fn() -> mp::Result<String>,
}

/// Declares the demos: each is a module of its own.
macro_rules! demos {
    ($($name:literal $module:ident $about:literal,)*) => {
        $(mod $module;)*

        /// All demos, in the order in which a student would read them.
        pub(crate) const DEMOS: &[Demo] = &[$(Demo {
            name: $name,
            about: $about,
            source: include_str!(concat!("demo/", stringify!($module), ".rs")),
            run: $module::run,
        }),*];
    };
}

demos! {
    "spawn" spawn "every process is this program started anew, so it inherits no variable",
    "kill" kill "a process that takes too long is asked to end",
    "daemon" daemon "a process in the background ends with the one who started it, however that ends",
    "non-daemon" non_daemon "a process runs to its end, and the program waits for it",
    "struct" struct_ "fields of a struct go to another process, and a method runs there",
    "process-shm" process_shm "a child adds 1 to ten numbers in shared memory",
    "process-queue" process_queue "one process puts messages into a queue, another gets them",
    "joinable-queue" joinable_queue "processes work off tasks, and one is killed in the middle of its task",
    "thread-list" thread_list "two threads append to one list",
    "thread-queue" thread_queue "one thread sends messages, another receives them",
    "pipe" pipe "parent and child send each other values of two types",
    "pool" pool "two processes work off a list of jobs",
    "value" value "two processes count in one variable, without and with its lock",
    "shared-list" shared_list "a list of mixed items in shared memory, changed by another process",
    "lock" lock "one process at a time, and what becomes of a lock whose holder is killed",
    "semaphore" semaphore "five processes, of which two at a time may do something",
    "condition" condition "a process waits until another one has changed something",
    "manager" manager "a server process keeps objects that others share",
    "pipeline" pipeline "conv, log, stat and report, four processes that pass numbers on",
}

/// Runs, lists or prints demos, as `args` say. `place` is the file and line that asked for it.
pub(crate) fn run(args: &DemoArgs, options: &Options, place: Option<&str>) -> Result<Ended, Lost> {
    if args.list {
        write(list(options).as_bytes())?;
    } else if args.show {
        let sources = args.demos().into_iter().map(|demo| source(demo, options));
        write(sources.collect::<Vec<_>>().join("\n").as_bytes())?;
    } else {
        return audience::watch(&args.demos(), options, place);
    }
    Ok(Ended { status: Status::DONE, stopped_by: None })
}

/// A line for each demo.
fn list(options: &Options) -> String {
    let line = |demo: &Demo| match options.format {
        Some(Form::Json) => Record { about: Some(demo.about), ..Record::of(demo) }.line(),
        _ => format!("{:14}  {}\n", demo.name, demo.about),
    };
    DEMOS.iter().map(line).collect()
}

/// The text of a demo.
fn source(demo: &Demo, options: &Options) -> String {
    match options.format {
        Some(Form::Json) => Record { source: Some(demo.source), ..Record::of(demo) }.line(),
        _ => demo.source.to_owned(),
    }
}

/// What a program is told of a demo: what there is to say, in this order.
#[derive(Debug, Default, Serialize)]
struct Record<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<String>>,
}

impl<'a> Record<'a> {
    fn of(demo: &'a Demo) -> Self {
        Self { v: 1, kind: "demo", name: demo.name, ..Self::default() }
    }

    fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("text and numbers always serialize");
        line.push('\n');
        line
    }
}
