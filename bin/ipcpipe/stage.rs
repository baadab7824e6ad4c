//! The hidden `ipcpipe stage NAME ...`: what each of the four processes executes. Its arguments are made and
//! parsed here, so that they cannot drift apart, and are readable in ps(1).

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use ipcpipe::channel::Fanout;
use ipcpipe::pipeline::{Station, SystemClock, Wiring};
use ipcpipe::record::Sample;
use ipcpipe::stage::conv::{Column, ConvOptions, InputSource, Lines, RandomSource, Samples};
use ipcpipe::stage::log::{Fsync, LogFormat, LogOptions};
use ipcpipe::stage::{self, Fault, FaultKind};
use ipcpipe::sys::clock;
use serde::Serialize;

use crate::args::Format;
use crate::bench::Part;
use crate::config::{Config, Source};
use crate::{Exit, Outcome, render, units};

/// One stage. It is no command of [`Args`](crate::args::Args): every stage would build the definition of all others, which
/// takes a megabyte and a millisecond.
#[derive(Debug, Parser)]
#[command(name = "ipcpipe stage")]
pub(crate) struct StageArgs {
    #[command(subcommand)]
    stage: Stage,
}

#[derive(Debug, Subcommand)]
enum Stage {
    Conv(ConvArgs),
    Log(LogArgs),
    Stat(StatArgs),
    Report(ReportArgs),
    #[command(flatten)]
    Bench(Part),
}

/// See [`Wiring`], which makes these arguments.
#[derive(Clone, Debug, PartialEq, clap::Args)]
pub(crate) struct WiringArgs {
    #[arg(long)]
    launcher: u32,
    #[arg(long)]
    grace_ms: u64,
    #[arg(long)]
    control: RawFd,
    #[arg(long)]
    stop: Option<RawFd>,
    #[arg(long)]
    from: Vec<OsString>,
    #[arg(long)]
    to: Vec<OsString>,
}

impl From<WiringArgs> for Wiring {
    fn from(args: WiringArgs) -> Self {
        let WiringArgs { launcher, grace_ms, control, stop, from, to } = args;
        Self { launcher, grace: Duration::from_millis(grace_ms), control, stop, from, to }
    }
}

#[derive(Clone, Debug, PartialEq, clap::Args)]
struct ConvArgs {
    #[arg(long)]
    count: Option<u64>,
    #[arg(long, value_parser = units::duration)]
    duration: Option<Duration>,
    #[arg(long, value_parser = units::duration)]
    interval: Duration,
    #[arg(long)]
    batch: Option<NonZeroUsize>,
    #[arg(long, allow_negative_numbers = true)]
    min: Option<i64>,
    #[arg(long, allow_negative_numbers = true)]
    max: Option<i64>,
    #[arg(long)]
    seed: Option<u64>,
    #[arg(long)]
    input: Option<PathBuf>,
    #[arg(long)]
    field: Option<NonZeroUsize>,
    #[arg(long, allow_hyphen_values = true)]
    delimiter: Option<char>,
    #[arg(long)]
    skip_invalid: bool,
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    wiring: WiringArgs,
}

#[derive(Clone, Debug, PartialEq, clap::Args)]
struct LogArgs {
    /// The open file is standard output; this is what messages call it.
    #[arg(long)]
    name: PathBuf,
    #[arg(long, value_parser = units::one_of(LogFormat::ALL, LogFormat::name))]
    log_format: LogFormat,
    #[arg(long, value_parser = units::fsync)]
    fsync: Fsync,
    #[arg(long)]
    truncate: bool,
    #[command(flatten)]
    wiring: WiringArgs,
}

#[derive(Clone, Debug, PartialEq, clap::Args)]
struct StatArgs {
    #[arg(long)]
    each_sample: bool,
    #[command(flatten)]
    wiring: WiringArgs,
}

#[derive(Clone, Debug, PartialEq, clap::Args)]
struct ReportArgs {
    #[arg(long, value_enum)]
    format: Format,
    #[arg(long, value_parser = units::duration)]
    every: Duration,
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    wiring: WiringArgs,
}

/// The arguments of each stage, without its wiring: conv, log, stat, report.
pub(crate) fn arguments(config: &Config, progress: bool) -> [Vec<OsString>; 4] {
    [conv_arguments(config, progress), log_arguments(config), stat_arguments(config), report_arguments(config)]
}

/// An argument list that is built option by option.
struct Words(Vec<OsString>);

impl Words {
    fn stage(name: &str) -> Self {
        Self(vec!["stage".into(), name.into()])
    }

    fn with(mut self, option: &str, value: impl Into<OsString>) -> Self {
        // One word, so that a value that starts with a dash stays a value.
        let mut word = OsString::from(format!("--{option}="));
        word.push(value.into());
        self.0.push(word);
        self
    }

    fn maybe(self, option: &str, value: Option<impl Into<OsString>>) -> Self {
        match value {
            Some(value) => self.with(option, value),
            None => self,
        }
    }

