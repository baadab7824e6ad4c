//! Lines for a person.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use ipcpipe::OneLine;
use ipcpipe::pipeline::{StageUse, StoppedBy, Summary};
use ipcpipe::record::Statistics;
use ipcpipe::stage::Latency;
use ipcpipe::sys::signal::BROKEN_PIPE;

use super::number::{Number, bytes, rate, time};

const GOOD: Style = Style::new().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const LABEL: Style = Style::new().dimmed();

/// How a stage ends that has done its work.
const EXITED: &str = "exit 0";

/// Appends one state: `count 16   sum 812   mean 50.75   min 3   max 99   stddev 28.11`.
///
/// Sum, minimum and maximum are exact, the mean has at most six decimals and the deviation two.
pub(super) fn state(out: &mut Vec<u8>, statistics: &Statistics) {
    write!(out, "count {}   ", statistics.count).expect("a vector takes every byte");
    values(out, statistics);
}

fn values(out: &mut Vec<u8>, statistics: &Statistics) {
    let &Statistics { sum, mean, min, max, stddev, .. } = statistics;
    let known = !statistics.is_empty();
    for (label, value, known) in [
        ("sum ", Number(sum), true),
        ("   mean ", Number(mean).rounded(6), known),
        ("   min ", Number(min), known),
        ("   max ", Number(max), known),
        ("   stddev ", Number(stddev).rounded(2), known),
    ] {
        out.extend_from_slice(label.as_bytes());
        if known { value.append_to(out) } else { out.extend_from_slice(b"n/a") }
    }
}

/// The summary: what stopped the run, then a line for each thing a person asks about, then a line for each stage. What
/// went wrong has been said in a line of its own before.
pub(super) fn summary(summary: &Summary) -> String {
    let mut text = title(summary);
    row(&mut text, "samples", &counts(summary));
    row(&mut text, "values", &values_line(&summary.statistics));
    for (label, latency) in ["to log", "to report"].into_iter().zip(super::latencies(summary)) {
        if let Some(latency) = latency {
            row(&mut text, label, &percentiles(latency));
        }
    }
    row(&mut text, "log", &log_line(summary));
    text + &stages(&summary.stages)
}

fn title(summary: &Summary) -> String {
    let sound = summary.error.is_none() && summary.lost == Some(0) && !failed(summary.stopped_by);
    let style = if sound { GOOD } else { BAD };
    let Summary { stopped_by, produced, backend, elapsed, .. } = summary;
    let (reason, elapsed) = (reason(*stopped_by), time(*elapsed));
    let speed = Some(super::samples_per_second(summary)).filter(|speed| speed.is_finite() && *speed > 0.0);
    let speed = speed.map(|speed| format!(", {}", rate(speed))).unwrap_or_default();
    let plural = if *produced == 1 { "" } else { "s" };
    format!("{style}ipcpipe: {reason}: {produced} sample{plural} over {backend} in {elapsed}{speed}{style:#}\n")
}

fn failed(stopped_by: StoppedBy) -> bool {
    matches!(stopped_by, StoppedBy::StageDied | StoppedBy::Forced | StoppedBy::Error | StoppedBy::Unconserved)
}

/// Why the run ended, in words. A signal is best known by its name, but a closed stdout is not felt as one.
fn reason(stopped_by: StoppedBy) -> String {
    match stopped_by {
        StoppedBy::Count => "count reached".into(),
        StoppedBy::Duration => "time is up".into(),
        StoppedBy::Eof => "end of input".into(),
        StoppedBy::StageDied => "a stage died".into(),
        StoppedBy::Forced => "forced".into(),
        StoppedBy::Error | StoppedBy::Unconserved => "failed".into(),
        StoppedBy::Signal(BROKEN_PIPE) => "stdout closed".into(),
        StoppedBy::Signal(_) => format!("stopped by {stopped_by}"),
    }
}

fn counts(summary: &Summary) -> String {
    let Summary { produced, logged, counted, reported, lost, skipped, .. } = summary;
    let style = if *lost == Some(0) { Style::new() } else { BAD };
    let known = |count: &Option<u64>| count.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    let (counted, reported, lost) = (known(counted), known(reported), known(lost));
    let mut counts = format!("produced {produced}   logged {logged}   counted {counted}   reported {reported}   ");
    write!(counts, "{style}lost {lost}{style:#}").expect("a string takes every character");
    match skipped {
        0 => counts,
        lines => format!("{counts}   skipped {lines}"),
    }
}

