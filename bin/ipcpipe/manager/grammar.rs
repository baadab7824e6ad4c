//! The one grammar of the manager: a line of the prompt, a line of a script, the arguments of a one-shot command and
//! the words of a request on the socket are all read here.
//!
//! A verb with its options is defined once, for parsing, help and completion; [`parse`] lowers it to what a manager
//! understands.

mod bench;
mod count;
mod create;
mod demo;
mod explain;
mod map;
mod near;
mod pool;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use ipcpipe::manager::protocol::{Code, Refusal};
use ipcpipe::manager::{Command, Kind, Selector, Targets};

pub(crate) use self::bench::BenchArgs;
pub(crate) use self::count::{Chart, CountArgs, Mode, Sample, Sort};
use self::create::Create;
pub(crate) use self::demo::DemoArgs;
pub(crate) use self::explain::{help_of, refusal};
pub(crate) use self::map::{Bar, Halt, MapArgs, Order, divided};
pub(crate) use self::near::nearest;
use self::pool::{CancelArgs, ResizeArgs, ResultsArgs, SubmitArgs};
use crate::args::When;
use crate::lazy::Lazy;
use crate::units;

/// One command with the options that every command takes.
#[derive(Debug, Parser)]
#[command(name = "ipcpipe manager", no_binary_name = true, disable_help_subcommand = true)]
#[command(subcommand_required = true, subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(crate) struct Line {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Colour in what is written to a person: auto, always or never.
    #[arg(long, value_name = "WHEN", value_enum, hide_possible_values = true, global = true)]
    pub(crate) color: Option<When>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every surface, before or after the verb.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Manager")]
pub(crate) struct Options {
    /// Control socket of the manager, also as IPCPIPE_SOCKET [default: manager.sock in the run directory].
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, global = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Form of what is printed: lines for a person, or one JSON object a line.
    // The pipeline has a --format of another kind, and clap knows options by their ids.
    #[arg(id = "form", long = "format", value_name = "FORMAT", value_enum, global = true)]
    pub(crate) format: Option<Form>,
    /// Say nothing about what was done as asked.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// Who reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Lines for a person; also called table.
    #[value(alias = "table")]
    Text,
    /// One JSON object a line.
    Json,
    /// Lines for a spreadsheet, of count only.
    Csv,
}

impl Options {
    /// Those by which to tell that `words` cannot be read: an error about one option obeys the others.
    pub(crate) fn of_error(words: &[OsString], outer: &Self) -> Self {
        let json = ask_for_json(words).then_some(Form::Json);
        Self { format: json, ..Self::default() }.or(outer)
    }

    /// These, and `outer` where they say nothing.
    pub(crate) fn or(self, outer: &Self) -> Self {
        Self {
            socket: self.socket.or_else(|| outer.socket.clone()),
            format: self.format.or(outer.format),
            quiet: self.quiet || outer.quiet,
        }
    }
}

