//! Which words occurred, and how often.
//!
//! A word is a run of alphabetic characters with the marks that combine with them, and with apostrophes between two of
//! them: `don’t` is one word, `'tis` is `tis`. That is UAX #29 as far as it concerns letters; digits, which it puts into
//! words, end one here, and so does all other punctuation. Scripts without spaces yield a run for a word.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::count::Case;
use crate::count::letters::is_mark;

/// How often each word occurred, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequencies(HashMap<String, u64>);

impl Frequencies {
    pub(super) fn add(&mut self, word: &str) {
        // A word that is known, as most are, costs no allocation.
        match self.0.get_mut(word) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(word.to_owned(), 1);
            }
        }
    }

    /// Adds the words of `other`.
    pub fn merge(&mut self, other: Self) {
        if self.0.is_empty() {
            self.0 = other.0;
            return;
        }
        for (word, count) in other.0 {
            *self.0.entry(word).or_default() += count;
        }
    }

    /// The words in `case`, each with how often it occurred.
    #[must_use]
    pub fn fold(self, case: Case) -> HashMap<String, u64> {
        match case {
            Case::Keep => self.0,
            Case::Upper => {
                let mut folded = HashMap::with_capacity(self.0.len());
                for (mut word, count) in self.0 {
                    // What can stay in its place does: a text may have millions of different words.
                    if word.is_ascii() {
                        word.make_ascii_uppercase();
                    } else {
                        word = word.to_uppercase();
                    }
                    *folded.entry(word).or_default() += count;
                }
                folded
            }
        }
    }

    /// Adds the words of a text that nothing goes before or after.
    pub(super) fn add_text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(start) = start_of_word(rest) {
            rest = &rest[start..];
            let end = end_of_word(rest);
            self.add(&rest[..end]);
            rest = &rest[end..];
        }
    }
}

/// The `most` frequent words with their numbers, those of equal number in the order of their characters.
#[must_use]
pub fn top(words: &HashMap<String, u64>, most: usize) -> Vec<(String, u64)> {
    let mut words: Vec<(&str, u64)> = words.iter().map(|(word, &count)| (word.as_str(), count)).collect();
    let order = |a: &(&str, u64), b: &(&str, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0));
    if most < words.len() {
        words.select_nth_unstable_by(most, order);
        words.truncate(most);
    }
    words.sort_unstable_by(order);
    words.into_iter().map(|(word, count)| (word.to_owned(), count)).collect()
}

/// Where the first word of `text` begins.
fn start_of_word(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        // Most of a text is ASCII, which needs no table of Unicode.
        at += text.as_bytes()[at..].iter().position(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii())?;
        let c = text[at..].chars().next()?;
        if is_alphabetic(c) {
            return Some(at);
        }
        at += c.len_utf8();
    }
}

/// Where the word that `text` begins with ends.
fn end_of_word(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text.as_bytes()[at..];
        at += rest.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
        let mut chars = text[at..].chars();
        let Some(c) = chars.next() else { return at };
        let joins = is_apostrophe(c) && chars.next().is_some_and(is_alphabetic);
        if !is_inner(c) && !joins {
            return at;
        }
        at += c.len_utf8();
    }
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

/// True for what a word goes on with: U+200C and U+200D stand between letters of one word.
fn is_inner(c: char) -> bool {
    kind(c) & INNER != 0
}

fn is_alphabetic(c: char) -> bool {
    kind(c) & ALPHABETIC != 0
}

const ALPHABETIC: u8 = 1;
const INNER: u8 = 2;

/// What `c` is to a word. The tables of the standard library are made to be small, not fast; for the characters of nearly
/// all texts this one is asked, which takes a millisecond to make.
fn kind(c: char) -> u8 {
    static KINDS: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let kind = |point| char::from_u32(point).map_or(0, look_up);
        (0..0x1_0000).map(kind).collect()
    });
    KINDS.get(c as usize).copied().unwrap_or_else(|| look_up(c))
}

