//! Patterns over names, and the names that are nearest to one that nobody has.

/// True if `name` as a whole fits `pattern`: `*` stands for any text, `?` for one character, `[a-c]` and `[!a-c]` for one
/// in or out of a set. A `[` without its `]` stands for itself.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where the last star was and what it has taken so far: on a mismatch it takes one more. Linear in memory and at
    // most quadratic in time, whatever is typed.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match one(&pattern[p..], name[n]) {
            Some(width) => {
                p += width;
                n += 1;
            }
            None if pattern.get(p) == Some(&'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            None => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    p = after;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// How many characters of `pattern` stand for the one character `c`, if they do.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '*' => None,
        '?' => Some(1),
        '[' => match set(pattern) {
            Some((members, width)) => members(c).then_some(width),
            None => (c == '[').then_some(1),
        },
        &literal => (literal == c).then_some(1),
    }
}

/// A set at the start of `pattern`, as a test and its width; None if it is not closed.
fn set(pattern: &[char]) -> Option<(impl Fn(char) -> bool, usize)> {
    let negated = pattern.get(1) == Some(&'!');
    let start = if negated { 2 } else { 1 };
    // A `]` right after the bracket is a member, as in sh(1).
    let end = pattern.iter().skip(start + 1).position(|&c| c == ']')? + start + 1;
    let members = pattern[start..end].to_vec();
    let holds = move |c: char| {
        let ranges = members.windows(3).any(|w| w[1] == '-' && (w[0]..=w[2]).contains(&c));
        (ranges || members.contains(&c)) != negated
    };
    Some((holds, end + 1))
}

/// At most three of `names` that `wanted` may have been meant to be, the most likely first.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let slips = 1 + wanted.chars().count() / 4;
    let wanted = wanted.to_lowercase();
    let mut near: Vec<(usize, &str)> = names
        .map(|name| (strsim::osa_distance(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= slips)
        .collect();
    near.sort_unstable();
    near.dedup_by(|a, b| a.1 == b.1);
    near.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_shell() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "p1"),
            ("p?", "p1"),
            ("w*b-*2", "web-12"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]]", "]"),
            ("[x", "[x"),
            ("gr[öo]ße", "größe"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("p?", "p"), ("p*x", "p1"), ("[a-c]", "d"), ("[!a]", "a"), ("?", ""), ("a", "ab")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        assert!(!fits(&"*a".repeat(60), &"a".repeat(59)));
        assert!(!fits(&format!("{}b", "*a".repeat(60)), &"a".repeat(250)));
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let names = ["web", "worker-1", "db"];
        assert_eq!(nearest("wbe", names.into_iter()), ["web"]);
        assert_eq!(nearest("Worker1", names.into_iter()), ["worker-1"]);
        assert!(nearest("zzzz", names.into_iter()).is_empty());
    }
}
