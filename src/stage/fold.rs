//! Sum, mean, extremes and standard deviation of a stream, in one pass and however it is cut.
//!
//! Samples go to eight lanes in turn, by their place in the stream alone, so that batches change nothing
//! and a processor works on several lanes at once. Each lane has a compensated sum: what a float addition
//! rounds away is summed as well (Knuth's TwoSum). The lanes are merged when a state is asked for.

use crate::record::{Sample, Statistics};

const LANES: usize = 8;

type Lanes = [Sample; LANES];

/// The running statistics of a stream of samples.
///
/// The sum is exact while it, and every sum of a lane, is an integer below 2^53. The relative error of the
/// variance is about `count * 2^-53` at worst, whatever the first sample. A stream with a sample that is not
/// a number has no sum, and one whose sum or squared spread exceeds every float has an infinite one.
#[derive(Clone, Debug)]
pub struct Fold {
    lanes: Accumulators,
    count: u64,
    last: Sample,
    sent_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Accumulators {
    /// The first sample: squares are taken of distances from it, which are small where samples are alike.
    origin: Sample,
    sum: Lanes,
    sum_rest: Lanes,
    square: Lanes,
    square_rest: Lanes,
    min: Lanes,
    max: Lanes,
}

impl Default for Fold {
    fn default() -> Self {
        Self::new()
    }
}

impl Fold {
    /// The fold of no samples.
    #[must_use]
    pub fn new() -> Self {
        Self { lanes: Accumulators::NONE, count: 0, last: 0.0, sent_ns: 0 }
    }

    /// How many samples were folded in.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Folds in the next samples, which were sent at `sent_ns`.
    pub fn extend(&mut self, samples: &[Sample], sent_ns: u64) {
        let (Some(&first), Some(&last)) = (samples.first(), samples.last()) else { return };
        if self.count == 0 {
            self.lanes.origin = first;
        }
        let lane = (self.count % LANES as u64) as usize;
        let (head, rest) = samples.split_at(((LANES - lane) % LANES).min(samples.len()));
        let (blocks, tail) = rest.as_chunks::<LANES>();
        self.lanes.add_some(lane, head);
        self.lanes.add_blocks(blocks);
        self.lanes.add_some(0, tail);
        self.count += samples.len() as u64;
        (self.last, self.sent_ns) = (last, sent_ns);
    }

    /// The statistics of all samples so far; all zero while there are none.
    #[must_use]
    pub fn state(&self) -> Statistics {
        if self.count == 0 {
            return Statistics::default();
        }
        let Self { lanes, count, last, sent_ns } = *self;
        let sum = Double::merge(&lanes.sum, &lanes.sum_rest);
        let square = Double::merge(&lanes.square, &lanes.square_rest);
        Statistics {
            count,
            sum: sum.value(),
            mean: sum.value() / count as f64,
            min: lanes.min.into_iter().fold(f64::INFINITY, lesser),
            max: lanes.max.into_iter().fold(f64::NEG_INFINITY, greater),
            stddev: deviation(count as f64, lanes.origin, sum, square),
            last,
            sent_ns,
        }
    }
}

impl Accumulators {
    const NONE: Self = Self {
        origin: 0.0,
        sum: [0.0; LANES],
        sum_rest: [0.0; LANES],
        square: [0.0; LANES],
        square_rest: [0.0; LANES],
        min: [f64::INFINITY; LANES],
        max: [f64::NEG_INFINITY; LANES],
    };

    fn add_some(&mut self, from: usize, samples: &[Sample]) {
        for (lane, &x) in (from..).zip(samples) {
            self.add(lane, x);
        }
    }

    fn add_blocks(&mut self, blocks: &[Lanes]) {
        // A local copy, so that the compiler sees that nobody else looks at the lanes and vectorises them.
        let mut lanes = *self;
        for block in blocks {
            for (lane, &x) in block.iter().enumerate() {
                lanes.add(lane, x);
            }
        }
        *self = lanes;
    }

    #[inline(always)]
    fn add(&mut self, lane: usize, x: Sample) {
        let (sum, rest) = two_sum(self.sum[lane], x);
        self.sum[lane] = sum;
        self.sum_rest[lane] += rest;
        let distance = x - self.origin;
        let (square, rest) = two_sum(self.square[lane], distance * distance);
        self.square[lane] = square;
        self.square_rest[lane] += rest;
        self.min[lane] = lesser(self.min[lane], x);
        self.max[lane] = greater(self.max[lane], x);
    }
}

/// The population's standard deviation, from the sum of `count` samples and the sum of the squares of their
/// distances from `origin`.
fn deviation(count: f64, origin: Sample, sum: Double, square: Double) -> f64 {
    let distance = sum.minus(Double::product(count, origin));
    let spread = square.minus(distance.squared().over(count)).value();
    if spread.is_finite() {
        (spread.max(0.0) / count).sqrt()
    } else if sum.value().is_nan() {
        f64::NAN
    } else {
        f64::INFINITY
    }
}

/// A number as the unevaluated sum of two floats: about 106 bits.
#[derive(Clone, Copy, Debug)]
struct Double {
    high: f64,
    low: f64,
}

impl Double {
    fn new(high: f64, low: f64) -> Self {
        // What an infinite sum "rounded away" is no number and must not spoil it.
        let (high, low) = if high.is_finite() { two_sum(high, low) } else { (high, 0.0) };
        Self { high, low }
    }

