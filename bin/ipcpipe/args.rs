//! The command line: every command and option with its help, its default and the values it takes.
//!
//! [`Args`] is what was typed, with the environment in place of what was not (see [`parse`](crate::parse));
//! [`Config`](crate::config::Config) is what was meant.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use ipcpipe::channel::Backend;
use ipcpipe::stage::log::{Fsync, LogFormat};

use crate::lazy::Lazy;
use crate::units::{self, Batch, Rate};

/// The usage lines of help and man page.
const USAGE: &str = "ipcpipe [OPTIONS]\n       ipcpipe <COMMAND>";

/// The rule by which every option has its variable, in one sentence instead of one per option.
pub(crate) const ENVIRONMENT: &str = "Every option is also an environment variable, IPCPIPE_ and its name in capitals \
    (IPCPIPE_LOG_FORMAT=csv); the command line wins.";

/// What a first-time user wants to try, for help and man page.
pub(crate) const EXAMPLES: [(&str, &str); 5] = [
    ("ipcpipe", "random samples, one every 800 ms, over pipes until Ctrl-C"),
    ("ipcpipe -b mq --count 10 --rate 5", "ten samples, five a second, over POSIX message queues"),
    ("ipcpipe -b shm --interval 0 --duration 5s -q", "as fast as shared memory goes, summary only"),
    ("seq 1 100000 | ipcpipe --input - --format json | tail -1", "samples from stdin, the summary as JSON"),
    ("ipcpipe --keep-names -b fifo", "leaves the FIFOs visible while it runs"),
];

/// Run conv, log, stat and report as four processes connected by the IPC mechanism of your choice.
///
/// conv makes samples, or reads them, and sends each to log, which writes it to a file, and to stat, which keeps
/// count, sum, mean, min, max and standard deviation; report prints every new state. No sample is ever dropped: a slow
/// stage slows the others down. Ctrl-C drains what is on its way, prints a summary and leaves nothing behind.
#[derive(Debug, Parser)]
#[command(name = "ipcpipe", version, long_version = long_version(), override_usage = USAGE, args_conflicts_with_subcommands = true)]
#[command(after_help = ENVIRONMENT, after_long_help = closing_words())]
pub(crate) struct Args {
    /// What to do instead of running the pipeline.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) mechanism: MechanismArgs,
    #[command(flatten)]
    pub(crate) samples: SampleArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) shutdown: ShutdownArgs,
}

/// Everything but the pipeline itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Remove the names that runs and makers of shared memory left behind when they were killed; what lives is not touched.
    Clean(CleanArgs),
    /// Measure every mechanism on this machine: throughput, latency, CPU time and context switches a sample.
    Bench(Lazy<BenchArgs>),
    /// Create, pause, resume, end and explain named processes and threads.
    Manager(Box<crate::manager::ManagerArgs>),
    /// Print a completion script for a shell to stdout.
    Completions {
        /// Shell that will read the script.
        shell: Shell,
    },
    /// Print the manual page to stdout, in roff.
    Man,
}

/// How samples travel.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Mechanism")]
pub(crate) struct MechanismArgs {
    /// What connects the stages: pipe, named pipe, POSIX message queue, shared memory or Unix socket.
    #[arg(short, long, value_name = "MECHANISM", default_value = "pipe")]
    #[arg(value_parser = units::one_of(Backend::ALL, Backend::name))]
    pub(crate) backend: Backend,
    /// Samples in one frame; auto sends as soon as no further sample is due, so that a paced one never waits.
    #[arg(long, value_name = "auto|N", default_value = "auto", value_parser = units::batch)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) batch: Batch,
    /// Keep the names of FIFOs, queues, segments and sockets visible until the end, and print where to look.
    #[arg(long)]
    pub(crate) keep_names: bool,
}

/// Which samples, how many and how fast.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Samples")]
pub(crate) struct SampleArgs {
    /// Stop after this many samples, such as 1_000, 10k or 1M [default: no limit].
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count, allow_negative_numbers = true)]
    pub(crate) count: Option<u64>,
    /// Stop after this time, such as 800ms, 2s or 1m30s [default: no limit].
    #[arg(long, value_parser = units::duration, allow_negative_numbers = true)]
    pub(crate) duration: Option<Duration>,
    /// Time between two samples; 0 is as fast as it can [default: 800ms, or 0 with --input].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, allow_negative_numbers = true)]
    pub(crate) interval: Option<Duration>,
    /// Samples a second, instead of --interval; above 1G is as fast as it can.
    #[arg(long, value_name = "N", value_parser = units::rate, allow_negative_numbers = true)]
    pub(crate) rate: Option<Rate>,
    /// Smallest random integer [default: 0].
    #[arg(long, value_name = "A", value_parser = units::integer, allow_negative_numbers = true)]
    min: Option<i64>,
    /// Largest random integer [default: 100].
    #[arg(long, value_name = "B", value_parser = units::integer, allow_negative_numbers = true)]
    max: Option<i64>,
    /// Seed of the random integers; the same seed gives the same samples [default: a new one from the system].
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
}

impl SampleArgs {
    /// The smallest and the largest random integer.
    pub(crate) fn range(&self) -> (i64, i64) {
        (self.min.unwrap_or(0), self.max.unwrap_or(100))
    }
}

/// Samples that are read instead of made.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// Read one sample a line from a file, or from stdin with '-', instead of making them.
    #[arg(short, long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    #[arg(value_parser = PathBufValueParser::new().map(InputPath::from))]
    pub(crate) input: Option<InputPath>,
    /// Column of the line that holds the sample, counted from 1 [default: the whole line].
    #[arg(long, value_name = "N", value_parser = units::position, allow_negative_numbers = true)]
    pub(crate) field: Option<NonZeroUsize>,
    /// Character between two columns, such as ',' or '\t' [default: blanks].
    #[arg(long, value_name = "C", value_parser = units::delimiter, allow_negative_numbers = true)]
    pub(crate) delimiter: Option<char>,
    /// Count and skip lines that hold no number instead of stopping at the first.
    #[arg(long)]
    pub(crate) skip_invalid: bool,
}

