//! `ipcpipe`: one run of the pipeline, from what was meant to the closing summary.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipcpipe::channel::{Backend, Geometry, KernelName};
use ipcpipe::pipeline::{
    self, Ending, Event, LinkPlan, LogFile, OpenLog, Plan, Recovery, StagePlan, Stdin, Stdout, StoppedBy, Summary,
};
use ipcpipe::sys::wait::Interest;
use ipcpipe::{Error, sys};

use crate::args::{Format, InputPath};
use crate::config::{Config, Source};
use crate::progress::Progress;
use crate::stage::arguments;
use crate::{Exit, Outcome, complain, message, render, say, shell};

/// Every stage executes this program; the name holds whatever has become of the path it was started by.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

/// The stages' places in the plan.
const CONV: usize = 0;
const LOG: usize = 1;
const STAT: usize = 2;
const REPORT: usize = 3;

/// Runs the pipeline and says how it went. A signal that stopped it ends this process once all is said.
pub(crate) fn run(config: &Config) -> Outcome {
    let summary = match execute(config) {
        Ok(summary) => summary,
        Err(error) => {
            let log = LogFile { path: config.log.path.clone(), format: config.log.format, bytes: 0 };
            Summary::not_started(config.backend, log, error.to_string())
        }
    };
    conclude(config, &summary)
}

fn execute(config: &Config) -> Result<Summary, Error> {
    let input = input(config)?;
    let log = OpenLog::open(&config.log.path, config.log.format, config.log.truncate)?;
    refuse_a_circle(config, &input, &log)?;
    let progress = Progress::new(config);
    let plan = plan(config, input, log.for_stage()?, progress.is_some());
    let mut narrator = Narrator { config, log: &log, progress, produced: 0 };
    let ending = pipeline::run(plan, &mut |event| narrator.tell(&event))?;
    let Narrator { progress, produced, .. } = narrator;
    if let Some(progress) = progress {
        progress.finish();
    }
    if log.is_gone() {
        complain(format_args!("{} was removed or replaced while it was written", config.log.path.display()));
    }
    Ok(Summary::new(&ending, config.backend, log.describe(), produced, || recover(config, &log, &ending)))
}

/// What a log that died left in its file. Before it was ready it had not truncated what earlier runs left there.
fn recover(config: &Config, log: &OpenLog, ending: &Ending) -> Recovery {
    let was_ready = ending.stages.get(LOG).is_some_and(|stage| stage.was_ready);
    if config.log.truncate && !was_ready { Recovery::default() } else { log.recover() }
}

/// Refuses a log that is also the input, which would never end, or the output, where the two would mix.
fn refuse_a_circle(config: &Config, input: &Stdin, log: &OpenLog) -> Result<(), Error> {
    let looked = |error| Error::os("cannot look at", config.log.path.display(), error);
    let is_input = match input {
        Stdin::Nothing => false,
        Stdin::Inherit => log.is_same_as(io::stdin()).map_err(looked)?,
        Stdin::File(file) => log.is_same_as(file).map_err(looked)?,
    };
    let refused = |why| Err(Error::refused("cannot write log", config.log.path.display(), why));
    match is_input {
        true => refused("it is the input too"),
        false if log.is_same_as(io::stdout()).map_err(looked)? => refused("it is the standard output too"),
        false => Ok(()),
    }
}

/// The four stages and their links; conv reads `input`, and log writes to the file `log`.
pub(crate) fn plan(config: &Config, input: Stdin, log: File, progress: bool) -> Plan {
    let [conv, log_args, stat, report] = arguments(config, progress);
    let stage = |name, args, stdin, stdout| StagePlan { name, args, stdin, stdout, is_source: name == "conv" };
    Plan {
        program: PathBuf::from(THIS_PROGRAM),
        backend: config.backend,
        stages: vec![
            stage("conv", conv, input, Stdout::Nothing),
            stage("log", log_args, Stdin::Nothing, Stdout::File(log)),
            stage("stat", stat, Stdin::Nothing, Stdout::Nothing),
            stage("report", report, Stdin::Nothing, Stdout::Inherit),
        ],
        links: vec![
            LinkPlan { from: CONV, to: LOG, geometry: Geometry::default() },
            LinkPlan { from: CONV, to: STAT, geometry: Geometry::default() },
            LinkPlan { from: STAT, to: REPORT, geometry: Geometry::small() },
        ],
        drain_timeout: config.drain_timeout,
        keep_names: config.keep_names,
    }
}

fn input(config: &Config) -> Result<Stdin, Error> {
    match &config.source {
        Source::Random { .. } => Ok(Stdin::Nothing),
        Source::Input { path: InputPath::Stdin, .. } => Ok(Stdin::Inherit),
        Source::Input { path: InputPath::File(path), .. } => {
            let file = File::open(path).map_err(|error| Error::os("cannot read input", path.display(), error))?;
            Ok(Stdin::File(file))
        }
    }
}

