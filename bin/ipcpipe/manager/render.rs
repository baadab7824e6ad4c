//! Answers of a manager as text for a person. Everything here is pure; the caller owns the streams.
//!
//! Names, commands and messages are shown on one line whatever they hold. A JSON reader gets the lines of the protocol
//! instead, unchanged.

mod pools;
mod show;
mod table;
mod units;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use ipcpipe::OneLine;
use ipcpipe::manager::protocol::{Answer, Deed, Done, Event, OutputLine, Refusal, Status, Transition};
use ipcpipe::manager::word::Word;

use super::words;

pub(crate) use self::pools::{batches as batch_table, pools as pool_table, show as show_pool};
pub(crate) use self::show::{process as show_process, thread as show_thread};
pub(crate) use self::table::{Row, table};
pub(crate) use self::units::{clock, now_ns};

/// The text of one answer, with its newline; nothing for those that are no news by themselves: rows, which make a
/// table, and the end.
pub(crate) fn line(answer: &Answer, prefixed: bool) -> Vec<u8> {
    match answer {
        Answer::Done(deed) => text(done(deed)),
        Answer::Transition(transition) => text(self::transition(transition)),
        Answer::Line(line) => output(line, prefixed),
        Answer::Event(event) => text(self::event(event)),
        Answer::Command { words } => text(command(words)),
        Answer::Name { name, .. } => text(one(name)),
        Answer::Waiting { names } => text(format!("waiting for {} (Ctrl-C: end now)", list(names))),
        Answer::Batch(row) => text(pools::batch(row)),
        Answer::Result(result) => pools::result(result),
        Answer::Ended { processes, threads, jobs } => text(ended(*processes, *threads, *jobs)),
        Answer::Error(refusal) => text(error(refusal)),
        Answer::Process(_) | Answer::Thread(_) | Answer::Pool(_) | Answer::End { .. } => Vec::new(),
    }
}

fn text(line: String) -> Vec<u8> {
    format!("{line}\n").into_bytes()
}

fn one(text: &str) -> String {
    OneLine::text(text).to_string()
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| one(name)).collect::<Vec<_>>().join(", ")
}

/// A command as it can be typed again.
fn command(words: &[Word]) -> String {
    words::join(words.iter().cloned().map(OsString::from))
}

/// `3 processes`.
fn count(number: u32, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}

fn processes(number: u32) -> String {
    count(number, "process", "processes")
}

/// What was done to a target: `process p1 paused (1 process)`.
pub(crate) fn done(deed: &Deed) -> String {
    let subject = format!("{} {}", deed.kind.name(), one(&deed.name));
    let pid = deed.pid.map_or_else(String::new, |pid| match deed.kind {
        ipcpipe::manager::Kind::Process => format!(", pid {pid}"),
        ipcpipe::manager::Kind::Thread => format!(", tid {pid}"),
        ipcpipe::manager::Kind::Pool => String::new(),
    });
    let covered = deed.processes.map(processes);
    let took = deed.took_ms.map_or_else(String::new, |ms| format!(" in {}", units::milliseconds(ms)));
    let predicate = match deed.done {
        // The note says for whom it waits.
        Done::Created if deed.status == Status::Waiting => return format!("{subject} {}", waiting(deed)),
        Done::Created => format!("started{pid}"),
        Done::Paused => "paused".into(),
        Done::Resumed => "resumed".into(),
        Done::Ended if deed.status == Status::Gone => format!("ended{took}"),
        // A pool lives on when its jobs are done.
        Done::Awaited if deed.kind == ipcpipe::manager::Kind::Pool => "has no pending jobs".into(),
        Done::Resized => "resized".into(),
        Done::Ended | Done::Awaited => format!("{}{took}", end(&deed.status)),
        Done::Restarted => format!("restarted{pid}{took}"),
        Done::Signalled => "signalled".into(),
        Done::Forgotten => "forgotten".into(),
    };
    let none_left = (deed.done == Done::Ended && covered.is_some()).then(|| "none left".to_owned());
    let remarks: Vec<_> = [covered, none_left, deed.note.as_deref().map(one)].into_iter().flatten().collect();
    if remarks.is_empty() {
        format!("{subject} {predicate}")
    } else {
        format!("{subject} {predicate} ({})", remarks.join(", "))
    }
}

