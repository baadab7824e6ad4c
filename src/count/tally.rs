//! What was counted, as a worker hands it on and as a person wants it.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::count::words::Frequencies;
use crate::count::{Case, Letters, Rules, Seams};

/// A sequence of bytes that is no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Invalid {
    /// Where it begins, in bytes from the beginning of the file.
    pub offset: u64,
    /// Its length in bytes, 1 to 3.
    pub length: u8,
    /// True if it is the beginning of a character: at the end of a file it is a character cut short.
    pub is_beginning: bool,
}

impl Invalid {
    /// The error of a text named `name` that is `size` bytes long.
    #[must_use]
    pub fn error(self, name: &str, size: u64) -> Error {
        let Self { offset, length, is_beginning } = self;
        let how = match length {
            _ if is_beginning && offset + u64::from(length) == size => "truncated at end of file".to_owned(),
            1 => "1 byte".to_owned(),
            _ => format!("{length} bytes"),
        };
        let error = Error::refused("cannot count", name, format!("invalid UTF-8 at byte {offset}, {how}"));
        error.hint(
            "convert the file, or count what is invalid as U+FFFD (--invalid lossy) or not at all (--invalid skip)",
        )
    }
}

/// Sums over a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Bytes that were looked at, with those of a byte order mark.
    pub bytes: u64,
    /// Characters, that is code points. A byte order mark is none.
    pub chars: u64,
    /// Line feeds, as wc(1) counts lines. A carriage return alone ends no line.
    pub lines: u64,
    /// Longest runs of characters that are not White_Space; 0 unless [`Rules::stats`] asks for them. In the tally of one
    /// worker a word that goes on in the next piece counts in both.
    pub words: u64,
    /// Sequences of bytes that are no UTF-8.
    pub invalid: u64,
}

/// What a worker found in its pieces of a text. Tallies of the same text are added up in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How often each character occurred: of ASCII the letters alone, of the others all. Small letters of ASCII may be
    /// counted with their capitals unless [`Rules::case`] keeps them.
    pub points: BTreeMap<char, u64>,
    /// Sums over the pieces.
    pub totals: Totals,
    /// The smallest invalid sequence, where it ends the count.
    pub invalid: Option<Invalid>,
    /// True if the text begins with U+FEFF, which is then no part of it.
    pub has_mark: bool,
    /// Words within pieces.
    pub words: Frequencies,
}

impl Tally {
    /// Adds what another worker found in other pieces.
    pub fn merge(&mut self, other: Self) {
        if self.points.is_empty() {
            self.points = other.points;
        } else {
            for (c, count) in other.points {
                *self.points.entry(c).or_default() += count;
            }
        }
        self.totals.bytes += other.totals.bytes;
        self.totals.chars += other.totals.chars;
        self.totals.lines += other.totals.lines;
        self.totals.words += other.totals.words;
        self.totals.invalid += other.totals.invalid;
        self.invalid = [self.invalid, other.invalid].into_iter().flatten().min();
        self.has_mark |= other.has_mark;
        self.words.merge(other.words);
    }

    /// The count of the whole text, once all tallies are merged; `seams` holds the ends of all its pieces.
    #[must_use]
    pub fn finish(self, seams: Seams, rules: &Rules) -> Count {
        let is_unterminated = seams.is_unterminated();
        // Without stats no words were counted, though the seams know what goes on across them.
        let words = self.totals.words.saturating_sub(seams.doubled());
        let totals = Totals { words, ..self.totals };
        let mut words = self.words;
        words.merge(seams.into_words());
        Count {
            letters: letters(&self.points, rules.letters, rules.case),
            totals,
            is_unterminated,
            has_mark: self.has_mark,
            words: words.fold(rules.case),
        }
    }
}

/// The letters that `points` count as, each code point looked at once.
fn letters(points: &BTreeMap<char, u64>, rule: Letters, case: Case) -> BTreeMap<char, u64> {
    let mut letters = BTreeMap::new();
    for (&c, &count) in points {
        for letter in rule.of(c, case) {
            *letters.entry(letter).or_default() += count;
        }
    }
    letters
}

/// The count of one text, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often each letter occurred, in the order of the code points.
    pub letters: BTreeMap<char, u64>,
    /// Sums over the text.
    pub totals: Totals,
    /// True if the text ends in the middle of a line.
    pub is_unterminated: bool,
    /// True if the text began with U+FEFF, which was taken for a byte order mark and not counted.
    pub has_mark: bool,
    /// How often each word occurred, if [`Rules::words`] asks for them; see [`super::top`].
    pub words: HashMap<String, u64>,
}

impl Count {
    /// All letters together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.letters.values().sum()
    }

    /// Adds the count of another text: the sum for several files. The last line of either is a line of its own.
    pub fn merge(&mut self, other: &Self) {
        for (&letter, count) in &other.letters {
            *self.letters.entry(letter).or_default() += count;
        }
        for (word, count) in &other.words {
            *self.words.entry(word.clone()).or_default() += count;
        }
        let (sums, more) = (&mut self.totals, other.totals);
        sums.bytes += more.bytes;
        sums.chars += more.chars;
        sums.lines += more.lines;
        sums.words += more.words;
        sums.invalid += more.invalid;
        self.is_unterminated |= other.is_unterminated;
        self.has_mark |= other.has_mark;
    }
}
