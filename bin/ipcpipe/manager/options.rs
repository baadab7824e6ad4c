//! The surfaces of `ipcpipe manager` as they are typed: prompt, script, server, Procfile; everything else is a verb.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, CommandFactory, Subcommand, ValueHint};
use ipcpipe::manager::Sink;
use ipcpipe::tasks::Builtin;

use super::count::CounterArgs;
use super::demo::PerformerArgs;
use super::grammar::{self, Options};
use crate::lazy::Lazy;
use crate::units;

/// `ipcpipe manager`.
#[derive(Debug, clap::Args)]
#[command(disable_help_subcommand = true, subcommand_value_name = "VERB", override_usage = USAGE)]
pub(crate) struct ManagerArgs {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Carry out these commands, separated by ';', with a manager of its own, and quit.
    #[arg(short, long, value_name = "COMMANDS", conflicts_with = "file")]
    pub(crate) command: Option<String>,
    /// Carry out the commands of a file with a manager of its own, and quit.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Where events go: off, a file, or unix:PATH for a log server.
    // The pipeline has a --log of another kind, and clap knows options by their ids.
    #[arg(id = "events", long = "log", value_name = "off|FILE|unix:PATH", global = true)]
    #[arg(value_hint = ValueHint::FilePath, default_value = "off")]
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| Sink::parse(&text)))]
    pub(crate) log: Sink,
    /// Go on after a command that failed; the exit status is still that of the first one.
    #[arg(short, long)]
    pub(crate) keep_going: bool,
    #[command(subcommand)]
    pub(crate) surface: Option<Surface>,
}

/// How it can be used.
const USAGE: &str =
    "ipcpipe manager [OPTIONS]                      a prompt, or a script from stdin, with a manager of its own
       ipcpipe manager [OPTIONS] -c 'A; B' | -f FILE  a script with a manager of its own
       ipcpipe manager [OPTIONS] serve | attach | up | logd
       ipcpipe manager [OPTIONS] VERB ...             one command to the manager that is running";

/// What to be instead of a prompt.
#[derive(Debug, Subcommand)]
pub(crate) enum Surface {
    /// Be a manager without a terminal, for other programs to talk to.
    Serve(Lazy<ServeArgs>),
    /// Talk to a running manager at a prompt, or send it a script; it goes on afterwards.
    Attach,
    /// Run the processes of a Procfile in the foreground; Ctrl-C stops all.
    Up {
        /// The Procfile: lines of NAME: COMMAND.
        #[arg(short, long, value_name = "FILE", default_value = "Procfile", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Be a log server: take lines from a socket in a directory and write them to files that rotate.
    Logd(Lazy<LogdArgs>),
    /// Be the built-in job.
    #[command(hide = true)]
    Job(Lazy<JobArgs>),
    /// Be the guard of a manager, which talks to it on stdin.
    #[command(hide = true)]
    Guard,
    /// Be a worker of a count.
    #[command(hide = true)]
    Counter(Lazy<CounterArgs>),
    /// Be a job of 'map --task'.
    #[command(hide = true)]
    Task {
        /// Which task.
        #[arg(value_parser = task)]
        task: Builtin,
        /// Its argument.
        #[arg(allow_hyphen_values = true)]
        input: String,
    },
    /// Be a demo.
    #[command(hide = true)]
    Performer(Lazy<PerformerArgs>),
    /// A verb; the grammar reads its words.
    #[command(external_subcommand)]
    Verb(Vec<OsString>),
}

/// `ipcpipe manager serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Go to the background when the socket answers.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Take over what a manager that was killed has left running.
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Descriptor to report to, when started by --detach.
    #[arg(long, value_name = "FD", hide = true)]
    pub(crate) report: Option<i32>,
}

/// `ipcpipe manager logd`.
#[derive(Debug, clap::Args)]
pub(crate) struct LogdArgs {
    /// Directory of the files and of the socket.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: PathBuf,
    /// Size at which a file is put aside and a new one begun.
    #[arg(long, value_name = "N", default_value = "10M", value_parser = units::count)]
    pub(crate) max_bytes: u64,
    /// Files that are kept besides the current one.
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) keep: u32,
}

/// `ipcpipe manager job`.
#[derive(Debug, clap::Args)]
pub(crate) struct JobArgs {
    /// Name of the process.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) name: Option<String>,
    /// Time from one line to the next.
    #[arg(long, value_parser = units::duration, default_value = "1s")]
    pub(crate) every: Duration,
}

/// A task that comes with the program, by its name.
pub(crate) fn task(name: &str) -> Result<Builtin, String> {
    let names = || Builtin::ALL.map(Builtin::name).join(", ");
    Builtin::ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| format!("the tasks are {}", names()))
}

/// `command` with the surfaces among its subcommands.
pub(crate) fn with_surfaces(command: clap::Command) -> clap::Command {
    let surfaces = Surface::augment_subcommands(clap::Command::new("surfaces"));
    let shown = surfaces.get_subcommands().filter(|surface| !surface.is_hide_set()).cloned();
    command.subcommands(shown)
}

/// `ipcpipe manager` with its surfaces alone, for help: their options are not those of the verbs.
pub(crate) fn surfaces() -> clap::Command {
    ManagerArgs::augment_args(clap::Command::new("ipcpipe manager").disable_help_subcommand(true))
}

/// `manager` with the verbs among its subcommands, for completion.
pub(crate) fn with_verbs(manager: clap::Command) -> clap::Command {
    manager.subcommands(grammar::Line::command().get_subcommands().cloned())
}
