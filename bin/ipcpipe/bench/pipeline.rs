//! The program itself: conv, log, stat and report, with a text log of every sample.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::process;
use std::time::Duration;

use ipcpipe::Error;
use ipcpipe::channel::Backend;
use ipcpipe::pipeline::{self, LogFile, Recovery, StageUse, Stdin, StoppedBy, Summary};
use ipcpipe::stage::conv::{RandomSource, Samples as _};
use ipcpipe::stage::log::{Fsync, LogFormat};

use super::experiment::{Ground, Subject};
use super::trial::Failure;
use crate::args::{Format, When};
use crate::config::{Config, LogConfig, Output, Source};
use crate::{Exit, run};

/// What is sent: the same random integers each time, so that their sum is known.
const SEED: u64 = 7;
const RANGE: (i64, i64) = (0, 100);

/// A sample every millisecond.
const PACE: Duration = Duration::from_millis(1);

/// Rates and CPU time of a run without a pause.
pub(super) fn flat_out(ground: &mut Ground, subject: Subject) -> Result<Vec<f64>, Failure> {
    let summary = execute(subject, ground.duration, Duration::ZERO)?;
    let count = summary.produced as f64;
    let cpu_ns = |stage: &StageUse| (stage.user + stage.sys).as_nanos() as f64 / count;
    let each: Vec<f64> = summary.stages.iter().map(cpu_ns).collect();
    let switches: u64 = summary.stages.iter().map(|stage| stage.voluntary_switches).sum();
    let mut values = vec![count / summary.elapsed.as_secs_f64(), each.iter().sum()];
    values.extend(each);
    values.push(switches as f64 / count * 1e6);
    Ok(values)
}

/// How long samples take to the log when they come one by one.
pub(super) fn paced(ground: &mut Ground, subject: Subject) -> Result<Vec<f64>, Failure> {
    let summary = execute(subject, ground.duration, PACE)?;
    let latency = summary.latency.log.ok_or_else(|| Failure::failed("log told no latency"))?;
    let raw = ground.raw_one_way_us.ok_or_else(|| Failure::failed("there is no raw pipe to compare it with"))?;
    let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(|ns| ns as f64 / 1e3);
    Ok(vec![p50, p99, max, p50 / raw])
}

/// Runs the pipeline and holds what it says against the log file and the samples themselves.
fn execute(subject: Subject, duration: Duration, interval: Duration) -> Result<Summary, Failure> {
    let Subject::Link(backend) = subject else { return Err(Failure::failed("a raw pipe runs no pipeline")) };
    let config = config(backend, duration, interval);
    let file = unnamed_file()?;
    let log = file.try_clone().map_err(|error| Error::os("cannot write", "the log", error))?;
    let ending = pipeline::run(run::plan(&config, Stdin::Nothing, log, false), &mut |_| {})?;
    let described = LogFile { path: config.log.path, format: config.log.format, bytes: 0 };
    let summary = Summary::new(&ending, backend, described, 0, Recovery::default);
    if let Some(request) = ending.request {
        return Err(Failure::Request(request as i32));
    }
    believe(&summary)?;
    let lines = count_lines(&file).map_err(|error| Error::os("cannot read", "the log", error))?;
    if lines != summary.logged {
        return Err(Failure::loss(format!("log says it wrote {} samples, and its file holds {lines}", summary.logged)));
    }
    let sum = expected_sum(summary.produced)?;
    if summary.statistics.sum != sum {
        return Err(Failure::loss(format!("the sum is {} instead of {sum}", summary.statistics.sum)));
    }
    Ok(summary)
}

/// The log is not forced to the disk: the disk is not what is measured.
fn config(backend: Backend, duration: Duration, interval: Duration) -> Config {
    let (min, max) = RANGE;
    Config {
        backend,
        count: None,
        duration: Some(duration),
        interval,
        batch: None,
        source: Source::Random { min, max, seed: SEED },
        log: LogConfig { path: "the log".into(), truncate: false, format: LogFormat::Text, fsync: Fsync::Never },
        output: Output {
            format: Format::Json,
            report_every: if interval.is_zero() { Duration::from_millis(100) } else { Duration::ZERO },
            quiet: true,
            progress: When::Never,
            color: When::Never,
        },
        drain_timeout: Duration::from_secs(5),
        keep_names: false,
    }
}

/// Where logs are written.
pub(super) fn log_directory() -> PathBuf {
    env::temp_dir()
}

/// A file whose name is gone at once: no end of this process, however sudden, leaves it behind.
fn unnamed_file() -> Result<File, Error> {
    let path = log_directory().join(format!("ipcpipe-bench.{}.log", process::id()));
    let failed = |error: io::Error| Error::os("cannot create", path.display(), error);
    let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    fs::remove_file(&path).map_err(failed)?;
    Ok(file)
}

/// The summary has compared counts and checksums of the stages already.
fn believe(summary: &Summary) -> Result<(), Failure> {
    if let Some(text) = summary.error.clone() {
        let exit = if summary.stopped_by == StoppedBy::Unconserved { Exit::Unconserved } else { Exit::Failed };
        return Err(Failure::Broken { exit, text });
    }
    let Summary { produced, logged, counted, lost, stopped_by, .. } = *summary;
    if lost != Some(0) || logged != produced || counted != Some(produced) {
        return Err(Failure::loss(format!("produced {produced}, logged {logged}, counted {counted:?}, lost {lost:?}")));
    }
    if stopped_by != StoppedBy::Duration || produced == 0 {
        return Err(Failure::failed(format!("ended early, after {produced} samples: {stopped_by}")));
    }
    Ok(())
}

fn count_lines(file: &File) -> io::Result<u64> {
    let mut piece = vec![0; 256 * 1024];
    let (mut at, mut lines) = (0, 0);
    loop {
        match file.read_at(&mut piece, at)? {
            0 => return Ok(lines),
            count => {
                at += count as u64;
                lines += piece[..count].iter().filter(|byte| **byte == b'\n').count() as u64;
            }
        }
    }
}

/// The sum of the first `count` samples, made once more.
fn expected_sum(count: u64) -> Result<f64, Error> {
    let mut source = RandomSource::new(RANGE.0..=RANGE.1, SEED)?;
    let mut room = [0.0; 2048];
    let (mut left, mut sum) = (count, 0_i64);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
        let (taken, _) = source.take(&mut room[..most]);
        sum += room[..taken].iter().map(|sample| *sample as i64).sum::<i64>();
        left -= taken as u64;
    }
    Ok(sum as f64)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_log_has_no_name_and_every_line_counts() {
        let mut file = unnamed_file().unwrap();
        assert!(!log_directory().join(format!("ipcpipe-bench.{}.log", process::id())).exists());
        file.write_all(b"1\n22\n333\n").unwrap();
        assert_eq!(count_lines(&file).unwrap(), 3);
    }

    #[test]
    fn the_sum_depends_on_the_count_alone() {
        assert_eq!(expected_sum(0).unwrap(), 0.0);
        let (some, more) = (expected_sum(10_000).unwrap(), expected_sum(10_001).unwrap());
        assert!((450_000.0..550_000.0).contains(&some) && (0.0..=100.0).contains(&(more - some)), "{some} {more}");
    }
}