fn waiting(deed: &Deed) -> String {
    deed.note.as_deref().map_or_else(|| "waits for its turn".into(), one)
}

/// How something ended, as a predicate.
fn end(status: &Status) -> String {
    match status {
        Status::Exited { code } => format!("exited with {code}"),
        Status::Killed { signal } => format!("ended by {}", one(signal)),
        Status::Failed { reason } => format!("failed: {}", one(reason)),
        Status::Gone => "is gone, and nobody knows how it ended".into(),
        Status::Done => "done".into(),
        Status::Stopped => "stopped".into(),
        Status::Panicked => "panicked".into(),
        running => format!("is {}", word(running)),
    }
}

/// A state as the tables show it: `Running`, `Exited(0)`, `Killed(SIGTERM)`.
pub(crate) fn word(status: &Status) -> String {
    match status {
        Status::Exited { code } => format!("Exited({code})"),
        Status::Killed { signal } => format!("Killed({})", one(signal)),
        Status::Waiting => "Waiting".into(),
        Status::Starting => "Starting".into(),
        Status::Running => "Running".into(),
        Status::Pausing => "Pausing".into(),
        Status::Paused => "Paused".into(),
        Status::Closing => "Closing".into(),
        Status::Stopping => "Stopping".into(),
        Status::Backoff => "Backoff".into(),
        // The reason may be long; show and why have it.
        Status::Failed { .. } => "Failed".into(),
        Status::Gone => "Gone".into(),
        Status::Done => "Done".into(),
        Status::Stopped => "Stopped".into(),
        Status::Panicked => "Panicked".into(),
    }
}

fn transition(transition: &Transition) -> String {
    let pid = transition.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let reason = match &transition.status {
        Status::Failed { reason } if !transition.cause.contains(reason.as_str()) => format!(": {}", one(reason)),
        _ => String::new(),
    };
    let Transition { ts_ns, name, status, cause, .. } = transition;
    format!("{} {} {}{pid}: {}{reason}", clock(*ts_ns), one(name), word(status), one(cause))
}

/// What happened, with its time.
pub(crate) fn event(event: &Event) -> String {
    let lost =
        if event.lost == 0 { String::new() } else { format!(" ({} events before this one were dropped)", event.lost) };
    format!("{} {}{lost}", clock(event.ts_ns), one(&event.msg))
}

/// A line that a target wrote, byte for byte, behind the name if several targets write.
fn output(line: &OutputLine, prefixed: bool) -> Vec<u8> {
    let name = if prefixed { format!("{} | ", one(&line.name)) } else { String::new() };
    let mut out = Vec::new();
    out.extend(name.bytes());
    out.extend(bytes(&line.text));
    out.push(b'\n');
    out
}

/// The bytes of a word.
pub(crate) fn bytes(word: &Word) -> &[u8] {
    match word {
        Word::Text(text) => text.as_bytes(),
        Word::Bytes(bytes) => bytes,
    }
}

fn ended(processes: u32, threads: u32, jobs: u64) -> String {
    let stopped = match (processes, threads) {
        (0, 0) => String::new(),
        (_, 0) => format!(", {} stopped", self::processes(processes)),
        (0, _) => format!(", {} stopped", count(threads, "thread", "threads")),
        _ => format!(", {} and {} stopped", self::processes(processes), count(threads, "thread", "threads")),
    };
    let cancelled = match jobs {
        0 => String::new(),
        1 => ", 1 job cancelled".to_owned(),
        _ => format!(", {jobs} jobs cancelled"),
    };
    format!("manager ended{stopped}{cancelled}")
}

