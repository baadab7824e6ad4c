//! What was meant: the arguments of a pipeline with every default resolved, once.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipcpipe::Error;
use ipcpipe::channel::Backend;
use ipcpipe::stage::conv::system_seed;
use ipcpipe::stage::log::{Fsync, LogFormat};

use crate::args::{Args, Format, InputArgs, InputPath, LogArgs, OutputArgs, SampleArgs, When};

/// The time between two random samples unless it is given.
const PACE: Duration = Duration::from_millis(800);

/// The time between two printed states of a flat-out run unless it is given: ten a second are more than an eye follows.
const GLANCE: Duration = Duration::from_millis(100);

/// One run of the pipeline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// The mechanism that connects the stages.
    pub(crate) backend: Backend,
    /// The number of samples to stop after.
    pub(crate) count: Option<u64>,
    /// The time to stop after.
    pub(crate) duration: Option<Duration>,
    /// The time between two samples; zero is flat out.
    pub(crate) interval: Duration,
    /// Samples a frame; `None` leaves it to the sender.
    pub(crate) batch: Option<NonZeroUsize>,
    /// Where samples come from.
    pub(crate) source: Source,
    /// The file that log writes.
    pub(crate) log: LogConfig,
    /// What is printed.
    pub(crate) output: Output,
    /// The time the stages have to drain before they are killed.
    pub(crate) drain_timeout: Duration,
    /// Whether kernel names stay until the end.
    pub(crate) keep_names: bool,
}

/// Where samples come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Random integers in `min..=max`; the seed fixes them.
    Random { min: i64, max: i64, seed: u64 },
    /// Lines of text: the whole line, or the column `field` between delimiters, or between blanks without one.
    Input { path: InputPath, field: Option<NonZeroUsize>, delimiter: Option<char>, skip_invalid: bool },
}

/// The file that log writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogConfig {
    pub(crate) path: PathBuf,
    pub(crate) truncate: bool,
    pub(crate) format: LogFormat,
    pub(crate) fsync: Fsync,
}

/// What is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) format: Format,
    /// The shortest time between two printed states; zero prints each.
    pub(crate) report_every: Duration,
    /// Whether report prints nothing at all.
    pub(crate) quiet: bool,
    pub(crate) progress: When,
    pub(crate) color: When,
}

impl Config {
    /// What `args` mean.
    ///
    /// # Errors
    /// When a seed is wanted from the system and it has none to give.
    pub(crate) fn resolve(args: Args) -> Result<Self, Error> {
        let Args { mechanism, samples, input, log, output, shutdown, command: _ } = args;
        let interval = interval(&samples, &input);
        Ok(Self {
            backend: mechanism.backend,
            count: samples.count,
            duration: samples.duration,
            interval,
            batch: mechanism.batch.0,
            source: source(&samples, input)?,
            log: log.into(),
            output: printed(&output, interval),
            drain_timeout: shutdown.drain_timeout,
            keep_names: mechanism.keep_names,
        })
    }
}

impl From<LogArgs> for LogConfig {
    fn from(args: LogArgs) -> Self {
        Self { path: args.log, truncate: args.truncate, format: args.log_format, fsync: args.fsync }
    }
}

/// Input brings its own pace: a file none, a live pipe that of its writer.
fn interval(samples: &SampleArgs, input: &InputArgs) -> Duration {
    let default = if input.input.is_some() { Duration::ZERO } else { PACE };
    samples.rate.map(|rate| rate.interval()).or(samples.interval).unwrap_or(default)
}

fn source(samples: &SampleArgs, input: InputArgs) -> Result<Source, Error> {
    let InputArgs { input, field, delimiter, skip_invalid } = input;
    match input {
        Some(path) => {
            let field = field.or(delimiter.map(|_| NonZeroUsize::MIN));
            Ok(Source::Input { path, field, delimiter, skip_invalid })
        }
        None => {
            let (min, max) = samples.range();
            Ok(Source::Random { min, max, seed: samples.seed.map_or_else(system_seed, Ok)? })
        }
    }
}

fn printed(args: &OutputArgs, interval: Duration) -> Output {
    let default = if interval.is_zero() { GLANCE } else { Duration::ZERO };
    Output {
        format: args.format,
        report_every: args.report_every.unwrap_or(default),
        quiet: args.quiet,
        progress: args.progress,
        color: args.color,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::parse::parse;

    fn config(line: &str) -> Config {
        let words = ["ipcpipe"].into_iter().chain(line.split_whitespace()).map(OsString::from);
        Config::resolve(parse(&words.collect::<Vec<_>>()).expect(line)).expect(line)
    }

    #[test]
    fn nothing_typed_is_the_documented_default() {
        let meant = config("--seed 7");
        assert_eq!(
            meant,
            Config {
                backend: Backend::Pipe,
                count: None,
                duration: None,
                interval: Duration::from_millis(800),
                batch: None,
                source: Source::Random { min: 0, max: 100, seed: 7 },
                log: LogConfig {
                    path: "ipcpipe.log".into(),
                    truncate: false,
                    format: LogFormat::Text,
                    fsync: Fsync::End
                },
                output: Output {
                    format: Format::Text,
                    report_every: Duration::ZERO,
                    quiet: false,
                    progress: When::Auto,
                    color: When::Auto
                },
                drain_timeout: Duration::from_secs(5),
                keep_names: false,
            }
        );
    }

    #[test]
    fn pace_and_report_follow_from_each_other() {
        let times = |line| {
            let meant = config(line);
            (meant.interval.as_millis(), meant.output.report_every.as_millis())
        };
        assert_eq!(times("--interval 0"), (0, 100));
        assert_eq!(times("--rate 2G"), (0, 100));
        assert_eq!(times("--rate 10"), (100, 0));
        assert_eq!(times("--input -"), (0, 100));
        assert_eq!(times("--input - --interval 1s"), (1_000, 0));
        assert_eq!(times("--interval 0 --report-every 0"), (0, 0));
    }

    #[test]
    fn input_reads_the_first_column_once_there_is_a_delimiter() {
        let field = |line| match config(line).source {
            Source::Input { field, .. } => field.map(NonZeroUsize::get),
            Source::Random { .. } => panic!("{line}"),
        };
        assert_eq!(field("-i l.csv"), None);
        assert_eq!(field("-i l.csv --delimiter ,"), Some(1));
        assert_eq!(field("-i l.csv --delimiter , --field 3"), Some(3));
    }

    #[test]
    fn seeds_of_the_system_differ() {
        assert_ne!(config("").source, config("").source);
    }
}
