//! The side that watches demos: shows their lines as they come, and ends them when somebody presses Ctrl-C.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipcpipe::Error;
use ipcpipe::sys::child::Child;
use ipcpipe::sys::signal::{self, Signals};
use ipcpipe::sys::wait::{self, Interest};

use super::performer::{CURTAIN, Curtain};
use super::{Demo, Record};
use crate::manager::Status;
use crate::manager::count::Ended;
use crate::manager::grammar::{Form, Options};
use crate::manager::session::Lost;
use crate::manager::view::write;
use crate::message;
use crate::render::time;
use crate::run::THIS_PROGRAM;

/// Time between the request to end and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

/// What a demo said and how it ended.
#[derive(Debug, Default)]
struct Performance {
    lines: Vec<String>,
    curtain: Option<Curtain>,
}

/// Runs `demos`, one after the other.
pub(super) fn watch(demos: &[&Demo], options: &Options, place: Option<&str>) -> Result<Ended, Lost> {
    let began = Instant::now();
    let mut status = Status::DONE;
    let mut signals = match Signals::catch_requests() {
        Ok(signals) => signals,
        Err(error) => return Ok(failed(place, &error)),
    };
    for demo in demos {
        let mut show = Show { demo, options, place, performance: Performance::default() };
        show.title()?;
        match show.perform(&mut signals) {
            Ok(None) => {}
            Ok(Some(stopped_by)) => return Ok(Ended { status, stopped_by: Some(stopped_by) }),
            Err(Trouble::Lost(lost)) => return Err(lost),
            Err(Trouble::Failed(error)) => return Ok(failed(place, &error)),
        }
        if !show.end()? {
            status = Status::FAILED;
        }
    }
    if demos.len() > 1 && options.format != Some(Form::Json) {
        write(format!("{} demos in {}\n", demos.len(), time(began.elapsed())).as_bytes())?;
    }
    Ok(Ended { status, stopped_by: None })
}

fn failed(place: Option<&str>, error: &Error) -> Ended {
    complain(place, error);
    Ended { status: Status::FAILED, stopped_by: None }
}

/// One line on stderr, behind the file and line that it is about.
fn complain(place: Option<&str>, what: impl std::fmt::Display) {
    let text = place.map_or_else(|| what.to_string(), |place| format!("{place}: {what}"));
    crate::say(&format!("{}\n", message(text)));
}

/// Why no more is shown.
enum Trouble {
    /// Nobody reads what is printed.
    Lost(Lost),
    Failed(Error),
}

/// One demo that is being shown.
struct Show<'a> {
    demo: &'a Demo,
    options: &'a Options,
    place: Option<&'a str>,
    performance: Performance,
}

impl Show<'_> {
    fn is_for_a_person(&self) -> bool {
        self.options.format != Some(Form::Json)
    }

    fn title(&self) -> Result<(), Lost> {
        if self.is_for_a_person() && !self.options.quiet {
            write(format!("{}: {}\n", self.demo.name, self.demo.about).as_bytes())?;
        }
        Ok(())
    }

    /// Runs the demo to its end. The number of the signal that somebody sent, if he wanted an earlier end.
    fn perform(&mut self, signals: &mut Signals) -> Result<Option<i32>, Trouble> {
        let (group, output) = Group::start(self.demo).map_err(Trouble::Failed)?;
        let mut output = File::from(output);
        let mut text = Vec::new();
        let mut stopped_by = None;
        let mut deadline = None;
        loop {
            let fds = [
                (output.as_fd(), Interest::Read),
                (signals.as_fd(), Interest::Read),
                (group.performer.as_fd(), if deadline.is_none() { Interest::Read } else { Interest::HangUp }),
            ];
            let ready = wait::wait(fds, deadline);
            let failed = |error| Trouble::Failed(Error::os("cannot wait for", "the demo", error));
            let [said, signalled, ended] = ready.map_err(failed)?;
            for signal in if signalled.any() { signals.take() } else { Vec::new() } {
                group.signal(if stopped_by.is_some() { signal::KILL } else { signal::TERM });
                stopped_by.get_or_insert(signal as i32);
                deadline = wait::deadline_in(GRACE);
            }
            if said.any() {
                let number = read(&mut output, &mut text).map_err(failed)?;
                self.hear(&mut text, stopped_by.is_some()).map_err(Trouble::Lost)?;
                if number == 0 {
                    return Ok(stopped_by);
                }
            } else if deadline.is_none() && ended.any() {
                // Somebody whom the demo has left behind holds its output open.
                deadline = wait::deadline_in(GRACE);
            } else if deadline.is_some_and(|at| at <= Instant::now()) {
                group.signal(signal::KILL);
                deadline = wait::deadline_in(GRACE);
            }
        }
    }

    /// Takes the whole lines from `text`, and shows them unless the demo is being ended.
    fn hear(&mut self, text: &mut Vec<u8>, is_over: bool) -> Result<(), Lost> {
        let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let lines: Vec<u8> = text.drain(..=end).collect();
        for line in String::from_utf8_lossy(&lines).lines() {
            if let Some(curtain) = line.strip_prefix(CURTAIN) {
                self.performance.curtain = serde_json::from_str(curtain).ok();
                continue;
            }
            if self.is_for_a_person() && !self.options.quiet && !is_over {
                write(format!("  {line}\n").as_bytes())?;
            }
            self.performance.lines.push(line.to_owned());
        }
        Ok(())
    }

    /// Shows what came of the demo; false if it failed.
    fn end(self) -> Result<bool, Lost> {
        let gone = || Curtain { result: Err("it ended without a result".to_owned()), elapsed: Duration::ZERO };
        let Curtain { result, elapsed } = self.performance.curtain.unwrap_or_else(gone);
        let (demo, succeeded) = (self.demo, result.is_ok());
        if self.options.format == Some(Form::Json) {
            let (result, error) = result.map_or_else(|error| (None, Some(error)), |result| (Some(result), None));
            let (elapsed_s, lines) = (Some(elapsed.as_secs_f64()), Some(self.performance.lines));
            write(Record { elapsed_s, result, error, lines, ..Record::of(demo) }.line().as_bytes())?;
        } else {
            match result {
                Ok(result) => write(format!("{}: {result} in {}\n", demo.name, time(elapsed)).as_bytes())?,
                Err(error) => complain(self.place, format!("demo {}: {error}", demo.name)),
            }
        }
        Ok(succeeded)
    }
}

/// Reads what there is.
fn read(from: &mut File, text: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut buffer = [0; 8 << 10];
    let number = from.read(&mut buffer)?;
    text.extend_from_slice(&buffer[..number]);
    Ok(number)
}

/// The process of a demo and all that it has started. Dropping it ends them, and removes what they may have left in
/// /dev/shm, where a name stays when its owner is killed.
struct Group {
    performer: Child,
}

impl Group {
    fn start(demo: &Demo) -> Result<(Self, OwnedFd), Error> {
        let mut command = Command::new(THIS_PROGRAM);
        command.args(["manager", "performer", demo.name]).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut performer = Child::spawn(&mut command, [])?;
        let (output, _) = performer.take_output();
        Ok((Self { performer }, output.expect("its output is a pipe")))
    }

    fn signal(&self, signal: i32) {
        self.performer.signal_group(signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(signal::KILL);
        let own = format!("ipcpipe.mp-{}-", self.performer.pid());
        let names = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        for name in names.filter(|name| name.file_name().to_string_lossy().starts_with(&own)) {
            let _ = fs::remove_file(name.path());
        }
    }
}
