//! `map`, which is done by the client: no manager has to run for it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ValueEnum, ValueHint};
use ipcpipe::jobs::{Runner, Template};
use ipcpipe::manager::spec::GRACE;
use ipcpipe::tasks::Builtin;

use super::pool::TaskName;
use super::usage;
use crate::units;

/// What stands between the command and its inputs.
const INPUTS: &str = ":::";

/// The two forms, of which clap would make one.
const USAGE: &str = "map [OPTIONS] -- COMMAND [{}] [::: INPUT...]\n       map [OPTIONS] --task TASK [INPUT...]";

/// What stands under the options.
pub(super) const NOTES: &str = "\
Inputs are the lines of standard input, also empty ones, which -r skips; behind ':::' they are words, and all words are, as
with GNU parallel, so options stand before it:
  ls *.txt | ipcpipe manager map -- gzip -k {}      ipcpipe manager map -w 4 -- gzip -k {} ::: *.txt
A built-in task needs no command, so that each word which is no option is an input, with ':::' before it or without:
  seq 5 | ipcpipe manager map --task sum            ipcpipe manager map --task primes 1000 2000 3000
'{}' stands for the input anywhere in a word; without one the input is the last argument. No shell reads the command: for a
pipeline say -- sh -c 'tr a-z A-Z <\"$1\" | sort' sh {}. A job reads /dev/null, has IPCPIPE_SEQ (its number, from 1) and
IPCPIPE_SLOT (1 to N) in its environment, and a process group of its own. Its output is printed when it has ended, first
standard output, then standard error.
Exit status: 0 if all jobs succeeded, 1 if any failed; 127 if there is no such program and 126 if it cannot be executed, before
any job runs; 2 for usage; 255 if map itself cannot go on. After Ctrl-C all jobs are ended, by SIGKILL after a second one,
and map dies of the signal.
Forms: --format text or json. JSON is an object for each job, {\"v\":1,\"type\":\"job\",...}, and {\"v\":1,\"type\":\"map\",...} at the
end. The job log has the columns of GNU parallel; a job is in it when its output was printed.";

/// What is run, and how.
#[derive(Debug, clap::Args)]
#[command(override_usage = USAGE)]
pub(crate) struct MapArgs {
    /// Inputs of a built-in task, if they are not on standard input.
    #[arg(value_name = "INPUT", requires = "task")]
    inputs: Vec<OsString>,
    /// The command, '{}' in it for the input; and ':::' behind it for the inputs, if they are not on standard input.
    #[arg(value_name = "COMMAND", last = true, required_unless_present = "task")]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    words: Vec<OsString>,
    /// Run a task that comes with the program instead of a command.
    #[arg(long, value_enum)]
    task: Option<TaskName>,
    /// Jobs at once; auto is one for each CPU.
    #[arg(short, long, value_name = "N|auto", default_value = "auto", value_parser = workers)]
    pub(crate) workers: Workers,
    /// Inputs end with a NUL byte instead of a newline, as those of find -print0.
    #[arg(short = '0', long)]
    pub(crate) null: bool,
    /// Read inputs from this file; '-' is standard input.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) arg_file: Option<PathBuf>,
    /// Skip empty inputs.
    #[arg(short = 'r', long)]
    pub(crate) no_run_if_empty: bool,
    /// Print output in the order in which jobs are done, or in that of the inputs.
    #[arg(long, value_enum, default_value_t = Order::Done)]
    pub(crate) order: Order,
    /// Put the input and a tab before each line of output.
    #[arg(long)]
    pub(crate) tag: bool,
    /// Let jobs write where map writes, as they like: lines of several may mix.
    #[arg(short, long, conflicts_with_all = ["tag", "order"])]
    pub(crate) ungroup: bool,
    /// Start a job that fails again, up to N times.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,
    /// End a job that takes longer; it has failed then.
    #[arg(long, value_name = "DURATION", value_parser = super::values::period)]
    pub(crate) timeout: Option<Duration>,
    /// Time between SIGTERM and SIGKILL for a job that is ended.
    #[arg(long, value_name = "DURATION", default_value = GRACE_TEXT, value_parser = units::duration)]
    pub(crate) grace: Duration,
    /// When a job has failed: go on, start no more, or end those that run as well.
    #[arg(long, value_enum, default_value_t = Halt::Never)]
    pub(crate) halt: Halt,
    /// Log of the jobs, in the columns of GNU parallel.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) joblog: Option<PathBuf>,
    /// Skip the jobs that are in the log, be they done or failed; the inputs have to be the same as then.
    #[arg(long, requires = "joblog")]
    pub(crate) resume: bool,
    /// As --resume, but run those again that failed.
    #[arg(long, requires = "joblog")]
    pub(crate) resume_failed: bool,
    /// Print the commands instead of running them.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A progress bar: auto draws it on a terminal.
    #[arg(long, value_enum, default_value_t = Bar::Auto)]
    pub(crate) progress: Bar,
}

/// The default of `--grace`, the same as that of processes.
const GRACE_TEXT: &str = "10s";
const _: () = assert!(GRACE.as_secs() == 10 && GRACE.subsec_nanos() == 0);

/// `words` with `--` before a `:::` that none stands before: what comes behind it is inputs, whatever it looks like.
pub(crate) fn divided(words: &[OsString]) -> Cow<'_, [OsString]> {
    let at = words.iter().position(|word| word == INPUTS || word == "--").filter(|&at| words[at] == INPUTS);
    match at.filter(|&at| words[..at].iter().any(|word| word == "map")) {
        Some(at) => [&words[..at], &["--".into()], &words[at..]].concat().into(),
        None => words.into(),
    }
}

