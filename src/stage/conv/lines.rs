//! Numbers from lines of text, whatever the cut of the bytes. Pure: bytes go in, samples come out.

use std::num::NonZeroUsize;

use crate::record::Sample;

/// The longest line that is read, in bytes without its newline; it bounds the memory.
pub const MAX_LINE: usize = 64 * 1024;

/// How a line becomes a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The column that holds the number; `None`: the whole line is the number.
    pub column: Option<Column>,
    /// Count an invalid line and pass over it, where it otherwise is a fault.
    pub skip_invalid: bool,
}

/// One column of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its number, from 1.
    pub field: NonZeroUsize,
    /// What separates columns; `None`: runs of white space, as in awk.
    pub delimiter: Option<char>,
}

/// What [`LineParser::push`] made of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Bytes taken; fewer than given when the room was full or at a fault.
    pub consumed: usize,
    /// Samples written.
    pub samples: usize,
    /// The first invalid line, which ends the parsing: one line of text with its number and what it holds.
    pub fault: Option<String>,
}

/// Takes numbers out of text, one a line.
///
/// Blank lines and lines that begin with `#` are passed over, white space around a number and a carriage
/// return before the newline too, and the last line needs no newline. A number is an optional sign, decimal
/// digits with an optional point, and an optional exponent. Everything else is invalid: other text,
/// a missing or empty column, bytes that are not UTF-8, a line longer than [`MAX_LINE`], a magnitude beyond
/// every float, and an integer that a float cannot hold exactly (above 2^53).
///
/// ```
/// use ipcpipe::stage::conv::{LineParser, Lines};
///
/// let mut parser = LineParser::new(Lines::default());
/// let mut room = [0.0; 4];
/// assert_eq!(parser.push(b"1\n# two\n2.5\n-3", &mut room).samples, 2);
/// assert_eq!(room[..2], [1.0, 2.5]);
/// assert_eq!(parser.finish(), Ok(Some(-3.0)));
/// ```
#[derive(Debug)]
pub struct LineParser {
    lines: Lines,
    /// The beginning of a line whose end has not come, cut one byte beyond the longest that is valid.
    partial: Vec<u8>,
    line: u64,
    skipped: u64,
}

impl LineParser {
    /// A parser at the beginning of the text.
    #[must_use]
    pub fn new(lines: Lines) -> Self {
        Self { lines, partial: Vec::new(), line: 0, skipped: 0 }
    }

    /// How many invalid lines were passed over.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether the text may end here without a last line that [`finish`](Self::finish) would yield.
    #[must_use]
    pub fn is_at_line_start(&self) -> bool {
        self.partial.is_empty()
    }

    /// Parses bytes until they end, `room` is full or a line is invalid.
    pub fn push(&mut self, bytes: &[u8], room: &mut [Sample]) -> Pushed {
        let mut pushed = Pushed { consumed: 0, samples: 0, fault: None };
        while pushed.samples < room.len() && pushed.consumed < bytes.len() && pushed.fault.is_none() {
            let (consumed, parsed) = self.step(&bytes[pushed.consumed..]);
            pushed.consumed += consumed;
            match parsed {
                Ok(Some(sample)) => {
                    room[pushed.samples] = sample;
                    pushed.samples += 1;
                }
                Ok(None) => {}
                Err(fault) => pushed.fault = Some(fault),
            }
        }
        pushed
    }

    /// Ends the text: parses a last line without a newline.
    ///
    /// # Errors
    /// The line is invalid.
    pub fn finish(&mut self) -> Result<Option<Sample>, String> {
        if self.is_at_line_start() { Ok(None) } else { self.end_partial() }
    }

    /// Parses one line, or keeps the beginning of one; returns the bytes taken.
    fn step(&mut self, bytes: &[u8]) -> (usize, Result<Option<Sample>, String>) {
        if self.lines.column.is_none()
            && self.partial.is_empty()
            && let Some((sample, length)) = short_integer(bytes)
        {
            self.line += 1;
            return (length, Ok(Some(sample)));
        }
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            return (bytes.len(), self.keep(bytes).map(|()| None));
        };
        let parsed = if self.partial.is_empty() {
            self.end_line(&bytes[..end])
        } else {
            self.keep(&bytes[..end]).and_then(|()| self.end_partial())
        };
        (end + 1, parsed)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), String> {
        let free = MAX_LINE + 1 - self.partial.len();
        self.partial.extend_from_slice(&bytes[..bytes.len().min(free)]);
        // Said at once: the end of such a line may never come.
        if self.partial.len() > MAX_LINE && !self.lines.skip_invalid {
            return self.end_partial().map(|_| ());
        }
        Ok(())
    }

    fn end_partial(&mut self) -> Result<Option<Sample>, String> {
        let mut line = std::mem::take(&mut self.partial);
        let parsed = self.end_line(&line);
        line.clear();
        self.partial = line;
        parsed
    }

    fn end_line(&mut self, line: &[u8]) -> Result<Option<Sample>, String> {
        self.line += 1;
        match parse_line(line, self.lines.column) {
            Ok(sample) => Ok(sample),
            Err(_) if self.lines.skip_invalid => {
                self.skipped += 1;
                Ok(None)
            }
            Err(invalid) => Err(format!("line {}{}", self.line, invalid.describe())),
        }
    }
}