/// A refusal in one line, with the names that may have been meant unless it says them itself.
pub(crate) fn error(refusal: &Refusal) -> String {
    let message = one(&refusal.message);
    let unsaid = !refusal.hint.is_empty() && !refusal.hint.iter().any(|hint| message.contains(&one(hint)));
    if unsaid { format!("{message}; did you mean {}?", list(&refusal.hint)) } else { message }
}

/// A word that may be a path.
fn path(word: &Word) -> String {
    OneLine::path(std::path::Path::new(OsStr::from_bytes(bytes(word)))).to_string()
}

#[cfg(test)]
mod tests {
    use ipcpipe::manager::Kind;
    use ipcpipe::manager::protocol::{Code, Stream};

    use super::*;

    fn deed(done: Done, status: Status) -> Deed {
        let kind = Kind::Process;
        Deed {
            done,
            kind,
            id: 1,
            name: "p1".into(),
            pid: Some(4711),
            processes: None,
            took_ms: None,
            status,
            note: None,
        }
    }

    fn read(answer: &Answer) -> String {
        String::from_utf8(line(answer, false)).unwrap()
    }

    #[test]
    fn deeds_read_as_the_sample_session_has_them() {
        let created = Deed { note: Some("tick every 1s".into()), ..deed(Done::Created, Status::Running) };
        assert_eq!(done(&created), "process p1 started, pid 4711 (tick every 1s)");
        let paused = Deed { processes: Some(1), ..deed(Done::Paused, Status::Paused) };
        assert_eq!(done(&paused), "process p1 paused (1 process)");
        let killed = Status::Killed { signal: "SIGTERM".into() };
        let ended = Deed { processes: Some(1), took_ms: Some(3.2), ..deed(Done::Ended, killed) };
        assert_eq!(done(&ended), "process p1 ended by SIGTERM in 3 ms (1 process, none left)");
        let waiting = Deed { note: Some("waits for db:ready".into()), ..deed(Done::Created, Status::Waiting) };
        assert_eq!(done(&waiting), "process p1 waits for db:ready");
        assert_eq!(done(&deed(Done::Awaited, Status::Exited { code: 3 })), "process p1 exited with 3");
        assert_eq!(
            done(&Deed { name: "a\nb".into(), ..deed(Done::Resumed, Status::Running) }),
            "process a\\nb resumed"
        );
    }

    #[test]
    fn output_is_passed_on_byte_for_byte() {
        let text = Word::Bytes(b"\xff\x1b[1mx".to_vec());
        let line = OutputLine { ts_ns: 0, name: "web".into(), stream: Stream::Stdout, text, lost: 2, cut: false };
        assert_eq!(output(&line, false), b"\xff\x1b[1mx\n");
        assert_eq!(output(&OutputLine { lost: 0, ..line }, true), b"web | \xff\x1b[1mx\n");
    }

    #[test]
    fn refusals_name_what_may_have_been_meant_once() {
        let mut refusal = Refusal::new(Code::NotFound, "there is no process, thread or pool p9");
        refusal.hint = vec!["p1".into()];
        assert_eq!(error(&refusal), "there is no process, thread or pool p9; did you mean p1?");
        refusal.message.push_str("; did you mean p1?");
        assert_eq!(error(&refusal), refusal.message);
    }

    #[test]
    fn the_rest_is_one_line_each() {
        let words = vec![Word::Text("create".into()), Word::Text("a b".into())];
        assert_eq!(read(&Answer::Command { words }), "create 'a b'\n");
        assert_eq!(read(&Answer::Waiting { names: vec!["web".into()] }), "waiting for web (Ctrl-C: end now)\n");
        assert_eq!(
            read(&Answer::Ended { processes: 1, threads: 2, jobs: 3 }),
            "manager ended, 1 process and 2 threads stopped, 3 jobs cancelled\n"
        );
        let failed = Status::Failed { reason: "gone".into() };
        let change = Transition { ts_ns: 0, name: "p1".into(), status: failed, cause: "by rule".into(), pid: Some(1) };
        assert!(transition(&change).ends_with(" p1 Failed (pid 1): by rule: gone"));
    }
}
