//! A manager under test and those who talk to it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};

use nix::sys::signal::Signal;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use serde_json::{Value, json};

use crate::sandbox::{DEADLINE, Finished, Running, Sandbox, process, processes, wait_for};

/// Where the manager of a sandbox listens unless it is told otherwise.
pub(crate) const SOCKET: &str = "run/ipcpipe/manager.sock";

/// A shell program that lives until it is killed.
pub(crate) const SLEEP: [&str; 2] = ["sleep", "1000"];

/// `manager serve` in the foreground, and a first client of it.
pub(crate) struct Server {
    run: Running,
    pub(crate) client: Client,
}

impl Server {
    pub(crate) fn start(sandbox: &Sandbox) -> Self {
        Self::start_with(sandbox, "")
    }

    /// Starts it with options of `serve`.
    pub(crate) fn start_with(sandbox: &Sandbox, options: &str) -> Self {
        let run = sandbox.start(&format!("manager serve {options}"));
        let client = Client::connect(sandbox);
        Self { run, client }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.run.pid()
    }

    /// Its descriptors while it does nothing: two answers later, it has closed what it opened because of the first.
    pub(crate) fn descriptors(&mut self) -> Vec<PathBuf> {
        self.client.ask("list").exited(0);
        self.client.ask("list").exited(0);
        descriptors(self.pid())
    }

    /// Ends it, with everything that it has.
    #[track_caller]
    pub(crate) fn exit(mut self) -> Finished {
        self.client.ask("exit").exited(0);
        self.finish()
    }

    /// Waits for its end, which somebody has asked for.
    #[track_caller]
    pub(crate) fn finish(self) -> Finished {
        self.run.finish().exited(0)
    }

    /// Kills it, and waits until the kernel has closed what it had open.
    pub(crate) fn kill(self) {
        self.run.signal(Signal::SIGKILL);
        self.run.finish().died_of(Signal::SIGKILL);
    }

    pub(crate) fn run(&self) -> &Running {
        &self.run
    }
}

/// True if the process that made the socket lives.
fn listens_still(stream: &UnixStream) -> bool {
    let maker = getsockopt(stream, PeerCredentials).unwrap().pid();
    process(u32::try_from(maker).unwrap()).is_some_and(|it| it.state != 'Z')
}

/// One connection to the socket of a manager.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    cwd: PathBuf,
}

impl Client {
    /// Connects to the manager of `sandbox`, as soon as it listens. What a killed one was about to start holds its socket
    /// for a moment still, and answers nobody.
    pub(crate) fn connect(sandbox: &Sandbox) -> Self {
        Self::connect_at(sandbox, &sandbox.path(SOCKET))
    }

    pub(crate) fn connect_at(sandbox: &Sandbox, path: &Path) -> Self {
        let stream = wait_for("the socket", || UnixStream::connect(path).ok().filter(listens_still));
        // Whoever waits longer for an answer has been forgotten.
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream: BufReader::new(stream), cwd: sandbox.path("") }
    }

    /// Writes bytes as they are; nothing is checked if the manager does not want them.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// One end for reading, and another for writing at the same time.
    pub(crate) fn split(self) -> (Self, UnixStream) {
        let writer = self.stream.get_ref().try_clone().unwrap();
        (self, writer)
    }

    pub(crate) fn shut_down(&self, how: Shutdown) {
        self.stream.get_ref().shutdown(how).unwrap();
    }

    pub(crate) fn request(&self, words: &[&str]) -> Value {
        json!({"v": 1, "cmd": words, "cwd": self.cwd})
    }

    pub(crate) fn send(&mut self, words: &[&str]) {
        let line = format!("{}\n", self.request(words));
        self.write(line.as_bytes()).unwrap();
    }

    /// The next object; None at the end of the connection.
    pub(crate) fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    /// The objects up to the end of the answer to one request.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        let mut answers = Vec::new();
        loop {
            let answer = self.next().unwrap_or_else(|| panic!("the connection ended after {answers:?}"));
            assert_eq!(answer["v"], 1, "{answer}");
            if answer["type"] == "end" {
                return Reply { answers, end: answer };
            }
            answers.push(answer);
        }
    }

    /// Carries out the words of `line`, split at blanks.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> Reply {
        self.tell(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[track_caller]
    pub(crate) fn tell(&mut self, words: &[&str]) -> Reply {
        self.send(words);
        self.reply()
    }

    /// Creates a process with the options of `line` that runs `script` in a shell, and answers its pid.
    #[track_caller]
    pub(crate) fn shell(&mut self, line: &str, script: &str) -> u32 {
        let words = ["create", "process"].into_iter().chain(line.split_whitespace());
        let words: Vec<_> = words.chain(["--", "sh", "-c", script]).collect();
        pid_of(self.tell(&words).exited(0).only("done"))
    }

    /// Creates a process that sleeps, and answers its pid.
    #[track_caller]
    pub(crate) fn sleeper(&mut self, line: &str) -> u32 {
        let words = ["create", "process"].into_iter().chain(line.split_whitespace());
        let words: Vec<_> = words.chain(["--"]).chain(SLEEP).collect();
        pid_of(self.tell(&words).exited(0).only("done"))
    }

    /// What `show` says of a target.
    #[track_caller]
    pub(crate) fn show(&mut self, name: &str) -> Value {
        self.tell(&["show", name]).exited(0).first().clone()
    }

    /// Waits until a target has this status.
    pub(crate) fn wait_for_status(&mut self, name: &str, status: &str) -> Value {
        wait_for(&format!("{name} to be {status}"), || Some(self.show(name)).filter(|it| it["status"] == status))
    }

    /// Waits until the tree of a process has so many members, and answers their pids.
    pub(crate) fn wait_for_tree(&mut self, name: &str, number: usize) -> Vec<u32> {
        wait_for(&format!("{number} processes in {name}"), || {
            let pids = self.show(name)["details"]["pids"].as_array().unwrap().clone();
            (pids.len() == number).then(|| pids.iter().map(|pid| pid.as_u64().unwrap() as u32).collect())
        })
    }

    /// What a target has written, as lines.
    #[track_caller]
    pub(crate) fn logs(&mut self, name: &str) -> Vec<String> {
        let reply = self.tell(&["logs", name]).exited(0);
        reply.all("line").iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until a target has written this line.
    pub(crate) fn wait_for_line(&mut self, name: &str, text: &str) {
        wait_for(&format!("{text:?} from {name}"), || self.logs(name).iter().any(|it| it == text).then_some(()));
    }

    /// The causes of the changes of a target, each behind its status.
    #[track_caller]
    pub(crate) fn why(&mut self, name: &str) -> String {
        let reply = self.tell(&["why", name]).exited(0);
        let change = |it: &Value| format!("{}: {}\n", it["status"].as_str().unwrap(), it["cause"].as_str().unwrap());
        reply.all("transition").into_iter().map(change).collect()
    }
}

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answers: Vec<Value>,
    pub(crate) end: Value,
}

