//! What a piece of a text has to say about its ends, so that words that run from one piece into the next are counted
//! once, in whatever order the pieces were counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::count::words::{Frequencies, Run};

/// The ends of a piece of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Where it begins, in bytes from the beginning of the text.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// None if it holds no character.
    pub(super) rim: Option<Rim>,
    /// What may be parts of words, if words are looked for.
    pub(super) run: Option<Run>,
}

/// The first and the last character of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rim {
    pub(super) begins_in_word: bool,
    pub(super) ends_in_word: bool,
    pub(super) ends_line: bool,
}

/// The edges of all pieces counted so far. Neighbours become one, so that there are few at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seams {
    edges: BTreeMap<u64, Edge>,
    /// Words that were counted twice, because a cut went through them.
    doubled: u64,
    words: Frequencies,
}

impl Seams {
    /// Adds the ends of a piece that is none of those before.
    pub fn add(&mut self, edge: Edge) {
        // A piece that lies within one character holds nothing, and would take the place of its neighbour.
        if edge.start == edge.end {
            return;
        }
        let mut edge = edge;
        if let Some((&start, before)) = self.edges.range(..edge.start).next_back()
            && before.end == edge.start
        {
            let before = self.edges.remove(&start).expect("it was just seen");
            edge = self.join(before, edge);
        }
        if let Some(after) = self.edges.remove(&edge.end) {
            edge = self.join(edge, after);
        }
        self.edges.insert(edge.start, edge);
    }

    /// Adds all pieces of `other`, which are none of those before.
    pub fn merge(&mut self, other: Self) {
        self.doubled += other.doubled;
        self.words.merge(other.words);
        other.edges.into_values().for_each(|edge| self.add(edge));
    }

    fn join(&mut self, left: Edge, right: Edge) -> Edge {
        let rim = match (left.rim, right.rim) {
            (Some(l), Some(r)) => {
                self.doubled += u64::from(l.ends_in_word && r.begins_in_word);
                Some(Rim { begins_in_word: l.begins_in_word, ..r })
            }
            (l, r) => l.or(r),
        };
        let run = match (left.run, right.run) {
            (Some(l), Some(r)) => Some(l.join(r, &mut self.words)),
            (l, r) => l.or(r),
        };
        Edge { start: left.start, end: right.end, rim, run }
    }

    /// Words that were counted twice.
    #[must_use]
    pub fn doubled(&self) -> u64 {
        self.doubled
    }

    /// True if the text ends in the middle of a line, as far as it was counted.
    #[must_use]
    pub fn is_unterminated(&self) -> bool {
        let last = self.edges.values().next_back().and_then(|edge| edge.rim);
        last.is_some_and(|rim| !rim.ends_line)
    }

    /// The words at the ends of pieces.
    #[must_use]
    pub fn into_words(mut self) -> Frequencies {
        for run in self.edges.into_values().filter_map(|edge| edge.run) {
            run.finish(&mut self.words);
        }
        self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(start: u64, end: u64, rim: Option<[bool; 3]>) -> Edge {
        let rim = rim.map(|[begins_in_word, ends_in_word, ends_line]| Rim { begins_in_word, ends_in_word, ends_line });
        Edge { start, end, rim, run: None }
    }

    #[test]
    fn a_word_across_pieces_is_one_word_in_any_order() {
        // "ab" "c" "" "d " "e\n": three words lie on five pieces, which count six.
        let edges = [
            edge(0, 2, Some([true, true, false])),
            edge(2, 3, Some([true, true, false])),
            edge(3, 4, None),
            edge(4, 6, Some([true, false, false])),
            edge(6, 8, Some([true, false, true])),
        ];
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [0, 2, 4, 1, 3], [1, 3, 4, 0, 2]] {
            let mut seams = Seams::default();
            order.into_iter().for_each(|at: usize| seams.add(edges[at].clone()));
            assert_eq!(seams.doubled(), 2, "{order:?}");
            assert!(!seams.is_unterminated());
            assert_eq!(seams.edges.len(), 1);
        }
    }

    #[test]
    fn pieces_that_do_not_touch_have_no_word_in_common() {
        let mut seams = Seams::default();
        seams.add(edge(0, 2, Some([true, true, false])));
        seams.add(edge(3, 3, None));
        seams.add(edge(5, 7, Some([true, true, false])));
        assert_eq!(seams.doubled(), 0);
        assert!(seams.is_unterminated());
    }
}
