use std::io::Write as _;
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;

const STRICT: Rules =
    Rules { letters: Letters::Letter, case: Case::Upper, invalid: OnInvalid::Strict, stats: true, words: true };

/// Counts `bytes` in pieces of `piece` bytes.
fn counted(bytes: &[u8], rules: &Rules, workers: usize, piece: usize, kernel: Kernel) -> Result<Count, String> {
    let options =
        Options { workers: NonZeroUsize::new(workers), piece: NonZeroUsize::new(piece), kernel, io: Io::Auto };
    let outcome = count(Source::Bytes("text", bytes), rules, &options, &Progress::new());
    outcome.map(|it| it.count).map_err(|error| error.to_string())
}

fn letters(bytes: &[u8], rule: Letters) -> String {
    let count = counted(bytes, &Rules { letters: rule, ..STRICT }, 1, 4096, Kernel::Auto).unwrap();
    count.letters.iter().map(|(letter, count)| format!("{letter}{count}")).collect::<Vec<_>>().join(" ")
}

/// The table of COUNTING.md, section 5: what it calls Python's is the rule *letter*, Rust's *alphabetic*.
#[test]
fn a22_texts_have_the_letters_that_python_and_rust_find_in_them() {
    for (text, expected) in [
        ("", ""),
        ("Straße", "A1 E1 R1 S3 T1"),
        ("ßẞ", "S2 ẞ1"),
        ("İıiI", "I3 İ1"),
        ("ﬃﬁﬆ", "F3 I2 S1 T1"),
        ("\u{390}", "Ι1"),
        ("ᾳᾼ\u{345}", "Α2 Ι3"),
        ("ǆǅǄ", "Ǆ3"),
        ("ςσΣ", "Σ3"),
        ("µſKÿ", "K1 S1 Ÿ1 Μ1"),
        ("ŉ ǰ", "J1 N1 ʼ1"),
        ("և ﬓ", "Ե1 Մ1 Ն1 Ւ1"),
        ("აꭰ", "Ꭰ1 Ა1"),
        ("日本語한국어ｱ", "日1 本1 語1 국1 어1 한1 ｱ1"),
        ("𝒜𐐨𐐀😀", "𐐀2 𝒜1"),
        ("\u{feff}abc", "A1 B1 C1"),
        ("aB\r\nc\rd\n", "A1 B1 C1 D1"),
        ("a\0b", "A1 B1"),
        ("e\u{301} é É", "E1 É2"),
        // Unicode 14, which Python 3.11 has, gave these two no capitals.
        ("ƛɤ", "Ɤ1 Ƛ1"),
    ] {
        assert_eq!(letters(text.as_bytes(), Letters::Letter), expected, "{text}");
        assert_eq!(letters(text.as_bytes(), Letters::Alphabetic), expected, "{text}");
    }
    for (text, letter, alphabetic) in
        [("ⓐⅷ", "", "Ⅷ1 Ⓐ1"), ("हिन्दी", "द1 न1 ह1", "द1 न1 ह1 ि1 ी1"), ("a\u{363}", "A1", "A1 \u{363}1")]
    {
        assert_eq!(letters(text.as_bytes(), Letters::Letter), letter, "{text}");
        assert_eq!(letters(text.as_bytes(), Letters::Alphabetic), alphabetic, "{text}");
    }
}

#[test]
fn invalid_bytes_are_refused_at_their_place_or_counted() {
    let cases: [(&[u8], &str, u64, u64); 6] = [
        (b"abc\xffdef", "byte 3, 1 byte", 1, 6),
        (b"abc\xe2\x82", "byte 3, truncated at end of file", 1, 3),
        (b"\xed\xa0\x80", "byte 0, 1 byte", 3, 0),
        (b"a\xc0\xaf", "byte 1, 1 byte", 2, 1),
        (b"\xf4\x90\x80\x80", "byte 0, 1 byte", 4, 0),
        (b"\x80a", "byte 0, 1 byte", 1, 1),
    ];
    for (bytes, place, invalid, letters) in cases {
        for (workers, piece) in [(1, 100), (1, 1), (3, 2), (2, 3)] {
            let error = counted(bytes, &STRICT, workers, piece, Kernel::Auto).unwrap_err();
            assert!(error.starts_with(&format!("cannot count text: invalid UTF-8 at {place};")), "{error}");
            for rule in [OnInvalid::Lossy, OnInvalid::Skip] {
                let count = counted(bytes, &Rules { invalid: rule, ..STRICT }, workers, piece, Kernel::Auto).unwrap();
                assert_eq!((count.totals.invalid, count.sum()), (invalid, letters), "{bytes:x?} {rule:?}");
            }
        }
    }
    let error = counted(b"ab\xe2\x82c", &STRICT, 1, 100, Kernel::Auto).unwrap_err();
    assert!(error.contains("byte 2, 2 bytes;"), "{error}");
}

