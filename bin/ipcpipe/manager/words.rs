//! From a line to commands and their words, as a shell cuts them, and back. Lines are bytes: a file name is no text.
//!
//! Blanks separate words, `;` and newlines separate commands, and `#` at the beginning of a word starts a comment, unless
//! digits alone follow and the command has begun: `pause #7` means the ID.
//! `'...'` holds everything as it is; `"..."` too, but `\` before `"`, `\`, `$` or a backquote takes it away; `\` outside
//! quotes keeps the next byte; `$'...'` has the escapes of bash, so that every word fits on one line.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Why a line cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    column: usize,
    what: &'static str,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at column {}", self.what, self.column)
    }
}

/// The words of each command of `text`; commands without words are left out.
pub(crate) fn split(text: &[u8]) -> Result<Vec<Vec<OsString>>, Flaw> {
    let mut reader = Reader { text, at: 0 };
    let mut commands = vec![Vec::new()];
    loop {
        reader.skip(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
        match reader.peek() {
            None => break,
            Some(b';' | b'\n') => {
                reader.at += 1;
                commands.push(Vec::new());
            }
            Some(b'#') if commands.last().is_none_or(Vec::is_empty) || !reader.is_id() => {
                reader.skip(|byte| byte != b'\n');
            }
            Some(_) => {
                let word = reader.word()?;
                commands.last_mut().expect("there is always one").push(OsString::from_vec(word));
            }
        }
    }
    commands.retain(|words| !words.is_empty());
    Ok(commands)
}

/// A place in a line.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn skip(&mut self, while_: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&while_) {
            self.at += 1;
        }
    }

    /// True if what follows is `#` and a number.
    fn is_id(&self) -> bool {
        let rest = &self.text[self.at + 1..];
        let word = rest.split(|byte| b" \t\r\n;".contains(byte)).next().unwrap_or_default();
        !word.is_empty() && word.iter().all(u8::is_ascii_digit)
    }

    /// What is wrong at byte `start`; columns are characters, as an editor counts them.
    fn flaw(&self, start: usize, what: &'static str) -> Flaw {
        let line = self.text[..start].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        Flaw { column: String::from_utf8_lossy(&self.text[line..start]).chars().count() + 1, what }
    }

    fn word(&mut self) -> Result<Vec<u8>, Flaw> {
        let mut word = Vec::new();
        loop {
            let start = self.at;
            match self.peek() {
                None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';') => return Ok(word),
                Some(b'\'') => self.single(&mut word)?,
                Some(b'"') => self.double(&mut word)?,
                Some(b'$') if self.text.get(start + 1) == Some(&b'\'') => self.dollar(&mut word)?,
                Some(b'\\') => {
                    self.at += 1;
                    word.push(self.next().ok_or_else(|| self.flaw(start, "nothing follows the backslash"))?);
                }
                Some(byte) => {
                    self.at += 1;
                    word.push(byte);
                }
            }
        }
    }

    fn single(&mut self, word: &mut Vec<u8>) -> Result<(), Flaw> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.next() {
                None => return Err(self.flaw(start, "no second ' for the one")),
                Some(b'\'') => return Ok(()),
                Some(byte) => word.push(byte),
            }
        }
    }

    fn double(&mut self, word: &mut Vec<u8>) -> Result<(), Flaw> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.next() {
                None => return Err(self.flaw(start, "no second \" for the one")),
                Some(b'"') => return Ok(()),
                Some(b'\\') if self.peek().is_some_and(|byte| b"\"\\$`".contains(&byte)) => word.extend(self.next()),
                Some(byte) => word.push(byte),
            }
        }
    }

    fn dollar(&mut self, word: &mut Vec<u8>) -> Result<(), Flaw> {
        let start = self.at;
        self.at += 2;
        loop {
            match self.next() {
                None => return Err(self.flaw(start, "no ' that ends the $'")),
                Some(b'\'') => return Ok(()),
                Some(b'\\') => word.push(self.escape()?),
                Some(byte) => word.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Result<u8, Flaw> {
        let start = self.at - 1;
        let byte = match self.next() {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'e') => 0x1b,
            Some(b'x') => {
                let digits = self.text.get(self.at..self.at + 2).and_then(|two| std::str::from_utf8(two).ok());
                let value = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
                self.at += 2;
                value.ok_or_else(|| self.flaw(start, "no two hexadecimal digits after \\x"))?
            }
            Some(byte @ (b'\\' | b'\'' | b'"')) => byte,
            _ => return Err(self.flaw(start, "an unknown escape")),
        };
        Ok(byte)
    }
}

/// `word` so that [`split`] and a shell read it back, on one line.
pub(crate) fn quote(word: &OsStr) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-+=.,:/@%^".contains(byte);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|byte| plain(&byte)) => text.to_owned(),
        Some(text) if !text.chars().any(|c| c.is_control() || c == '\'') => format!("'{text}'"),
        _ => escaped(word.as_bytes()),
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut quoted = String::from("$'");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => quoted.push_str("\\n"),
                '\'' | '\\' => quoted.extend(['\\', c]),
                _ if c.is_control() => quoted.extend(c.to_string().bytes().map(|byte| format!("\\x{byte:02x}"))),
                _ => quoted.push(c),
            }
        }
        quoted.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    quoted.push('\'');
    quoted
}

/// A whole command as [`split`] reads it back.
pub(crate) fn join(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    words.into_iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Vec<Vec<String>> {
        let commands = split(line.as_bytes()).unwrap();
        commands.iter().map(|words| words.iter().map(|word| word.to_str().unwrap().to_owned()).collect()).collect()
    }

    #[test]
    fn a_line_is_cut_as_a_shell_cuts_it() {
        assert_eq!(
            read("pause  p1;resume p1 # and so on ; no\nlist"),
            [vec!["pause", "p1"], vec!["resume", "p1"], vec!["list"]]
        );
        assert_eq!(
            read(r#"a 'b c' "d \" \n" e\ f g'h'"i" '' x#y"#),
            [["a", "b c", "d \" \\n", "e f", "ghi", "", "x#y"]]
        );
        assert_eq!(read(r"$'a\nb\x41\''"), [["a\nbA'"]]);
        assert!(read(" ; ;; # nothing").is_empty() && read("").is_empty());
        assert_eq!(read("list\r\n"), [["list"]]);
        assert_eq!(read("pause #7; #8 is next"), [["pause", "#7"]]);
    }

    #[test]
    fn a_flaw_names_its_column() {
        for (line, says) in [
            ("create 'p1", "no second ' for the one at column 8"),
            ("list\nä \"x", "no second \" for the one at column 3"),
            ("x\\", "nothing follows the backslash at column 2"),
            ("$'\\q'", "an unknown escape at column 3"),
            ("$'\\x4", "no two hexadecimal digits after \\x at column 3"),
            ("$'", "no ' that ends the $' at column 1"),
        ] {
            assert_eq!(split(line.as_bytes()).unwrap_err().to_string(), says, "{line}");
        }
    }

    proptest! {
        #[test]
        fn quoting_and_cutting_are_inverse(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..5)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            let line = join(&words);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(split(line.as_bytes()), Ok(vec![words]));
        }

        #[test]
        fn garbage_is_cut_or_refused(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = split(&line);
        }
    }
}
