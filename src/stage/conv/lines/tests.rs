use super::*;
use proptest::prelude::*;

/// Parses text in the given cuts into rooms of the given size.
fn parse_cut(text: &[u8], lines: Lines, cuts: &[usize], room: usize) -> (Vec<Sample>, u64, Option<String>) {
    let mut parser = LineParser::new(lines);
    let mut samples = Vec::new();
    let mut room = vec![0.0; room];
    let mut cuts = cuts.iter().copied();
    let mut rest = text;
    while !rest.is_empty() {
        let (mut now, later) = rest.split_at(cuts.next().unwrap_or(usize::MAX).min(rest.len()));
        rest = later;
        while !now.is_empty() {
            let pushed = parser.push(now, &mut room);
            samples.extend_from_slice(&room[..pushed.samples]);
            if pushed.fault.is_some() {
                return (samples, parser.skipped(), pushed.fault);
            }
            now = &now[pushed.consumed..];
        }
    }
    match parser.finish() {
        Ok(last) => {
            samples.extend(last);
            (samples, parser.skipped(), None)
        }
        Err(fault) => (samples, parser.skipped(), Some(fault)),
    }
}

fn parse(text: impl AsRef<[u8]>, lines: Lines) -> Result<Vec<Sample>, String> {
    let (samples, _, fault) = parse_cut(text.as_ref(), lines, &[], 3);
    fault.map_or(Ok(samples), Err)
}

fn column(field: usize, delimiter: Option<char>) -> Lines {
    Lines { column: Some(Column { field: NonZeroUsize::new(field).unwrap(), delimiter }), skip_invalid: false }
}

#[test]
fn one_number_a_line_blank_lines_and_comments_aside() {
    let text = "1\n\n  # note\n -2.5 \r\n+3e2\n\t\n#4\n.5\n6.";
    assert_eq!(parse(text, Lines::default()), Ok(vec![1.0, -2.5, 300.0, 0.5, 6.0]));
    assert_eq!(parse("", Lines::default()), Ok(vec![]));
    assert_eq!(parse("1\r\n2\r\n3\r", Lines::default()), Ok(vec![1.0, 2.0, 3.0]));
}

#[test]
fn a_column_is_taken_as_awk_or_by_a_delimiter() {
    assert_eq!(parse("  a   1 x\nb\t2\n", column(2, None)), Ok(vec![1.0, 2.0]));
    assert_eq!(parse("\t1\tx\n\t2\ty\r\n", column(2, Some('\t'))), Ok(vec![1.0, 2.0]));
    assert_eq!(parse("x\u{2192} 7 \u{2192}\n", column(2, Some('\u{2192}'))), Ok(vec![7.0]));
}

#[test]
fn a_fault_names_the_line_and_shows_the_text() {
    let fault = |text: &[u8], lines| parse(text, lines).unwrap_err();
    let whole = Lines::default();
    assert_eq!(fault(b"1\n\n4 x\x1b\n", whole), r#"line 3: "4 x\u{1b}" is not a number"#);
    assert_eq!(fault(b"\xff1", whole), r#"line 1 is not UTF-8: "\xff1""#);
    assert_eq!(fault(b"1e999", whole), r#"line 1: "1e999" is beyond every 64-bit float"#);
    assert_eq!(fault(b"a b\n", column(3, None)), r#"line 1 has no field 3: "a b""#);
    assert_eq!(fault(b"a,,b\n", column(2, Some(','))), r#"line 1: "" is not a number"#);
    let long = fault(&[b'x'; 100], whole);
    assert_eq!(long, format!("line 1: \"{}\"... is not a number", "x".repeat(40)));
}

#[test]
fn what_std_calls_a_number_is_not_always_one_here() {
    for text in ["NaN", "inf", "-infinity", "0x10", "1_000", "1,5", "--1", "-", "+", ".", "e5", "1e", "1 2", "-\n"] {
        assert!(parse(text, Lines::default()).unwrap_err().contains("is not a number"), "{text}");
    }
}

#[test]
fn an_integer_is_refused_where_a_float_cannot_hold_it() {
    let exact = ["9007199254740992", "-9007199254740994", "00018014398509481984", "1000000000000000000000"];
    for text in exact {
        assert_eq!(parse(text, Lines::default()), Ok(vec![text.parse().unwrap()]));
    }
    for text in ["9007199254740993", "-9007199254740993", "18446744073709551615", "100000000000000000000000"] {
        assert!(parse(text, Lines::default()).unwrap_err().contains("cannot hold exactly"), "{text}");
    }
    assert!(parse("9007199254740993.0", Lines::default()).unwrap_err().contains("cannot hold exactly"));
    assert_eq!(parse("9007199254740992.00", Lines::default()), Ok(vec![EXACT]));
    assert_eq!(parse("9007199254740993.5", Lines::default()), Ok(vec![9_007_199_254_740_994.0]));
}

#[test]
fn invalid_lines_are_counted_where_they_may_be_skipped() {
    let lines = Lines { skip_invalid: true, ..Lines::default() };
    let long = [b'7'; MAX_LINE + 9];
    let text = [b"1\nx\n\xff\n2\n".as_slice(), &long, b"\n3\n1e999"].concat();
    for cuts in [&[][..], &[1; 12], &[20, 70_000]] {
        assert_eq!(parse_cut(&text, lines, cuts, 2), (vec![1.0, 2.0, 3.0], 4, None));
    }
}

#[test]
fn a_line_that_never_ends_is_a_fault_and_takes_no_memory() {
    let mut parser = LineParser::new(Lines::default());
    let mut room = [0.0];
    for _ in 0..MAX_LINE / 1024 {
        assert_eq!(parser.push(&[b'1'; 1024], &mut room).fault, None);
    }
    let fault = parser.push(b"11", &mut room).fault.unwrap();
    assert!(fault.starts_with("line 1 is longer than 65536 bytes: \"1111"), "{fault}");

    let mut parser = LineParser::new(Lines { skip_invalid: true, ..Lines::default() });
    for _ in 0..1024 {
        parser.push(&[b'1'; 1024], &mut room);
    }
    assert!(parser.partial.capacity() <= 4 * MAX_LINE);
}

proptest! {
    #[test]
    fn every_cut_of_the_bytes_gives_the_same(text in "[-0-9.e#x \r\n]{0,60}", skip_invalid: bool,
                                             cuts in prop::collection::vec(1usize..5, 0..20), room in 1usize..4) {
        let lines = Lines { skip_invalid, ..Lines::default() };
        let whole = parse_cut(text.as_bytes(), lines, &[], 100);
        prop_assert_eq!(parse_cut(text.as_bytes(), lines, &cuts, room), whole);
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, cuts in prop::collection::vec(1usize..9, 0..9)) {
        parse_cut(&bytes, Lines::default(), &cuts, 2);
        parse_cut(&bytes, column(2, None), &cuts, 2);
    }

    #[test]
    fn every_float_that_is_written_is_read(value in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
        let mut text = Vec::new();
        crate::stage::number::append(&mut text, value);
        prop_assert_eq!(parse(text, Lines::default()), Ok(vec![value]));
    }
}