fn look_up(c: char) -> u8 {
    if c.is_alphabetic() {
        ALPHABETIC | INNER
    } else if matches!(c, '\u{200c}' | '\u{200d}') || is_mark(c) {
        INNER
    } else {
        0
    }
}

/// True for what is in no word, whatever stands around it.
fn is_break(c: char) -> bool {
    !is_inner(c) && !is_apostrophe(c)
}

/// The ends of a piece of text that may be parts of words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Up to the first break.
    head: String,
    /// From the last break on; None if there was none.
    tail: Option<String>,
}

impl Run {
    pub(super) fn new() -> Self {
        Self { head: String::new(), tail: None }
    }

    /// Goes on with `text`, and adds to `words` those that are complete.
    pub(super) fn push(&mut self, text: &str, words: &mut Frequencies) {
        let Some(first) = text.find(is_break) else {
            self.tail.as_mut().unwrap_or(&mut self.head).push_str(text);
            return;
        };
        let last = text.rfind(is_break).expect("there is one");
        let after = last + text[last..].chars().next().map_or(0, char::len_utf8);
        match &mut self.tail {
            Some(tail) => {
                tail.push_str(&text[..first]);
                words.add_text(tail);
                tail.clear();
                tail.push_str(&text[after..]);
            }
            None => {
                self.head.push_str(&text[..first]);
                self.tail = Some(text[after..].to_owned());
            }
        }
        words.add_text(&text[first..after]);
    }

    /// What `self` and `next`, which follows it, are together.
    pub(super) fn join(mut self, next: Self, words: &mut Frequencies) -> Self {
        let Some(tail) = &mut self.tail else {
            self.head.push_str(&next.head);
            return Self { head: self.head, tail: next.tail };
        };
        tail.push_str(&next.head);
        if next.tail.is_some() {
            words.add_text(tail);
            self.tail = next.tail;
        }
        self
    }

    /// Adds what is left to `words`.
    pub(super) fn finish(self, words: &mut Frequencies) {
        words.add_text(&self.head);
        words.add_text(&self.tail.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<(String, u64)> {
        let mut words = Frequencies::default();
        words.add_text(text);
        top(&words.fold(Case::Upper), usize::MAX)
    }

    #[test]
    fn words_are_runs_of_letters_with_what_belongs_to_them() {
        let of = |text: &str| words(text).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(of("'tis don't' DON’T mp3s"), ["DON'T", "DON’T", "MP", "S", "TIS"]);
        assert_eq!(of("Straße e\u{301}te\u{301} हिन्दी"), ["E\u{301}TE\u{301}", "STRASSE", "हिन्दी"]);
        assert!(of(" 12 ' '' \u{301}").is_empty());
    }

    #[test]
    fn the_most_frequent_come_first_and_equals_by_letters() {
        let words = [("B", 2), ("a", 1), ("A", 1), ("C", 9), ("ß", 1), ("ss", 1)].map(|(w, n)| (w.to_owned(), n));
        let words = Frequencies(HashMap::from(words)).fold(Case::Upper);
        let expected = [("C", 9), ("A", 2), ("B", 2), ("SS", 2)].map(|(w, n)| (w.to_owned(), n));
        assert_eq!(top(&words, 2), expected[..2]);
        assert_eq!(top(&words, 9), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_cut_yields_the_same_words(pieces in prop::collection::vec("[aß'’ .\u{301}\u{200d}]{0,6}", 0..8)) {
            let mut whole = Frequencies::default();
            whole.add_text(&pieces.concat());
            let mut pushed = (Run::new(), Frequencies::default());
            let mut joined = (Run::new(), Frequencies::default());
            for piece in &pieces {
                pushed.0.push(piece, &mut pushed.1);
                let mut run = Run::new();
                run.push(piece, &mut joined.1);
                joined.0 = joined.0.join(run, &mut joined.1);
            }
            for (run, mut words) in [pushed, joined] {
                run.finish(&mut words);
                prop_assert_eq!(&words, &whole);
            }
        }
    }
}
