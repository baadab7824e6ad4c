use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::*;
use crate::channel::Sender;
use crate::stage::FaultKind;
use crate::stage::testing::{RealClock, link};

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    Place { path: dir.path().join("log"), _dir: dir }
}

fn open(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

fn options(format: LogFormat, fsync: Fsync) -> LogOptions {
    LogOptions { name: "run.log".into(), format, fsync, epoch_offset_ns: 0, truncate: false }
}

/// Logs what `feed` sends into the file at `path`.
fn run(path: &Path, options: &LogOptions, feed: impl FnOnce(Sender<Sample>) + Send) -> LogOutcome {
    let (tx, rx) = link();
    std::thread::scope(|scope| {
        scope.spawn(|| feed(tx));
        log(rx, open(path), options, &RealClock)
    })
}

fn send(samples: &[Sample]) -> impl FnOnce(Sender<Sample>) + Send {
    move |mut tx| {
        tx.send(samples).unwrap();
        tx.finish().unwrap();
    }
}

#[test]
fn a_log_holds_every_sample_in_order() {
    let place = place();
    let samples: Vec<Sample> = (0..300_000).map(f64::from).collect();
    let outcome = run(&place.path, &options(LogFormat::Text, Fsync::End), send(&samples));
    let text = fs::read_to_string(&place.path).unwrap();
    assert!(text.lines().map(|line| line.parse::<f64>().unwrap()).eq(samples));
    assert_eq!((outcome.logged, outcome.bytes, outcome.whole), (300_000, text.len() as u64, true));
    assert_eq!((outcome.latency.samples, outcome.fault), (300_000, None));
}

#[test]
fn a_log_is_appended_to_and_has_one_header() {
    let place = place();
    let options = options(LogFormat::Csv, Fsync::Never);
    let first = run(&place.path, &options, send(&[1.0]));
    let second = run(&place.path, &options, send(&[-2.5]));
    let text = fs::read_to_string(&place.path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "seq,time,value"));
    assert!(lines[1].starts_with("1,") && lines[1].ends_with(",1") && lines[2].ends_with(",-2.5"), "{text}");
    assert_eq!((first.logged, second.logged), (1, 1));
    assert_eq!(first.bytes + second.bytes, text.len() as u64);
}

#[test]
fn the_time_is_that_of_sending_moved_to_the_epoch() {
    let place = place();
    let before = RealClock.now_ns();
    let day = LogOptions { epoch_offset_ns: 86_400_000_000_000, ..options(LogFormat::Jsonl, Fsync::Never) };
    run(&place.path, &day, send(&[1.0]));
    let text = fs::read_to_string(&place.path).unwrap();
    let time: f64 = text.split_once("\"time\":").unwrap().1.split(',').next().unwrap().parse().unwrap();
    assert!(time >= 86_400.0 && before > 0, "{text}");
}

#[test]
fn every_sync_policy_writes_the_same_and_survives_silence() {
    let policies =
        [Fsync::Never, Fsync::End, Fsync::Always, Fsync::Every(Duration::ZERO), Fsync::Every(Duration::from_millis(2))];
    for fsync in policies {
        let place = place();
        let outcome = run(&place.path, &options(LogFormat::Binary, fsync), |mut tx| {
            for n in 0..3 {
                tx.send(&[f64::from(n)]).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
            tx.finish().unwrap();
        });
        assert_eq!((outcome.logged, outcome.bytes, outcome.fault), (3, 24, None), "{fsync:?}");
    }
}

#[test]
fn the_death_of_conv_is_a_fault_and_loses_nothing_that_came() {
    let place = place();
    let outcome = run(&place.path, &options(LogFormat::Text, Fsync::End), |mut tx| tx.send(&[1.0, 2.0]).unwrap());
    assert_eq!(fs::read_to_string(&place.path).unwrap(), "1\n2\n");
    assert_eq!((outcome.logged, outcome.fault.unwrap().kind), (2, FaultKind::PeerGone));
}

#[test]
fn a_full_device_ends_the_log_with_a_line_that_says_so() {
    let outcome =
        run(Path::new("/dev/full"), &options(LogFormat::Text, Fsync::End), |mut tx| while tx.send(&[1.0]).is_ok() {});
    assert_eq!((outcome.logged, outcome.bytes), (0, 0));
    let fault = outcome.fault.unwrap();
    assert_eq!(fault.kind, FaultKind::Failed);
    assert!(fault.text.starts_with("write run.log at byte 0: No space left on device; 0 of "), "{fault}");
}

#[test]
fn a_device_is_logged_to_like_a_file() {
    let outcome = run(Path::new("/dev/null"), &options(LogFormat::Text, Fsync::Always), send(&[1.0, 2.0]));
    assert_eq!((outcome.logged, outcome.bytes, outcome.fault), (2, 4, None));
}

#[test]
fn no_sample_makes_an_empty_log() {
    let place = place();
    let outcome = run(&place.path, &options(LogFormat::Text, Fsync::End), |tx| tx.finish().unwrap());
    assert_eq!((outcome.logged, fs::metadata(&place.path).unwrap().len()), (0, 0));
}
