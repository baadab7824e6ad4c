//! What a process has written, as far as it is kept.

use std::ffi::OsStr;
use std::mem;
use std::os::unix::ffi::OsStrExt;

use crate::manager::protocol::{OutputLine, Stream};
use crate::manager::ring::Ring;
use crate::manager::word::Word;

/// How much of its output is kept for one process, in bytes of text and of what it takes to keep it.
pub(crate) const KEPT: usize = 1024 * 1024;

/// The longest line in bytes without its newline. A longer one is cut into several.
pub(crate) const LONGEST_LINE: usize = 64 * 1024;

/// What a line weighs beyond its text, so that empty lines do not fill the memory.
const OVERHEAD: usize = mem::size_of::<Line>();

/// The last lines of one process, of both its streams in the order in which they were complete.
#[derive(Debug)]
pub(crate) struct Output {
    name: String,
    lines: Ring<Line>,
    /// The lines that are not complete yet, of standard output and standard error.
    open: [Vec<u8>; 2],
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Line {
    ts_ns: u64,
    stream: Stream,
    text: Box<[u8]>,
    cut: bool,
}

impl Output {
    /// Keeps the output of the process called `name`.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        let lines = Ring::new(KEPT, |line: &Line| line.text.len() + OVERHEAD);
        Self { name: name.into(), lines, open: [Vec::new(), Vec::new()], watch: None }
    }

    /// Takes in what was read from `stream` at `now_ns`, nanoseconds since the epoch.
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8], now_ns: u64) {
        if let Some(watch) = &mut self.watch {
            watch.look(stream, bytes);
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(text) => {
                    self.extend(stream, text, now_ns);
                    let text = mem::take(self.open(stream));
                    self.keep(stream, text, now_ns, false);
                }
                None => self.extend(stream, piece, now_ns),
            }
        }
    }

    /// Says that nothing more comes from `stream` for now: a line without its newline is kept as it is.
    pub(crate) fn end(&mut self, stream: Stream, now_ns: u64) {
        let text = mem::take(self.open(stream));
        if !text.is_empty() {
            self.keep(stream, text, now_ns, true);
        }
    }

    /// The line at `cursor`, which moves on behind it, with the number of lines before it that were dropped unread.
    /// None when all is read.
    pub(crate) fn read(&self, cursor: &mut u64) -> Option<OutputLine> {
        let (line, lost) = self.lines.read(cursor)?;
        Some(OutputLine {
            ts_ns: line.ts_ns,
            name: self.name.clone(),
            stream: line.stream,
            text: Word::from(OsStr::from_bytes(&line.text)),
            lost,
            cut: line.cut,
        })
    }

    /// A cursor from which the last `count` lines follow, or all that are kept.
    pub(crate) fn cursor_last(&self, count: Option<usize>) -> u64 {
        self.lines.cursor_last(count)
    }

    /// A cursor from which only new lines follow.
    pub(crate) fn end_cursor(&self) -> u64 {
        self.lines.end_cursor()
    }

    /// Bytes of text that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        let open: usize = self.open.iter().map(Vec::len).sum();
        self.lines.iter().map(|line| line.text.len() as u64).sum::<u64>() + open as u64
    }

    /// Looks for `text` in what is written from now on, on either stream.
    pub(crate) fn watch_for(&mut self, text: impl AsRef<[u8]>) {
        self.watch = Some(Watch::new(text.as_ref().to_vec()));
    }

    /// True once the text that is watched for was written.
    pub(crate) fn has_seen(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.has_seen)
    }

    fn open(&mut self, stream: Stream) -> &mut Vec<u8> {
        &mut self.open[stream as usize]
    }

    /// Adds to the open line, and cuts it where it gets too long.
    fn extend(&mut self, stream: Stream, mut text: &[u8], now_ns: u64) {
        loop {
            let open = self.open(stream);
            let (fits, rest) = text.split_at(text.len().min(LONGEST_LINE - open.len()));
            open.extend_from_slice(fits);
            if rest.is_empty() {
                return;
            }
            let tail = open.split_off(whole_chars(open));
            let cut = mem::replace(open, tail);
            self.keep(stream, cut, now_ns, true);
            text = rest;
        }
    }

    fn keep(&mut self, stream: Stream, text: Vec<u8>, ts_ns: u64, cut: bool) {
        self.lines.push(Line { ts_ns, stream, text: text.into_boxed_slice(), cut });
    }
}

