//! Where a text may be cut: a character, and likewise a sequence of bytes that is none, belongs to the side on which its
//! first byte is.

/// The first place at or after `at` where no sequence of `bytes` is cut in two. It is at most three bytes on.
///
/// That takes a look at no more than three bytes before `at` and three from it on, because only a byte of continuation
/// can belong to what began before it. One that belongs to nothing stays where it is, to be reported there.
pub(super) fn boundary(bytes: &[u8], at: usize) -> usize {
    if at >= bytes.len() || !is_continuation(bytes[at]) {
        return at.min(bytes.len());
    }
    let before = &bytes[at.saturating_sub(3)..at];
    let Some(back) = before.iter().rev().position(|&byte| !is_continuation(byte)) else {
        return at;
    };
    let first = at - back - 1;
    at.max(first + sequence(&bytes[first..]))
}

/// As [`boundary`], among bytes that somebody may change meanwhile.
pub(super) fn boundary_of_shared(shared: &[u8], at: usize) -> usize {
    let from = at.saturating_sub(3);
    let around = Few::<6>::copy(&shared[from..shared.len().min(at + 3)]);
    from + boundary(around.bytes(), at - from)
}

/// The first and the last character of a text that somebody may change meanwhile; None if it does not begin and end with
/// one.
pub(super) fn ends(shared: &[u8]) -> Option<(char, char)> {
    let first = Few::<4>::copy(&shared[..shared.len().min(4)]);
    let last = Few::<4>::copy(&shared[shared.len().saturating_sub(4)..]);
    let first = first.bytes().utf8_chunks().next()?.valid().chars().next()?;
    let start = last.bytes().iter().rposition(|&byte| !is_continuation(byte))?;
    let last = str::from_utf8(&last.bytes()[start..]).ok()?.chars().next()?;
    Some((first, last))
}

/// A copy of up to `N` bytes.
struct Few<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Few<N> {
    fn copy(bytes: &[u8]) -> Self {
        let mut copy = [0; N];
        copy[..bytes.len()].copy_from_slice(bytes);
        Self { bytes: copy, length: bytes.len() }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The length of the character that `bytes` begin with, or of what stands in place of one: the longest beginning of a
/// character, or one byte. [`String::from_utf8_lossy`] counts in the same way.
fn sequence(bytes: &[u8]) -> usize {
    let chunk = bytes[..bytes.len().min(4)].utf8_chunks().next();
    chunk.map_or(0, |it| it.valid().chars().next().map_or(it.invalid().len(), char::len_utf8))
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where sequences begin, by the standard library's count from the front.
    fn starts(bytes: &[u8]) -> Vec<usize> {
        let mut starts = vec![];
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            starts.extend(chunk.valid().char_indices().map(|(place, _)| at + place));
            at += chunk.valid().len();
            starts.extend((!chunk.invalid().is_empty()).then_some(at));
            at += chunk.invalid().len();
        }
        starts.push(at);
        starts
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_cut_is_where_the_next_sequence_begins(
            bytes in prop::collection::vec(
                prop::sample::select(&[0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc3, 0xe0, 0xe2, 0xed, 0xf0, 0xf4, 0xff][..]), 0..12),
        ) {
            let starts = starts(&bytes);
            for at in 0..=bytes.len() {
                let expected = starts.iter().copied().find(|&start| start >= at).unwrap();
                prop_assert_eq!(boundary(&bytes, at), expected, "{:x?} at {}", bytes, at);
                // Three bytes on either side are enough.
                let from = at.saturating_sub(3);
                let window = &bytes[from..bytes.len().min(at + 3)];
                prop_assert_eq!(from + boundary(window, at - from), expected, "{:x?} at {}", bytes, at);
                prop_assert_eq!(boundary_of_shared(&bytes, at), expected, "{:x?} at {}", bytes, at);
            }
        }
    }

    #[test]
    fn the_ends_of_a_text_are_characters() {
        assert_eq!(ends("a".as_bytes()), Some(('a', 'a')));
        assert_eq!(ends("語".as_bytes()), Some(('語', '語')));
        assert_eq!(ends("😀ß語x😀".as_bytes()), Some(('😀', '😀')));
        assert_eq!(ends("éxxxxß".as_bytes()), Some(('é', 'ß')));
        for flawed in [&b""[..], b"\x80a", b"a\xc3", b"a\x80\x80\x80\x80", b"\xe4\xb8"] {
            assert_eq!(ends(flawed), None, "{flawed:x?}");
        }
    }

    #[test]
    fn a_cut_within_a_character_moves_behind_it() {
        assert_eq!(boundary("a語b".as_bytes(), 2), 4);
        assert_eq!(boundary("a語b".as_bytes(), 1), 1);
        assert_eq!(boundary(b"\x80\x80\x80\x80\x80", 4), 4);
        assert_eq!(boundary(b"ab", 2), 2);
    }
}
