//! How often each ASCII character occurred.

use crate::count::kernel::scalar::Tables;

/// How often each ASCII character occurred, of those that a kernel looks for: letters and newlines at least.
#[derive(Debug)]
pub(in crate::count) struct Histogram {
    pub(super) counts: [u64; 128],
    pub(super) tables: Option<Box<Tables>>,
}

impl Histogram {
    pub(in crate::count) fn new() -> Self {
        Self { counts: [0; 128], tables: None }
    }

    /// The letters and newlines, and how often each occurred.
    pub(in crate::count) fn finish(mut self) -> impl Iterator<Item = (char, u64)> {
        if let Some(tables) = &mut self.tables {
            tables.drain(&mut self.counts);
        }
        let counts = ('\0'..='\x7f').zip(self.counts);
        counts.filter(|&(c, count)| count > 0 && (c.is_ascii_alphabetic() || c == '\n'))
    }
}
