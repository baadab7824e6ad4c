//! `create process` and `create thread`; `create pool` is in `pool`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Subcommand, ValueEnum, ValueHint};
use ipcpipe::manager::spec::{After, Backoff, GRACE, ProcessSpec, Program, Ready, Restart, TICK, Task, ThreadSpec};
use ipcpipe::manager::{Command, Name};

use super::pool::PoolArgs;
use super::{usage, values};
use crate::units;

/// What can be created.
#[derive(Debug, Subcommand)]
pub(crate) enum Create {
    /// Create a process: a command line of your own after '--', or the built-in job, which writes a line each second.
    Process(Box<ProcessArgs>),
    /// Create a thread of the manager with a built-in task.
    Thread(ThreadArgs),
    /// Create a pool of workers, for jobs that are submitted to it.
    Pool(Box<PoolArgs>),
}

/// A process as it was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct ProcessArgs {
    /// Name of the process.
    #[arg(value_parser = values::name)]
    name: Name,
    /// End it with the manager, instead of waiting for it on quit.
    #[arg(long)]
    daemon: bool,
    /// What to do when it ends by itself: never, on-failure or always, and how often is too often [default: never; limit: 5/60s].
    #[arg(long, value_name = "POLICY[:N/DURATION]", value_parser = values::restart)]
    restart: Option<Restart>,
    /// Time before a restart, doubled from the first to the second [default: 100ms..30s].
    #[arg(long, value_name = "FIRST..LONGEST", value_parser = values::backoff)]
    backoff: Option<Backoff>,
    /// End it after so much running time; pauses do not count.
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,
    /// Time between the stop signal and SIGKILL [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    grace: Option<Duration>,
    /// Signal that asks it to end [default: TERM].
    #[arg(long, value_name = "SIGNAL", value_parser = values::signal)]
    stop_signal: Option<i32>,
    /// Exit statuses that mean success [default: 0].
    #[arg(long, value_name = "N,N", value_parser = values::codes)]
    ok_codes: Option<values::Codes>,
    /// Directory it runs in [default: the one you are in].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    cwd: Option<PathBuf>,
    /// Variable of its environment; can be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = OsStringValueParser::new().try_map(values::variable))]
    env: Vec<(OsString, OsString)>,
    /// Start it when this has happened to another one: started, ready, or ok (it ended well); can be given again.
    #[arg(long, value_name = "NAME[:CONDITION]", value_parser = values::after)]
    after: Vec<After>,
    /// How it shows that it is ready: log:TEXT, notify, tcp:HOST:PORT or exec:COMMAND [default: it was started].
    #[arg(long, value_name = "PROBE", value_parser = values::ready)]
    ready: Option<Ready>,
    /// File that gets its output too.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    log_file: Option<PathBuf>,
    /// Time from one line of the built-in job to the next [default: 1s].
    #[arg(long, value_name = "DURATION", value_parser = values::period, conflicts_with = "command")]
    every: Option<Duration>,
    /// What to run, with its arguments [default: the built-in job].
    #[arg(last = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// A thread as it was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct ThreadArgs {
    /// Name of the thread.
    #[arg(value_parser = values::name)]
    name: Name,
    /// What it does: a line each second, the primes below N, or the sum of 1 to N.
    #[arg(long, value_enum, default_value_t = TaskName::Tick)]
    task: TaskName,
    /// The N of the task.
    #[arg(value_parser = units::count)]
    n: Option<u64>,
    /// Time from one line of tick to the next [default: 1s].
    #[arg(long, value_name = "DURATION", value_parser = values::period)]
    every: Option<Duration>,
}

/// The tasks.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TaskName {
    /// A line each period.
    Tick,
    /// Primes below N.
    Primes,
    /// Sum of 1 to N.
    Sum,
}

impl Create {
    /// True for a process without a command of its own.
    pub(super) fn is_builtin(&self) -> bool {
        matches!(self, Self::Process(args) if args.command.is_empty())
    }

    pub(super) fn lower(self) -> Result<Command, clap::Error> {
        match self {
            Self::Process(args) => Ok(Command::CreateProcess(Box::new(args.lower()))),
            Self::Thread(args) => args.lower().map(Command::CreateThread),
            Self::Pool(args) => args.lower(),
        }
    }
}

impl ProcessArgs {
    fn lower(self) -> ProcessSpec {
        let program = match self.command {
            command if command.is_empty() => Program::Tick { every: self.every.unwrap_or(TICK) },
            command => Program::Command(command),
        };
        let default = ProcessSpec::new(self.name, program);
        ProcessSpec {
            daemon: self.daemon,
            restart: self.restart.unwrap_or_default(),
            backoff: self.backoff.unwrap_or_default(),
            timeout: self.timeout,
            grace: self.grace.unwrap_or(GRACE),
            stop_signal: self.stop_signal.unwrap_or(default.stop_signal),
            ok_codes: self.ok_codes.map_or(default.ok_codes, |codes| codes.0),
            cwd: self.cwd,
            env: self.env,
            after: self.after,
            ready: self.ready,
            log_file: self.log_file,
            name: default.name,
            program: default.program,
        }
    }
}

impl ThreadArgs {
    fn lower(self) -> Result<ThreadSpec, clap::Error> {
        let task = match (self.task, self.n, self.every) {
            (TaskName::Tick, None, every) => Task::Tick { every: every.unwrap_or(TICK) },
            (TaskName::Primes, Some(n), None) => Task::Primes(n),
            (TaskName::Sum, Some(n), None) => Task::Sum(n),
            (TaskName::Tick, Some(_), _) => return Err(usage("the task tick takes no number")),
            (_, _, Some(_)) => return Err(usage("'--every' is for the task tick")),
            (_, None, None) => return Err(usage("this task needs a number after the name, such as 1M")),
        };
        Ok(ThreadSpec { name: self.name, task })
    }
}