/// The file that log writes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// File that every sample is appended to.
    #[arg(short = 'o', long, value_name = "FILE", default_value = "ipcpipe.log", value_hint = ValueHint::FilePath)]
    pub(crate) log: PathBuf,
    /// Start the log file afresh instead of appending to it.
    #[arg(long)]
    pub(crate) truncate: bool,
    /// Form of the log: a value a line; seq,time,value a line; the same as JSON; or little-endian 64-bit floats.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    #[arg(value_parser = units::one_of(LogFormat::ALL, LogFormat::name))]
    pub(crate) log_format: LogFormat,
    /// When the log is forced to the disk: never, at the end, after every write, or each time this long has passed.
    #[arg(long, value_name = "never|end|always|DURATION", default_value = "end", value_parser = units::fsync)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) fsync: Fsync,
}

/// What is said while it runs and at the end.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Form of the states that report prints and of the summary.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Shortest time between two printed states; 0 prints each [default: 0, or 100ms if the interval is 0].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, allow_negative_numbers = true)]
    pub(crate) report_every: Option<Duration>,
    /// Print the summary only.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Progress bar on stderr; auto shows it on a terminal that report leaves free, if the end is known.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto, hide_possible_values = true)]
    pub(crate) progress: When,
    /// Colour in what is written to a person: auto, always or never.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Auto, hide_possible_values = true)]
    #[arg(global = true)]
    pub(crate) color: When,
}

/// How long the end may take.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Shutdown")]
pub(crate) struct ShutdownArgs {
    /// Time that the stages have to drain after a stop before they are killed.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = units::duration)]
    #[arg(allow_negative_numbers = true)]
    pub(crate) drain_timeout: Duration,
}

/// `ipcpipe clean`.
#[derive(Debug, clap::Args)]
pub(crate) struct CleanArgs {
    /// List what would be removed and remove nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `ipcpipe bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Mechanisms to measure, separated by commas, or all.
    #[arg(short, long, value_name = "LIST|all", value_delimiter = ',', default_value = "all")]
    #[arg(value_parser = units::one_of(measurable(), |choice| choice.map_or("all", Backend::name)))]
    backend: Vec<Option<Backend>>,
    /// Time that one measurement takes, from 10ms; there are 18 for each mechanism.
    #[arg(long, default_value = "1s", value_parser = measuring_time, allow_negative_numbers = true)]
    pub(crate) duration: Duration,
    /// Form of the figures.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

impl BenchArgs {
    /// The mechanisms to measure, each once, in their usual order.
    pub(crate) fn backends(&self) -> impl Iterator<Item = Backend> {
        let chosen = |backend| self.backend.iter().any(|choice| choice.is_none_or(|choice| choice == backend));
        Backend::ALL.into_iter().filter(move |backend| chosen(*backend))
    }
}

/// Long enough for a few of the slowest things that are measured.
fn measuring_time(text: &str) -> Result<Duration, String> {
    let duration = units::duration(text)?;
    if duration < Duration::from_millis(10) { Err("expected a duration from 10ms".into()) } else { Ok(duration) }
}

/// What `bench --backend` lists: each mechanism, and `None` for all of them.
fn measurable() -> [Option<Backend>; Backend::ALL.len() + 1] {
    std::array::from_fn(|at| Backend::ALL.get(at).copied())
}

/// Where samples are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InputPath {
    /// Standard input, typed as `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl InputPath {
    /// What messages call it.
    pub(crate) fn name(&self) -> OsString {
        match self {
            Self::Stdin => "standard input".into(),
            Self::File(path) => path.into(),
        }
    }
}

impl From<PathBuf> for InputPath {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path) }
    }
}

/// The version of the program, and those of Unicode by which it counts: they move with the compiler.
fn long_version() -> String {
    let (major, minor, update) = char::UNICODE_VERSION;
    let (version, letters) = (clap::crate_version!(), ipcpipe::count::LETTERS_UNICODE);
    format!(
        "{version}\nletters of Unicode {letters}, capitals and alphabetic characters of Unicode {major}.{minor}.{update}"
    )
}

/// The last paragraphs of the long help.
fn closing_words() -> String {
    let examples = EXAMPLES.map(|(line, meaning)| format!("  {line}\n      {meaning}\n")).concat();
    format!("Examples:\n{examples}\n{ENVIRONMENT}")
}

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether to do something that depends on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// If there is a terminal.
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

impl From<When> for ColorChoice {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_option_has_a_topic_and_one_sentence_of_help() {
        for option in Args::command().get_arguments() {
            let (id, help) = (option.get_id(), option.get_help().expect("help").to_string());
            assert!(option.get_help_heading().is_some(), "{id}");
            assert!(!help.contains('\n') && !help.ends_with('.'), "{id}: {help}");
        }
    }

    #[test]
    fn bench_takes_a_list_once_and_in_order() {
        let measured = |list| BenchArgs::try_parse_list(list).backends().collect::<Vec<_>>();
        assert_eq!(measured("all"), Backend::ALL);
        assert_eq!(measured("shm,pipe,shm"), [Backend::Pipe, Backend::Shm]);
    }

    impl BenchArgs {
        fn try_parse_list(list: &str) -> Self {
            match Args::try_parse_from(["ipcpipe", "bench", "--backend", list]).expect("valid").command {
                Some(Command::Bench(bench)) => *bench.0,
                other => panic!("{other:?}"),
            }
        }
    }
}