fn values_line(statistics: &Statistics) -> String {
    let mut line = Vec::new();
    values(&mut line, statistics);
    String::from_utf8_lossy(&line).into_owned()
}

fn percentiles(latency: Latency) -> String {
    let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(Duration::from_nanos).map(time);
    format!("p50 {p50}   p99 {p99}   max {max}")
}

fn log_line(summary: &Summary) -> String {
    let log = &summary.log;
    format!("{}   {}   {}", OneLine::path(&log.path), log.format.name(), bytes(log.bytes))
}

fn row(text: &mut String, label: &str, line: &str) {
    writeln!(text, "  {LABEL}{label:<9}{LABEL:#}  {line}").expect("a string takes every character");
}

/// One line a stage under a heading; a stage that ended otherwise than it should stands out.
fn stages(stages: &[StageUse]) -> String {
    let table = table(stages).trim_fmt();
    let styles = stages.iter().map(|stage| if stage.status == EXITED { Style::new() } else { BAD });
    let styled = [LABEL].into_iter().chain(styles).zip(table.lines().filter(|_| !stages.is_empty()));
    styled.map(|(style, line)| format!(" {style}{line}{style:#}\n")).collect()
}

fn table(stages: &[StageUse]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["stage", "pid", "status", "user", "sys", "max rss", "switches", "involuntary"]);
    for stage in stages {
        table.add_row([
            stage.name.clone(),
            stage.pid.to_string(),
            stage.status.clone(),
            time(stage.user),
            time(stage.sys),
            bytes(stage.max_rss_kib.saturating_mul(1024)),
            stage.voluntary_switches.to_string(),
            stage.involuntary_switches.to_string(),
        ]);
    }
    for column in table.column_iter_mut().filter(|column| ![0, 2].contains(&column.index)) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::super::fixture;
    use super::*;

    fn state_text(statistics: &Statistics) -> String {
        let mut line = Vec::new();
        state(&mut line, statistics);
        String::from_utf8(line).unwrap()
    }

    fn plain(run: &Summary) -> String {
        strip_str(&summary(run)).to_string()
    }

    #[test]
    fn a_state_is_one_line() {
        let expected = "count 16   sum 812   mean 50.75   min 3   max 99   stddev 28.11";
        assert_eq!(state_text(&fixture::STATISTICS), expected);
        let third = Statistics { mean: 1.0 / 3.0, stddev: 0.471_404, ..fixture::STATISTICS };
        assert_eq!(state_text(&third), "count 16   sum 812   mean 0.333333   min 3   max 99   stddev 0.47");
    }

    #[test]
    fn what_is_not_known_is_not_a_number() {
        let expected = "count 0   sum 0   mean n/a   min n/a   max n/a   stddev n/a";
        assert_eq!(state_text(&Statistics::default()), expected);
    }

    #[test]
    fn the_summary_answers_what_a_person_asks() {
        let expected = "\
ipcpipe: stopped by SIGINT: 16 samples over mq in 12.8 s, 1.25 samples/s
  samples    produced 16   logged 16   counted 16   reported 16   lost 0
  values     sum 812   mean 50.75   min 3   max 99   stddev 28.11
  to log     p50 21 µs   p99 40.3 µs   max 1.25 ms
  log        ipcpipe.log   text   48 B
  stage   pid  status   user     sys   max rss  switches  involuntary
  conv   4711  exit 0  12 ms  1.5 ms  2.25 MiB        17            2
";
        assert_eq!(plain(&fixture::summary()), expected);
    }

    #[test]
    fn an_empty_run_has_no_rate_and_no_stages() {
        let expected = "\
ipcpipe: count reached: 0 samples over mq in 0 ns
  samples    produced 0   logged 0   counted 0   reported 0   lost 0
  values     sum 0   mean n/a   min n/a   max n/a   stddev n/a
  log        ipcpipe.log   text   48 B
";
        assert_eq!(plain(&fixture::empty()), expected);
    }

    #[test]
    fn what_went_wrong_stands_out() {
        let mut run = Summary {
            error: Some("log[12] killed\nby SIGKILL".into()),
            lost: Some(3),
            skipped: 2,
            ..fixture::summary()
        };
        run.stages[0].status = "killed by SIGKILL".into();
        assert!(plain(&run).contains("lost 3   skipped 2\n"), "{run:?}");
        let text = summary(&run);
        let red = text.lines().filter(|line| line.contains(&BAD.to_string())).count();
        assert_eq!(red, 3, "{text}");
    }
}
