//! `demo`: the techniques of multiprocessing, each as a short program that says what happens.
//!
//! A demo is one file, which `demo --show` prints: a function `run` and the tasks that it gives to other processes. It runs in
//! a process of its own ([`performer`]), which leads a group with all that it starts, so that the one who watches
//! ([`audience`]) can end everything at once.

mod audience;
mod performer;

use ipcpipe::mp;

use super::Status;
use super::count::Ended;
use super::grammar::{DemoArgs, Form, Options};
use super::session::Lost;
use super::view::write;

pub(crate) use self::performer::{PerformerArgs, run as perform};
use self::performer::say;

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
    "thread-list" thread_list "two threads append to one list",
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
    let line = |Demo { name, about, .. }: &Demo| match options.format {
        Some(Form::Json) => line_of(&serde_json::json!({ "v": 1, "type": "demo", "name": name, "about": about })),
        _ => format!("{name:14}  {about}\n"),
    };
    DEMOS.iter().map(line).collect()
}

/// The text of a demo.
fn source(Demo { name, source, .. }: &Demo, options: &Options) -> String {
    match options.format {
        Some(Form::Json) => line_of(&serde_json::json!({ "v": 1, "type": "demo", "name": name, "source": source })),
        _ => (*source).to_owned(),
    }
}

fn line_of(object: &serde_json::Value) -> String {
    format!("{object}\n")
}