    fn flag(mut self, option: &str, set: bool) -> Self {
        if set {
            self.0.push(format!("--{option}").into());
        }
        self
    }
}

/// All digits, in a form that [`units::duration`] reads.
fn time(duration: Duration) -> String {
    format!("{duration:?}")
}

fn conv_arguments(config: &Config, progress: bool) -> Vec<OsString> {
    let words = Words::stage("conv")
        .maybe("count", config.count.map(|count| count.to_string()))
        .maybe("duration", config.duration.map(time))
        .with("interval", time(config.interval))
        .maybe("batch", config.batch.map(|batch| batch.to_string()))
        .flag("progress", progress);
    match &config.source {
        Source::Random { min, max, seed } => {
            words.with("min", min.to_string()).with("max", max.to_string()).with("seed", seed.to_string())
        }
        Source::Input { path, field, delimiter, skip_invalid } => words
            .with("input", path.name())
            .maybe("field", field.map(|field| field.to_string()))
            .maybe("delimiter", delimiter.map(String::from))
            .flag("skip-invalid", *skip_invalid),
    }
    .0
}

fn log_arguments(config: &Config) -> Vec<OsString> {
    let log = &config.log;
    let fsync = match log.fsync {
        Fsync::Never => "never".to_owned(),
        Fsync::End => "end".to_owned(),
        Fsync::Always => "always".to_owned(),
        Fsync::Every(period) => time(period),
    };
    Words::stage("log")
        .with("name", &log.path)
        .with("log-format", log.format.name())
        .with("fsync", fsync)
        .flag("truncate", log.truncate)
        .0
}

fn stat_arguments(config: &Config) -> Vec<OsString> {
    Words::stage("stat").flag("each-sample", config.output.report_every.is_zero()).0
}

fn report_arguments(config: &Config) -> Vec<OsString> {
    let output = &config.output;
    let format = if output.format == Format::Json { "json" } else { "text" };
    Words::stage("report").with("format", format).with("every", time(output.report_every)).flag("quiet", output.quiet).0
}

/// The stage that the words of the command line ask for, if they do.
pub(crate) fn of(words: &[OsString]) -> Option<Result<StageArgs, clap::Error>> {
    let stage = words.get(1).is_some_and(|word| word == "stage");
    stage.then(|| StageArgs::try_parse_from(&words[1..]))
}

/// Runs one stage to its end.
pub(crate) fn run(args: StageArgs) -> Outcome {
    match args.stage {
        Stage::Conv(args) => occupy("conv", args.wiring.clone(), |station| conv(station, args)),
        Stage::Log(args) => occupy("log", args.wiring.clone(), |station| log(station, args)),
        Stage::Stat(args) => occupy("stat", args.wiring.clone(), |station| stat(station, &args)),
        Stage::Report(args) => occupy("report", args.wiring.clone(), |station| report(station, &args)),
        Stage::Bench(part) => part.run(),
    }
}

/// Takes up a station, runs `stage` there and hands in what it answers. The launcher tells people what went wrong;
/// only a stage that has no launcher has to do so itself.
pub(crate) fn occupy<O: Serialize>(
    name: &str,
    wiring: WiringArgs,
    stage: impl FnOnce(&mut Station) -> Result<(Option<Fault>, O), ipcpipe::Error>,
) -> Outcome {
    let mut station = Station::take_up(name, wiring.into())?;
    let fault = match stage(&mut station) {
        Ok((fault, outcome)) => {
            station.finish(fault.clone(), &outcome);
            fault
        }
        Err(error) => {
            let fault = Fault::from(error);
            station.finish(Some(fault.clone()), &());
            Some(fault)
        }
    };
    Ok(match fault.map(|fault| fault.kind) {
        // What happened elsewhere is no failure of this stage.
        None | Some(FaultKind::PeerGone | FaultKind::OutputClosed) => Exit::Done,
        Some(FaultKind::Failed) => Exit::Failed,
        Some(FaultKind::Corrupt) => Exit::Unconserved,
    })
}

fn conv(station: &mut Station, args: ConvArgs) -> Result<(Option<Fault>, impl Serialize + use<>), ipcpipe::Error> {
    let stop = station.stop_line()?;
    let Some(path) = &args.input else {
        let range = args.min.unwrap_or_default()..=args.max.unwrap_or_default();
        let source = RandomSource::new(range, args.seed.unwrap_or_default())?;
        return convert(station, &args, source, stop);
    };
    let column = args.field.map(|field| Column { field, delimiter: args.delimiter });
    let lines = Lines { column, skip_invalid: args.skip_invalid };
    let source = InputSource::new(station.input(&stop)?, path.to_string_lossy(), lines);
    convert(station, &args, source, stop)
}

