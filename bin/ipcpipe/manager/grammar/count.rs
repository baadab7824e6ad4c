//! `count`, which is done by the client: no manager has to run for it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};
use ipcpipe::Error;
use ipcpipe::channel::Backend;
use ipcpipe::count::{Case, Io, Kernel, Letters, OnInvalid, Rules};
use ipcpipe::spread::Feed;

use crate::units;

/// What stands under the options.
pub(super) const NOTES: &str = "\
Forms: --format table, json or csv. JSON is one object, {\"v\":1,\"type\":\"count\",...}, with all letters, which --merge \
reads; CSV has a line 'file,kind,value,count,percent' for each letter, with --stats for each sum, with --words for each \
word, and with several files the same for all together, without a file. Time, CPU, memory and throughput are on stderr, \
and in JSON under metrics; -q leaves them out. Letters are those of Unicode; no text is normalised.";

/// What is counted, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct CountArgs {
    /// Files; '-' is standard input.
    #[arg(value_name = "FILE", required_unless_present_any = ["sample", "merge"], value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["sample", "merge"])]
    pub(crate) files: Vec<PathBuf>,
    /// Workers; auto is 1 for what is small, else the CPUs.
    #[arg(short, long, value_name = "N|auto", default_value = "auto", value_parser = workers)]
    pub(crate) workers: Workers,
    /// Whether workers are threads of this process or processes [default: thread, with --backend or --feed process].
    #[arg(long, value_enum, conflicts_with_all = ["compare", "merge"])]
    mode: Option<Mode>,
    /// What carries work and results between processes [default: pipe].
    #[arg(short, long, value_name = "MECHANISM", conflicts_with_all = ["compare", "merge"])]
    #[arg(value_parser = units::one_of(Backend::ALL, Backend::name))]
    backend: Option<Backend>,
    /// Whether worker processes read the file, or its bytes travel over the mechanism [default: path].
    #[arg(long, value_parser = units::one_of([Feed::Path, Feed::Stream], Feed::name), conflicts_with = "merge")]
    feed: Option<Feed>,
    /// What a letter is: Unicode category L, Unicode property Alphabetic, or A to Z.
    #[arg(long, value_name = "RULE", default_value = "letter")]
    #[arg(value_parser = units::one_of([Letters::Letter, Letters::Alphabetic, Letters::Ascii], Letters::name))]
    letters: Letters,
    /// Whether letters are made capitals first, by all of Unicode: 'ß' is two S.
    #[arg(long, default_value = "upper", value_parser = units::one_of([Case::Upper, Case::Keep], Case::name))]
    case: Case,
    /// Bytes that are no UTF-8: refuse them, count each sequence as U+FFFD, or skip it.
    #[arg(long, value_name = "WHAT", default_value = "strict", value_parser = units::one_of(INVALID, OnInvalid::name))]
    invalid: OnInvalid,
    /// Bytes, characters, lines, words, which are runs without white space, letters and distinct letters besides the table.
    #[arg(long)]
    pub(crate) stats: bool,
    /// The N most frequent words, which are runs of letters and what stands within them here: marks and apostrophes.
    #[arg(long, value_name = "N")]
    pub(crate) words: Option<usize>,
    /// Order of the table [default: letter, with --top count].
    #[arg(long, value_enum)]
    pub(crate) sort: Option<Sort>,
    /// Only the N most frequent letters.
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,
    /// A bar beside each letter: auto draws it on a terminal.
    #[arg(long, value_enum, default_value_t = Chart::Auto)]
    pub(crate) chart: Chart,
    /// Measure 1 worker, N threads, and N processes over each mechanism, in turns.
    #[arg(long, conflicts_with = "merge")]
    pub(crate) compare: bool,
    /// Count made-up English of so many bytes, such as 870k, instead of a file; SEED makes it another one.
    #[arg(long, value_name = "SIZE[,SEED]", value_parser = sample)]
    pub(crate) sample: Option<Sample>,
    /// Add up what earlier runs with --format json found.
    #[arg(long, value_name = "FILE", num_args = 1.., value_hint = ValueHint::FilePath, conflicts_with = "sample")]
    pub(crate) merge: Vec<PathBuf>,
    /// Instructions that count; for measurements.
    #[arg(long, default_value = "auto", value_parser = units::one_of(Kernel::ALL, Kernel::name))]
    pub(crate) kernel: Kernel,
    /// How a file gets into memory; for measurements.
    #[arg(long, default_value = "auto", value_parser = units::one_of([Io::Auto, Io::Mmap, Io::Read], Io::name))]
    pub(crate) io: Io,
    /// All files below directories.
    #[arg(short, long)]
    pub(crate) recursive: bool,
}

impl CountArgs {
    /// Who counts: processes where something is said about what lies between them.
    ///
    /// # Errors
    /// When that is said of threads.
    pub(crate) fn mode(&self) -> Result<Mode, Error> {
        let backend = self.backend.map(|it| format!("--backend {}", it.name()));
        let between = backend.or_else(|| self.feed.map(|it| format!("--feed {}", it.name())));
        match (self.mode, between) {
            (Some(Mode::Thread), Some(between)) => {
                let error = Error::refused("cannot count with", between, "threads share their memory");
                Err(error.hint("leave out --mode thread"))
            }
            (Some(mode), _) => Ok(mode),
            (None, between) => Ok(if between.is_some() { Mode::Process } else { Mode::Thread }),
        }
    }

    /// What carries work and results between processes.
    pub(crate) fn backend(&self) -> Backend {
        self.backend.unwrap_or(Backend::Pipe)
    }

    /// Whether processes read the file themselves.
    pub(crate) fn feed(&self) -> Feed {
        self.feed.unwrap_or(Feed::Path)
    }

    /// What is counted, and as what.
    pub(crate) fn rules(&self) -> Rules {
        let Self { letters, case, invalid, stats, words, .. } = *self;
        Rules { letters, case, invalid, stats, words: words.is_some() }
    }
}

const INVALID: [OnInvalid; 3] = [OnInvalid::Strict, OnInvalid::Lossy, OnInvalid::Skip];

/// Who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Threads.
    Thread,
    /// Processes.
    Process,
}

impl Mode {
    /// The name that a person types.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Process => "process",
        }
    }
}

/// The order of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// That of the letters.
    Letter,
    /// The most frequent first.
    Count,
}

/// Whether there are bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Chart {
    /// On a terminal.
    Auto,
    /// Nowhere.
    Never,
}

/// How many workers; None leaves it to the size of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workers(pub(crate) Option<NonZeroUsize>);

/// A text to be made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) size: u64,
    pub(crate) seed: u64,
}

/// Nobody has more CPUs, and each worker takes memory.
const MOST: usize = 1024;

fn workers(text: &str) -> Result<Workers, String> {
    if text == "auto" {
        return Ok(Workers(None));
    }
    let number = units::position(text).ok().filter(|number| number.get() <= MOST);
    number.map(|number| Workers(Some(number))).ok_or_else(|| format!("expected auto or a number from 1 to {MOST}"))
}

fn sample(text: &str) -> Result<Sample, String> {
    let (size, seed) = text.split_once(',').unwrap_or((text, "1"));
    match (units::count(size), seed.parse()) {
        (Ok(size), Ok(seed)) => Ok(Sample { size, seed }),
        _ => Err("expected a number of bytes, and a number as seed, such as 870k or 1M,7".into()),
    }
}
