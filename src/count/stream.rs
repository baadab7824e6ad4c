//! A text that can only be read from its beginning to its end.

use std::io::{self, Read};

use crate::count::counter::is_wide;
use crate::count::split;

/// Cuts what is read from a stream into pieces of whole characters.
#[derive(Debug, Default)]
pub struct Cutter {
    /// What was read beyond the last cut.
    rest: Vec<u8>,
    offset: u64,
    is_at_end: bool,
    is_wide: bool,
}

impl Cutter {
    /// A cutter at the beginning of a text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads about `size` bytes of whole characters into `piece`, fewer only at the end of the text. The answer is where
    /// they begin; None when there are no more.
    ///
    /// # Errors
    /// What `reader` says.
    pub fn next(
        &mut self,
        reader: &mut (impl Read + ?Sized),
        size: usize,
        piece: &mut Vec<u8>,
    ) -> io::Result<Option<u64>> {
        piece.clear();
        piece.append(&mut self.rest);
        // A cut at `size` takes a look at three bytes from there on.
        while !self.is_at_end && piece.len() < size + 3 {
            let wanted = (size + 3 - piece.len()) as u64;
            self.is_at_end = (&mut *reader).take(wanted).read_to_end(piece)? == 0;
        }
        // There are four bytes by now, if the text has as many, however small the pieces are.
        self.is_wide |= self.offset == 0 && is_wide(piece);
        let cut = if self.is_at_end { piece.len() } else { split::boundary(piece, size) };
        self.rest.extend_from_slice(&piece[cut..]);
        piece.truncate(cut);
        let offset = self.offset;
        self.offset += cut as u64;
        Ok((cut > 0).then_some(offset))
    }

    /// True if the text is UTF-16 or UTF-32 by its byte order mark, once its first piece was read: nothing to count here.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.is_wide
    }

    /// The size of the whole text, once its end was seen.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.is_at_end.then_some(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_characters_and_together_the_text() {
        let text = "a語ß😀\n".repeat(20);
        for size in 1..40 {
            let (mut cutter, mut reader, mut piece) = (Cutter::new(), text.as_bytes(), Vec::new());
            let mut all = Vec::new();
            while let Some(offset) = cutter.next(&mut reader, size, &mut piece).unwrap() {
                assert_eq!(offset, all.len() as u64);
                assert!(str::from_utf8(&piece).is_ok());
                assert!(cutter.size().is_some() || (size..size + 4).contains(&piece.len()));
                all.extend_from_slice(&piece);
            }
            assert_eq!(all, text.as_bytes());
            assert_eq!(cutter.size(), Some(text.len() as u64));
        }
    }
}
