//! What may have been meant by a word that nobody knows.

use strsim::{damerau_levenshtein, jaro};

/// How many are named.
const NAMED: usize = 3;

/// How much alike two words are to be mistaken for each other; 1 is the same. It is what clap goes by.
const ALIKE: f64 = 0.7;

/// Those of `words` that look most like `typed`, the nearest first and each once.
pub(crate) fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut near: Vec<_> = words
        .into_iter()
        .filter(|word| jaro(typed, word) > ALIKE || is_slip(typed, word))
        .map(|word| (damerau_levenshtein(typed, word), word))
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(NAMED).map(|(_, word)| word.to_owned()).collect()
}

/// True for words that one slip of the finger makes each other. Of the shortest any is one slip from any other.
fn is_slip(typed: &str, word: &str) -> bool {
    word.chars().count() > 2 && damerau_levenshtein(typed, word) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first_and_none_comes_twice() {
        let verbs = ["resume", "source", "pause", "pause", "list"];
        assert_eq!(nearest("pasue", verbs)[0], "pause");
        assert_eq!(nearest("pause", verbs).iter().filter(|word| *word == "pause").count(), 1);
        assert_eq!(nearest("wbe", ["db", "web", "a"]), ["web"]);
        assert!(nearest("xyz", verbs).is_empty());
    }
}