#[test]
fn the_texts_that_the_first_program_got_wrong_are_right_with_any_number_of_workers() {
    for (text, sum) in [
        ("日本語".repeat(1000) + "x", 3001),
        ("Größe und Maße\n".repeat(1000), 14_000),
        ("hello world\r\n".repeat(10_000), 100_000),
    ] {
        let expected = oracle::count(text.as_bytes(), &STRICT).unwrap();
        assert_eq!(expected.sum(), sum);
        for workers in 1..=9 {
            let piece = text.len().div_ceil(workers);
            for kernel in [Kernel::Auto, Kernel::Scalar] {
                assert_eq!(counted(text.as_bytes(), &STRICT, workers, piece, kernel).as_ref(), Ok(&expected));
            }
        }
    }
}

#[test]
fn every_scalar_value_once_has_the_known_letters() {
    let all: String = ('\0'..=char::MAX).collect();
    let rules = Rules { letters: Letters::Alphabetic, ..STRICT };
    let count = counted(all.as_bytes(), &rules, 2, 64 << 10, Kernel::Auto).unwrap();
    assert_eq!((count.sum(), count.letters.len()), (147_502, 145_841));
    let ascii = [3, 2, 2, 2, 2, 10, 2, 3, 5, 3, 2, 4, 2, 3, 2, 2, 2, 2, 7, 5, 2, 2, 3, 2, 3, 2];
    assert!(('A'..='Z').zip(ascii).all(|(letter, expected)| count.letters[&letter] == expected));
    let count = counted(all.as_bytes(), &STRICT, 3, 64 << 10, Kernel::Scalar).unwrap();
    assert_eq!(Ok(count), oracle::count(all.as_bytes(), &STRICT));
}

#[test]
fn a_text_in_utf_16_is_refused_however_it_comes() {
    for bytes in [b"\xff\xfea\0".as_slice(), b"\xfe\xff\0a", b"\xff\xfe"] {
        for piece in [1, 2, 100] {
            let error = counted(bytes, &STRICT, 1, piece, Kernel::Auto).unwrap_err();
            assert!(error.contains("UTF-16"), "{error}");
            for way in ways(bytes, &STRICT, 2, piece) {
                assert_eq!(way.unwrap_err(), error.replace("cannot count text", "cannot count FILE"));
            }
        }
    }
}

/// The count of `bytes` as a file that is read, mapped, and streamed; the name of the file is FILE in errors.
fn ways(bytes: &[u8], rules: &Rules, workers: usize, piece: usize) -> Vec<Result<Count, String>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let name = file.path().to_str().unwrap().to_owned();
    let options =
        Options { workers: NonZeroUsize::new(workers), piece: NonZeroUsize::new(piece), ..Options::default() };
    let counted = |source: Source<'_>, io: Io| {
        let outcome = count(source, rules, &Options { io, ..options }, &Progress::new());
        outcome.map(|it| it.count).map_err(|error| error.to_string().replace(&name, "FILE"))
    };
    vec![
        counted(Source::Path(file.path()), Io::Auto),
        counted(Source::Path(file.path()), Io::Read),
        counted(Source::Path(file.path()), Io::Mmap),
        counted(Source::Reader("FILE", Box::new(bytes)), Io::Auto),
    ]
}

/// Bytes with characters of all lengths and much that is none, but no byte order mark of UTF-16.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-zA-Z,.'’ \\n]{0,30}".prop_map(String::into_bytes),
        4 => "[äßſéŉ語😀ⓐ\u{301}\u{a0}\u{2003}\u{3000}\u{feff} ]{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => Just(b"\xe2\x82".to_vec()),
    ];
    let text = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    text.prop_filter("UTF-16", |bytes| !counter::is_wide(bytes))
}

