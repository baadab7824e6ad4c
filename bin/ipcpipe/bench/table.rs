//! From the rounds of a measurement to one row of figures.

use super::experiment::{Experiment, Subject};

/// An experiment and what came of it.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) experiment: &'static Experiment,
    pub(super) rows: Vec<Row>,
}

impl Series {
    /// The rows that have figures.
    pub(super) fn measured(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.failed && !row.rounds.is_empty())
    }
}

/// One subject of an experiment.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) subject: Subject,
    pub(super) rounds: Vec<Round>,
    /// One of its rounds failed, so that it has no figures.
    pub(super) failed: bool,
}

/// What was measured once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Round {
    /// The machine's speed at that moment, if it has two CPUs.
    pub(super) xrtt_ns: Option<f64>,
    /// A value for each column.
    pub(super) values: Vec<f64>,
}

/// The middle of some values and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Row {
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, rounds: Vec::new(), failed: false }
    }

    /// The machine's speed over the rounds.
    pub(super) fn xrtt_ns(&self) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| round.xrtt_ns))
    }

    /// The spread of each column's values.
    pub(super) fn values(&self) -> Vec<Spread> {
        let columns = self.rounds.iter().map(|round| round.values.len()).min().unwrap_or_default();
        (0..columns).filter_map(|at| Spread::of(self.rounds.iter().map(|round| round.values[at]))).collect()
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { min, median: median(&values), max })
    }
}

/// The middle of sorted values, or the mean of the two that share it.
fn median(sorted: &[f64]) -> f64 {
    let at = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[at] } else { f64::midpoint(sorted[at - 1], sorted[at]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 100.0]), Some(Spread { min: 1.0, median: 3.0, max: 100.0 }));
        assert_eq!(spread(&[4.0, 1.0]).unwrap().median, 2.5);
    }

    #[test]
    fn a_row_has_a_value_for_each_column() {
        let round = |xrtt_ns, values: &[f64]| Round { xrtt_ns, values: values.to_vec() };
        let mut row = Row::new(Subject::RawPipe);
        row.rounds =
            vec![round(Some(100.0), &[1.0, 30.0]), round(None, &[3.0, 10.0]), round(Some(500.0), &[2.0, 20.0])];
        assert_eq!(row.values().iter().map(|spread| spread.median).collect::<Vec<_>>(), [2.0, 20.0]);
        assert_eq!(row.xrtt_ns(), Some(Spread { min: 100.0, median: 300.0, max: 500.0 }));
    }
}
