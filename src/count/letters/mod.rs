//! What a letter is, and which letters a character counts as.
//!
//! Full upper-casing looks at one character at a time, whatever stands around it. So a text is counted by its code
//! points first, and each distinct code point is turned into letters once, at the end.

mod table;

use std::borrow::Cow;

use crate::Error;

/// The version of Unicode whose general categories `L*` are built in.
///
/// Upper-casing and the property *Alphabetic* are those of [`char::UNICODE_VERSION`].
pub const LETTERS_UNICODE: &str = "17.0.0";

/// Which characters are letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Letters {
    /// Unicode general category `L*`: `Lu`, `Ll`, `Lt`, `Lm`, `Lo`. Python's `str.isalpha` tests the same.
    #[default]
    Letter,
    /// The Unicode property *Alphabetic*: besides `L*` letter numbers (`Ⅷ`), circled letters (`ⓐ`) and those marks that
    /// stand for vowels (`ि`).
    Alphabetic,
    /// A to Z, and a to z where case is kept.
    Ascii,
}

/// What becomes of the case of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Case {
    /// Full upper-casing, which depends on no language: one character becomes up to three (`ß` becomes `SS`).
    #[default]
    Upper,
    /// Every character stays what it is.
    Keep,
}

impl Letters {
    /// The name that a person types.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Letter => "letter",
            Self::Alphabetic => "alphabetic",
            Self::Ascii => "ascii",
        }
    }

    /// True if `c` is a letter by this rule.
    #[must_use]
    pub fn contains(self, c: char) -> bool {
        match self {
            Self::Letter => is_letter(c),
            Self::Alphabetic => c.is_alphabetic(),
            Self::Ascii => c.is_ascii_alphabetic(),
        }
    }

    /// The letters that `c` counts as: what it is in `case`, each resulting character tested by itself. So `ß` is two
    /// letters S, also by the rule *ascii*, and U+0390 is one, because its upper case is a letter and two marks.
    ///
    /// ```
    /// use ipcpipe::count::{Case, Letters};
    /// assert!(Letters::Letter.of('ß', Case::Upper).eq(['S', 'S']));
    /// assert!(Letters::Letter.of('ß', Case::Keep).eq(['ß']));
    /// ```
    pub fn of(self, c: char, case: Case) -> impl Iterator<Item = char> {
        let (upper, kept) = match case {
            Case::Upper => (Some(c.to_uppercase()), None),
            Case::Keep => (None, Some(c)),
        };
        upper.into_iter().flatten().chain(kept).filter(move |&letter| self.contains(letter))
    }
}

impl Case {
    /// The name that a person types.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Upper => "upper",
            Self::Keep => "keep",
        }
    }

    /// `text` in this case.
    #[must_use]
    pub fn of(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Upper => Cow::Owned(text.to_uppercase()),
            Self::Keep => Cow::Borrowed(text),
        }
    }
}

impl std::str::FromStr for Letters {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Self::Letter, Self::Alphabetic, Self::Ascii];
        let found = all.into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| Error::refused("cannot count letters by the rule", name, "there is none of that name"))
    }
}

impl std::str::FromStr for Case {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = [Self::Upper, Self::Keep].into_iter().find(|it| it.name() == name);
        found.ok_or_else(|| Error::refused("cannot turn text into case", name, "there is none of that name"))
    }
}

/// True if the general category of `c` is `L*`.
pub(super) fn is_letter(c: char) -> bool {
    within(&table::LETTERS, c)
}

/// True if the general category of `c` is `M*`: what combines with the character before it, as U+0301 does.
pub(super) fn is_mark(c: char) -> bool {
    within(&table::MARKS, c)
}

/// True if `c` is in the set whose `edges` are given: it goes in at the first, out at the second, in at the third.
fn within(edges: &[u32], c: char) -> bool {
    edges.partition_point(|&edge| edge <= u32::from(c)) % 2 == 1
}

#[cfg(test)]
mod tests;