fn rules() -> impl Strategy<Value = Rules> {
    let letters = prop::sample::select(&[Letters::Letter, Letters::Alphabetic, Letters::Ascii][..]);
    let case = prop::sample::select(&[Case::Upper, Case::Keep][..]);
    let invalid = prop::sample::select(&[OnInvalid::Strict, OnInvalid::Lossy, OnInvalid::Skip][..]);
    (letters, case, invalid, any::<bool>(), any::<bool>()).prop_map(|(letters, case, invalid, stats, words)| Rules {
        letters,
        case,
        invalid,
        stats,
        words,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_cut_and_kernel_and_number_of_workers_counts_as_the_oracle(
        bytes in bytes(), rules in rules(), workers in 1..4_usize, piece in 1..40_usize,
    ) {
        let size = bytes.len() as u64;
        let expected = oracle::count(&bytes, &rules).map_err(|invalid| invalid.error("text", size).to_string());
        for kernel in Kernel::ALL.into_iter().filter(|it| it.is_available()) {
            prop_assert_eq!(&counted(&bytes, &rules, workers, piece, kernel), &expected, "{:?}", kernel);
        }
        prop_assert_eq!(&counted(&bytes, &rules, 1, 1 << 20, Kernel::Auto), &expected);
    }

    #[test]
    fn every_way_into_memory_counts_as_the_oracle(
        bytes in bytes(), rules in rules(), workers in 1..4_usize, piece in 1..400_usize,
    ) {
        let size = bytes.len() as u64;
        let expected = oracle::count(&bytes, &rules).map_err(|invalid| invalid.error("FILE", size).to_string());
        for (way, found) in ways(&bytes, &rules, workers, piece).into_iter().enumerate() {
            prop_assert_eq!(&found, &expected, "way {}", way);
        }
    }

    #[test]
    fn lossy_is_what_the_standard_library_makes_of_it(bytes in bytes(), piece in 1..40_usize) {
        let rules = Rules { invalid: OnInvalid::Lossy, ..STRICT };
        let lossy = counted(&bytes, &rules, 2, piece, Kernel::Auto).unwrap();
        let strict = counted(String::from_utf8_lossy(&bytes).as_bytes(), &STRICT, 1, 1 << 20, Kernel::Auto).unwrap();
        prop_assert_eq!((lossy.letters, lossy.words), (strict.letters, strict.words));
        prop_assert_eq!(lossy.totals.chars, strict.totals.chars);
        prop_assert_eq!(lossy.totals.words, strict.totals.words);
    }

    #[test]
    fn two_texts_together_have_the_letters_of_both(one in "\\PC{0,40}", other in "\\PC{0,40}") {
        let [first, second, both] = [one.clone(), other.clone(), one + "\n" + &other]
            .map(|text| counted(text.as_bytes(), &STRICT, 1, 7, Kernel::Auto).unwrap());
        let mut sum = first.clone();
        sum.merge(&second);
        prop_assert_eq!(sum.letters, both.letters);
        prop_assert_eq!(sum.words, both.words);
        prop_assert_eq!(sum.totals.words, both.totals.words);
    }
}

/// Blocks of 16 KiB meet in it, and the pieces of a file.
#[test]
fn a_text_of_many_blocks_is_counted_as_the_oracle_does() {
    let line = "The Größe of a 日本語 text,\u{3000}it’s 😀 measured.\r\n";
    let mut bytes = line.repeat(9000).into_bytes();
    let expected = oracle::count(&bytes, &STRICT).unwrap();
    for (workers, piece) in [(1, 4 << 20), (2, 100_000), (3, 16_385)] {
        for way in ways(&bytes, &STRICT, workers, piece) {
            assert_eq!(way.as_ref(), Ok(&expected));
        }
    }
    for at in [300_001, 100_000, 200_000] {
        bytes[at] = 0xff;
    }
    let rules = Rules { invalid: OnInvalid::Lossy, ..STRICT };
    let (expected, first) = (oracle::count(&bytes, &rules).unwrap(), oracle::count(&bytes, &STRICT).unwrap_err());
    let error = first.error("FILE", bytes.len() as u64).to_string();
    for (workers, piece) in [(1, 4 << 20), (3, 16_385)] {
        assert!(ways(&bytes, &rules, workers, piece).iter().all(|way| way.as_ref() == Ok(&expected)));
        assert!(ways(&bytes, &STRICT, workers, piece).iter().all(|way| way.as_ref() == Err(&error)));
    }
}
