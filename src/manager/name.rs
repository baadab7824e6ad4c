//! Names of processes and threads: what a person types, so nothing that could be taken for something else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes: what a file name may have, and more than fits a table.
pub const LONGEST: usize = 255;

/// Words of the grammar that would make a sentence ambiguous.
const RESERVED: [&str; 6] = ["all", "batch", "pool", "process", "thread", "threads"];

/// The name of a process or a thread: 1 to [`LONGEST`] bytes of text that is no number, pattern, option or keyword.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Checks `text`.
    ///
    /// # Errors
    /// One clause that says what is wrong with it and what would do.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        match flaw(&text) {
            Some(flaw) => Err(flaw),
            None => Ok(Self(text)),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn flaw(text: &str) -> Option<String> {
    let first = text.chars().next();
    let says = |flaw: &str| Some(flaw.to_owned());
    match first {
        None => says("a name has at least one character"),
        _ if text.len() > LONGEST => Some(format!("a name has at most {LONGEST} bytes, and this one {}", text.len())),
        _ if text.chars().any(char::is_control) => says("a name has no line breaks or other control characters"),
        _ if text.trim() != text => says("a name does not begin or end with a blank"),
        Some('-') => says("a name that begins with '-' looks like an option"),
        Some('#') => says("a name that begins with '#' looks like an ID"),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => says("a name of digits only looks like a process id"),
        _ if text.contains(['*', '?', '[', ']', ':']) => says("a name has none of * ? [ ] :"),
        _ if RESERVED.contains(&text) => says("it is a word of the grammar"),
        _ => None,
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_that_means_nothing_else() {
        for good in ["p1", "web server", "größe", "a-b", "a.b@c", "1a", &"x".repeat(LONGEST)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", " ", " a", "a\nb", "\u{1b}[31m", "-x", "#1", "42", "a*", "a:b", "all", "process", &"x".repeat(256)]
        {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }
}
