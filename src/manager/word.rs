//! Words of a command line, which are bytes: text where they are text, a list of bytes in JSON where they are not.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

/// One word of a command or a path as it travels in JSON: a string, or an array of bytes if it is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// Text.
    Text(String),
    /// Bytes that are no UTF-8.
    Bytes(Vec<u8>),
}

impl From<&OsStr> for Word {
    fn from(word: &OsStr) -> Self {
        match word.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(word.as_bytes().to_vec()),
        }
    }
}

impl From<&str> for Word {
    fn from(word: &str) -> Self {
        Self::Text(word.to_owned())
    }
}

impl From<Word> for OsString {
    fn from(word: Word) -> Self {
        match word {
            Word::Text(text) => text.into(),
            Word::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_text_survive_json() {
        for bytes in [&b"plain"[..], b"\xff\xfe", b"", "größe".as_bytes()] {
            let word = OsString::from_vec(bytes.to_vec());
            let json = serde_json::to_string(&Word::from(word.as_os_str())).unwrap();
            assert_eq!(OsString::from(serde_json::from_str::<Word>(&json).unwrap()), word, "{json}");
        }
    }
}
