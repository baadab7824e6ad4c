//! From the bytes of a terminal to keys.

/// What was pressed, by what it does to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Enter,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    WordLeft,
    WordRight,
    KillToEnd,
    KillToStart,
    KillWord,
    Yank,
    /// Ctrl-R: the last line that holds what was typed.
    Search,
    Tab,
    Clear,
    Cancel,
    /// Ctrl-D: the end of the input on an empty line, Delete on any other.
    Eof,
    Suspend,
    /// One that means nothing here.
    Other,
}

/// Takes the first key off `bytes`; None if it is not complete yet.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Option<Key> {
    let (key, length) = first(bytes)?;
    bytes.drain(..length);
    Some(key)
}

fn first(bytes: &[u8]) -> Option<(Key, usize)> {
    match bytes.first()? {
        0x1b => escape(bytes),
        byte @ (0..=0x1f | 0x7f) => Some((control(*byte), 1)),
        _ => character(bytes),
    }
}

fn control(byte: u8) -> Key {
    match byte {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x7f | 0x08 => Key::Backspace,
        0x01 => Key::Home,
        0x02 => Key::Left,
        0x03 => Key::Cancel,
        0x04 => Key::Eof,
        0x05 => Key::End,
        0x06 => Key::Right,
        0x0b => Key::KillToEnd,
        0x0c => Key::Clear,
        0x0e => Key::Down,
        0x10 => Key::Up,
        0x12 => Key::Search,
        0x15 => Key::KillToStart,
        0x17 => Key::KillWord,
        0x19 => Key::Yank,
        0x1a => Key::Suspend,
        _ => Key::Other,
    }
}

fn escape(bytes: &[u8]) -> Option<(Key, usize)> {
    match bytes.get(1)? {
        b'[' => sequence(bytes),
        b'O' => Some((cursor(*bytes.get(2)?), 3)),
        b'b' => Some((Key::WordLeft, 2)),
        b'f' => Some((Key::WordRight, 2)),
        0x7f => Some((Key::KillWord, 2)),
        // An Escape by itself, and then a key of its own.
        0x1b => Some((Key::Other, 1)),
        _ => Some((Key::Other, 2)),
    }
}

/// `ESC [ parameters final`.
fn sequence(bytes: &[u8]) -> Option<(Key, usize)> {
    let length = bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte))? + 3;
    let (parameters, last) = (&bytes[2..length - 1], bytes[length - 1]);
    let key = match (parameters, last) {
        (b"1" | b"7", b'~') => Key::Home,
        (b"4" | b"8", b'~') => Key::End,
        (b"3", b'~') => Key::Delete,
        (b"1;5" | b"1;3", b'D') => Key::WordLeft,
        (b"1;5" | b"1;3", b'C') => Key::WordRight,
        (b"", last) => cursor(last),
        _ => Key::Other,
    };
    Some((key, length))
}

fn cursor(last: u8) -> Key {
    match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => Key::Other,
    }
}

/// A character of one to four bytes; a byte that begins none is skipped.
fn character(bytes: &[u8]) -> Option<(Key, usize)> {
    let some = &bytes[..bytes.len().min(4)];
    let chunk = some.utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(c) => Some((Key::Char(c), c.len_utf8())),
        None => {
            // The beginning of a character is not wrong yet.
            let unfinished = std::str::from_utf8(some).is_err_and(|error| error.error_len().is_none());
            (!unfinished).then_some((Key::Other, chunk.invalid().len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Vec<Key> {
        let mut waiting = bytes.to_vec();
        std::iter::from_fn(|| take(&mut waiting)).collect()
    }

    #[test]
    fn keys_come_as_bytes_and_sequences() {
        assert_eq!(all("aé漢\r".as_bytes()), [Key::Char('a'), Key::Char('é'), Key::Char('漢'), Key::Enter]);
        assert_eq!(
            all(b"\x1b[A\x1bOB\x1b[3~\x1b[1;5D\x1b[H\x1b[4~"),
            [Key::Up, Key::Down, Key::Delete, Key::WordLeft, Key::Home, Key::End]
        );
        assert_eq!(all(b"\x03\x04\x1a\x7f\t"), [Key::Cancel, Key::Eof, Key::Suspend, Key::Backspace, Key::Tab]);
        assert_eq!(all(b"\xffa\x1bq"), [Key::Other, Key::Char('a'), Key::Other]);
    }

    #[test]
    fn what_is_not_complete_waits() {
        for begun in [&b"\x1b"[..], b"\x1b[", b"\x1b[1;", b"\xe6\xbc"] {
            assert!(all(begun).is_empty(), "{begun:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_stand_still(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut waiting = bytes.clone();
            while take(&mut waiting).is_some() {}
            prop_assert!(waiting.len() <= bytes.len());
        }
    }
}