impl Reply {
    /// Fails unless the request deserved this exit status.
    #[track_caller]
    pub(crate) fn exited(self, code: u8) -> Self {
        assert_eq!(self.end["exit"], code, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn first(&self) -> &Value {
        self.answers.first().unwrap_or_else(|| panic!("no answers: {self:?}"))
    }

    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.answers.iter().filter(|answer| answer["type"] == kind).collect()
    }

    /// The one answer of this kind.
    #[track_caller]
    pub(crate) fn only(&self, kind: &str) -> &Value {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "{self:?}");
        all[0]
    }

    /// Fails unless it was refused with this code; answers the message.
    #[track_caller]
    pub(crate) fn refused(&self, code: &str) -> &str {
        let error = self.only("error");
        assert_eq!(error["code"], code, "{self:?}");
        error["message"].as_str().unwrap()
    }
}

#[track_caller]
pub(crate) fn pid_of(answer: &Value) -> u32 {
    answer["pid"].as_u64().unwrap_or_else(|| panic!("no pid in {answer}")) as u32
}

/// A manager whose script comes a line at a time, and whose answers are JSON lines.
pub(crate) struct Dialogue {
    run: Running,
    answers: BufReader<ChildStdout>,
}

impl Dialogue {
    pub(crate) fn start(sandbox: &Sandbox, options: &str) -> Self {
        let args = format!("manager --format json {options}");
        let mut run = Running::of(sandbox.command(args.split_whitespace()).stdin(Stdio::piped()));
        let answers = BufReader::new(run.output());
        Self { run, answers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.run.pid()
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.run.input(), "{line}").unwrap();
    }

    /// The next answer.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        self.say(line);
        self.hear()
    }

    /// Ends the input and waits for the end of the manager.
    pub(crate) fn finish(mut self) -> Finished {
        self.run.close_input();
        let mut rest = String::new();
        let read = std::io::Read::read_to_string(&mut self.answers, &mut rest);
        read.unwrap();
        let Finished { status, stderr, .. } = self.run.finish();
        Finished { status, stdout: rest, stderr }
    }
}

/// Runs a script from standard input to its end.
pub(crate) fn script(sandbox: &Sandbox, options: &str, text: impl AsRef<[u8]>) -> Finished {
    let args = format!("manager {options}");
    let mut run = Running::of(sandbox.command(args.split_whitespace()).stdin(Stdio::piped()));
    // A script that ends early leaves some of the text unread.
    let _ = run.input().write_all(text.as_ref());
    run.close_input();
    run.finish()
}

/// The state of a process as ps(1) shows it; None if there is none.
pub(crate) fn state(pid: u32) -> Option<char> {
    process(pid).map(|process| process.state)
}

/// True if nothing of this number lives: what is dead and not reaped does not.
pub(crate) fn is_gone(pid: u32) -> bool {
    state(pid).is_none_or(|state| state == 'Z')
}

/// Children of a process that are dead and that it has not waited for.
pub(crate) fn zombies(parent: u32) -> usize {
    processes().iter().filter(|it| it.parent == parent && it.state == 'Z').count()
}

/// What the descriptors of a process are.
pub(crate) fn descriptors(pid: u32) -> Vec<PathBuf> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    // What they are, for a file that is written anew may come back under another number.
    let mut open: Vec<PathBuf> = fds.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    open.sort();
    open
}

/// The name of a thread of a process.
pub(crate) fn thread_name(pid: u32, tid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm")).unwrap().trim_end().to_owned()
}
