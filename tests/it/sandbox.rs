//! A directory of its own for every test, runs of the binary in it, and the proof that nothing is left.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BACKENDS: [&str; 5] = ["pipe", "fifo", "mq", "shm", "socket"];

/// The variable that all processes of a sandbox inherit.
const MARK: &str = "IT_SANDBOX";

/// The stages in the order of the plan.
pub(crate) const STAGES: [&str; 4] = ["conv", "log", "stat", "report"];

/// Long enough for a machine that does other things too; a test that needs it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// Waits until `condition` answers something, and fails with `what` when it does not in time.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Tests run as threads of one process, and a descriptor that is inheritable for one child is so for every child that
/// is spawned at that moment; a stray copy of an end would keep the kernel from reporting its close.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static SPAWNING: Mutex<()> = Mutex::new(());
    SPAWNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets children hear SIGINT, which a shell that runs tests in the background has them ignore: what a process handles is
/// as it was at first for what it starts.
fn hear_interrupts() {
    static HEARING: Once = Once::new();
    let die_as_ever = Arc::new(AtomicBool::new(true));
    HEARING.call_once(|| {
        signal_hook::flag::register_conditional_default(Signal::SIGINT as i32, die_as_ever).expect("it can be handled");
    });
}

/// Runs `test` once for each backend, in a sandbox each.
pub(crate) fn on_every_backend(test: impl Fn(&Sandbox, &str) + Sync) {
    for backend in BACKENDS {
        let sandbox = Sandbox::new();
        test(&sandbox, backend);
        sandbox.assert_tidy();
    }
}

/// A working directory with a private runtime directory.
pub(crate) struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        hear_interrupts();
        let dir = tempfile::Builder::new().prefix("ipcpipe-it-").tempdir().unwrap();
        for private in ["run", "tmp"] {
            let path = dir.path().join(private);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary with `args`, in this sandbox.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        self.contain(Command::new(env!("CARGO_BIN_EXE_ipcpipe")), args)
    }

    /// A shell script in this sandbox; `$IPCPIPE` is the binary.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = self.contain(Command::new("bash"), ["-c", script]);
        command.env("IPCPIPE", env!("CARGO_BIN_EXE_ipcpipe"));
        command
    }

    fn contain<A: AsRef<OsStr>>(&self, mut command: Command, args: impl IntoIterator<Item = A>) -> Command {
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("XDG_RUNTIME_DIR", self.path("run")).env("TMPDIR", self.path("tmp"));
        // By this everybody who was ever started from here is known, whatever he has left since.
        command.env(MARK, self.dir.path()).env_remove("IPCPIPE_SOCKET");
        command
    }

    /// Processes that were started from this sandbox, directly or not, and live.
    pub(crate) fn inhabitants(&self) -> Vec<Process> {
        let entry = [MARK.as_bytes(), b"=", self.dir.path().as_os_str().as_bytes()].concat();
        let is_from_here = |process: &Process| {
            let environ = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
            process.state != 'Z' && environ.split(|byte| *byte == 0).any(|it| it == entry)
        };
        processes().into_iter().filter(is_from_here).collect()
    }

    fn kill_inhabitants(&self) {
        for Process { pid, .. } in self.inhabitants() {
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
    }

    /// Runs `args`, split at blanks, to the end.
    pub(crate) fn run(&self, args: &str) -> Finished {
        self.start(args).finish()
    }

    /// Removes what an earlier run of the same test has logged, so that samples in the log are the next run's.
    pub(crate) fn forget(&self, log: &str) {
        let _ = fs::remove_file(self.path(log));
    }

    /// Starts `args`, split at blanks.
    pub(crate) fn start(&self, args: &str) -> Running {
        Running::of(&mut self.command(args.split_whitespace()))
    }

    /// A directory of private names is empty again, or gone.
    pub(crate) fn assert_tidy(&self) {
        for base in [self.path("run/ipcpipe"), self.path("tmp")] {
            let left: Vec<_> = fs::read_dir(&base).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
        assert_no_segment_stays();
        let end = Instant::now() + DEADLINE;
        while let Some(process) = self.inhabitants().first() {
            if Instant::now() > end {
                self.kill_inhabitants();
                panic!("left behind: {process:?}");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            // Nothing of a failed test may go on running.
            self.kill_inhabitants();
        } else {
            self.assert_tidy();
        }
    }
}

/// Segments of tests that run at the same time come and go; one that stays is a leak.
fn assert_no_segment_stays() {
    let segments = || -> BTreeSet<String> {
        let names = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with("ipcpipe.") && !name.starts_with("ipcpipe.test")).collect()
    };
    let suspects = segments();
    wait_for(&format!("{suspects:?} to go away"), || segments().is_disjoint(&suspects).then_some(()));
}

/// A run that goes on. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    /// The stages that were seen, with their start times: a pid alone may be somebody else's by now.
    stages: Vec<(u32, u64)>,
}

