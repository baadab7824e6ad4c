//! An order-sensitive checksum over a stream of 8-byte words, cheap enough to run over every record.

/// Two running sums in each of eight lanes: of the words, and of the first sum (Fletcher 1982, with words
/// for bytes and no modulus but 2^64). The lane of a word depends on its place in the stream alone, so the
/// value never depends on how the stream was cut into batches, and a processor adds several lanes at once.
///
/// The first sums find every change of one word, the second ones words that changed places. A stream that was
/// changed in several places at random passes with a probability of about 2^-64. It guards against faults, not
/// against attackers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    sums: [u64; LANES],
    sums_of_sums: [u64; LANES],
    words: u64,
}

const LANES: usize = 8;
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
        Self { sums: [1; LANES], sums_of_sums: [0; LANES], words: 0 }
    }

    /// Takes in the next bytes of the stream, a whole number of 8-byte words in the machine's order.
    pub fn update(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len().is_multiple_of(WORD));
        let head = bytes.len().min((LANES - self.lane()) % LANES * WORD);
        let (head, rest) = bytes.split_at(head);
        let (blocks, tail) = rest.as_chunks::<{ LANES * WORD }>();
        self.add_each(head);
        self.add_blocks(blocks);
        self.add_each(tail);
    }

    fn add_blocks(&mut self, blocks: &[[u8; LANES * WORD]]) {
        // Local copies, so that the compiler sees that nobody else looks at the lanes and vectorises them.
        let (mut sums, mut sums_of_sums) = (self.sums, self.sums_of_sums);
        for block in blocks {
            for (lane, word) in words(block).enumerate() {
                sums[lane] = sums[lane].wrapping_add(spread(word));
                sums_of_sums[lane] = sums_of_sums[lane].wrapping_add(sums[lane]);
            }
        }
        (self.sums, self.sums_of_sums) = (sums, sums_of_sums);
        self.words += (blocks.len() * LANES) as u64;
    }

    fn add_each(&mut self, bytes: &[u8]) {
        for word in words(bytes) {
            let lane = self.lane();
            self.sums[lane] = self.sums[lane].wrapping_add(spread(word));
            self.sums_of_sums[lane] = self.sums_of_sums[lane].wrapping_add(self.sums[lane]);
            self.words += 1;
        }
    }

    fn lane(&self) -> usize {
        (self.words % LANES as u64) as usize
    }

    /// The checksum of all words so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        let sums = self.sums.iter().chain(&self.sums_of_sums);
        let folded = sums.fold(self.words, |value, &sum| (value ^ sum).wrapping_mul(MULTIPLIER).rotate_left(29));
        folded ^ (folded >> 32)
    }
}

/// A bijection that brings the high bits down: floats of small integers differ in their high bits only, and the
/// difference of two that changed places would vanish from the second sum at some distances.
fn spread(word: u64) -> u64 {
    word ^ (word >> 32)
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
        fn order_and_length_show(words in prop::collection::vec(any::<u64>(), 2..40), one: prop::sample::Index, other: prop::sample::Index) {
            let (one, other) = (one.index(words.len()), other.index(words.len()));
            let mut swapped = words.clone();
            swapped.swap(one, other);
            prop_assert_eq!(of(&swapped, &[]) == of(&words, &[]), words[one] == words[other]);
            prop_assert_ne!(of(&words[1..], &[]), of(&words, &[]));
        }

        #[test]
        fn small_integers_that_changed_places_show_at_any_distance(value in 1u8..101, exponent in 0u32..16) {
            let mut words = vec![0.0f64.to_bits(); LANES << exponent];
            words.extend([0; LANES]);
            words[0] = f64::from(value).to_bits();
            let mut swapped = words.clone();
            swapped.swap(0, LANES << exponent);
            prop_assert_ne!(of(&swapped, &[]), of(&words, &[]));
        }
    }
}
