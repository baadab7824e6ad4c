//! What a manager writes down about its processes, so that a later one finds them should it be killed.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::manager::tree::Root;
use crate::manager::word::Word;
use crate::sys::handle::Handle;

/// One live process. It holds no environment but what `--env` gave: the command has to be complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The command that creates it, from `create` on.
    pub(crate) words: Vec<Word>,
    /// Pid and start time, which together name one process for as long as the machine is up. Both 0 when it was about to
    /// be started.
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

impl Record {
    /// The tree, which has to be looked for if it had no pid yet that could be written down.
    pub(crate) fn root(&self) -> Root {
        let root = Root { pid: self.pid, start_ticks: self.start_ticks, cookie: self.cookie.clone() };
        if self.pid == 0 { root.found_by_cookie() } else { root }
    }
}

/// The file beside the control socket. Dropping it removes the file, because an orderly end leaves nothing to find, unless
/// something of an earlier manager is still there.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    written: String,
    /// The file that was found or made last. Should the directory be swept away, another manager may make its own there;
    /// an open file keeps its inode number from being given to that one.
    mine: Option<File>,
    /// What a dead manager left and nobody has taken over yet.
    left: Vec<Record>,
}

impl Journal {
    /// The journal of the manager at `socket`, with what the last manager there left in it: nothing, unless it was killed
    /// since the machine was started.
    ///
    /// # Errors
    /// The system's, if there is a journal that cannot be read.
    pub(crate) fn open(socket: &Path) -> Result<Self, Error> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".state");
        let path = PathBuf::from(path);
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|mut file| file.read_to_end(&mut text).map(|_| file));
        let mine = match read {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::os("cannot read", path.display(), error)),
        };
        let left = records(&String::from_utf8_lossy(&text), &boot_id());
        Ok(Self { path, written: String::new(), mine, left })
    }

    /// What the last manager left and still runs.
    pub(crate) fn left(&mut self) -> &[Record] {
        self.left.retain_mut(|record| {
            let root = record.root();
            (record.pid, record.start_ticks) = (root.pid, root.start_ticks);
            Handle::open(root.pid, root.start_ticks).is_some_and(|it| !it.has_ended())
        });
        &self.left
    }

    /// Hands over everything that the last manager left, be it gone or not.
    pub(crate) fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.left)
    }

    /// Notes a process that is about to be started, so that it is found should the manager be killed before it comes to
    /// [`write`](Self::write), which has the last word.
    pub(crate) fn announce(&mut self, record: &Record) {
        self.written.clear();
        let mut line = serde_json::to_vec(record).expect("a record is plain data");
        line.push(b'\n');
        // Where this fails, the write at the end of the turn fails too, and is told.
        if let Ok(mut file) = OpenOptions::new().append(true).open(&self.path) {
            let _ = file.write_all(&line);
        }
    }

    /// Writes `records` down, and what nobody has taken over, if that differs from what is written.
    ///
    /// # Errors
    /// The system's; what was written stays.
    pub(crate) fn write(&mut self, records: impl Iterator<Item = Record>) -> Result<(), Error> {
        let mut text = format!("{}\n", boot_id());
        let left = self.left().to_vec();
        for record in left.into_iter().chain(records) {
            text.push_str(&serde_json::to_string(&record).expect("a record is plain data"));
            text.push('\n');
        }
        if text != self.written {
            if self.path.exists() && !self.is_mine() {
                let why = "another manager has this place now";
                return Err(Error::refused("cannot write", self.path.display(), why));
            }
            let made = replace(&self.path, &text);
            self.mine = Some(made.map_err(|error| Error::os("cannot write", self.path.display(), error))?);
            self.written = text;
        }
        Ok(())
    }
}

impl Journal {
    /// True if what is at the path is what this journal found or made there.
    fn is_mine(&self) -> bool {
        let identity = |found: Metadata| (found.dev(), found.ino());
        let there = self.path.symlink_metadata().map(identity);
        self.mine.as_ref().is_some_and(|file| file.metadata().map(identity).ok() == there.ok())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.is_mine() {
            return;
        }
        if self.left().is_empty() || self.write(std::iter::empty()).is_err() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The records of this boot: start times of an earlier one say nothing. A line that is torn or foreign is passed over,
/// and of one process the last line counts.
fn records(text: &str, boot: &str) -> Vec<Record> {
    let mut lines = text.lines();
    if lines.next() != Some(boot) {
        return Vec::new();
    }
    let mut found: Vec<Record> = Vec::new();
    for record in lines.filter_map(|line| serde_json::from_str::<Record>(line).ok()) {
        match found.iter_mut().find(|it| it.cookie == record.cookie) {
            Some(earlier) => *earlier = record,
            None => found.push(record),
        }
    }
    found
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// A reader sees the old text or the new, and after a crash one of them is there. Answers with that file.
fn replace(path: &Path, text: &str) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&new, path)?;
    Ok(file)
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
        let alive = Record {
            pid: own,
            start_ticks: proc::stat(own).unwrap().start_ticks,
            cookie: "IPCPIPE_PROCESS=a.2".into(),
            ..record()
        };
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
