//! `map`: a command for each of many inputs, so many at a time. No manager takes part in it.

mod bar;
mod drive;
mod form;
mod guard;
mod inputs;
mod log;
mod order;
mod printer;

use std::time::Instant;

use ipcpipe::Error;
use ipcpipe::jobs::{Outcome, Template, find_program, quoted};
use ipcpipe::sys::fd;
use ipcpipe::sys::signal::{self, Signals};

use super::Status;
use super::count::Ended;
use super::grammar::{Form, MapArgs, Options};
use super::session::Lost;
use super::view::write;
use crate::message;

use self::drive::Drive;
use self::inputs::{Inputs, Next};

/// What tells that `map` itself could not go on, as that of GNU parallel.
const STUCK: Status = Status(255);

/// Runs what `args` say. `place` is the file and line that asked for it.
pub(crate) fn run(args: &MapArgs, options: &Options, place: Option<&str>) -> Result<Ended, Lost> {
    let began = Instant::now();
    let stuck = |error: Error| {
        say(place, fd::with_way_out(error));
        Ok(Ended { status: STUCK, stopped_by: None })
    };
    let (template, words) = match args.command(is_json(options)) {
        Ok(command) => command,
        Err(error) => {
            say(place, format!("map: {}", error.to_string().trim_start_matches("error: ").trim_end()));
            return Ok(Ended { status: Status::USAGE, stopped_by: None });
        }
    };
    if let Some(error) = template.program().and_then(|program| find_program(program).err()) {
        say(place, &error);
        return Ok(Ended { status: Status(Outcome::refusal_status(&error) as u8), stopped_by: None });
    }
    let inputs = match Inputs::open(args, words) {
        Ok(inputs) => inputs,
        Err(error) => return stuck(error),
    };
    if args.dry_run {
        return dry_run(&template, inputs, place);
    }
    // An ignored SIGCHLD, which a parent may have left to us, would lose every exit status.
    let restored = signal::restore_default(&[signal::CHILD_ENDED]);
    let restored = restored.map_err(|error| Error::os("cannot catch", "SIGCHLD", error));
    let signals = restored.and_then(|()| Signals::catch_requests());
    match signals.and_then(|signals| Drive::new(args, options, place, template, inputs, signals)) {
        Ok(drive) => drive.run(began),
        Err(error) => stuck(error),
    }
}

/// The status when so many jobs failed. How many they were is in the last line: a number here would be 2 for two failures,
/// which a script cannot tell from a usage error.
fn status_of(failed: u64) -> Status {
    if failed == 0 { Status::DONE } else { Status::FAILED }
}

/// Prints what would be run.
fn dry_run(template: &Template, mut inputs: Inputs, place: Option<&str>) -> Result<Ended, Lost> {
    loop {
        let more = match inputs.next() {
            Ok(Next::Input(input)) => {
                write(format!("{}\n", quoted(&template.fill(&input))).as_bytes())?;
                Ok(())
            }
            Ok(Next::Later) => inputs.read(),
            Ok(Next::End) => return Ok(Ended { status: Status::DONE, stopped_by: None }),
            Err(error) => Err(error),
        };
        if let Err(error) = more {
            say(place, error);
            return Ok(Ended { status: STUCK, stopped_by: None });
        }
    }
}

/// One line on stderr, behind the file and line that it is about.
fn say(place: Option<&str>, what: impl std::fmt::Display) {
    crate::say(&line(place, what));
}

fn line(place: Option<&str>, what: impl std::fmt::Display) -> String {
    let text = place.map_or_else(|| what.to_string(), |place| format!("{place}: {what}"));
    format!("{}\n", message(text))
}

/// True if what is printed is for a program.
fn is_json(options: &Options) -> bool {
    options.format == Some(Form::Json)
}