impl MapArgs {
    /// True if it has a command of its own.
    pub(super) fn has_command(&self) -> bool {
        self.task.is_none()
    }

    /// The command, and the inputs that are among the words, if they are.
    pub(crate) fn command(&self, json: bool) -> Result<(Template, Option<Vec<OsString>>), clap::Error> {
        if self.ungroup && json {
            return Err(usage("with --ungroup jobs would write between the objects of --format json"));
        }
        let mut parts = self.words.split(|word| word == INPUTS).map(<[OsString]>::to_vec);
        let command = parts.next().unwrap_or_default();
        let inputs = parts.next();
        if parts.next().is_some() {
            return Err(usage("one ':::' is all that map knows"));
        }
        let (command, inputs) = match self.task {
            None => (command, inputs),
            Some(task) => {
                let is_said = !self.inputs.is_empty() || !self.words.is_empty();
                let all = [self.inputs.clone(), command, inputs.unwrap_or_default()].concat();
                (job_of(task.into()), is_said.then_some(all))
            }
        };
        if inputs.is_some() && (self.arg_file.is_some() || self.null) {
            return Err(usage("inputs are words, or they come from a file or standard input; not both"));
        }
        Template::new(command).map(|template| (template, inputs)).ok_or_else(|| usage("put a command before ':::'"))
    }
}

/// The command that runs a task.
fn job_of(task: Builtin) -> Vec<OsString> {
    // The path of this program would miss it if it was moved since it was started.
    ["/proc/self/exe", "manager", "task", task.name(), "--", "{}"].map(OsString::from).to_vec()
}

/// The order of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// Who is done first is printed first.
    Done,
    /// That of the inputs.
    Input,
}

/// What a failure means for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Halt {
    /// Nothing.
    Never,
    /// No more are started.
    Soon,
    /// All are ended.
    Now,
}

/// Whether there is a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bar {
    /// On a terminal.
    Auto,
    /// Nowhere.
    Never,
}

/// How many jobs at once; None leaves it to the CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workers(pub(crate) Option<NonZeroUsize>);

fn workers(text: &str) -> Result<Workers, String> {
    if text == "auto" {
        return Ok(Workers(None));
    }
    let most = Runner::MOST;
    let number = units::position(text).ok().filter(|number| number.get() <= most);
    number.map(|number| Workers(Some(number))).ok_or_else(|| format!("expected auto or a number from 1 to {most}"))
}