impl Running {
    pub(crate) fn of(command: &mut Command) -> Self {
        let _spawning = one_at_a_time();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, stages: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process id of a stage of this run, by the name that ps shows.
    pub(crate) fn stage(&mut self, name: &str) -> u32 {
        self.wait_for_stages();
        let launcher = self.pid();
        wait_for(name, || processes().into_iter().find(|it| it.parent == launcher && it.name == name)).pid
    }

    /// Waits until all four stages have their names.
    pub(crate) fn wait_for_stages(&mut self) {
        let launcher = self.pid();
        let stages = wait_for("four stages", || {
            let stages: Vec<_> = processes().into_iter().filter(|it| it.parent == launcher).collect();
            let named = STAGES.iter().all(|name| stages.iter().any(|stage| stage.name == *name));
            named.then_some(stages)
        });
        self.stages = stages.into_iter().map(|stage| (stage.pid, stage.start)).collect();
    }

    /// Waits until the log holds something, which means that samples flow.
    pub(crate) fn wait_for_log(&mut self, path: &Path) {
        self.wait_for_stages();
        wait_for("samples in the log", || fs::metadata(path).ok().filter(|log| log.len() > 0));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits for the end of the launcher and then of every stage that was seen.
    pub(crate) fn finish(mut self) -> Finished {
        let stdout = self.child.stdout.take().map(|stdout| thread::spawn(move || read_all(stdout)));
        let stderr = self.child.stderr.take().map(|stderr| thread::spawn(move || read_all(stderr)));
        let status = wait_for("the end of the run", || self.child.try_wait().unwrap());
        self.wait_for_orphans();
        let [stdout, stderr] = [stdout, stderr].map(|it| it.map_or_else(String::new, |it| it.join().unwrap()));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Finished { status, stdout, stderr }
    }

    /// The run's standard output, for those who want to read it while it runs.
    pub(crate) fn output(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("a piped stdout that nobody has taken")
    }

    /// Ends the run's standard input.
    pub(crate) fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// The run's standard input.
    pub(crate) fn input(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().expect("a piped stdin")
    }

    fn wait_for_orphans(&self) {
        for &(pid, start) in &self.stages {
            wait_for("a stage to end", || (!is_alive(pid, start)).then_some(()));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            // Nothing of a failed test may go on running.
            for &(pid, start) in self.stages.iter().filter(|(pid, start)| is_alive(*pid, *start)) {
                let _ = (start, kill(Pid::from_raw(pid as i32), Signal::SIGKILL));
            }
        }
    }
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).unwrap();
}

fn read_all(mut from: impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Fails unless the run exited with `code`.
    #[track_caller]
    pub(crate) fn exited(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{:?}\n{}", self.status, self.stderr);
        self
    }

    /// Fails unless the run died of `signal`, which is not the same as an exit status of 128 more.
    #[track_caller]
    pub(crate) fn died_of(self, signal: Signal) -> Self {
        assert_eq!(self.status.signal(), Some(signal as i32), "{:?}\n{}", self.status, self.stderr);
        self
    }

    /// Fails unless stderr contains `text`.
    #[track_caller]
    pub(crate) fn said(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} in:\n{}", self.stderr);
        self
    }

    /// The summary: the last line of stdout of a run with `--format json`.
    #[track_caller]
    pub(crate) fn summary(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_else(|| panic!("no output\n{}", self.stderr));
        let summary: Value = serde_json::from_str(line).unwrap();
        assert_eq!(summary["type"], "summary", "{line}");
        summary
    }

    /// The summary, in which every sample is accounted for.
    #[track_caller]
    pub(crate) fn conserved(&self) -> Value {
        let summary = self.summary();
        for consumer in ["logged", "counted"] {
            assert_eq!(summary[consumer], summary["produced"], "{consumer}: {summary}");
        }
        assert_eq!(summary["lost"], 0, "{summary}");
        summary
    }
}

/// A process as `/proc` shows it.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) parent: u32,
    pub(crate) state: char,
    pub(crate) start: u64,
}

/// All processes of the machine.
pub(crate) fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// One process, by proc_pid_stat(5).
pub(crate) fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    Some(Process {
        pid,
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// A zombie that nobody reaps in a container without an init is dead all the same.
fn is_alive(pid: u32, start: u64) -> bool {
    process(pid).is_some_and(|process| process.start == start && process.state != 'Z')
}

/// CPU time that a process has used, in ticks of the kernel.
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, tail) = stat.rsplit_once(')').unwrap();
    tail.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
