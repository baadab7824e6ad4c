use proptest::prelude::*;

use super::*;

fn engines() -> impl Iterator<Item = Engine> {
    Kernel::ALL.into_iter().filter(|it| it.is_available()).map(|it| Engine::new(it).unwrap())
}

/// What a histogram says of `block`, small letters counted with their capitals if `case` says so.
fn histogram(engine: Engine, block: &[u8], case: Case) -> (Vec<u64>, bool) {
    let mut histogram = Histogram::new();
    let is_ascii = engine.ascii(block, case, &mut histogram, &mut Points::new()).is_some();
    let mut counts = vec![0; 128];
    for (c, count) in histogram.finish() {
        let c = if case == Case::Upper { c.to_ascii_uppercase() } else { c };
        counts[c as usize] += count;
    }
    (counts, is_ascii)
}

fn plain_histogram(block: &[u8], case: Case) -> Vec<u64> {
    let mut counts = vec![0; 128];
    for &byte in block.iter().filter(|byte| byte.is_ascii_alphabetic() || **byte == b'\n') {
        let byte = if case == Case::Upper { byte.to_ascii_uppercase() } else { byte };
        counts[usize::from(byte)] += 1;
    }
    counts
}

/// The code points beyond ASCII of `block`, and how many it has in all, if it is text.
fn points(engine: Engine, block: &[u8]) -> Option<(Vec<(char, u64)>, u64)> {
    points_with(&mut Points::new(), engine, block)
}

/// As [`points`], with a table that is empty before and after it.
fn points_with(points: &mut Points, engine: Engine, block: &[u8]) -> Option<(Vec<(char, u64)>, u64)> {
    let text = engine.text(block, points);
    let mut found = Vec::new();
    points.drain(|c, count| found.push((c, count)));
    match text {
        Some((text, count)) => {
            assert!(std::ptr::eq(text.as_bytes(), block));
            Some((found, count))
        }
        None => {
            assert!(found.is_empty(), "something was counted");
            None
        }
    }
}

fn plain_points(block: &[u8]) -> Option<(Vec<(char, u64)>, u64)> {
    let text = str::from_utf8(block).ok()?;
    let mut counts = std::collections::BTreeMap::new();
    for c in text.chars().filter(|c| !c.is_ascii()) {
        *counts.entry(c).or_default() += 1;
    }
    Some((counts.into_iter().collect(), text.chars().count() as u64))
}

/// Text as it is found, and text that is not: all lengths of characters, much white space, long and short.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~\\n]{0,90}",
        "[а-яё ]{0,70}",
        "[一-龥、。]{0,50}",
        "[😀-🙏𝒜-𝒵]{0,40}",
        // All of White_Space, and its neighbours.
        "[\t-\r \x1c\u{85}\u{a0}\u{1680}\u{2000}-\u{200b}\u{2028}-\u{202a}\u{202f}\u{205f}\u{3000}\u{3001}]{0,9}",
        "[\t \u{85}\u{a0}\u{1680}\u{2000}\u{200a}\u{2028}\u{202f}\u{205f}\u{3000}aß語😀]{0,80}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Bytes that are nearly text.
fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), Just(0xe2), Just(0xed), Just(0xf0), Just(0xf4), 0x80..0xc0_u8];
    (text(), prop::collection::vec((any::<prop::sample::Index>(), byte), 0..4), any::<prop::sample::Index>()).prop_map(
        |(text, changes, end)| {
            let mut bytes = text.into_bytes();
            bytes.push(b'.');
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes.truncate(1 + end.index(bytes.len()));
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_kernel_counts_the_same_letters_and_lines(
        bytes in prop::collection::vec(any::<u8>(), 0..9000),
        skip in 0..64_usize,
    ) {
        let bytes = bytes.get(skip..).unwrap_or_default();
        for engine in engines() {
            for case in [Case::Upper, Case::Keep] {
                let expected = (plain_histogram(bytes, case), bytes.is_ascii());
                prop_assert_eq!(histogram(engine, bytes, case), expected, "{:?}", engine);
            }
        }
    }

    #[test]
    fn every_kernel_finds_the_same_characters_and_words(text in text(), times in 1..6_usize, in_word: bool) {
        let text = text.repeat(times);
        let words = scalar::words(&text, in_word);
        for engine in engines() {
            prop_assert_eq!(points(engine, text.as_bytes()), plain_points(text.as_bytes()), "{:?}", engine);
            prop_assert_eq!(engine.words(&text, in_word), words, "{:?}", engine);
        }
    }

    #[test]
    fn every_kernel_takes_the_same_bytes_for_text(bytes in nearly_text()) {
        for engine in engines() {
            prop_assert_eq!(points(engine, &bytes), plain_points(&bytes), "{:?}", engine);
        }
    }
}

/// Every sequence of up to three bytes after a lead byte that means something, in the places where vectors meet.
#[test]
fn every_kernel_knows_what_is_no_text() {
    let heads =
        [0x41, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff];
    let tails = [0x41, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2];
    let mut sequences: Vec<Vec<u8>> = heads.map(|head| vec![head]).to_vec();
    let mut shorter = 0;
    for _ in 0..3 {
        let longer = sequences[shorter..].iter().flat_map(|it| tails.map(|tail| [&it[..], &[tail]].concat()));
        let longer: Vec<_> = longer.collect();
        shorter = sequences.len();
        sequences.extend(longer);
    }
    let mut table = Points::new();
    for sequence in &sequences {
        for at in [0, 30, 61] {
            let bytes = [&vec![b'x'; at], &sequence[..]].concat();
            for engine in engines() {
                let found = points_with(&mut table, engine, &bytes);
                assert_eq!(found, plain_points(&bytes), "{engine:?} {bytes:x?}");
            }
        }
    }
}

#[test]
fn what_is_no_text_finds_room_as_well() {
    for byte in 0x80..=0xff {
        for length in [63, 64, 4095, 4096, 33_000] {
            // At the end as well as in the middle of what is text otherwise.
            let bytes = ["ß語😀".as_bytes(), &vec![byte; length]].concat();
            for engine in engines() {
                assert_eq!(points(engine, &bytes), None, "{engine:?} {byte:x} {length}");
                assert_eq!(points(engine, &[&bytes, &b"text"[..]].concat()), None, "{engine:?} {byte:x} {length}");
            }
        }
    }
}

#[test]
fn counters_do_not_overflow_on_one_letter_alone() {
    for engine in engines() {
        for (byte, length) in [(b'a', 70_000), (b'Z', 16_387), (b'\n', 70_000)] {
            for case in [Case::Upper, Case::Keep] {
                let block = vec![byte; length];
                assert_eq!(histogram(engine, &block, case), (plain_histogram(&block, case), true), "{engine:?}");
            }
        }
    }
}

/// Some kernels count what they have found later: while they look at the next letters, when they find more, or at the end.
#[test]
fn code_points_that_wait_are_counted_once_whatever_comes_next() {
    for engine in engines() {
        let (mut histogram, mut table) = (Histogram::new(), Points::new());
        let mut expected = std::collections::BTreeMap::new();
        let mut block = |c: char, times: usize, next: usize| {
            engine.text(c.to_string().repeat(times).as_bytes(), &mut table).expect("it is text");
            *expected.entry(c).or_insert(0) += times as u64;
            for case in [Case::Upper, Case::Keep] {
                engine.histogram(&vec![b'e'; next], case, &mut histogram, &mut table);
            }
        };
        for next in [0, 1, 255, 256, 257, 8192, 70_000] {
            for times in [1, 7, 8, 9, 400, 5000] {
                block('ß', times, next);
                block('語', times, next);
            }
        }
        assert_eq!(engine.text(b"\xc3\x9f\xff", &mut table), None);
        engine.text("éé".as_bytes(), &mut table).expect("it is text");
        engine.text("é😀".as_bytes(), &mut table).expect("it is text");
        expected.extend([('é', 3), ('😀', 1)]);
        let mut found = Vec::new();
        table.drain(|c, count| found.push((c, count)));
        assert_eq!(found, Vec::from_iter(expected), "{engine:?}");
        table.drain(|c, _| panic!("{engine:?} counts {c} again"));
    }
}

#[test]
fn there_is_room_for_characters_of_any_length_at_any_place() {
    for c in ['é', '語', '😀'] {
        for (before, times) in (0..4).flat_map(|before| [1023, 1024, 1025, 5000].map(|times| (before, times))) {
            let text = "x".repeat(before) + &c.to_string().repeat(times);
            for engine in engines() {
                let expected = (vec![(c, times as u64)], (before + times) as u64);
                assert_eq!(points(engine, text.as_bytes()), Some(expected), "{engine:?} {before}");
            }
        }
    }
}

#[test]
fn every_scalar_value_is_found_once() {
    let all: String = ('\0'..=char::MAX).collect();
    let words = scalar::words(&all, false);
    for engine in engines() {
        let (found, count) = points(engine, all.as_bytes()).unwrap();
        assert_eq!(count, 0x11_0000 - 0x800);
        assert!(found.iter().copied().eq(('\u{80}'..=char::MAX).map(|c| (c, 1))), "{engine:?}");
        assert_eq!(engine.words(&all, false), words, "{engine:?}");
    }
}

#[test]
fn a_kernel_has_a_name_and_is_refused_where_it_is_not() {
    for kernel in Kernel::ALL {
        assert_eq!(kernel.name().parse::<Kernel>().unwrap(), kernel);
        assert_eq!(kernel.resolve().is_ok(), kernel.is_available());
        assert!(kernel.resolve().is_ok_and(|it| it != Kernel::Auto) || kernel != Kernel::Auto);
    }
    let error = "mmx".parse::<Kernel>().unwrap_err().to_string();
    assert_eq!(error, "cannot count with kernel mmx: there is none of that name");
}