/// What can be done. The order is that of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Create a process, a thread or a pool, and start it.
    #[command(subcommand)]
    Create(Lazy<Create>),
    /// List processes, threads and pools, or the batches of pools.
    List {
        /// Only this kind.
        #[arg(value_enum)]
        noun: Option<Noun>,
    },
    /// Pause; done when everything of the target is stopped.
    Pause(Lazy<TargetArgs>),
    /// Let go on what is paused.
    Resume(Lazy<TargetArgs>),
    /// End; done when the whole process tree is gone.
    #[command(visible_alias = "stop")]
    Terminate {
        #[command(flatten)]
        targets: TargetArgs,
        /// Time between the stop signal and SIGKILL [default: the target's own].
        #[arg(long, value_name = "DURATION", value_parser = units::duration)]
        grace: Option<Duration>,
    },
    /// Wait until all targets have ended, and pools have no more jobs; with the exit status of the first that ended badly.
    Wait {
        #[command(flatten)]
        targets: TargetArgs,
        /// Wait no longer than this.
        #[arg(long, value_name = "DURATION", value_parser = units::duration)]
        timeout: Option<Duration>,
    },
    /// Print what a target wrote.
    Logs {
        #[command(flatten)]
        targets: TargetArgs,
        #[command(flatten)]
        past: Past,
    },
    /// Give jobs to a pool, one for each argument; answered at once.
    Submit(Lazy<SubmitArgs>),
    /// Wait for the batches of a pool and print what came of their jobs; with exit status 1 if one failed or was cancelled.
    Results(Lazy<ResultsArgs>),
    /// Call off jobs that are not done.
    Cancel(Lazy<CancelArgs>),
    /// Set the number of workers of a pool.
    Resize(Lazy<ResizeArgs>),
    /// Explain the verbs, or one of them.
    Help {
        /// The verb.
        #[arg(value_name = "VERB")]
        words: Vec<OsString>,
    },
    /// Take no new work, stop daemons and threads that tick, wait for the others, end.
    Quit {
        /// After this time, stop everything.
        #[arg(long, value_name = "DURATION", value_parser = units::duration)]
        timeout: Option<Duration>,
    },
    /// SIGKILL to the whole process tree.
    Kill(Lazy<TargetArgs>),
    /// End and start again.
    Restart(Lazy<TargetArgs>),
    /// Send a signal to the process group.
    Signal {
        /// Name or number of the signal, such as HUP or 10.
        #[arg(value_parser = values::signal)]
        signal: i32,
        #[command(flatten)]
        targets: TargetArgs,
    },
    /// Print everything about a target.
    Show(Lazy<TargetArgs>),
    /// Print every change of a target with its cause.
    Why(Lazy<TargetArgs>),
    /// Print what happened.
    Events(Past),
    /// Print the live state as a script that rebuilds it, or write it to a file.
    Save {
        /// The file.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Carry out the commands of a file.
    Source {
        /// The file.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Remove targets that have ended from the list.
    Forget(Lazy<TargetArgs>),
    /// Count the letters of texts; done here, without a manager.
    #[command(after_help = count::NOTES)]
    Count(Lazy<CountArgs>),
    /// Run a command for each of many inputs, so many at a time; done here, without a manager.
    #[command(after_help = map::NOTES)]
    Map(Lazy<MapArgs>),
    /// Show a technique of multiprocessing at work; done here, without a manager.
    #[command(after_help = demo::NOTES)]
    Demo(Lazy<DemoArgs>),
    /// Measure what processes, queues, pools and locks cost on this machine; done here, without a manager.
    #[command(after_help = bench::NOTES)]
    Bench(Lazy<BenchArgs>),
    /// Carry out a command and print how long it took.
    Time {
        /// The command.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "VERB")]
        words: Vec<OsString>,
    },
    /// Leave the prompt of 'attach'; the manager goes on.
    Detach,
    /// As quit, and drop what is stored: output and history, which are in memory.
    Clear,
    /// Stop everything now and end.
    Exit,
    /// Print the names of what lives, for completion.
    #[command(hide = true)]
    Names,
}

/// Whom a verb is meant for.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// Name, pid, tid, #ID, pattern or all; 'process', 'thread' or 'pool' before them picks one kind.
    #[arg(value_name = "TARGET", required = true)]
    words: Vec<OsString>,
}

/// How much of the past, and whether to go on.
#[derive(Debug, clap::Args)]
pub(crate) struct Past {
    /// Go on with what comes, until it ends or Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Only the last N.
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

/// The word for a kind, where it stands alone.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Noun {
    /// Processes.
    #[value(alias = "processes")]
    Process,
    /// Threads.
    #[value(alias = "threads")]
    Thread,
    /// Pools.
    #[value(alias = "pools")]
    Pool,
    /// Batches of pools.
    #[value(alias = "batches")]
    Batch,
    /// All but batches.
    All,
}

impl Noun {
    fn kind(self) -> Option<Kind> {
        match self {
            Self::Process => Some(Kind::Process),
            Self::Thread => Some(Kind::Thread),
            Self::Pool => Some(Kind::Pool),
            Self::Batch | Self::All => None,
        }
    }
}

/// The whole definition, for help and completion.
pub(crate) fn definition() -> clap::Command {
    let mut definition = Line::command();
    definition.build();
    definition
}

/// The verbs that take targets, in whose place live names can stand.
pub(crate) fn verbs_of_targets() -> Vec<String> {
    let definition = definition();
    let is_name = |names: &[clap::builder::Str]| names == ["TARGET"] || names == ["POOL"];
    let targets = |argument: &clap::Arg| argument.get_value_names().is_some_and(is_name);
    let verbs = definition.get_subcommands().filter(|verb| verb.get_positionals().any(targets));
    verbs.flat_map(|verb| [verb.get_name()].into_iter().chain(verb.get_all_aliases())).map(str::to_owned).collect()
}

/// Reads the words of one command.
pub(crate) fn read(words: &[OsString]) -> Result<Line, clap::Error> {
    Line::try_parse_from(divided(words).iter()).and_then(|line| line.checked(words))
}

/// True if `words`, be they right or wrong, ask for JSON.
pub(crate) fn ask_for_json(words: &[OsString]) -> bool {
    let own: Vec<&OsString> = words.iter().take_while(|word| *word != "--").collect();
    own.windows(2).any(|two| two[0] == "--format" && two[1] == "json")
        || own.iter().any(|word| *word == "--format=json")
}

