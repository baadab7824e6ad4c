//! Tables for a person.

use std::time::Duration;

use anstyle::Style;
use comfy_table::{CellAlignment, Table, presets};

use super::ROUNDS;
use super::machine::Machine;
use super::table::{Row, Series, Spread};

const TITLE: Style = Style::new().bold();

/// Where and how it is measured.
pub(super) fn header(machine: &Machine, duration: Duration) -> String {
    let Machine { date, kernel, cpu, cpus, xrtt_ns, log_directory } = machine;
    let version = clap::crate_version!();
    let xrtt = xrtt_ns.map_or_else(|| "n/a".to_owned(), |ns| format!("{} ns", three_digits(ns)));
    format!(
        "{TITLE}ipcpipe {version} bench: medians of {ROUNDS} interleaved rounds, {duration:?} a measurement{TITLE:#}\n  \
         date    {date}\n  kernel  {kernel}\n  CPU     {cpu}, {cpus} online\n  \
         xRTT    {xrtt}, the round trip of one cache line between two CPUs; in each row its median and range\n  \
         log     an unnamed file in {log_directory}\n",
    )
}

/// A table for each experiment.
pub(super) fn tables(all: &[Series]) -> String {
    all.iter().filter(|series| series.measured().next().is_some()).map(table).collect()
}

fn table(series: &Series) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let headings = series.experiment.columns.iter().map(|column| column.heading);
    table.set_header([""].into_iter().chain(headings).chain(["xRTT ns"]));
    for row in series.measured() {
        table.add_row(cells(series, row));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("\n{TITLE}{}{TITLE:#}\n{}\n", series.experiment.title, table.trim_fmt())
}

fn cells(series: &Series, row: &Row) -> Vec<String> {
    let values = row.values();
    let figures = series.experiment.columns.iter().zip(&values);
    let mut cells = vec![row.subject.to_string()];
    cells.extend(figures.map(|(column, spread)| three_digits(spread.median * column.scale)));
    cells.push(xrtt(row.xrtt_ns()));
    cells
}

/// The range belongs to it: a machine that changed its speed between two rounds has no one speed.
fn xrtt(spread: Option<Spread>) -> String {
    let Some(Spread { min, median, max }) = spread else { return "n/a".to_owned() };
    format!("{median:.0} ({min:.0}-{max:.0})")
}

/// Three digits, and all of those before the point.
fn three_digits(value: f64) -> String {
    match value.abs() {
        ..9.995 => format!("{value:.2}"),
        9.995..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::super::experiment::{EXPERIMENTS, Subject};
    use super::super::table::Round;
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let shown = [0.0, 0.284, 9.994, 9.996, 41.27, 99.96, 5_012.4, -3.0].map(three_digits);
        assert_eq!(shown, ["0.00", "0.28", "9.99", "10.0", "41.3", "100", "5012", "-3.00"]);
    }

    #[test]
    fn a_table_shows_medians_and_leaves_out_what_failed() {
        let experiment = EXPERIMENTS.iter().find(|experiment| experiment.name == "one-way").expect("listed");
        let mut pipe = Row::new(Subject::RawPipe);
        for xrtt in [121.0, 540.0, 118.0] {
            pipe.rounds.push(Round { xrtt_ns: Some(xrtt), values: vec![9.21, xrtt, 1_200.0] });
        }
        let failed = Row { failed: true, ..Row::new(Subject::Link(ipcpipe::channel::Backend::Mq)) };
        let text = tables(&[Series { experiment, rows: vec![pipe, failed] }]);
        let expected = "
One way at 1 kHz, from sending to receipt
           p50 µs  p99 µs  p99.9 µs        xRTT ns
 raw pipe    9.21     121      1200  121 (118-540)
";
        assert_eq!(strip_str(&text).to_string(), expected);
    }
}