/// How many bytes at the beginning of `bytes` do not end within a character. All of them where it is no text.
fn whole_chars(bytes: &[u8]) -> usize {
    match str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

/// Finds a text in two streams that arrive in pieces.
#[derive(Debug)]
struct Watch {
    text: Vec<u8>,
    /// The end of each stream, shorter than the text.
    tails: [Vec<u8>; 2],
    has_seen: bool,
}

impl Watch {
    fn new(text: Vec<u8>) -> Self {
        Self { has_seen: text.is_empty(), text, tails: [Vec::new(), Vec::new()] }
    }

    fn look(&mut self, stream: Stream, bytes: &[u8]) {
        if self.has_seen {
            return;
        }
        let tail = &mut self.tails[stream as usize];
        tail.extend_from_slice(bytes);
        self.has_seen = tail.windows(self.text.len()).any(|window| window == self.text);
        let surplus = tail.len().saturating_sub(self.text.len() - 1);
        tail.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stream::{Stderr, Stdout};

    fn texts(output: &Output) -> Vec<(String, bool)> {
        let mut cursor = output.cursor_last(None);
        std::iter::from_fn(|| output.read(&mut cursor))
            .map(|line| match line.text {
                Word::Text(text) => (text, line.cut),
                Word::Bytes(bytes) => panic!("{bytes:?}"),
            })
            .collect()
    }

    #[test]
    fn lines_are_made_of_pieces_stream_by_stream() {
        let mut output = Output::new("p1");
        output.push(Stdout, b"one\ntw", 1);
        output.push(Stderr, b"err", 2);
        output.push(Stdout, b"o\n\nthree", 3);
        output.push(Stderr, b"or\n", 4);
        output.end(Stdout, 5);
        output.end(Stderr, 5);
        let expected = [("one", false), ("two", false), ("", false), ("error", false), ("three", true)];
        assert_eq!(texts(&output), expected.map(|(text, cut)| (text.to_owned(), cut)));
        assert_eq!(output.bytes(), 16);
        let mut cursor = output.cursor_last(Some(2));
        let line = output.read(&mut cursor).unwrap();
        assert_eq!((line.ts_ns, line.name.as_str(), line.stream, line.lost), (4, "p1", Stderr, 0));
    }

    #[test]
    fn what_is_no_text_keeps_its_bytes() {
        let mut output = Output::new("p1");
        output.push(Stdout, b"\xff\0\r\n", 1);
        assert_eq!(output.read(&mut 0).unwrap().text, Word::Bytes(vec![255, 0, 13]));
    }

    #[test]
    fn a_line_is_cut_only_when_it_goes_on_and_between_characters() {
        let mut output = Output::new("p1");
        let mut longest = "x".repeat(LONGEST_LINE - 1);
        output.push(Stdout, format!("{longest}x\n").as_bytes(), 1);
        longest.push_str("é tail");
        for byte in longest.bytes() {
            output.push(Stdout, &[byte], 2);
        }
        output.push(Stdout, b"\n", 3);
        let lines = texts(&output);
        let shape: Vec<_> = lines.iter().map(|(text, cut)| (text.len(), *cut)).collect();
        assert_eq!(shape, [(LONGEST_LINE, false), (LONGEST_LINE - 1, true), ("é tail".len(), false)]);
        assert_eq!(lines[2].0, "é tail");
        let mut other = Output::new("p1");
        other.push(Stdout, "é".repeat(LONGEST_LINE).as_bytes(), 1);
        other.end(Stdout, 2);
        assert_eq!(texts(&other).len(), 2);
    }

    #[test]
    fn the_past_is_bounded_even_if_it_is_empty_lines() {
        let mut output = Output::new("p1");
        let mut cursor = output.end_cursor();
        for _ in 0..40 {
            output.push(Stdout, &[b'\n'; 1000], 1);
            output.push(Stdout, &[b'x'; 50_000], 1);
        }
        assert!(output.bytes() <= (KEPT + LONGEST_LINE) as u64);
        let all = output.end_cursor();
        assert!(all - output.cursor_last(Some(usize::MAX)) <= (KEPT / OVERHEAD) as u64);
        let line = output.read(&mut cursor).unwrap();
        assert!(line.lost > 0);
        assert_eq!(cursor, line.lost + 1);
    }

    #[test]
    fn a_text_is_seen_across_two_reads_but_not_across_two_streams() {
        let mut output = Output::new("p1");
        output.push(Stdout, b"ready", 1);
        output.watch_for("ready");
        assert!(!output.has_seen(), "that was before");
        output.push(Stdout, b" ... rea", 1);
        output.push(Stderr, b"dy", 1);
        assert!(!output.has_seen());
        output.push(Stdout, b"d", 1);
        output.push(Stdout, b"y to serve", 1);
        assert!(output.has_seen());
        output.watch_for("");
        assert!(output.has_seen());
    }
}
