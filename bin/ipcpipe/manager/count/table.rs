//! A count as lines for a person, and as lines for a spreadsheet. Everything here is pure but the look at the terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use console::{Term, measure_text_width};

use super::doc::{Doc, Item, Metrics};
use crate::manager::grammar::{Chart, CountArgs, Sort};
use crate::render::{bytes, time};

const TITLE: Style = Style::new().bold();
const HEAD: Style = Style::new().dimmed();
const BAR: Style = AnsiColor::Cyan.on_default();

/// Columns of the longest bar.
const LONGEST: usize = 60;
/// Columns on a terminal that does not tell.
const COLUMNS: usize = 80;
/// Blocks that fill an eighth of a column, two eighths, and so on.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A table for each file, and one for all of them if there are several; nothing if nothing was counted.
pub(super) fn text(doc: &Doc, args: &CountArgs) -> String {
    let columns = match args.chart {
        Chart::Auto if io::stdout().is_terminal() => {
            Some(Term::stdout().size_checked().map_or(COLUMNS, |(_, columns)| columns.into()))
        }
        _ => None,
    };
    let total = (doc.files.len() > 1).then_some(&doc.total);
    let tables = doc.files.iter().chain(total).map(|item| table(item, args, columns));
    tables.collect::<Vec<_>>().join("\n")
}

fn table(item: &Item, args: &CountArgs, columns: Option<usize>) -> String {
    let mut text = title(item);
    let rows = rows(item, args.sort, args.top);
    let most = rows.iter().map(|row| row.1).max().unwrap_or(0);
    let width = most.to_string().len().max("COUNT".len());
    if !rows.is_empty() {
        let _ = writeln!(text, "{HEAD}LETTER  {:>width$}  PERCENT{HEAD:#}", "COUNT");
    }
    for (letter, count) in rows {
        let shown = shown(letter);
        let blanks = " ".repeat(6_usize.saturating_sub(measure_text_width(&shown)));
        let percent = percent(count, item.letters);
        // A line's last column may be the one before which a terminal wraps.
        let room = columns.map_or(0, |columns| columns.saturating_sub(6 + 2 + width + 2 + 7 + 2 + 1).min(LONGEST));
        let bar = bar(count, most, room);
        let bar = if bar.is_empty() { bar } else { format!("  {BAR}{bar}{BAR:#}") };
        let _ = writeln!(text, "{shown}{blanks}  {count:>width$}  {percent:>6.2}%{bar}");
    }
    text + &words(item)
}

fn title(item: &Item) -> String {
    let name = item.path.as_deref().unwrap_or("total");
    let (letters, distinct) = (item.letters, item.distinct);
    let of = item.size.map_or_else(String::new, |size| format!(" of {size}"));
    let partial = if item.partial { format!(" (partial: {}{of} bytes)", item.bytes) } else { String::new() };
    let mut text = format!("{TITLE}{name}: {letters} letters, {distinct} distinct{partial}{TITLE:#}\n");
    if let Some(stats) = item.stats {
        let rest = if stats.unterminated { " and a rest" } else { "" };
        let (bytes, chars, lines, words) = (item.bytes, stats.chars, stats.lines, stats.words);
        let _ = writeln!(text, "{bytes} bytes, {chars} characters, {lines} lines{rest}, {words} words");
    }
    text
}

fn words(item: &Item) -> String {
    let words = item.words.as_deref().unwrap_or_default();
    let width = words.iter().map(|(word, _)| measure_text_width(word)).max().unwrap_or(0).max("WORD".len());
    let numbers = words.first().map_or(0, |(_, count)| count.to_string().len()).max("COUNT".len());
    let mut text = String::new();
    if !words.is_empty() {
        let _ = writeln!(text, "{HEAD}{:width$}  {:>numbers$}{HEAD:#}", "WORD", "COUNT");
    }
    for (word, count) in words {
        let blanks = " ".repeat(width - measure_text_width(word));
        let _ = writeln!(text, "{word}{blanks}  {count:>numbers$}");
    }
    text
}

/// The lines of a table, in their order.
fn rows(item: &Item, sort: Option<Sort>, top: Option<usize>) -> Vec<(char, u64)> {
    let mut rows: Vec<(char, u64)> = item.counts.iter().map(|(letter, count)| (*letter, *count)).collect();
    if sort == Some(Sort::Count) || top.is_some() {
        rows.sort_by_key(|&(letter, count)| (std::cmp::Reverse(count), letter));
    }
    rows.truncate(top.unwrap_or(usize::MAX));
    if sort == Some(Sort::Letter) {
        rows.sort_unstable();
    }
    rows
}

