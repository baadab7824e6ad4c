//! How often each ASCII character occurred.

use crate::count::kernel::scalar::Pairs;

/// How often each ASCII character occurred, of those that a kernel looks for: letters and newlines at least.
#[derive(Debug)]
pub(in crate::count) struct Histogram {
    pub(super) counts: [u64; 128],
    pub(super) pairs: Option<Pairs>,
}

impl Histogram {
    pub(in crate::count) fn new() -> Self {
        Self { counts: [0; 128], pairs: None }
    }

    /// The letters and newlines, and how often each occurred.
    pub(in crate::count) fn finish(mut self) -> impl Iterator<Item = (char, u64)> {
        if let Some(pairs) = &mut self.pairs {
            pairs.drain(&mut self.counts);
        }
        let counts = ('\0'..='\x7f').zip(self.counts);
        counts.filter(|&(c, count)| count > 0 && (c.is_ascii_alphabetic() || c == '\n'))
    }
}
