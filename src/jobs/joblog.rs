//! The job log, as GNU parallel writes it: a header, and a line of columns with tabs between them for each job.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, UNIX_EPOCH};

use super::outcome::{End, Outcome};
use crate::sys::child::Status;

/// The first line, without its end.
pub const HEADER: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand";

/// The exit value of a job that took too long.
const TIMED_OUT: i32 = -1;

/// The exit value of a job whose status nobody knows.
const LOST: i32 = 255;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The number of the job.
    pub seq: u64,
    /// When it was started, since 1970.
    pub started: Duration,
    /// How long it took.
    pub elapsed: Duration,
    /// Bytes that it wrote to standard output.
    pub received: u64,
    /// Its exit status: 0 if a signal ended it, -1 if it took too long, 127 or 126 if it could not be started.
    pub exit: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// The command line, as [`quoted`] writes it.
    pub command: String,
}

impl Entry {
    /// The line about `outcome` of `command`; None for a job that was cancelled, because it is still to be done.
    #[must_use]
    pub fn of(outcome: &Outcome, command: &[OsString]) -> Option<Self> {
        let (exit, signal) = match &outcome.end {
            End::Ended(status) => codes(*status),
            End::TimedOut(status) => (TIMED_OUT, codes(*status).1),
            End::Refused(error) => (Outcome::refusal_status(error), 0),
            End::Cancelled => return None,
        };
        Some(Self {
            seq: outcome.job.seq,
            started: outcome.started.duration_since(UNIX_EPOCH).unwrap_or_default(),
            elapsed: outcome.elapsed,
            received: outcome.stdout.len(),
            exit,
            signal,
            command: quoted(command),
        })
    }

    /// True if the job did what it was to do.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit == 0 && self.signal == 0
    }

    /// The line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { seq, started, elapsed, received, exit, signal, command } = self;
        let (started, elapsed) = (started.as_secs_f64(), elapsed.as_secs_f64());
        format!("{seq}\t:\t{started:.3}\t{elapsed:10.3}\t0\t{received}\t{exit}\t{signal}\t{command}")
    }

    /// What `line` tells; None if it is no line of a job log, or not all of one.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let columns: Vec<&str> = line.splitn(9, '\t').map(str::trim).collect();
        let &[seq, _host, started, elapsed, _send, received, exit, signal, command] = columns.as_slice() else {
            return None;
        };
        let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
        Some(Self {
            seq: seq.parse().ok().filter(|&seq| seq > 0)?,
            started: seconds(started)?,
            elapsed: seconds(elapsed)?,
            received: received.parse().ok()?,
            exit: exit.parse().ok()?,
            signal: signal.parse().ok()?,
            command: command.to_owned(),
        })
    }
}

/// Exit status and signal of a process; one that somebody else has reaped counts as failed, because nobody knows.
fn codes(status: Status) -> (i32, i32) {
    match status {
        Status::Exited(code) => (code, 0),
        Status::Killed(signal) => (0, signal),
        Status::Lost => (LOST, 0),
    }
}

/// `words` as a shell reads them, on one line and without a tab, whatever bytes they hold.
#[must_use]
pub fn quoted(words: &[OsString]) -> String {
    words.iter().map(|word| quoted_word(word.as_bytes())).collect::<Vec<_>>().join(" ")
}

fn quoted_word(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,^".contains(byte);
    match std::str::from_utf8(word) {
        Ok(text) if !text.is_empty() && text.bytes().all(|byte| plain(&byte) || byte >= 0x80) && !has_control(text) => {
            text.to_owned()
        }
        Ok(text) if !has_control(text) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => escaped(word),
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// A word in `$'...'`, where every byte has an escape.
fn escaped(word: &[u8]) -> String {
    let byte = |byte: u8| match byte {
        b'\n' => r"\n".to_owned(),
        b'\t' => r"\t".to_owned(),
        b'\\' | b'\'' => format!(r"\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!(r"\{byte:03o}"),
    };
    format!("$'{}'", word.iter().map(|&it| byte(it)).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn entry() -> Entry {
        Entry {
            seq: 7,
            started: Duration::from_millis(1_700_000_000_125),
            elapsed: Duration::from_millis(1500),
            received: 42,
            exit: 3,
            signal: 0,
            command: quoted(&["echo".into(), "a b".into()]),
        }
    }

    #[test]
    fn a_line_has_the_columns_of_gnu_parallel_and_is_read_back() {
        let line = entry().line();
        assert_eq!(line, "7\t:\t1700000000.125\t     1.500\t0\t42\t3\t0\techo 'a b'");
        assert_eq!(line.split('\t').count(), HEADER.split('\t').count());
        assert_eq!(Entry::parse(&line), Some(entry()));
    }

    #[test]
    fn what_is_no_whole_line_is_none() {
        let line = entry().line();
        let columns = |number: usize| line.split('\t').take(number).collect::<Vec<_>>().join("\t");
        assert!((0..9).all(|number| Entry::parse(&columns(number)).is_none()));
        assert_eq!(Entry::parse(HEADER), None);
        for (good, bad) in [("7", "0"), ("7", "-1"), ("1700000000.125", "nan"), ("1.500", "-1"), ("42", "x")] {
            assert_eq!(Entry::parse(&line.replacen(good, bad, 1)), None, "{bad}");
        }
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        let quoted = |word: &[u8]| quoted(&[OsString::from_vec(word.to_vec())]);
        assert_eq!(quoted(b"a-b_c.txt"), "a-b_c.txt");
        assert_eq!(quoted(b""), "''");
        assert_eq!(quoted(b"it's"), r"'it'\''s'");
        assert_eq!(quoted("é x".as_bytes()), "'é x'");
        assert_eq!(quoted(b"a\tb\n'"), r"$'a\tb\n\''");
        assert_eq!(quoted(b"\xff1"), r"$'\3771'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn bash_reads_what_was_quoted(words in prop::collection::vec(prop::collection::vec(1..=255u8, 0..20), 1..20)) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            let quoted = quoted(&words);
            prop_assert!(!quoted.contains(['\n', '\t']));
            let output = Command::new("bash").arg("-c").arg(format!("printf '%s\\0' {quoted}")).env("LC_ALL", "C").output();
            let expected: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
            prop_assert_eq!(output.unwrap().stdout, expected);
        }
    }
}