/// A letter as it can be seen: a mark needs something to stand on.
fn shown(letter: char) -> String {
    let alone = letter.to_string();
    if measure_text_width(&alone) == 0 { format!("\u{25cc}{letter}") } else { alone }
}

/// A hundredth of a text without letters is nothing.
fn percent(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 * 100.0 / of as f64 }
}

fn bar(count: u64, most: u64, room: usize) -> String {
    if most == 0 || room == 0 {
        return String::new();
    }
    let eighths = (count as f64 / most as f64 * (room * 8) as f64).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// What a count has cost.
pub(super) fn metrics(metrics: &Metrics, doc: &Doc) -> String {
    let span = |seconds: f64| time(Duration::from_secs_f64(seconds.max(0.0)));
    let Metrics { elapsed_s, user_s, sys_s, cpus_busy, cpus, workers, mode, kernel, io, .. } = metrics;
    let plural = match (mode.as_str(), workers) {
        (mode, 1) => mode.to_owned(),
        ("process", _) => "processes".to_owned(),
        (mode, _) => format!("{mode}s"),
    };
    let over = match (&metrics.backend, &metrics.feed) {
        (Some(backend), Some(feed)) => format!(" over {backend} fed by {feed}"),
        _ => String::new(),
    };
    let mut text = format!("ipcpipe: {} by {workers} {plural}{over}, {kernel}, {io}\n", bytes(doc.total.bytes));
    let (user, sys) = (span(*user_s), span(*sys_s));
    let share = cpus_busy * 100.0 / (*cpus).max(1) as f64;
    let _ = writeln!(text, "  elapsed  {}, {}/s", span(*elapsed_s), bytes(metrics.bytes_per_s as u64));
    let _ = writeln!(text, "  CPU      {user} user, {sys} system: {share:.0}% of {cpus} CPUs");
    let (peak, anonymous) = (bytes(metrics.peak_rss_kib * 1024), bytes(metrics.anon_rss_kib * 1024));
    let _ = writeln!(text, "  memory   {peak} at most, {anonymous} of it anonymous");
    text
}

/// A line for each letter, sum and word.
pub(super) fn csv(doc: &Doc, args: &CountArgs) -> String {
    let mut text = String::from("file,kind,value,count,percent\n");
    let total = (doc.files.len() > 1).then_some(&doc.total);
    for item in doc.files.iter().chain(total) {
        let file = quoted(item.path.as_deref().unwrap_or_default());
        let mut line = |kind: &str, value: &str, count: u64, percent: Option<f64>| {
            let percent = percent.map_or_else(String::new, |percent| format!("{percent:.4}"));
            let _ = writeln!(text, "{file},{kind},{},{count},{percent}", quoted(value));
        };
        for (letter, count) in rows(item, args.sort, args.top) {
            line("letter", letter.encode_utf8(&mut [0; 4]), count, Some(percent(count, item.letters)));
        }
        if let Some(stats) = item.stats {
            let sums = [("bytes", item.bytes), ("chars", stats.chars), ("lines", stats.lines), ("words", stats.words)];
            for (name, sum) in sums.into_iter().chain([("letters", item.letters), ("distinct", item.distinct)]) {
                line("stat", name, sum, None);
            }
        }
        for (word, count) in item.words.iter().flatten() {
            line("word", word, *count, None);
        }
    }
    text
}

/// A value as RFC 4180 has it.
fn quoted(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_divides_by_nothing() {
        assert_eq!(
            [(8, 8), (4, 8), (1, 8), (0, 8), (0, 0)].map(|(count, most)| bar(count, most, 4)),
            ["████", "██", "▌", "", ""]
        );
        assert_eq!((bar(1, 1, 0).as_str(), percent(0, 0)), ("", 0.0));
    }

    #[test]
    fn the_top_of_a_table_is_what_is_most_frequent_in_the_order_that_was_asked_for() {
        let item = Item { counts: [('A', 1), ('B', 2), ('C', 3)].into(), ..Item::default() };
        assert_eq!(rows(&item, None, None), [('A', 1), ('B', 2), ('C', 3)]);
        assert_eq!(rows(&item, Some(Sort::Letter), Some(2)), [('B', 2), ('C', 3)]);
        assert_eq!(rows(&item, None, Some(2)), [('C', 3), ('B', 2)]);
        assert_eq!(rows(&item, Some(Sort::Count), None), [('C', 3), ('B', 2), ('A', 1)]);
    }

    #[test]
    fn what_csv_would_misread_is_quoted() {
        assert_eq!(["a", "a,b", "a\"b", ""].map(quoted), ["a", "\"a,b\"", "\"a\"\"b\"", ""]);
        assert_eq!(shown('\u{93f}'), if measure_text_width("\u{93f}") == 0 { "◌\u{93f}" } else { "\u{93f}" });
    }
}
