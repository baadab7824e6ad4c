//! How a process or a thread is to be run: everything that `create` was told, and the same as words again.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::manager::name::Name;

/// A process to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSpec {
    /// What it is called.
    pub name: Name,
    /// What it executes.
    pub program: Program,
    /// Ends with the manager instead of being waited for, whatever way the manager ends.
    pub daemon: bool,
    /// What to do when it ends by itself.
    pub restart: Restart,
    /// How long to wait before a restart.
    pub backoff: Backoff,
    /// Running time after which it is ended; pauses do not count.
    pub timeout: Option<Duration>,
    /// Time between the stop signal and SIGKILL.
    pub grace: Duration,
    /// Number of the signal that asks it to end.
    pub stop_signal: i32,
    /// Exit statuses that mean success.
    pub ok_codes: Vec<i32>,
    /// Working directory; the manager's own if None.
    pub cwd: Option<PathBuf>,
    /// Variables set beside the manager's environment.
    pub env: Vec<(OsString, OsString)>,
    /// What has to have happened before it starts.
    pub after: Vec<After>,
    /// How it shows that it is ready; started is ready if None.
    pub ready: Option<Ready>,
    /// File that gets its output too, rotated at 10 MiB.
    pub log_file: Option<PathBuf>,
}

impl ProcessSpec {
    /// A process with every option at its default.
    #[must_use]
    pub fn new(name: Name, program: Program) -> Self {
        Self {
            name,
            program,
            daemon: false,
            restart: Restart::default(),
            backoff: Backoff::default(),
            timeout: None,
            grace: GRACE,
            stop_signal: SIGTERM,
            ok_codes: vec![0],
            cwd: None,
            env: Vec::new(),
            after: Vec::new(),
            ready: None,
            log_file: None,
        }
    }
}

/// The default stop signal; its number is the same on every Linux.
pub const SIGTERM: i32 = 15;

/// The default time between the stop signal and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(10);

/// What a process executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The built-in job: writes a line, waits, and so on for ever.
    Tick {
        /// Time from one line to the next.
        every: Duration,
    },
    /// A program, found through PATH unless it holds a slash, and its arguments.
    Command(Vec<OsString>),
}

/// What to do when a process ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Nothing.
    #[default]
    Never,
    /// Start it again if it failed.
    OnFailure(Intensity),
    /// Start it again in any case.
    Always(Intensity),
}

/// So many restarts in so long a time are borne; one more is a failure for good. The rule is Erlang/OTP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts.
    pub restarts: u32,
    /// The time in which they are counted.
    pub within: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self { restarts: 5, within: Duration::from_secs(60) }
    }
}

/// Time before a restart: doubled from the first to the longest, a quarter of it left to chance, and reset by a run that
/// lasted longer than the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first restart.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(30) }
    }
}

/// What has to have happened to another process before this one starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The other.
    pub name: Name,
    /// What of it.
    pub condition: Condition,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It was started.
    #[default]
    Started,
    /// It is ready.
    Ready,
    /// It has ended well.
    Ok,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Self; 3] = [Self::Started, Self::Ready, Self::Ok];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ready => "ready",
            Self::Ok => "ok",
        }
    }
}

/// How a process shows that it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It writes this text, on either stream.
    Log(String),
    /// It sends `READY=1` to the socket in NOTIFY_SOCKET (sd_notify(3)).
    Notify,
    /// Something accepts connections at this address.
    Tcp(SocketAddr),
    /// This shell command exits with 0.
    Exec(String),
}

/// A thread to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSpec {
    /// What it is called.
    pub name: Name,
    /// What it does.
    pub task: Task,
}

/// The built-in thread tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Writes a line, waits, and so on for ever.
    Tick {
        /// Time from one line to the next.
        every: Duration,
    },
    /// Counts the primes below N.
    Primes(u64),
    /// Adds 1 to N.
    Sum(u64),
}

/// The default period of [`Program::Tick`] and [`Task::Tick`].
pub const TICK: Duration = Duration::from_secs(1);

impl Program {
    /// The command as it is shown and as it is typed after `--`.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        match self {
            Self::Tick { every } => vec!["tick".into(), "--every".into(), duration_text(*every).into()],
            Self::Command(words) => words.clone(),
        }
    }
}

