//! The loops as any processor runs them: what the other kernels mean.

use crate::count::kernel::{Histogram, Points};

/// Eight tables of bytes: neighbours go to different tables, so that a run of one letter does not wait for its own
/// counter eight times. (TurboHist)
#[derive(Debug)]
pub(super) struct Tables {
    counts: [[u32; 256]; 8],
    pending: u32,
}

impl Tables {
    fn new() -> Self {
        Self { counts: [[0; 256]; 8], pending: 0 }
    }

    /// Empties the tables into `sums`.
    pub(super) fn drain(&mut self, sums: &mut [u64; 128]) {
        for table in &mut self.counts {
            for (sum, count) in sums.iter_mut().zip(table.iter()) {
                *sum += u64::from(*count);
            }
            table.fill(0);
        }
        self.pending = 0;
    }

    fn add(&mut self, block: &[u8]) {
        let (eights, rest) = block.as_chunks::<8>();
        let [a, b, c, d, e, f, g, h] = &mut self.counts;
        for eight in eights {
            // One load and shifts beat eight loads.
            let eight = u64::from_le_bytes(*eight);
            a[usize::from(eight as u8)] += 1;
            b[usize::from((eight >> 8) as u8)] += 1;
            c[usize::from((eight >> 16) as u8)] += 1;
            d[usize::from((eight >> 24) as u8)] += 1;
            e[usize::from((eight >> 32) as u8)] += 1;
            f[usize::from((eight >> 40) as u8)] += 1;
            g[usize::from((eight >> 48) as u8)] += 1;
            h[usize::from((eight >> 56) as u8)] += 1;
        }
        for &byte in rest {
            a[usize::from(byte)] += 1;
        }
    }
}

/// Counts every byte of `block`; true if all are ASCII.
pub(super) fn histogram(block: &[u8], histogram: &mut Histogram) -> bool {
    let tables = histogram.tables.get_or_insert_with(|| Box::new(Tables::new()));
    // A counter of a table may reach 2^32 only after as many bytes.
    for part in block.chunks(1 << 30) {
        if tables.pending > 1 << 31 {
            tables.drain(&mut histogram.counts);
        }
        tables.pending += part.len() as u32;
        tables.add(part);
    }
    block.is_ascii()
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
