//! Random integers, the same for the same seed on every machine and however they are batched.

use std::ops::RangeInclusive;

use rand::rngs::SysRng;
use rand::{Rng, SeedableRng, TryRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::source::{Fill, Samples};
use crate::Error;
use crate::record::Sample;
use crate::stage::world::InputWake;

/// Endless random integers, each of a range with the same probability.
///
/// The generator is xoshiro256++ (fast and equidistributed, not for secrets). A sample is the high half of a
/// product of random bits and the number of values in the range; the few products that would favour some
/// values are dropped (Lemire 2019), so there is no bias and no division.
#[derive(Clone, Debug)]
pub struct RandomSource {
    generator: Xoshiro256PlusPlus,
    /// The second half of a word whose first half was the last sample of a batch.
    spare: Option<u32>,
    min: Sample,
    scale: Scale,
}

/// The number of values, and the low parts of products below which one is dropped: 2^bits mod span.
#[derive(Clone, Copy, Debug)]
enum Scale {
    /// Two samples a word.
    Narrow { span: u32, threshold: u32 },
    /// One sample a word.
    Wide { span: u64, threshold: u64 },
}

/// Up to here in magnitude every integer is a float.
const EXACT: u64 = 1 << 53;

impl RandomSource {
    /// Integers of `range`, determined by `seed`.
    ///
    /// # Errors
    /// The range is empty, or has an end beyond 2^53, where not every integer is a float.
    pub fn new(range: RangeInclusive<i64>, seed: u64) -> Result<Self, Error> {
        let (&min, &max) = (range.start(), range.end());
        let refused = |why: &str| Err(Error::refused("cannot make random samples of", format!("{min}..={max}"), why));
        if min > max {
            return refused("the smallest is above the largest");
        }
        if min.unsigned_abs() > EXACT || max.unsigned_abs() > EXACT {
            return refused("a 64-bit float holds every integer only up to 2^53");
        }
        let generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let scale = Scale::new(max.abs_diff(min) + 1);
        Ok(Self { generator, spare: None, min: min as Sample, scale })
    }
}

impl Scale {
    fn new(span: u64) -> Self {
        match u32::try_from(span) {
            Ok(span) => Self::Narrow { span, threshold: span.wrapping_neg() % span },
            Err(_) => Self::Wide { span, threshold: span.wrapping_neg() % span },
        }
    }
}

impl Samples for RandomSource {
    fn take(&mut self, room: &mut [Sample]) -> (usize, Fill) {
        match self.scale {
            Scale::Narrow { span, threshold } => self.fill_narrow(room, span, threshold),
            Scale::Wide { span, threshold } => self.fill_wide(room, span, threshold),
        }
        (room.len(), Fill::More)
    }

    /// Never called: random numbers do not run dry.
    fn wait(&mut self, _until_ns: Option<u64>) -> InputWake {
        InputWake::Ready
    }
}

impl RandomSource {
    fn fill_narrow(&mut self, room: &mut [Sample], span: u32, threshold: u32) {
        let min = self.min;
        // Always written and only counted when fair: a branch would be mispredicted for unlucky spans.
        let mut filled = 0;
        let mut place = |room: &mut [Sample], bits: u32| {
            let product = u64::from(bits) * u64::from(span);
            room[filled] = min + (product >> 32) as Sample;
            filled += usize::from(product as u32 >= threshold);
            filled
        };
        let mut at = self.spare.take().map_or(0, |bits| place(room, bits));
        while at + 1 < room.len() {
            let word = self.generator.next_u64();
            place(room, word as u32);
            at = place(room, (word >> 32) as u32);
        }
        while at < room.len() {
            let bits = self.spare.take().unwrap_or_else(|| self.next_halves());
            at = place(room, bits);
        }
    }

    /// The low half of the next word; the high half is spared.
    fn next_halves(&mut self) -> u32 {
        let word = self.generator.next_u64();
        self.spare = Some((word >> 32) as u32);
        word as u32
    }

    fn fill_wide(&mut self, room: &mut [Sample], span: u64, threshold: u64) {
        for sample in room {
            *sample = loop {
                let product = u128::from(self.generator.next_u64()) * u128::from(span);
                if product as u64 >= threshold {
                    break self.min + (product >> 64) as u64 as Sample;
                }
            };
        }
    }
}

/// A seed from the system's random numbers.
///
/// # Errors
/// The system has none to give.
pub fn system_seed() -> Result<u64, Error> {
    SysRng.try_next_u64().map_err(|error| Error::refused("cannot draw a seed from", "the system", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples(range: RangeInclusive<i64>, seed: u64, batches: impl IntoIterator<Item = usize>) -> Vec<Sample> {
        let mut source = RandomSource::new(range, seed).unwrap();
        let batch = |batch| {
            let mut room = vec![f64::NAN; batch];
            source.take(&mut room);
            room
        };
        batches.into_iter().flat_map(batch).collect()
    }

    proptest! {
        #[test]
        fn batches_change_nothing(min in -10i64..10, span in prop_oneof![0i64..9, Just(3 << 30), Just(3 << 50)], seed: u64,
                                  batches in prop::collection::vec(1usize..9, 1..20)) {
            let all = batches.iter().sum();
            let range = min..=min + span;
            prop_assert_eq!(samples(range.clone(), seed, batches), samples(range.clone(), seed, [all]));
            prop_assert!(samples(range.clone(), seed, [all]).iter().all(|&x| range.contains(&(x as i64)) && x.fract() == 0.0));
        }
    }

    #[test]
    fn the_same_seed_gives_these_samples_for_ever() {
        assert_eq!(samples(0..=100, 7, [8]), [16.0, 5.0, 98.0, 17.0, 69.0, 72.0, 39.0, 43.0]);
    }

    /// Pearson's statistic over equally likely cells; with 99 degrees of freedom above 175 once in 4 million.
    fn chi_squared(cells: &[u64]) -> f64 {
        let expected = cells.iter().sum::<u64>() as f64 / cells.len() as f64;
        cells.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum()
    }

    #[test]
    fn every_value_is_equally_likely() {
        let third_of_words = (1i64 << 32) / 3;
        for (range, cell) in [(0..=99, 1), (-50..=49, 1), (0..=2 * third_of_words - 1, 2 * third_of_words / 100)] {
            let mut cells = [0; 100];
            for x in samples(range.clone(), 1, [1_000_000]) {
                cells[((x as i64 - range.start()) / cell).min(99) as usize] += 1;
            }
            assert!(chi_squared(&cells) < 175.0, "{range:?}");
        }
    }

    #[test]
    fn a_wide_range_is_drawn_evenly() {
        let max = (1i64 << 53) / 100 * 100 - 1;
        let mut cells = [0; 100];
        for x in samples(0..=max, 1, [1_000_000]) {
            cells[(x as i64 / (max / 100 + 1)) as usize] += 1;
        }
        assert!(chi_squared(&cells) < 175.0);
    }

    #[test]
    fn one_value_and_the_widest_range_are_ranges_too() {
        assert_eq!(samples(5..=5, 1, [3]), [5.0; 3]);
        let widest = -(EXACT as i64)..=EXACT as i64;
        assert!(samples(widest, 1, [1_000]).iter().all(|x| x.abs() <= EXACT as f64));
    }

    #[test]
    fn a_range_that_cannot_be_is_refused_by_name() {
        let error = |range| RandomSource::new(range, 0).unwrap_err().to_string();
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
        let reversed = 5..=4;
        assert_eq!(error(reversed), "cannot make random samples of 5..=4: the smallest is above the largest");
        assert!(error(0..=EXACT as i64 + 1).contains("2^53"));
        assert!(error(i64::MIN..=0).contains("2^53"));
    }

    #[test]
    fn the_system_gives_seeds() {
        assert_ne!(system_seed().unwrap(), system_seed().unwrap());
    }
}
