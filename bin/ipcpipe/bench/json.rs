//! One object a line for programs: the machine first, then a line for each row.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::ROUNDS;
use super::machine::Machine;
use super::table::{Row, Series, Spread};

/// The version of every object: it changes when a key goes or changes its meaning.
const VERSION: u8 = 1;

/// Where and how it is measured.
pub(super) fn header(machine: &Machine, duration: Duration) -> String {
    line(&Header { v: VERSION, kind: "bench", experiment: "machine", machine, rounds: ROUNDS, duration })
}

/// Every row that has figures.
pub(super) fn lines(all: &[Series]) -> String {
    let rows = all.iter().flat_map(|series| series.measured().map(move |row| Object { series, row }));
    rows.map(|object| line(&object)).collect()
}

fn line(object: &impl Serialize) -> String {
    let mut line = serde_json::to_string(object).expect("numbers and text always serialize");
    line.push('\n');
    line
}

#[derive(Serialize)]
struct Header<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    experiment: &'static str,
    #[serde(flatten)]
    machine: &'a Machine,
    rounds: usize,
    #[serde(rename = "duration_s", serialize_with = "seconds")]
    duration: Duration,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// A row; its keys are those of the experiment's columns.
struct Object<'a> {
    series: &'a Series,
    row: &'a Row,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("v", &VERSION)?;
        map.serialize_entry("type", "bench")?;
        map.serialize_entry("experiment", self.series.experiment.name)?;
        map.serialize_entry("backend", &self.row.subject.to_string())?;
        for (column, spread) in self.series.experiment.columns.iter().zip(self.row.values()) {
            map.serialize_entry(column.key, &thousandths(spread.median))?;
        }
        let xrtt = self.row.xrtt_ns();
        map.serialize_entry("xrtt_ns", &xrtt.map(|Spread { median, .. }| thousandths(median)))?;
        map.serialize_entry("xrtt_ns_range", &xrtt.map(|Spread { min, max, .. }| [min, max].map(thousandths)))?;
        map.end()
    }
}

/// More digits would pretend what no clock measured.
fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::super::experiment::{EXPERIMENTS, Subject};
    use super::super::table::Round;
    use super::*;

    #[test]
    fn a_row_is_one_object_with_the_keys_of_its_columns() {
        let experiment = EXPERIMENTS.iter().find(|experiment| experiment.name == "round-trip").expect("listed");
        let mut row = Row::new(Subject::RawPipe);
        row.rounds.push(Round { xrtt_ns: Some(121.5), values: vec![9.2, 20.0, 30.123_49] });
        let expected = concat!(
            r#"{"v":1,"type":"bench","experiment":"round-trip","backend":"raw pipe","p50_us":9.2,"p99_us":20.0,"#,
            r#""p999_us":30.123,"xrtt_ns":121.5,"xrtt_ns_range":[121.5,121.5]}"#,
            "\n"
        );
        assert_eq!(lines(&[Series { experiment, rows: vec![row] }]), expected);
    }
}