/// What is wrong with a line, and the text in question.
enum Invalid<'a> {
    Long(&'a [u8]),
    NotUtf8(&'a [u8]),
    NoField(NonZeroUsize, &'a str),
    NotNumber(&'a str),
    Infinite(&'a str),
    Inexact(&'a str),
}

impl Invalid<'_> {
    fn describe(&self) -> String {
        match self {
            Self::Long(line) => format!(" is longer than {MAX_LINE} bytes: {}", quoted(line)),
            Self::NotUtf8(line) => format!(" is not UTF-8: {}", quoted(line)),
            Self::NoField(field, line) => format!(" has no field {field}: {}", quoted(line.as_bytes())),
            Self::NotNumber(text) => format!(": {} is not a number", quoted(text.as_bytes())),
            Self::Infinite(text) => format!(": {} is beyond every 64-bit float", quoted(text.as_bytes())),
            Self::Inexact(text) => {
                format!(": {} is an integer that a 64-bit float cannot hold exactly", quoted(text.as_bytes()))
            }
        }
    }
}

/// The text escaped, in quotes, and shortened.
fn quoted(text: &[u8]) -> String {
    const SHOWN: usize = 40;
    let mut shown = text.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().escape_ascii().to_string();
        chunk.valid().chars().map(|c| c.escape_debug().to_string()).chain([invalid]).collect::<Vec<_>>()
    });
    let start: String = shown.by_ref().take(SHOWN).collect();
    let dots = if shown.next().is_some() { "..." } else { "" };
    format!("\"{start}\"{dots}")
}

/// The number of one line; `None` where there is none to be had.
fn parse_line(line: &[u8], column: Option<Column>) -> Result<Option<Sample>, Invalid<'_>> {
    if line.len() > MAX_LINE {
        return Err(Invalid::Long(line));
    }
    let line = str::from_utf8(line).map_err(|_| Invalid::NotUtf8(line))?;
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok(None);
    }
    let number = match column {
        None => trimmed,
        Some(column) => column.of(line).ok_or(Invalid::NoField(column.field, trimmed))?,
    };
    parse_number(number).map(Some)
}

impl Column {
    fn of(self, line: &str) -> Option<&str> {
        let index = self.field.get() - 1;
        match self.delimiter {
            None => line.split_whitespace().nth(index),
            Some(delimiter) => line.split(delimiter).nth(index).map(str::trim),
        }
    }
}

/// From here up not every integer is a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn parse_number(text: &str) -> Result<Sample, Invalid<'_>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // std also reads "inf" and "nan".
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(Invalid::NotNumber(text));
    }
    let value: Sample = text.parse().map_err(|_| Invalid::NotNumber(text))?;
    if value.is_infinite() {
        return Err(Invalid::Infinite(text));
    }
    // 5.0 is as much an integer as 5 is.
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_integer = fraction.bytes().all(|byte| byte == b'0') && whole.bytes().all(|byte| byte.is_ascii_digit());
    if is_integer && value.abs() >= EXACT && format!("{:.0}", value.abs()) != whole.trim_start_matches('0') {
        return Err(Invalid::Inexact(text));
    }
    // There is one zero, however it is written and read.
    Ok(if value == 0.0 { 0.0 } else { value })
}

/// The fast path: the integer below 2^53 that is the whole first line, and the line's length with its end.
fn short_integer(bytes: &[u8]) -> Option<(Sample, usize)> {
    /// So many digits fit an `i64` whatever they are.
    const DIGITS: usize = 18;
    let start = usize::from(bytes[0] == b'-');
    let mut n = 0;
    for (end, &byte) in bytes.iter().enumerate().skip(start).take(DIGITS + 1) {
        let line_end = match byte {
            b'0'..=b'9' => {
                n = 10 * n + i64::from(byte - b'0');
                continue;
            }
            b'\n' => 1,
            b'\r' if bytes.get(end + 1) == Some(&b'\n') => 2,
            _ => return None,
        };
        let value = if start == 0 { n } else { -n } as Sample;
        return (end > start && end - start <= DIGITS && value.abs() < EXACT).then_some((value, end + line_end));
    }
    None
}

#[cfg(test)]
mod tests;
