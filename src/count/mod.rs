//! Counting the letters, characters, lines and words of a text.
//!
//! A text is cut into pieces, each [`Counter`] counts those that it gets, and [`Tally`] and [`Seams`] put together what
//! they found. What is found never depends on how the text was cut, by how many it was counted, or with which
//! instructions: the tests hold every way against one simple count of the whole text (`oracle`).
//!
//! Code points are counted first, in a flat table, and become letters once at the end: upper-casing looks at one
//! character at a time, so that is the same, and some thirty times faster.

mod counter;
mod file;
#[cfg(test)]
mod file_tests;
mod io;
mod kernel;
mod letters;
#[cfg(test)]
mod oracle;
mod parallel;
mod sample;
mod seam;
mod source;
mod split;
mod stream;
mod tally;
mod words;

use crate::Error;

pub(crate) use counter::wide;
pub use counter::{Counter, Piece};
pub(crate) use file::changed;
pub use file::{Reader, TextFile};
pub use io::Io;
pub use kernel::Kernel;
pub use letters::{Case, LETTERS_UNICODE, Letters};
pub use parallel::{Options, Outcome, Progress};
pub use sample::{read_sample, write_sample};
pub use seam::{Edge, Seams};
pub use source::{Source, count};
pub use stream::Cutter;
pub use tally::{Count, Invalid, Tally, Totals};
pub use words::{Frequencies, top};

/// What is counted, and as what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Which characters are letters.
    pub letters: Letters,
    /// Whether they are made capitals first.
    pub case: Case,
    /// What becomes of bytes that are no UTF-8.
    pub invalid: OnInvalid,
    /// Count words too, as wc(1) does; everything else in [`Totals`] costs nothing.
    pub stats: bool,
    /// Count how often each word occurs.
    pub words: bool,
}

/// What becomes of bytes that are no UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnInvalid {
    /// The text is refused, and the smallest offset is told.
    #[default]
    Strict,
    /// Each sequence counts as U+FFFD, as [`String::from_utf8_lossy`] has it.
    Lossy,
    /// They are left out, as if they were not there.
    Skip,
}

impl OnInvalid {
    /// The name that a person types.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Lossy => "lossy",
            Self::Skip => "skip",
        }
    }
}

impl std::str::FromStr for OnInvalid {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = [Self::Strict, Self::Lossy, Self::Skip].into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| Error::refused("cannot treat invalid UTF-8 as", name, "there is no way of that name"))
    }
}

#[cfg(test)]
mod tests;
