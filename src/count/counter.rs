//! One worker: counts pieces of a text, block by block.

use std::collections::BTreeMap;

use crate::Error;
use crate::count::kernel::{BLOCK, Engine, Histogram, Points};
use crate::count::seam::{Edge, Rim};
use crate::count::words::{Frequencies, Run};
use crate::count::{Invalid, Kernel, OnInvalid, Rules, Tally, Totals, split};

/// The byte order mark, U+FEFF.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Whole characters of a text, cut where a [`super::Cutter`] or the file's feed cuts.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Where they begin, in bytes from the beginning of the text.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// Counts pieces of one text. Every worker has one; what they find is merged.
#[derive(Debug)]
pub struct Counter {
    rules: Rules,
    engine: Engine,
    ascii: Histogram,
    points: Points,
    /// What was drained from the table, whose counters are small.
    drained: BTreeMap<char, u64>,
    totals: Totals,
    invalid: Option<Invalid>,
    has_mark: bool,
    words: Frequencies,
}

impl Counter {
    /// A worker that has counted nothing.
    ///
    /// # Errors
    /// When this processor lacks the instructions of `kernel`.
    pub fn new(rules: &Rules, kernel: Kernel) -> Result<Self, Error> {
        Ok(Self {
            rules: *rules,
            engine: Engine::new(kernel)?,
            ascii: Histogram::new(),
            points: Points::new(),
            drained: BTreeMap::new(),
            totals: Totals::default(),
            invalid: None,
            has_mark: false,
            words: Frequencies::default(),
        })
    }

