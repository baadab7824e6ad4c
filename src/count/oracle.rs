//! The count as one would write it down: the whole text at once, nothing clever. Everything else is held against it.

use crate::count::words::Frequencies;
use crate::count::{Count, Invalid, OnInvalid, Rules, Totals};

/// Counts `bytes`.
///
/// # Errors
/// The first invalid sequence, where the rules are strict.
pub(super) fn count(bytes: &[u8], rules: &Rules) -> Result<Count, Invalid> {
    let has_mark = bytes.starts_with("\u{feff}".as_bytes());
    let body = if has_mark { &bytes[3..] } else { bytes };
    let text = match (rules.invalid, str::from_utf8(body)) {
        (_, Ok(text)) => text.to_owned(),
        (OnInvalid::Strict, Err(error)) => {
            let place = error.valid_up_to();
            let length = error.error_len().unwrap_or(body.len() - place) as u8;
            let offset = (place + bytes.len() - body.len()) as u64;
            return Err(Invalid { offset, length, is_beginning: error.error_len().is_none() });
        }
        (OnInvalid::Lossy, Err(_)) => String::from_utf8_lossy(body).into_owned(),
        (OnInvalid::Skip, Err(_)) => body.utf8_chunks().map(|chunk| chunk.valid()).collect(),
    };
    let mut count = Count {
        totals: Totals {
            bytes: bytes.len() as u64,
            chars: text.chars().count() as u64,
            lines: text.matches('\n').count() as u64,
            words: if rules.stats { text.split_whitespace().count() as u64 } else { 0 },
            invalid: body.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count() as u64,
        },
        is_unterminated: !text.is_empty() && !text.ends_with('\n'),
        has_mark,
        ..Count::default()
    };
    for letter in rules.case.of(&text).chars().filter(|&c| rules.letters.contains(c)) {
        *count.letters.entry(letter).or_default() += 1;
    }
    if rules.words {
        let mut words = Frequencies::default();
        words.add_text(&text);
        count.words = words.fold(rules.case);
    }
    Ok(count)
}
