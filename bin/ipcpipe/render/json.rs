//! One object a line for programs. The order of the fields is the order of the keys.

use std::time::Duration;

use ipcpipe::pipeline::{StageUse, Summary};
use ipcpipe::record::Statistics;
use ipcpipe::stage::Latency;
use serde::Serialize;

use super::number::Number;

/// The version of every object: it changes when a key goes or changes its meaning.
const VERSION: u8 = 1;

/// Appends one state.
pub(super) fn state(out: &mut Vec<u8>, statistics: &Statistics) {
    let state = State {
        v: VERSION,
        kind: "statistics",
        count: statistics.count,
        values: statistics.into(),
        last: (!statistics.is_empty()).then_some(Number(statistics.last)),
    };
    serde_json::to_writer(out, &state).expect("numbers and fixed keys always serialize");
}

/// The summary and a newline.
pub(super) fn summary(summary: &Summary) -> String {
    let mut line = serde_json::to_string(&Closing::from(summary)).expect("numbers and text always serialize");
    line.push('\n');
    line
}

#[derive(Serialize)]
struct State {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    count: u64,
    #[serde(flatten)]
    values: Values,
    last: Option<Number>,
}

/// What is known of the samples; nothing but the sum while there are none.
#[derive(Serialize)]
struct Values {
    sum: Number,
    mean: Option<Number>,
    min: Option<Number>,
    max: Option<Number>,
    stddev: Option<Number>,
}

impl From<&Statistics> for Values {
    fn from(statistics: &Statistics) -> Self {
        let known = |value| (!statistics.is_empty()).then_some(Number(value));
        let &Statistics { sum, mean, min, max, stddev, .. } = statistics;
        Self { sum: Number(sum), mean: known(mean), min: known(min), max: known(max), stddev: known(stddev) }
    }
}

#[derive(Serialize)]
struct Closing<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    backend: &'static str,
    stopped_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    produced: u64,
    logged: u64,
    counted: Option<u64>,
    reported: Option<u64>,
    lost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    #[serde(flatten)]
    values: Values,
    elapsed_s: Number,
    samples_per_s: Number,
    latency_us: Latencies,
    log: Log<'a>,
    stages: Vec<Stage<'a>>,
}

impl<'a> From<&'a Summary> for Closing<'a> {
    fn from(summary: &'a Summary) -> Self {
        Self {
            v: VERSION,
            kind: "summary",
            backend: summary.backend.name(),
            stopped_by: summary.stopped_by.to_string(),
            error: summary.error.as_deref(),
            produced: summary.produced,
            logged: summary.logged,
            counted: summary.counted,
            reported: summary.reported,
            lost: summary.lost,
            skipped: Some(summary.skipped).filter(|skipped| *skipped > 0),
            values: (&summary.statistics).into(),
            elapsed_s: seconds(summary.elapsed),
            samples_per_s: Number(super::samples_per_second(summary)),
            latency_us: summary.into(),
            log: summary.into(),
            stages: summary.stages.iter().map(Stage::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct Latencies {
    log: Option<Microseconds>,
    report: Option<Microseconds>,
}

impl From<&Summary> for Latencies {
    fn from(summary: &Summary) -> Self {
        let [log, report] = super::latencies(summary).map(|latency| latency.map(Microseconds::from));
        Self { log, report }
    }
}

#[derive(Serialize)]
struct Microseconds {
    p50: Number,
    p99: Number,
    max: Number,
}

impl From<Latency> for Microseconds {
    fn from(latency: Latency) -> Self {
        let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(|nanos| Number(nanos as f64 / 1e3));
        Self { p50, p99, max }
    }
}

#[derive(Serialize)]
struct Log<'a> {
    path: std::borrow::Cow<'a, str>,
    format: &'static str,
    bytes: u64,
}

impl<'a> From<&'a Summary> for Log<'a> {
    fn from(summary: &'a Summary) -> Self {
        let log = &summary.log;
        Self { path: log.path.to_string_lossy(), format: log.format.name(), bytes: log.bytes }
    }
}

#[derive(Serialize)]
struct Stage<'a> {
    name: &'a str,
    pid: u32,
    status: &'a str,
    user_s: Number,
    sys_s: Number,
    max_rss_kib: u64,
    voluntary_switches: u64,
    involuntary_switches: u64,
}

impl<'a> From<&'a StageUse> for Stage<'a> {
    fn from(stage: &'a StageUse) -> Self {
        Self {
            name: &stage.name,
            pid: stage.pid,
            status: &stage.status,
            user_s: seconds(stage.user),
            sys_s: seconds(stage.sys),
            max_rss_kib: stage.max_rss_kib,
            voluntary_switches: stage.voluntary_switches,
            involuntary_switches: stage.involuntary_switches,
        }
    }
}

fn seconds(duration: Duration) -> Number {
    Number(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::super::fixture;
    use super::*;

    fn state_text(statistics: &Statistics) -> String {
        let mut line = Vec::new();
        state(&mut line, statistics);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_state_is_one_object() {
        assert_eq!(
            state_text(&fixture::STATISTICS),
            r#"{"v":1,"type":"statistics","count":16,"sum":812,"mean":50.75,"min":3,"max":99,"stddev":28.11,"last":42}"#
        );
    }

    #[test]
    fn nothing_is_known_of_no_samples() {
        assert_eq!(
            state_text(&Statistics::default()),
            r#"{"v":1,"type":"statistics","count":0,"sum":0,"mean":null,"min":null,"max":null,"stddev":null,"last":null}"#
        );
    }

    #[test]
    fn the_summary_is_one_line_with_its_keys_in_order() {
        let expected = [
            r#"{"v":1,"type":"summary","backend":"mq","stopped_by":"SIGINT","#,
            r#""produced":16,"logged":16,"counted":16,"reported":16,"lost":0,"#,
            r#""sum":812,"mean":50.75,"min":3,"max":99,"stddev":28.11,"elapsed_s":12.8,"samples_per_s":1.25,"#,
            r#""latency_us":{"log":{"p50":21,"p99":40.25,"max":1250},"report":null},"#,
            r#""log":{"path":"ipcpipe.log","format":"text","bytes":48},"#,
            r#""stages":[{"name":"conv","pid":4711,"status":"exit 0","user_s":0.012,"sys_s":0.0015,"#,
            r#""max_rss_kib":2304,"voluntary_switches":17,"involuntary_switches":2}]}"#,
            "\n",
        ];
        assert_eq!(summary(&fixture::summary()), expected.concat());
    }

    #[test]
    fn what_went_wrong_follows_the_reason_and_bad_numbers_are_null() {
        let line = summary(&Summary { error: Some("disk \"full\"".into()), skipped: 3, ..fixture::empty() });
        assert!(line.contains(r#""stopped_by":"count","error":"disk \"full\"","produced":0,"#), "{line}");
        assert!(line.contains(r#""lost":0,"skipped":3,"sum":0,"mean":null,"#), "{line}");
        assert!(
            line.contains(r#""elapsed_s":0,"samples_per_s":null,"latency_us":{"log":null,"report":null}"#),
            "{line}"
        );
    }

    #[test]
    fn a_path_of_any_bytes_stays_json() {
        let mut run = fixture::summary();
        run.log.path = OsStr::from_bytes(b"a\xff\nb").into();
        assert!(summary(&run).contains(r#""path":"a�\nb""#));
    }
}
