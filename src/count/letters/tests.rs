use regex_syntax::hir::{Class, HirKind};

use super::*;

/// All scalar values that the `regex-syntax` crate, whose tables are those of Unicode 16.0, finds in `class`.
fn in_16(class: &str) -> Vec<bool> {
    let hir = regex_syntax::parse(class).unwrap();
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else { panic!("{class} is no class") };
    let mut set = vec![false; 0x11_0000];
    for range in class.ranges() {
        set[range.start() as usize..=range.end() as usize].fill(true);
    }
    set
}

/// The letters of Unicode 17.0 from three sources, as no crate at hand has the very table: what was assigned in 16.0 is
/// what it was; of what came since, the standard library (17.0) knows what is alphabetic and what a number, and
/// `unicode-ident` (18.0) what starts an identifier, which is `L*` and letter numbers but no circled letters or marks.
fn letters() -> Vec<bool> {
    let (letters, assigned) = (in_16(r"\pL"), in_16(r"\P{Cn}"));
    let is_new = |c: char| c.is_alphabetic() && unicode_ident::is_xid_start(c) && !c.is_numeric();
    let letter = |c: char| if assigned[c as usize] { letters[c as usize] } else { is_new(c) };
    (0..0x11_0000).map(|cp| char::from_u32(cp).is_some_and(letter)).collect()
}

fn edges(set: &[bool]) -> Vec<u32> {
    let before = std::iter::once(&false).chain(set);
    set.iter().zip(before).zip(0..).filter(|((now, before), _)| now != before).map(|(_, cp)| cp).collect()
}

fn every_char() -> impl Iterator<Item = char> {
    '\0'..=char::MAX
}

/// Writes `table.rs` anew: `cargo test count::letters::tests::write_the_table -- --ignored`.
#[test]
#[ignore = "it changes a source file"]
fn write_the_table() {
    let mut text =
        String::from("//! Written by `tests::write_the_table`: where each set is entered and left, by turns.\n");
    for (name, what, set) in
        [("LETTERS", "`L*` of Unicode 17.0.", letters()), ("MARKS", "`M*` of Unicode 16.0.", in_16(r"\pM"))]
    {
        let edges = edges(&set);
        text += &format!("\n/// General categories {what}\n#[rustfmt::skip]\n");
        text += &format!("pub(super) static {name}: [u32; {}] = [\n", edges.len());
        for line in edges.chunks(14) {
            let line: Vec<String> = line.iter().map(|edge| format!("0x{edge:X},")).collect();
            text += &format!("    {}\n", line.join(" "));
        }
        text += "];\n";
    }
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/count/letters/table.rs"), text).unwrap();
}

#[test]
fn the_table_of_letters_is_that_of_its_sources() {
    let expected = letters();
    for c in every_char() {
        assert_eq!(is_letter(c), expected[c as usize], "U+{:04X}", c as u32);
    }
}

#[test]
fn the_table_of_marks_is_that_of_its_source() {
    let expected = in_16(r"\pM");
    for c in every_char() {
        assert_eq!(is_mark(c), expected[c as usize], "U+{:04X}", c as u32);
    }
}

/// Fails when a new toolchain brings a newer Unicode than the table has: then the table has to be written anew.
#[test]
fn upper_casing_a_letter_yields_letters_that_the_table_knows() {
    let (major, minor, update) = char::UNICODE_VERSION;
    assert_eq!(LETTERS_UNICODE, format!("{major}.{minor}.{update}"));
    for c in every_char().filter(|&c| is_letter(c)) {
        assert!(c.is_alphabetic(), "U+{:04X}", c as u32);
        assert!(Letters::Letter.of(c, Case::Upper).count() > 0, "U+{:04X}", c as u32);
    }
}

/// Python 3.11 has Unicode 14.0 and finds these figures over every scalar value. What it does not know it takes for no
/// letter; of what it knows, four letters have got an upper case since, which changes neither figure.
#[test]
fn letters_known_to_unicode_14_are_those_that_python_finds() {
    let known = in_16(r"\p{age=14.0}");
    let upper: Vec<char> =
        every_char().filter(|&c| known[c as usize]).flat_map(|c| Letters::Letter.of(c, Case::Upper)).collect();
    let distinct: std::collections::BTreeSet<char> = upper.iter().copied().collect();
    assert_eq!((upper.len(), distinct.len()), (131_838, 130_274));
}

/// The figures of Rust's own tables, Unicode 17.0.
#[test]
fn alphabetic_characters_are_those_of_the_standard_library() {
    let upper: Vec<char> = every_char().flat_map(|c| Letters::Alphabetic.of(c, Case::Upper)).collect();
    let distinct: std::collections::BTreeSet<char> = upper.iter().copied().collect();
    assert_eq!((upper.len(), distinct.len()), (147_502, 145_841));
}

#[test]
fn each_rule_has_its_own_letters() {
    let of = |rule: Letters, text: &str| text.chars().flat_map(|c| rule.of(c, Case::Upper)).collect::<String>();
    assert_eq!(of(Letters::Letter, "ⓐⅷ हि ß1é"), "हSSÉ");
    assert_eq!(of(Letters::Alphabetic, "ⓐⅷ हि ß1é"), "ⒶⅧहिSSÉ");
    assert_eq!(of(Letters::Ascii, "ⓐⅷ हि ß1éx"), "SSX");
    assert!(Letters::Ascii.of('x', Case::Keep).eq(['x']));
}

#[test]
fn names_are_read_back() {
    assert!(
        [Letters::Letter, Letters::Alphabetic, Letters::Ascii]
            .iter()
            .all(|it| it.name().parse::<Letters>().unwrap() == *it)
    );
    assert!([Case::Upper, Case::Keep].iter().all(|it| it.name().parse::<Case>().unwrap() == *it));
    let error = "greek".parse::<Letters>().unwrap_err().to_string();
    assert_eq!(error, "cannot count letters by the rule greek: there is none of that name");
}