/// What the words of one command tell a manager to do.
pub(crate) fn parse(words: &[OsString]) -> Result<Command, Refusal> {
    read(words).and_then(|line| line.verb.lower()).map_err(|error| refusal(words, error))
}

impl Line {
    /// This, which was read from `words`, unless they hold what clap does not see.
    pub(crate) fn checked(self, words: &[OsString]) -> Result<Self, clap::Error> {
        match &self.verb {
            Verb::Create(what) if words.last().is_some_and(|last| last == "--") && what.is_builtin() => {
                Err(usage("nothing stands behind '--'; give a command, or leave '--' away for the built-in job"))
            }
            _ => Ok(self),
        }
    }
}

impl Verb {
    /// What it means to a manager; a usage error for what only a client understands.
    pub(crate) fn lower(self) -> Result<Command, clap::Error> {
        Ok(match self {
            Self::Create(what) => what.0.lower()?,
            Self::List { noun: Some(Noun::Batch) } => Command::ListBatches,
            Self::Submit(args) => args.0.lower()?,
            Self::Results(args) => args.0.lower()?,
            Self::Cancel(args) => args.0.lower()?,
            Self::Resize(args) => args.0.lower()?,
            Self::List { noun } => Command::List(noun.and_then(Noun::kind)),
            Self::Pause(targets) => Command::Pause(targets.0.lower()?),
            Self::Resume(targets) => Command::Resume(targets.0.lower()?),
            Self::Terminate { targets, grace } => Command::Terminate { targets: targets.lower()?, grace },
            Self::Wait { targets, timeout } => Command::Wait { targets: targets.lower()?, timeout },
            Self::Logs { targets, past: Past { follow, lines } } => {
                Command::Logs { targets: targets.lower()?, follow, lines }
            }
            Self::Quit { timeout } => Command::Quit { timeout },
            Self::Kill(targets) => Command::Kill(targets.0.lower()?),
            Self::Restart(targets) => Command::Restart(targets.0.lower()?),
            Self::Signal { signal, targets } => Command::Signal { signal, targets: targets.lower()? },
            Self::Show(targets) => Command::Show(targets.0.lower()?),
            Self::Why(targets) => Command::Why(targets.0.lower()?),
            Self::Events(Past { follow, lines }) => Command::Events { follow, lines },
            Self::Save { file: None } => Command::Save,
            Self::Forget(targets) => Command::Forget(targets.0.lower()?),
            Self::Clear => Command::Clear,
            Self::Exit => Command::Exit,
            Self::Names => Command::Names,
            Self::Count(_) => {
                return Err(usage("counting is for the client to do: 'ipcpipe manager count' runs without a manager"));
            }
            Self::Map(_) => {
                return Err(usage("map is for the client to do: 'ipcpipe manager map' runs without a manager"));
            }
            Self::Demo(_) => {
                return Err(usage("demos are for the client to run: 'ipcpipe manager demo' runs without a manager"));
            }
            Self::Bench(_) => {
                return Err(usage("demos are for the client to run: 'ipcpipe manager bench' runs without a manager"));
            }
            Self::Help { .. } | Self::Save { .. } | Self::Source { .. } | Self::Time { .. } | Self::Detach => {
                return Err(usage("this is for the client to do, and a manager cannot"));
            }
        })
    }
}

/// Only count has numbers for a spreadsheet.
pub(crate) fn check(verb: &Verb, options: &Options) -> Result<(), clap::Error> {
    match (verb, options.format) {
        (Verb::Count(_), _) | (_, None | Some(Form::Text | Form::Json)) => Ok(()),
        (_, Some(Form::Csv)) => Err(usage("only count has --format csv; choose text or json")),
    }
}

impl TargetArgs {
    fn lower(self) -> Result<Targets, clap::Error> {
        let mut words = self.words.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let kind = words.first().and_then(|word| Noun::from_str(word, false).ok()).and_then(Noun::kind);
        if kind.is_some() {
            words.remove(0);
        }
        if words.is_empty() {
            return Err(usage("which one? Give a name, a pid, an #ID, a pattern or all"));
        }
        Ok(Targets { kind, select: words.iter().map(|word| Selector::parse(word)).collect() })
    }
}

fn text(word: OsString) -> Result<String, clap::Error> {
    word.into_string().map_err(|word| usage(&format!("'{}' is no text, and every name is", word.display())))
}

fn usage(message: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, message)
}

/// A usage error that did not come from clap.
pub(crate) fn misuse(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::Usage, message)
}