impl Task {
    /// The task as it is shown.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        match self {
            Self::Tick { every } => vec!["tick".into(), "--every".into(), duration_text(*every)],
            Self::Primes(n) => vec!["primes".into(), n.to_string()],
            Self::Sum(n) => vec!["sum".into(), n.to_string()],
        }
    }
}

/// What it does, for a person: `tick every 1s`.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Tick { every } => write!(f, "tick every {}", duration_text(every)),
            Self::Primes(n) => write!(f, "primes {n}"),
            Self::Sum(n) => write!(f, "sum {n}"),
        }
    }
}

/// A duration in one unit, the largest in which it is whole: `90s`, `800ms`, `0s`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let ns = duration.as_nanos();
    let (factor, unit) = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")]
        .into_iter()
        .find(|(factor, _)| ns.is_multiple_of(*factor))
        .expect("every count of nanoseconds is a multiple of one");
    format!("{}{unit}", ns / factor)
}

impl ThreadSpec {
    /// The command that creates this thread, from `create` on.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["create".into(), "thread".into(), self.name.as_str().into()];
        match self.task {
            Task::Tick { every } => words.extend(["--every".into(), duration_text(every).into()]),
            Task::Primes(n) => words.extend(["--task".into(), "primes".into(), n.to_string().into()]),
            Task::Sum(n) => words.extend(["--task".into(), "sum".into(), n.to_string().into()]),
        }
        words
    }
}

impl ProcessSpec {
    /// The command that creates this process, from `create` on: options that differ from their defaults, `--`, and the
    /// program.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        let default = Self::new(self.name.clone(), self.program.clone());
        let mut words: Vec<OsString> = vec!["create".into(), "process".into(), self.name.as_str().into()];
        let mut option = |name: &str, value: OsString| words.push(joined(name, &value));
        if self.restart != default.restart {
            option("--restart", self.restart.text().into());
        }
        if self.backoff != default.backoff {
            let Backoff { first, longest } = self.backoff;
            option("--backoff", format!("{}..{}", duration_text(first), duration_text(longest)).into());
        }
        if let Some(timeout) = self.timeout {
            option("--timeout", duration_text(timeout).into());
        }
        if self.grace != default.grace {
            option("--grace", duration_text(self.grace).into());
        }
        if self.stop_signal != default.stop_signal {
            option("--stop-signal", self.stop_signal.to_string().into());
        }
        if self.ok_codes != default.ok_codes {
            let codes: Vec<String> = self.ok_codes.iter().map(ToString::to_string).collect();
            option("--ok-codes", codes.join(",").into());
        }
        if let Some(cwd) = &self.cwd {
            option("--cwd", cwd.into());
        }
        for (key, value) in &self.env {
            option("--env", joined_at(key, "=", value));
        }
        for After { name, condition } in &self.after {
            option("--after", format!("{name}:{}", condition.name()).into());
        }
        if let Some(ready) = &self.ready {
            option("--ready", ready.text().into());
        }
        if let Some(path) = &self.log_file {
            option("--log-file", path.into());
        }
        if let Program::Tick { every } = self.program {
            option("--every", duration_text(every).into());
        }
        if self.daemon {
            words.push("--daemon".into());
        }
        if let Program::Command(command) = &self.program {
            words.push("--".into());
            words.extend(command.iter().cloned());
        }
        words
    }
}

/// `--name=value`, which a parser cannot take for something else whatever the value begins with.
fn joined(name: &str, value: &OsStr) -> OsString {
    joined_at(OsStr::new(name), "=", value)
}

fn joined_at(left: &OsStr, between: &str, right: &OsStr) -> OsString {
    let mut whole = left.to_owned();
    whole.push(between);
    whole.push(right);
    whole
}

impl Restart {
    /// The policy as it is typed: `on-failure:5/60s`.
    #[must_use]
    pub fn text(&self) -> String {
        let with = |policy: &str, Intensity { restarts, within }: Intensity| {
            format!("{policy}:{restarts}/{}", duration_text(within))
        };
        match *self {
            Self::Never => "never".into(),
            Self::OnFailure(intensity) => with("on-failure", intensity),
            Self::Always(intensity) => with("always", intensity),
        }
    }
}

impl Ready {
    /// The probe as it is typed: `tcp:127.0.0.1:8080`.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Log(text) => format!("log:{text}"),
            Self::Notify => "notify".into(),
            Self::Tcp(address) => format!("tcp:{address}"),
            Self::Exec(command) => format!("exec:{command}"),
        }
    }
}