    fn merge(sums: &Lanes, rests: &Lanes) -> Self {
        let (mut high, mut low) = (*sums, *rests);
        for width in [4, 2, 1] {
            for lane in 0..width {
                let (sum, rest) = two_sum(high[lane], high[lane + width]);
                high[lane] = sum;
                low[lane] += low[lane + width] + rest;
            }
        }
        Self::new(high[0], low[0])
    }

    fn product(a: f64, b: f64) -> Self {
        let high = a * b;
        Self { high, low: a.mul_add(b, -high) }
    }

    fn minus(self, other: Self) -> Self {
        let (high, low) = two_sum(self.high, -other.high);
        Self::new(high, low + (self.low - other.low))
    }

    fn squared(self) -> Self {
        let Self { high, low } = Self::product(self.high, self.high);
        Self::new(high, low + 2.0 * self.high * self.low)
    }

    fn over(self, divisor: f64) -> Self {
        let quotient = self.high / divisor;
        let remainder = (-quotient).mul_add(divisor, self.high) + self.low;
        Self::new(quotient, remainder / divisor)
    }

    /// The nearest float.
    fn value(self) -> f64 {
        self.high + self.low
    }
}

/// The sum as a float, and exactly what was rounded away.
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// As `f64::min`, without its care for what is not a number: this is one instruction.
#[inline(always)]
fn lesser(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

#[inline(always)]
fn greater(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fold(samples: &[Sample], cuts: &[usize]) -> Statistics {
        let mut fold = Fold::new();
        let mut rest = samples;
        for &cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            fold.extend(now, 1);
            rest = later;
        }
        fold.extend(rest, 1);
        fold.state()
    }

    fn floats(integers: &[i64]) -> Vec<Sample> {
        integers.iter().map(|&n| n as Sample).collect()
    }

    /// Mean and standard deviation in two passes over integers, exact up to the last division and root.
    fn oracle(integers: &[i64]) -> (i128, f64, f64) {
        let n = integers.len() as i128;
        let sum: i128 = integers.iter().map(|&x| i128::from(x)).sum();
        let square: i128 = integers.iter().map(|&x| (n * i128::from(x) - sum).pow(2)).sum();
        (sum, sum as f64 / n as f64, (square as f64 / n as f64).sqrt() / n as f64)
    }

    fn assert_near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-14 * b.abs(), "{a} is not {b}");
    }

    proptest! {
        #[test]
        fn integers_fold_as_exact_arithmetic_says(integers in prop::collection::vec(-1i64 << 40..1 << 40, 1..200)) {
            let state = fold(&floats(&integers), &[]);
            let (sum, mean, stddev) = oracle(&integers);
            prop_assert_eq!(state.sum as i128, sum);
            assert_near(state.mean, mean);
            assert_near(state.stddev, stddev);
            prop_assert_eq!(state.min as i64, *integers.iter().min().unwrap());
            prop_assert_eq!(state.max as i64, *integers.iter().max().unwrap());
            prop_assert_eq!((state.count, state.last as i64), (integers.len() as u64, integers[integers.len() - 1]));
        }

        #[test]
        fn batches_change_no_bit(samples in prop::collection::vec(prop::num::f64::NORMAL, 0..100),
                                 cuts in prop::collection::vec(0usize..20, 0..20)) {
            let bits = |state: Statistics| format!("{state:?}");
            prop_assert_eq!(bits(fold(&samples, &cuts)), bits(fold(&samples, &[])));
        }

        #[test]
        fn samples_that_are_alike_have_their_small_spread(base in 1i64 << 50..1 << 52, spread in prop::collection::vec(0i64..4, 2..50)) {
            let integers: Vec<i64> = spread.iter().map(|x| base + x).collect();
            assert_near(fold(&floats(&integers), &[]).stddev, oracle(&spread).2);
        }
    }

    #[test]
    fn a_first_sample_unlike_the_others_costs_no_digits() {
        for first in [1 << 30, 1 << 40, -(1 << 45)] {
            let integers: Vec<i64> = std::iter::once(first).chain((0..10_000).map(|n| n % 101)).collect();
            let (_, mean, stddev) = oracle(&integers);
            let state = fold(&floats(&integers), &[]);
            assert_near(state.mean, mean);
            assert!((state.stddev / stddev - 1.0).abs() < 1e-12, "{} is not {stddev}", state.stddev);
        }
    }

    #[test]
    fn what_addition_rounds_away_is_not_lost() {
        let mut samples = vec![1e100, 1.0, -1e100];
        samples.extend([3.0; 10]);
        assert_eq!(fold(&samples, &[]).sum, 31.0);
    }

    #[test]
    fn equal_samples_have_no_spread() {
        let state = fold(&[0.1; 1_000], &[]);
        assert_eq!((state.stddev, state.min, state.max), (0.0, 0.1, 0.1));
        assert_eq!(state.sum, 100.0);
    }

    #[test]
    fn the_extremes_of_floats_are_said_and_not_made_up() {
        assert_eq!(fold(&[], &[]), Statistics::default());
        let state = fold(&[f64::MAX, f64::MAX], &[]);
        assert_eq!((state.sum, state.mean, state.stddev), (f64::INFINITY, f64::INFINITY, f64::INFINITY));
        assert_eq!(fold(&[1e200, -1e200], &[]).stddev, f64::INFINITY);
        assert!(fold(&[1.0, f64::NAN], &[]).sum.is_nan());
        assert_eq!(fold(&[-0.0], &[]).max, 0.0);
    }
}
