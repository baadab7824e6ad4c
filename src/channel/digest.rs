//! An order-sensitive checksum over a stream of 8-byte words, cheap enough to run over every record.

/// Four independent multiplicative lanes, so that a processor overlaps the multiplications; the lane of
/// a word depends on its place in the stream alone, so the value never depends on how the stream was
/// cut into batches.
///
/// Each step is a bijection of the lane, so any single change of a word changes the value for certain,
/// and any other change does so with a probability of 1 - 2^-64. It guards against faults, not attackers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    lanes: [u64; LANES],
    words: u64,
}

const LANES: usize = 4;
const WORD: usize = 8;

/// An odd constant with a balanced bit pattern: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Digest {
    /// The digest of the empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self { lanes: [1, 2, 3, 4], words: 0 }
    }

    /// Takes in the next bytes of the stream, a whole number of 8-byte words in the machine's order.
    pub fn update(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len().is_multiple_of(WORD));
        let head = bytes.len().min((LANES - self.lane()) % LANES * WORD);
        let (head, rest) = bytes.split_at(head);
        let (blocks, tail) = rest.as_chunks::<{ LANES * WORD }>();
        self.step_each(head);
        for block in blocks {
            for (lane, word) in self.lanes.iter_mut().zip(words(block)) {
                *lane = step(*lane, word);
            }
        }
        self.words += (blocks.len() * LANES) as u64;
        self.step_each(tail);
    }

    fn step_each(&mut self, bytes: &[u8]) {
        for word in words(bytes) {
            let lane = self.lane();
            self.lanes[lane] = step(self.lanes[lane], word);
            self.words += 1;
        }
    }

    fn lane(&self) -> usize {
        (self.words % LANES as u64) as usize
    }

    /// The checksum of all words so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        let folded = self.lanes.iter().fold(self.words, |value, &lane| step(value, lane).rotate_left(29));
        folded ^ (folded >> 32)
    }
}

fn step(lane: u64, word: u64) -> u64 {
    (lane ^ word).wrapping_mul(MULTIPLIER)
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<WORD>().0.iter().map(|&word| u64::from_ne_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(words: &[u64], cuts: &[usize]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut digest = Digest::new();
        let mut rest = &bytes[..];
        for cut in cuts {
            let (now, later) = rest.split_at((cut * WORD).min(rest.len()));
            digest.update(now);
            rest = later;
        }
        digest.update(rest);
        digest.value()
    }

    proptest! {
        #[test]
        fn cutting_the_stream_changes_nothing(words: Vec<u64>, cuts in prop::collection::vec(0usize..9, 0..9)) {
            prop_assert_eq!(of(&words, &cuts), of(&words, &[]));
        }

        #[test]
        fn every_flipped_bit_shows(mut words in prop::collection::vec(any::<u64>(), 1..40), at: prop::sample::Index, bit in 0u32..64) {
            let before = of(&words, &[]);
            let at = at.index(words.len());
            words[at] ^= 1u64 << bit;
            prop_assert_ne!(of(&words, &[]), before);
        }

        #[test]
        fn order_and_length_show(words in prop::collection::vec(any::<u64>(), 2..40)) {
            let mut swapped = words.clone();
            swapped.swap(0, 1);
            prop_assume!(words[0] != words[1]);
            prop_assert_ne!(of(&swapped, &[]), of(&words, &[]));
            prop_assert_ne!(of(&words[1..], &[]), of(&words, &[]));
        }
    }
}
