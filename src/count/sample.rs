//! Texts that look like English to whoever counts them, of any size and always the same.

use std::io::{self, BufRead, Read, Write};

/// Common words and how often they occur in a million, from large collections of English; the rest of a text is made of
/// letters.
const WORDS: [(&str, u32); 64] = [
    ("the", 61_847),
    ("of", 29_391),
    ("and", 26_817),
    ("to", 25_626),
    ("a", 21_626),
    ("in", 18_214),
    ("that", 11_234),
    ("it", 10_874),
    ("is", 9_982),
    ("was", 9_236),
    ("I", 8_875),
    ("for", 8_412),
    ("on", 6_475),
    ("you", 6_954),
    ("he", 6_810),
    ("be", 6_644),
    ("with", 6_575),
    ("as", 6_400),
    ("by", 5_096),
    ("at", 4_790),
    ("have", 4_735),
    ("are", 4_707),
    ("not", 4_626),
    ("this", 4_623),
    ("but", 4_577),
    ("had", 4_452),
    ("they", 4_332),
    ("his", 4_285),
    ("from", 4_134),
    ("she", 3_801),
    ("which", 3_719),
    ("or", 3_707),
    ("we", 3_578),
    ("an", 3_430),
    ("there", 3_331),
    ("were", 3_227),
    ("one", 3_034),
    ("do", 2_802),
    ("been", 2_686),
    ("all", 2_436),
    ("their", 2_608),
    ("has", 2_593),
    ("would", 2_551),
    ("will", 2_470),
    ("what", 2_393),
    ("if", 2_369),
    ("can", 2_354),
    ("when", 2_261),
    ("so", 2_229),
    ("no", 2_176),
    ("said", 2_087),
    ("who", 2_055),
    ("more", 2_037),
    ("about", 1_974),
    ("up", 1_971),
    ("them", 1_733),
    ("some", 1_712),
    ("could", 1_683),
    ("him", 1_649),
    ("into", 1_634),
    ("its", 1_632),
    ("then", 1_595),
    ("don't", 1_250),
    ("time", 1_542),
];

/// Letters and how often they occur in ten thousand letters of English.
const LETTERS: [(u8, u32); 26] = [
    (b'e', 1202),
    (b't', 910),
    (b'a', 812),
    (b'o', 768),
    (b'i', 731),
    (b'n', 695),
    (b's', 628),
    (b'r', 602),
    (b'h', 592),
    (b'd', 432),
    (b'l', 398),
    (b'u', 288),
    (b'c', 271),
    (b'm', 261),
    (b'f', 230),
    (b'y', 211),
    (b'w', 209),
    (b'g', 203),
    (b'p', 182),
    (b'b', 149),
    (b'v', 111),
    (b'k', 69),
    (b'x', 17),
    (b'q', 11),
    (b'j', 10),
    (b'z', 7),
];

/// Of a thousand words, how many are from the list.
const COMMON: u32 = 450;
/// Bytes that are made at once.
const CHUNK: usize = 64 << 10;

/// Writes `size` bytes of text to `out`. The same size and seed give the same text on every machine.
///
/// # Errors
/// What `out` says.
pub fn write_sample(size: u64, seed: u64, out: &mut impl Write) -> io::Result<()> {
    io::copy(&mut read_sample(size, seed), out).map(drop)
}

/// The text that [`write_sample`] writes, made while it is read, so that it may be larger than memory.
pub fn read_sample(size: u64, seed: u64) -> impl BufRead + Send {
    let prose = Prose { state: seed, text: Vec::with_capacity(CHUNK + 256), column: 0 };
    Made { prose, at: 0 }.take(size)
}

/// A text without an end.
struct Made {
    prose: Prose,
    /// What of the text at hand was read.
    at: usize,
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let number = self.fill_buf()?.read(buffer)?;
        self.consume(number);
        Ok(number)
    }
}

impl BufRead for Made {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.prose.text.len() {
            self.at = 0;
            self.prose.text.clear();
            while self.prose.text.len() < CHUNK {
                self.prose.sentence();
            }
        }
        Ok(&self.prose.text[self.at..])
    }

    fn consume(&mut self, number: usize) {
        self.at += number;
    }
}

struct Prose {
    state: u64,
    text: Vec<u8>,
    column: usize,
}

impl Prose {
    /// A number below `limit` (SplitMix64).
    fn below(&mut self, limit: u32) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * u128::from(limit)) >> 64) as u32
    }

    /// One of `choices`, each as often as it says.
    fn pick<T: Copy>(&mut self, choices: &[(T, u32)]) -> T {
        let mut at = self.below(choices.iter().map(|(_, weight)| weight).sum());
        for &(choice, weight) in choices {
            match at.checked_sub(weight) {
                Some(rest) => at = rest,
                None => return choice,
            }
        }
        choices[0].0
    }

    fn sentence(&mut self) {
        let words = 4 + self.below(20);
        for at in 0..words {
            let begin = self.text.len();
            self.word();
            if at == 0 {
                self.text[begin].make_ascii_uppercase();
            }
            let mark = match at {
                _ if at + 1 == words => self.pick(&[(".", 90), ("?", 6), ("!", 4)]),
                _ => self.pick(&[("", 92), (",", 7), (";", 1)]),
            };
            self.text.extend_from_slice(mark.as_bytes());
            self.gap(begin);
        }
        if self.below(6) == 0 {
            self.text.push(b'\n');
            self.column = 0;
        }
    }

    fn word(&mut self) {
        if self.below(1000) < COMMON {
            let word = self.pick(&WORDS);
            return self.text.extend_from_slice(word.as_bytes());
        }
        for _ in 0..3 + self.below(4) + self.below(4) {
            let letter = self.pick(&LETTERS);
            self.text.push(letter);
        }
    }

    /// What stands between the word that begins at `begin` and the next: lines are some 70 characters long.
    fn gap(&mut self, begin: usize) {
        self.column += self.text.len() - begin + 1;
        if self.column > 66 {
            self.column = 0;
            self.text.push(b'\n');
        } else {
            self.text.push(b' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(size: u64, seed: u64) -> String {
        let mut text = Vec::new();
        write_sample(size, seed, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_sample_is_as_long_as_it_is_to_be_and_always_the_same() {
        for size in [0, 1, 50_000, 439_000, 870_000] {
            assert_eq!(sample(size, 1).len() as u64, size);
        }
        assert_eq!(sample(100_000, 7), sample(200_000, 7)[..100_000]);
        assert_ne!(sample(1000, 1), sample(1000, 2));
    }

    #[test]
    fn its_letters_and_words_are_as_frequent_as_in_english() {
        let text = sample(1_000_000, 3).to_lowercase();
        let letters = text.bytes().filter(u8::is_ascii_lowercase).count();
        let share = |letter: char| text.matches(letter).count() as f64 / letters as f64;
        assert!((0.11..0.14).contains(&share('e')) && (0.08..0.11).contains(&share('t')) && share('z') < 0.002);
        let words = text.split_whitespace().count();
        let the = text.split_whitespace().filter(|word| *word == "the").count();
        assert!((0.04..0.09).contains(&(the as f64 / words as f64)));
        assert!(text.lines().all(|line| line.len() < 100));
    }
}
