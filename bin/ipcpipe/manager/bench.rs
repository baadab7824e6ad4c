//! `bench`: what processes and what they share cost on this machine.

mod cases;

use std::time::Duration;

use serde::Serialize;

use self::cases::{CASES, Case};
use super::Status;
use super::count::Ended;
use super::grammar::{BenchArgs, Form, Options};
use super::session::Lost;
use super::view::write;

/// How much a case did, and how long that took.
struct Figure {
    case: &'static Case,
    count: u64,
    elapsed: Duration,
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    what: &'a str,
    count: u64,
    elapsed_s: f64,
}

/// Measures what `args` name, and shows it. `place` is the file and line that asked for it.
pub(crate) fn run(args: &BenchArgs, options: &Options, place: Option<&str>) -> Result<Ended, Lost> {
    let is_json = options.format == Some(Form::Json);
    let chosen = |case: &&Case| args.names.is_empty() || args.names.iter().any(|name| name == case.name);
    if !is_json {
        write(line("NAME", "WHAT", "COUNT", "EACH", "A SECOND").as_bytes())?;
    }
    for case in CASES.iter().filter(chosen) {
        let count = args.count.unwrap_or(case.count).max(1);
        let figure = match (case.run)(count) {
            Ok(elapsed) => Figure { case, count, elapsed },
            Err(error) => {
                let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
                eprintln!("ipcpipe: {place}cannot measure {}: {error}", case.name);
                return Ok(Ended { status: Status::FAILED, stopped_by: None });
            }
        };
        write(if is_json { object(&figure) } else { row(&figure) }.as_bytes())?;
    }
    Ok(Ended { status: Status::DONE, stopped_by: None })
}

fn object(figure: &Figure) -> String {
    let Figure { case, count, elapsed } = figure;
    let elapsed_s = elapsed.as_secs_f64();
    let line = Line { v: 1, kind: "bench", name: case.name, what: case.what, count: *count, elapsed_s };
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

fn line(name: &str, what: &str, count: &str, each: &str, rate: &str) -> String {
    let [name_width, what_width] = [|case: &Case| case.name.len(), |case: &Case| case.what.len()]
        .map(|width| CASES.iter().map(width).max().unwrap_or(0));
    format!("{name:name_width$}  {what:what_width$}  {count:>8}  {each:>8}  {rate:>8}\n")
}

fn row(figure: &Figure) -> String {
    let Figure { case, count, elapsed } = figure;
    let each = elapsed.as_secs_f64() / *count as f64;
    line(case.name, case.what, &count.to_string(), &time(each), &rate(1.0 / each))
}

/// Three digits and a unit.
fn time(seconds: f64) -> String {
    let (number, unit) = match seconds {
        it if it >= 1e-3 => (it * 1e3, "ms"),
        it if it >= 1e-6 => (it * 1e6, "us"),
        it => (it * 1e9, "ns"),
    };
    format!("{} {unit}", digits(number))
}

fn rate(a_second: f64) -> String {
    match a_second {
        it if it >= 1e6 => format!("{} M", digits(it / 1e6)),
        it if it >= 1e3 => format!("{} k", digits(it / 1e3)),
        it => digits(it),
    }
}

fn digits(number: f64) -> String {
    let decimals = match number {
        it if it >= 100.0 => 0,
        it if it >= 10.0 => 1,
        _ => 2,
    };
    format!("{number:.decimals$}")
}

/// The names of all cases, for the grammar.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|case| case.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_say_enough() {
        assert_eq!(
            (time(0.001_234), time(12.3e-6), time(123e-9)),
            ("1.23 ms".into(), "12.3 us".into(), "123 ns".into())
        );
        assert_eq!((rate(999.0), rate(1234.0), rate(5.6e7)), ("999".into(), "1.23 k".into(), "56.0 M".into()));
    }
}
