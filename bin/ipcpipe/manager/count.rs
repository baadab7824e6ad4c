//! `count`: the letters of texts, counted by threads or processes of this program. No manager takes part in it.

mod compare;
mod doc;
mod input;
mod merge;
mod table;
mod watch;
mod work;
mod worker;

use std::io::Write as _;

use ipcpipe::Error;

use super::Status;
use super::grammar::{CountArgs, Form, Options};
use super::session::Lost;
use super::view::write;
use crate::message;

use self::doc::Doc;
use self::watch::Watch;

pub(crate) use self::worker::{CounterArgs, run as be_worker};

/// How a count ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    /// The signal that asked for the end, if one did.
    pub(crate) stopped_by: Option<i32>,
}

/// Counts what `args` say, and shows it. `place` is the file and line that asked for it.
pub(crate) fn run(args: &CountArgs, options: &Options, place: Option<&str>) -> Result<Ended, Lost> {
    let mode = match args.mode() {
        Ok(mode) => mode,
        Err(error) => return Ok(Ended { status: Status::USAGE, ..failed(place, &error) }),
    };
    let mut watch = match Watch::start(place) {
        Ok(watch) => watch,
        Err(error) => return Ok(failed(place, &error)),
    };
    if args.compare {
        return compare::run(args, options, &mut watch);
    }
    let made = if args.merge.is_empty() {
        work::count(args, mode, matches!(options.format, None | Some(Form::Text)), &mut watch)
    } else {
        merge::merge(args)
    };
    let doc = match made {
        Ok(doc) => doc,
        Err(error) => return Ok(failed(place, &error)),
    };
    show(&doc, args, options)?;
    Ok(Ended { status: if watch.has_failed() { Status::FAILED } else { Status::DONE }, stopped_by: watch.stopped_by() })
}

/// Says what has gone wrong before anything was counted.
fn failed(place: Option<&str>, error: &Error) -> Ended {
    say(place, error);
    Ended { status: Status::FAILED, stopped_by: None }
}

/// One line on stderr, behind the file and line that it is about.
fn say(place: Option<&str>, what: impl std::fmt::Display) {
    let text = place.map_or_else(|| what.to_string(), |place| format!("{place}: {what}"));
    crate::say(&format!("{}\n", message(text)));
}

/// Writes lines for a person to stdout. A reader that has seen enough ends this program, as in the other formats.
fn print(text: &str) -> Result<(), Lost> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

fn show(doc: &Doc, args: &CountArgs, options: &Options) -> Result<(), Lost> {
    match options.format {
        Some(Form::Json) => write(doc.to_json(options.quiet).as_bytes())?,
        Some(Form::Csv) => write(table::csv(doc, args).as_bytes())?,
        None | Some(Form::Text) => print(&table::text(doc, args))?,
    }
    if options.format != Some(Form::Json)
        && !options.quiet
        && !doc.files.is_empty()
        && let Some(metrics) = &doc.metrics
    {
        crate::say(&table::metrics(metrics, doc));
    }
    Ok(())
}