    /// Which kernel counts.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.engine.kernel()
    }

    /// Counts `piece`, and answers with its ends, which belong into [`super::Seams`].
    ///
    /// Where the rules are strict, an invalid sequence ends the piece: see [`Counter::invalid`].
    pub fn count(&mut self, piece: Piece<'_>) -> Edge {
        let mut edge = self.begin(piece.offset);
        self.go_on(&mut edge, piece.bytes);
        edge
    }

    /// An empty piece that begins at `offset`.
    pub(super) fn begin(&self, offset: u64) -> Edge {
        Edge { start: offset, end: offset, rim: None, run: self.rules.words.then(Run::new) }
    }

    /// Counts `bytes`, whole characters that follow those of `edge`; false if they hold an invalid sequence and the
    /// rules are strict.
    pub(super) fn go_on(&mut self, edge: &mut Edge, bytes: &[u8]) -> bool {
        let offset = edge.end;
        self.took(edge, bytes, 0);
        let mut at = self.mark(offset, bytes);
        while at < bytes.len() {
            let end = split::boundary(bytes, at + BLOCK);
            if !self.block(edge, offset + at as u64, &bytes[at..end]) {
                return false;
            }
            at = end;
        }
        true
    }

    /// The smallest invalid sequence so far, where the rules are strict.
    #[must_use]
    pub fn invalid(&self) -> Option<Invalid> {
        self.invalid
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Tally {
        self.drain();
        for (c, count) in self.ascii.finish() {
            match c {
                '\n' => self.totals.lines += count,
                _ => *self.drained.entry(c).or_default() += count,
            }
        }
        Tally {
            points: self.drained,
            totals: self.totals,
            invalid: self.invalid,
            has_mark: self.has_mark,
            words: self.words,
        }
    }

    fn drain(&mut self) {
        self.points.drain(|c, count| *self.drained.entry(c).or_default() += count);
    }

    /// Counts a block; false if that was the last one.
    fn block(&mut self, edge: &mut Edge, offset: u64, block: &[u8]) -> bool {
        // Letters and newlines of ASCII are never part of what is invalid.
        let Some(text) = self.engine.ascii(block, self.rules.case, &mut self.ascii, &mut self.points) else {
            return self.beyond_ascii(edge, offset, block);
        };
        self.totals.chars += text.len() as u64;
        self.ends(edge, text);
        true
    }

    /// Counts what is not ASCII in a block, and the characters and words of all of it; false if that was the last one.
    fn beyond_ascii(&mut self, edge: &mut Edge, offset: u64, block: &[u8]) -> bool {
        if self.points.is_due(block.len()) {
            self.drain();
        }
        let Some((text, chars)) = self.engine.text(block, &mut self.points) else {
            return self.ragged(edge, offset, block);
        };
        self.totals.chars += chars;
        self.ends(edge, text);
        true
    }

    /// True if letters and lines are all that is counted, for which one look at the bytes is enough.
    pub(super) fn looks_once(&self) -> bool {
        !self.rules.stats && !self.rules.words
    }

    /// Counts the letters and lines of `shared`, a part of a file that somebody may change meanwhile. If it is ASCII,
    /// which is then cut nowhere, it is done with. Else the answer is false, and the whole characters that begin in it have
    /// to be given to [`Counter::rest_of_shared`], or a copy of them to [`Counter::rest`].
    pub(super) fn shared(&mut self, edge: &mut Edge, shared: &[u8]) -> bool {
        let is_ascii = self.engine.histogram(shared, self.rules.case, &mut self.ascii, &mut self.points);
        if let (true, [first, ..], [.., last]) = (is_ascii, shared, shared) {
            let (first, last) = (char::from(*first), char::from(*last));
            self.took(edge, shared, shared.len() as u64);
            Self::rim(edge, first, last);
        }
        is_ascii
    }

    /// Counts the rest of what [`Counter::shared`] has seen, if that can be done without a copy; false if it was not.
    pub(super) fn rest_of_shared(&mut self, edge: &mut Edge, shared: &[u8]) -> bool {
        // Where a text begins there may be a byte order mark.
        let Some((first, last)) = split::ends(shared).filter(|_| edge.end > 0) else { return false };
        if self.points.is_due(shared.len()) {
            self.drain();
        }
        let Some(chars) = self.engine.shared_text(shared, &mut self.points) else { return false };
        self.took(edge, shared, chars);
        Self::rim(edge, first, last);
        true
    }

    /// Counts the rest of what [`Counter::shared`] has seen: the bytes between a character that was cut and the cut are
    /// none of its ASCII. False if that was the last one.
    pub(super) fn rest(&mut self, edge: &mut Edge, block: &[u8]) -> bool {
        let offset = edge.end;
        self.took(edge, block, 0);
        let mark = self.mark(offset, block);
        mark == block.len() || self.beyond_ascii(edge, offset + mark as u64, &block[mark..])
    }

    /// Notes bytes, and so many characters of them, that follow those of `edge`.
    fn took(&mut self, edge: &mut Edge, bytes: &[u8], chars: u64) {
        edge.end += bytes.len() as u64;
        self.totals.bytes += bytes.len() as u64;
        self.totals.chars += chars;
    }

    /// The length of the byte order mark that a text begins with.
    fn mark(&mut self, offset: u64, bytes: &[u8]) -> usize {
        let is_there = offset == 0 && bytes.starts_with(MARK);
        self.has_mark |= is_there;
        if is_there { MARK.len() } else { 0 }
    }

    /// Counts a block that is no UTF-8; false if the rules forbid that.
    fn ragged(&mut self, edge: &mut Edge, mut offset: u64, block: &[u8]) -> bool {
        for chunk in block.utf8_chunks() {
            let (valid, invalid) = (chunk.valid(), chunk.invalid());
            self.piecemeal(edge, valid);
            offset += valid.len() as u64;
            if invalid.is_empty() {
                continue;
            }
            self.totals.invalid += 1;
            match self.rules.invalid {
                OnInvalid::Strict => {
                    let is_beginning = str::from_utf8(invalid).is_err_and(|it| it.error_len().is_none());
                    let found = Invalid { offset, length: invalid.len() as u8, is_beginning };
                    self.invalid = Some(self.invalid.map_or(found, |smallest| smallest.min(found)));
                    return false;
                }
                OnInvalid::Lossy => self.piecemeal(edge, "\u{fffd}"),
                OnInvalid::Skip => {}
            }
            offset += invalid.len() as u64;
        }
        true
    }

    /// Counts text whose ASCII letters have been counted.
    fn piecemeal(&mut self, edge: &mut Edge, text: &str) {
        for c in text.chars() {
            self.totals.chars += 1;
            if !c.is_ascii() {
                self.points.add(c.into());
            }
        }
        self.ends(edge, text);
    }

    /// Looks at the ends of `text`, which follows that of `edge`, and at the words between them.
    fn ends(&mut self, edge: &mut Edge, text: &str) {
        let mut chars = text.chars();
        let Some(first) = chars.next() else { return };
        let last = chars.next_back().unwrap_or(first);
        if self.rules.stats {
            let in_word = edge.rim.is_some_and(|rim| rim.ends_in_word);
            self.totals.words += self.engine.words(text, in_word);
        }
        Self::rim(edge, first, last);
        if let Some(run) = &mut edge.run {
            run.push(text, &mut self.words);
        }
    }

    /// Notes the first and the last character of what follows the text of `edge`.
    fn rim(edge: &mut Edge, first: char, last: char) {
        edge.rim = Some(Rim {
            begins_in_word: edge.rim.map_or(!first.is_whitespace(), |rim| rim.begins_in_word),
            ends_in_word: !last.is_whitespace(),
            ends_line: last == '\n',
        });
    }
}

/// True if a text that begins with `bytes` is UTF-16 or UTF-32 by its byte order mark.
pub(super) fn is_wide(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.starts_with(b"\0\0\xfe\xff")
}

/// The error for a text named `name` that is not UTF-8 from its first bytes on.
pub(crate) fn wide(name: &str) -> Error {
    let error = Error::refused("cannot count", name, "it is UTF-16 or UTF-32 by its byte order mark, not UTF-8");
    error.hint("convert it with 'iconv -f UTF-16 -t UTF-8'")
}