fn convert(
    station: &mut Station,
    args: &ConvArgs,
    source: impl Samples,
    mut stop: ipcpipe::pipeline::StopLine,
) -> Result<(Option<Fault>, stage::conv::ConvOutcome), ipcpipe::Error> {
    let mut senders = station.senders::<Sample>()?;
    if let Some(batch) = args.batch {
        senders = senders.into_iter().map(|sender| sender.with_frame_limit(batch)).collect();
    }
    station.ready();
    let options = ConvOptions { count: args.count, duration: args.duration, interval: args.interval };
    let progress = |count| {
        if args.progress {
            station.progress(count);
        }
    };
    let outcome = stage::conv(source, Fanout::new(senders), &options, &mut stop, progress);
    Ok((outcome.fault.clone(), outcome))
}

fn log(station: &mut Station, args: LogArgs) -> Result<(Option<Fault>, impl Serialize + use<>), ipcpipe::Error> {
    let receiver = station.receiver()?;
    let file = station.output()?;
    station.ready();
    let options = LogOptions {
        name: args.name.to_string_lossy().into_owned(),
        format: args.log_format,
        fsync: args.fsync,
        truncate: args.truncate,
        epoch_offset_ns: clock::realtime_offset_ns() as i64,
    };
    let outcome = stage::log(receiver, file, &options, &SystemClock);
    Ok((outcome.fault.clone(), outcome))
}

fn stat(station: &mut Station, args: &StatArgs) -> Result<(Option<Fault>, impl Serialize + use<>), ipcpipe::Error> {
    let receiver = station.receiver()?;
    let sender = station.sender()?;
    station.ready();
    let outcome = stage::stat(receiver, sender, args.each_sample);
    Ok((outcome.fault.clone(), outcome))
}

fn report(station: &mut Station, args: &ReportArgs) -> Result<(Option<Fault>, impl Serialize + use<>), ipcpipe::Error> {
    let receiver = station.receiver()?;
    let mut output: Box<dyn io::Write> = if args.quiet { Box::new(io::sink()) } else { Box::new(station.output()?) };
    station.ready();
    let render = |state: &_, text: &mut _| render::state(text, args.format, state);
    let on_output_error = |fault: &Fault| station.drain(fault.clone());
    let outcome = stage::report(receiver, &mut output, render, args.every, &SystemClock, on_output_error);
    Ok((outcome.fault.clone(), outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(mut words: Vec<OsString>, wiring: &Wiring) -> Stage {
        words.insert(0, "ipcpipe".into());
        words.extend(wiring.to_args());
        let read = of(&words).expect("the word 'stage'");
        read.unwrap_or_else(|error| panic!("{words:?}: {error}")).stage
    }

    fn config(line: &str) -> Config {
        let words: Vec<OsString> = ["ipcpipe"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
        Config::resolve(crate::parse::parse(&words).unwrap()).unwrap()
    }

    fn wiring() -> Wiring {
        Wiring {
            launcher: 4711,
            grace: Duration::from_millis(1500),
            control: 9,
            stop: Some(11),
            from: vec!["mq:3:/ipcpipe.x.conv-log".into()],
            to: vec!["pipe:4:a".into(), "fifo:/-odd dir/\n".into()],
        }
    }

    #[test]
    fn what_a_stage_is_told_is_what_was_meant() {
        let meant = config(
            "-n 7 --duration 1m30s --interval 1.5ms --batch 3 --min -5 --max 9 --seed 1 --log=-odd --log-format csv --fsync 20ms",
        );
        let [conv, log, ..] = arguments(&meant, true);
        let Stage::Conv(conv) = parse(conv, &wiring()) else { panic!("not conv") };
        assert_eq!((conv.count, conv.duration, conv.interval), (Some(7), meant.duration, meant.interval));
        assert_eq!((conv.min, conv.max, conv.seed, conv.batch), (Some(-5), Some(9), Some(1), meant.batch));
        assert!(conv.progress && conv.input.is_none());
        assert_eq!(Wiring::from(conv.wiring), wiring());
        let Stage::Log(log) = parse(log, &Wiring::default()) else { panic!("not log") };
        assert_eq!((log.name, log.log_format, log.fsync), (meant.log.path, meant.log.format, meant.log.fsync));
    }

    #[test]
    fn input_and_output_are_told_too() {
        let meant = config("-i - --delimiter - --field 2 --skip-invalid --format json --report-every 2us -q");
        let [conv, _, stat, report] = arguments(&meant, false);
        let Stage::Conv(conv) = parse(conv, &wiring()) else { panic!("not conv") };
        assert_eq!(conv.input, Some("standard input".into()));
        assert_eq!((conv.delimiter, conv.field, conv.skip_invalid), (Some('-'), NonZeroUsize::new(2), true));
        let Stage::Stat(stat) = parse(stat, &wiring()) else { panic!("not stat") };
        assert!(!stat.each_sample);
        let Stage::Report(report) = parse(report, &wiring()) else { panic!("not report") };
        assert_eq!((report.format, report.every, report.quiet), (Format::Json, Duration::from_micros(2), true));
    }

    #[test]
    fn every_duration_survives_as_text() {
        for nanos in [0, 1, 999, 1_000, 1_500, 999_999_999, 1_000_000_001, 86_400_000_000_001] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(units::duration(&time(duration)), Ok(duration), "{}", time(duration));
        }
    }
}
