//! The loops as any processor runs them: what the others mean. On x86-64 `sse2` takes the place of one of them.

use crate::count::kernel::{Histogram, Points};

/// How often each pair of neighbouring bytes occurred: half the additions that bytes one by one would take. The pairs of
/// a text are few enough for the first-level cache.
#[derive(Debug)]
pub(super) struct Pairs {
    counts: Box<[u32; 1 << 16]>,
    pending: u32,
}

impl Pairs {
    fn new() -> Self {
        let counts = vec![0; 1 << 16].into_boxed_slice().try_into().expect("the length is right");
        Self { counts, pending: 0 }
    }

    /// Empties the table into `sums`, each pair as its two bytes.
    pub(super) fn drain(&mut self, sums: &mut [u64; 128]) {
        let mut bytes = [0; 256];
        for (second, pairs) in self.counts.as_chunks_mut::<256>().0.iter_mut().enumerate() {
            for (first, pairs) in pairs.iter_mut().enumerate() {
                let count = u64::from(std::mem::take(pairs));
                bytes[first] += count;
                bytes[second] += count;
            }
        }
        for (sum, count) in sums.iter_mut().zip(bytes) {
            *sum += count;
        }
        self.pending = 0;
    }

    /// Counts all pairs of `eights`; true if all of it is ASCII.
    fn add(&mut self, eights: &[[u8; 8]]) -> bool {
        let mut seen = 0;
        for eight in eights {
            // One load and shifts beat four loads.
            let eight = u64::from_le_bytes(*eight);
            seen |= eight;
            for pair in [eight, eight >> 16, eight >> 32, eight >> 48] {
                self.counts[usize::from(pair as u16)] += 1;
            }
        }
        seen & 0x8080_8080_8080_8080 == 0
    }
}

/// Counts every ASCII character of `block`; true if it has no others.
pub(super) fn histogram(block: &[u8], histogram: &mut Histogram) -> bool {
    let (eights, rest) = block.as_chunks::<8>();
    let pairs = histogram.pairs.get_or_insert_with(Pairs::new);
    let mut is_ascii = true;
    // A counter may reach 2^32 only after as many pairs.
    for part in eights.chunks(1 << 28) {
        if pairs.pending > 1 << 31 {
            pairs.drain(&mut histogram.counts);
        }
        pairs.pending += 4 * part.len() as u32;
        is_ascii &= pairs.add(part);
    }
    for &byte in rest {
        match histogram.counts.get_mut(usize::from(byte)) {
            Some(count) => *count += 1,
            None => is_ascii = false,
        }
    }
    is_ascii
}

/// Counts the code points of `text` beyond ASCII, and answers how many it has in all.
pub(super) fn points(text: &str, points: &mut Points) -> u64 {
    let mut count = 0;
    for c in text.chars() {
        count += 1;
        if !c.is_ascii() {
            points.add(c.into());
        }
    }
    count
}

/// Counts the words that begin in `text`.
pub(super) fn words(text: &str, mut in_word: bool) -> u64 {
    let mut begun = 0;
    for c in text.chars() {
        let is_word = !c.is_whitespace();
        begun += u64::from(is_word && !in_word);
        in_word = is_word;
    }
    begun
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_pairs_is_emptied_before_a_counter_can_overflow() {
        let mut sums = Histogram::new();
        assert!(histogram(b"aaaaaaaa", &mut sums));
        let pairs = sums.pairs.as_mut().unwrap();
        let aa = &mut pairs.counts[usize::from(u16::from_le_bytes(*b"aa"))];
        assert_eq!((*aa, pairs.pending), (4, 4));
        *aa = u32::MAX;
        pairs.pending = (1 << 31) + 1;
        assert!(histogram(b"aaaaaaaab", &mut sums));
        assert_eq!(sums.pairs.as_ref().unwrap().pending, 4);
        assert_eq!(sums.finish().collect::<Vec<_>>(), [('a', 2 * u64::from(u32::MAX) + 8), ('b', 1)]);
    }
}