/// Tells people what happens while it happens, and keeps the count for those who cannot tell any more.
struct Narrator<'a> {
    config: &'a Config,
    log: &'a OpenLog,
    progress: Option<Progress>,
    produced: u64,
}

impl Narrator<'_> {
    /// Says what becomes of a log that holds something already: it is never silently kept or cut.
    fn introduce_log(&self) {
        let log = self.log;
        let path = self.config.log.path.display();
        if log.truncated_bytes > 0 {
            self.remark(&format!("starting {path} afresh; {} bytes of earlier runs are gone", log.truncated_bytes));
        }
        if log.cut_bytes > 0 {
            self.remark(&format!("cut a torn last record of {} bytes off {path}", log.cut_bytes));
        }
        if log.earlier_bytes > 0 {
            let bytes = log.earlier_bytes;
            self.remark(&format!("appending to {path}, which holds {bytes} bytes; --truncate starts it afresh"));
        }
    }

    fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Remark(remark) => self.remark(remark),
            Event::Started { stages, names } => self.tell_start(stages, names),
            Event::Progress(count) => {
                self.produced = *count;
                if let Some(progress) = &self.progress {
                    progress.update(*count);
                }
            }
            Event::Died { stage, pid, status } => self.remark(&format!("{stage}[{pid}] {status}; draining the rest")),
            Event::Forced { by_request: true } => self.remark("asked a second time; killing what is left"),
            Event::Forced { by_request: false } => {
                self.remark(&format!("not drained in {:?}; killing what is left", self.config.drain_timeout));
            }
            _ => {}
        }
    }

    /// A person at a terminal sees what runs; names that stay are told in any case, since they were asked for.
    fn tell_start(&self, stages: &[(&str, u32)], names: &[KernelName]) {
        self.introduce_log();
        if io::stderr().is_terminal() && !self.config.output.quiet {
            self.remark(&introduction(self.config.backend, stages));
        }
        for name in names {
            self.remark(&format!("look at the {name}"));
        }
        if self.config.backend == Backend::Mq && !names.is_empty() && !Path::new("/dev/mqueue").exists() {
            self.remark("queues show after 'mkdir /dev/mqueue; mount -t mqueue none /dev/mqueue'");
        }
    }

    fn remark(&self, line: &str) {
        match &self.progress {
            Some(progress) => progress.println(&message(line)),
            None => complain(line),
        }
    }
}

fn introduction(backend: Backend, stages: &[(&str, u32)]) -> String {
    let mut line = String::new();
    for (name, pid) in stages {
        // Writing to a String cannot fail.
        let _ = write!(line, "{name}[{pid}] ");
    }
    write!(line, "over {}; Ctrl-C stops", backend.description()).map(|()| line).unwrap_or_default()
}

/// Requests are caught until the summary is out, so that an echo of the one that ended the run does not cut it off. But
/// where nobody takes the summary, the next request has to end the program.
fn heed_if_blocked(stream: impl AsFd) {
    let patience = sys::wait::deadline_in(Duration::from_millis(500));
    let is_free = sys::wait::wait([(stream.as_fd(), Interest::Write)], patience).is_ok_and(|[stream]| stream.any());
    if !is_free {
        // It cannot fail, and if it did, the program would go on waiting as it is.
        let _ = sys::signal::restore_default(&sys::signal::REQUESTS);
    }
}

/// Prints the summary and ends as the run ended.
fn conclude(config: &Config, summary: &Summary) -> Outcome {
    if let Some(error) = &summary.error {
        let lost = match summary.stopped_by {
            StoppedBy::StageDied => match summary.lost {
                Some(lost) => format!("; {lost} samples in flight lost"),
                None => "; how many samples were lost, nobody is left to tell".into(),
            },
            _ => String::new(),
        };
        complain(format_args!("{error}{lost}"));
    }
    let broken_pipe = summary.stopped_by == StoppedBy::Signal(sys::signal::BROKEN_PIPE);
    let text = render::summary(config.output.format, summary);
    // A report that was killed may have left half a line.
    let gap = if summary.reported.is_none() { "\n" } else { "" };
    match config.output.format {
        // Whoever closed the output does not want to hear more.
        _ if broken_pipe => {}
        // A person has read why nothing ran; a program waits for its last line.
        Format::Text if summary.stages.is_empty() => {}
        Format::Json => {
            heed_if_blocked(io::stdout());
            shell::print(&format!("{gap}{text}"))?;
        }
        Format::Text => {
            heed_if_blocked(io::stderr());
            say(&text);
        }
    }
    Ok(match summary.stopped_by {
        StoppedBy::Signal(number) => sys::signal::die_by(number),
        StoppedBy::Count | StoppedBy::Duration | StoppedBy::Eof => Exit::Done,
        StoppedBy::StageDied => Exit::StageDied,
        StoppedBy::Forced => Exit::Forced,
        StoppedBy::Error => Exit::Failed,
        StoppedBy::Unconserved => Exit::Unconserved,
    })
}
