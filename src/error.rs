//! The one error of the library: what failed, on what, why, and what to do about it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A failed operation on a named object, with its cause and, where there is one, a way out.
///
/// It prints as one line, `cannot create message queue /ipcpipe.x.conv-log: Too many open files; raise
/// 'ulimit -q'`, with every control character of the operand escaped.
///
/// Its debug form is the same line, so that a `main` that returns it shows what a person needs. It can travel to another
/// process, where it reads the same.
#[derive(Serialize, Deserialize)]
pub struct Error(Box<Inner>);

#[derive(Serialize, Deserialize)]
struct Inner {
    what: Cow<'static, str>,
    object: String,
    cause: Cause,
    hint: Option<Cow<'static, str>>,
}

#[derive(Deserialize)]
#[serde(from = "Portable")]
enum Cause {
    Os(io::Error),
    Text(String),
}

/// A cause as it travels: an error of the system is its number.
#[derive(Serialize, Deserialize)]
enum Portable {
    Number(i32),
    Text(String),
}

impl Serialize for Cause {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Portable::from(self).serialize(serializer)
    }
}

impl From<Portable> for Cause {
    fn from(portable: Portable) -> Self {
        match portable {
            Portable::Number(number) => Self::Os(io::Error::from_raw_os_error(number)),
            Portable::Text(text) => Self::Text(text),
        }
    }
}

impl From<&Cause> for Portable {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Os(error) => error.raw_os_error().map_or_else(|| Self::Text(errno_text(error)), Self::Number),
            Cause::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl Error {
    /// An operating-system error: `what` failed on `object`.
    pub fn os(what: impl Into<Cow<'static, str>>, object: impl fmt::Display, cause: impl Into<io::Error>) -> Self {
        Self::build(what.into(), object, Cause::Os(cause.into()))
    }

    /// A refusal that has no error number: `what` is impossible on `object` because of `why`.
    pub fn refused(what: impl Into<Cow<'static, str>>, object: impl fmt::Display, why: impl Into<String>) -> Self {
        Self::build(what.into(), object, Cause::Text(why.into()))
    }

    fn build(what: Cow<'static, str>, object: impl fmt::Display, cause: Cause) -> Self {
        Self(Box::new(Inner { what, object: object.to_string(), cause, hint: None }))
    }

    /// Adds what a person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// True if this is what a person was told to do about it.
    pub(crate) fn has_hint(&self, hint: &str) -> bool {
        self.0.hint.as_deref() == Some(hint)
    }

    /// The operating system's error number, if it was the system that refused.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match &self.0.cause {
            Cause::Os(cause) => cause.raw_os_error(),
            Cause::Text(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { what, object, cause, hint } = &*self.0;
        f.write_str(what)?;
        if !object.is_empty() {
            write!(f, " {}", OneLine::text(object))?;
        }
        match cause {
            Cause::Os(cause) => write!(f, ": {}", errno_text(cause))?,
            Cause::Text(why) => write!(f, ": {}", OneLine::text(why))?,
        }
        match hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.cause {
            Cause::Os(cause) => Some(cause),
            Cause::Text(_) => None,
        }
    }
}

/// The system's text of an error without std's " (os error N)" tail.
pub(crate) fn errno_text(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(tail) = text.find(" (os error ") {
        text.truncate(tail);
    }
    text
}

/// Shows text on one line whatever it holds: a file name may contain a newline, an escape sequence, or bytes that
/// are no text at all.
#[derive(Clone, Copy, Debug)]
pub struct OneLine<'a>(&'a [u8]);

impl<'a> OneLine<'a> {
    /// Shows `text`.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Shows `path`, every byte of it.
    #[must_use]
    pub fn path(path: &'a Path) -> Self {
        Self(path.as_os_str().as_bytes())
    }
}

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_operand_cause_and_hint() {
        let error = Error::os("cannot open", "a\nb", io::Error::from_raw_os_error(2)).hint("give --log another path");
        assert_eq!(error.to_string(), "cannot open a\\nb: No such file or directory; give --log another path");
        assert_eq!(error.raw_os_error(), Some(2));
    }

    #[test]
    fn a_path_of_any_bytes_stays_on_its_line() {
        assert_eq!(OneLine(b"a\xff\n\x1b[31m \xc3\xa9").to_string(), "a\\xff\\n\\u{1b}[31m é");
    }
}
