//! The table of `list`. Columns are padded and hold no blanks but the last, so that a person and awk both find their way.

use console::measure_text_width;
use ipcpipe::manager::protocol::{PoolRow, ProcessRow, ThreadRow};

use super::{command, one, units, word};

/// The titles.
const TITLES: [&str; COLUMNS] = ["ID", "NAME", "KIND", "PID", "STATUS", "UPTIME", "CPU", "RSS", "RESTARTS", "COMMAND"];

const COLUMNS: usize = 10;

/// Columns that end where their title ends, because numbers are compared by their last digit.
const RIGHT: [bool; COLUMNS] = [true, false, false, true, false, true, true, true, true, false];

/// What stands for nothing.
const NONE: &str = "-";

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row([String; COLUMNS]);

impl From<&ProcessRow> for Row {
    fn from(row: &ProcessRow) -> Self {
        Self([
            row.id.to_string(),
            joined(&row.name),
            "process".into(),
            row.pid.map_or_else(none, |pid| pid.to_string()),
            word(&row.status),
            row.uptime_s.map_or_else(none, |uptime| units::uptime(uptime).replace(' ', "")),
            row.cpu_percent.map_or_else(none, |percent| format!("{percent:.1}%")),
            row.rss_kib.map_or_else(none, units::memory),
            row.restarts.to_string(),
            command(&row.command),
        ])
    }
}

impl From<&ThreadRow> for Row {
    fn from(row: &ThreadRow) -> Self {
        Self([
            row.id.to_string(),
            joined(&row.name),
            "thread".into(),
            row.tid.map_or_else(none, |tid| tid.to_string()),
            word(&row.status),
            row.uptime_s.map_or_else(none, |uptime| units::uptime(uptime).replace(' ', "")),
            row.cpu_percent.map_or_else(none, |percent| format!("{percent:.1}%")),
            none(),
            NONE.into(),
            command(&row.command),
        ])
    }
}

impl From<&PoolRow> for Row {
    fn from(row: &PoolRow) -> Self {
        Self([
            row.id.to_string(),
            joined(&row.name),
            "pool".into(),
            none(),
            word(&row.status),
            units::uptime(row.uptime_s).replace(' ', ""),
            none(),
            none(),
            row.replaced.to_string(),
            super::pools::work(row),
        ])
    }
}

fn none() -> String {
    NONE.into()
}

/// A name in one word: a blank in it becomes one that does not part columns.
pub(super) fn joined(name: &str) -> String {
    one(name).replace(' ', "\u{a0}")
}

/// The table of `rows` with its titles; the titles alone if there are none.
pub(crate) fn table(rows: &[Row]) -> String {
    grid(TITLES, RIGHT, &rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>())
}

/// A table of any number of columns; those that are `right` end where their title ends.
pub(super) fn grid<const N: usize>(titles: [&str; N], right: [bool; N], rows: &[[String; N]]) -> String {
    let titles = titles.map(str::to_owned);
    let all = || [&titles].into_iter().chain(rows);
    let widths: [usize; N] =
        std::array::from_fn(|at| all().map(|row| measure_text_width(&row[at])).max().unwrap_or_default());
    all().map(|row| padded(row, &widths, right)).collect()
}

fn padded<const N: usize>(row: &[String; N], widths: &[usize; N], right: [bool; N]) -> String {
    let cells = row.iter().zip(widths).zip(right).map(|((cell, width), right)| {
        let blanks = " ".repeat(width - measure_text_width(cell));
        if right { format!("{blanks}{cell}") } else { format!("{cell}{blanks}") }
    });
    let line = cells.collect::<Vec<_>>().join("  ");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use ipcpipe::manager::protocol::Status;
    use ipcpipe::manager::word::Word;

    use super::*;

    #[test]
    fn columns_are_aligned_and_awk_finds_them() {
        let command = vec![Word::Text("./server".into()), Word::Text("a b".into())];
        let process = ProcessRow {
            id: 2,
            name: "größe x".into(),
            pid: Some(4712),
            status: Status::Running,
            processes: 1,
            uptime_s: Some(183_840.0),
            cpu_percent: Some(0.25),
            rss_kib: Some(8_300),
            restarts: 0,
            daemon: false,
            command: command.clone(),
            details: None,
        };
        let thread = ThreadRow {
            id: 13,
            name: "t1".into(),
            tid: None,
            status: Status::Done,
            uptime_s: Some(1.0),
            cpu_percent: None,
            command,
            result: None,
        };
        let text = table(&[Row::from(&process), Row::from(&thread)]);
        let expected = "\
ID  NAME     KIND      PID  STATUS    UPTIME   CPU   RSS  RESTARTS  COMMAND
 2  größe\u{a0}x  process  4712  Running  2d03:04  0.2%  8.1M         0  ./server 'a b'
13  t1       thread      -  Done        0:01     -     -         -  ./server 'a b'
";
        assert_eq!(text, expected);
        assert_eq!(table(&[]).lines().count(), 1);
    }
}
