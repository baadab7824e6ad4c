//! What travels over a control connection: one JSON object a line, in both directions.
//!
//! A client writes requests, `{"v":1,"cmd":["pause","p1"]}`, and reads answers. The answers to a request are any number
//! of objects and one of type `end`, whose `exit` is the exit status that the command deserves. Requests of one
//! connection are answered in their order. While one is under way, `{"v":1,"interrupt":true}` ends it: what it waits
//! for goes on, and its `end` has exit 130.
//!
//! An object never holds the environment of a process.

mod objects;
mod pools;

use serde::{Deserialize, Serialize};

use crate::manager::command::Kind;
use crate::manager::word::Word;

pub use objects::{Deed, Details, Done, Event, Level, OutputLine, ProcessRow, Status, Stream, ThreadRow, Transition};
pub use pools::{BatchRow, BatchState, JobEnd, JobResult, PoolRow, Reason, WorkerRow};

/// The version of the protocol, the `v` of every object.
pub const VERSION: u32 = 1;

/// The longest request line in bytes, its newline included. A longer one is refused and skipped, and the connection
/// goes on.
pub const LONGEST_REQUEST: usize = 256 * 1024;

/// One request line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// [`VERSION`].
    pub v: u32,
    /// The words of the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<Word>,
    /// The directory that relative paths of the command start from, and in which a process without `--cwd` runs; the
    /// manager's own if None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<Word>,
    /// Anything; comes back in the `end`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<serde_json::Value>,
    /// Ends the request that is under way, instead of being one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupt: bool,
}

/// One answer line: an [`Answer`] and the version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`VERSION`].
    pub v: u32,
    /// What is answered.
    #[serde(flatten)]
    pub answer: Answer,
}

/// One object of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Answer {
    /// A process, for `list` and `show`.
    Process(Box<ProcessRow>),
    /// A thread, for `list` and `show`.
    Thread(ThreadRow),
    /// A pool, for `list` and `show`.
    Pool(PoolRow),
    /// A batch, for `submit`, `list batch`, `cancel`, and before the results of its jobs.
    Batch(BatchRow),
    /// The result of one job, for `results`.
    Result(Box<JobResult>),
    /// Something was done to one target.
    Done(Deed),
    /// One transition of a target, for `why`.
    Transition(Transition),
    /// A line that a target wrote, for `logs`.
    Line(OutputLine),
    /// Something that happened, for `events`.
    Event(Event),
    /// One command of a script, for `save`.
    Command {
        /// Its words.
        words: Vec<Word>,
    },
    /// The name of something that lives, for `names`.
    Name {
        /// What it is.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// What `quit` is waiting for, said once.
    Waiting {
        /// Names of processes and of threads with an end.
        names: Vec<String>,
    },
    /// How a manager ended: what `exit` cut short.
    Ended {
        /// Processes that were stopped.
        processes: u32,
        /// Threads that were stopped.
        threads: u32,
        /// Jobs of pools that were not done.
        #[serde(default, skip_serializing_if = "is_zero")]
        jobs: u64,
    },
    /// Why a command, or a part of it, was not carried out.
    Error(Refusal),
    /// The request is answered.
    End {
        /// The exit status that the command deserves.
        exit: u8,
        /// The `id` of the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<serde_json::Value>,
    },
}

impl Answer {
    /// The line for it, newline included.
    #[must_use]
    pub fn line(self) -> String {
        let mut line = serde_json::to_string(&Envelope { v: VERSION, answer: self })
            .expect("answers have no maps with keys that are no strings, nor anything else that JSON lacks");
        line.push('\n');
        line
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason as a word for programs.
    pub code: Code,
    /// Whom or what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Names that may have been meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hint: Vec<String>,
    /// The reason for a person: one line, complete without the other fields.
    pub message: String,
}

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The operation failed.
    Failed,
    /// The name belongs to something that lives.
    NameTaken,
    /// Processes survived everything.
    Survivors,
    /// The manager is ending and takes no new work.
    Ending,
    /// The words make no command.
    Usage,
    /// Nothing has this name, number or ID.
    NotFound,
    /// It does not run.
    NotRunning,
    /// No manager answers.
    Unreachable,
    /// It took too long.
    TimedOut,
    /// Somebody interrupted it.
    Interrupted,
}

impl Code {
    /// The exit status for it, as LSB and timeout(1) have them.
    #[must_use]
    pub fn exit(self) -> u8 {
        match self {
            Self::Failed | Self::NameTaken | Self::Survivors | Self::Ending => 1,
            Self::Usage => 2,
            Self::NotFound | Self::NotRunning => 3,
            Self::Unreachable => 4,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
        }
    }
}

impl Refusal {
    /// A refusal without target or hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, target: None, hint: Vec::new(), message: message.into() }
    }

    /// Says whom it is about.
    #[must_use]
    pub fn about(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_flat_object_a_line() {
        let row = ThreadRow {
            id: 3,
            name: "t1".into(),
            tid: Some(42),
            status: Status::Killed { signal: "SIGTERM".into() },
            uptime_s: None,
            cpu_percent: Some(0.5),
            command: vec![Word::Text("tick".into()), Word::Bytes(vec![255])],
            result: None,
        };
        let line = Answer::Thread(row.clone()).line();
        let expected = "{\"v\":1,\"type\":\"thread\",\"id\":3,\"name\":\"t1\",\"tid\":42,\"status\":\"killed\",\
            \"signal\":\"SIGTERM\",\"uptime_s\":null,\"cpu_percent\":0.5,\"command\":[\"tick\",[255]]}\n";
        assert_eq!(line, expected);
        let read: Envelope = serde_json::from_str(&line).unwrap();
        assert_eq!(read, Envelope { v: VERSION, answer: Answer::Thread(row) });
    }

    #[test]
    fn a_request_is_as_short_as_the_manual_says() {
        let request: Request = serde_json::from_str(r#"{"v":1,"cmd":["pause","p1"]}"#).unwrap();
        assert_eq!(request.cmd, [Word::Text("pause".into()), Word::Text("p1".into())]);
        assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"v":1,"cmd":["pause","p1"]}"#);
    }
}
