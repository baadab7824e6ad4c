//! What a manager writes down about its processes, so that a later one finds them should it be killed.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::manager::word::Word;
use crate::sys::handle::Handle;

/// One live process. It holds no environment but what `--env` gave: the command has to be complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The command that creates it, from `create` on.
    pub(crate) words: Vec<Word>,
    /// Pid and start time, which together name one process for as long as the machine is up.
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
    /// Start in nanoseconds since the epoch.
    pub(crate) started_ns: u64,
    /// The entry of the environment that its tree inherits.
    pub(crate) cookie: String,
    pub(crate) restarts: u32,
    pub(crate) paused: bool,
    pub(crate) timeout_left: Option<Duration>,
}

/// The file beside the control socket. Dropping it removes the file, because an orderly end leaves nothing to find,
/// unless there is still something of a manager before.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    written: String,
    /// What a dead manager left and nobody has taken over yet.
    left: Vec<Record>,
}

impl Journal {
    /// The journal of the manager at `socket`, and what the last manager there left in it: nothing, unless it was
    /// killed since the machine was started.
    ///
    /// # Errors
    /// The system's, if there is a journal that cannot be read.
    pub(crate) fn open(socket: &Path) -> Result<Self, Error> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".state");
        let path = PathBuf::from(path);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::os("cannot read", path.display(), error)),
        };
        let left = records(&text, &boot_id());
        Ok(Self { path, written: String::new(), left })
    }

    /// What the last manager left and still runs.
    pub(crate) fn left(&mut self) -> &[Record] {
        self.left.retain(|record| Handle::open(record.pid, record.start_ticks).is_some_and(|it| !it.has_ended()));
        &self.left
    }

    /// Hands over everything that the last manager left, be it gone or not.
    pub(crate) fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.left)
    }

    /// Writes `records` down, and what nobody has taken over, if that differs from what is written.
    ///
    /// # Errors
    /// The system's; what was written stays.
    pub(crate) fn write(&mut self, records: impl Iterator<Item = Record>) -> Result<(), Error> {
        let mut text = format!("{}\n", boot_id());
        let left: Vec<Record> = self.left().to_vec();
        for record in left.into_iter().chain(records) {
            text.push_str(&serde_json::to_string(&record).expect("a record is plain data"));
            text.push('\n');
        }
        if text != self.written {
            replace(&self.path, &text).map_err(|error| Error::os("cannot write", self.path.display(), error))?;
            self.written = text;
        }
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if self.left().is_empty() || self.write(std::iter::empty()).is_err() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The records of this boot: start times of an earlier one say nothing. A line that is torn or foreign is passed over.
fn records(text: &str, boot: &str) -> Vec<Record> {
    let mut lines = text.lines();
    match lines.next() {
        Some(first) if first == boot => lines.filter_map(|line| serde_json::from_str(line).ok()).collect(),
        _ => Vec::new(),
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// A reader sees the old text or the new, and after a crash one of them is there.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::proc;

    fn record() -> Record {
        Record {
            words: vec![Word::Text("create".into()), Word::Bytes(vec![255])],
            pid: 42,
            start_ticks: 7,
            started_ns: 1,
            cookie: "IPCPIPE_PROCESS=a.1".into(),
            restarts: 2,
            paused: true,
            timeout_left: Some(Duration::from_millis(1500)),
        }
    }

    #[test]
    fn what_was_written_is_found_until_an_orderly_end() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("manager.sock");
        let mut journal = Journal::open(&socket).unwrap();
        assert!(journal.take().is_empty());
        journal.write([record()].into_iter()).unwrap();
        let mut second = Journal::open(&socket).unwrap();
        assert_eq!(second.take(), [record()]);
        drop(second);
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn what_nobody_took_over_stays_written_while_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("manager.sock");
        let own = std::process::id();
        let alive = Record { pid: own, start_ticks: proc::stat(own).unwrap().start_ticks, ..record() };
        let mut first = Journal::open(&socket).unwrap();
        first.write([alive.clone(), record()].into_iter()).unwrap();
        let mut second = Journal::open(&socket).unwrap();
        assert_eq!(second.left(), std::slice::from_ref(&alive));
        second.write(std::iter::empty()).unwrap();
        drop(second);
        assert_eq!(Journal::open(&socket).unwrap().take(), [alive]);
    }

    #[test]
    fn another_boot_and_torn_lines_are_passed_over() {
        let line = serde_json::to_string(&record()).unwrap();
        assert!(records(&format!("other\n{line}\n"), "boot").is_empty());
        assert_eq!(records(&format!("boot\n{{\"pid\":1\n{line}\n{}", &line[..20]), "boot"), [record()]);
    }
}
