//! A stand-in for the library's manager until that is here: it speaks the protocol, knows names, and runs nothing. The
//! surfaces were tried out on it. It goes with the commit that brings the manager.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ipcpipe::Error;
use ipcpipe::manager::protocol::{Answer, Code, Deed, Done, Refusal, Request, Status, ThreadRow};
use ipcpipe::manager::socket::Socket;
use ipcpipe::manager::{Command, Kind};

/// What a manager needs.
pub(super) struct Setup {
    pub(super) parse: Box<dyn Fn(&[OsString]) -> Result<Command, Refusal> + Send + Sync>,
    pub(super) job: Vec<OsString>,
    pub(super) socket: Option<Socket>,
    pub(super) log: Option<OsString>,
    pub(super) adopt: bool,
}

/// Names, and the ends of the connections.
pub(super) struct Manager {
    setup: Setup,
    served: Mutex<Vec<UnixStream>>,
    names: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    pub(super) fn new(setup: Setup) -> Result<Self, Error> {
        if setup.job.is_empty() || setup.adopt || setup.log.is_some() {
            return Err(Error::refused("cannot start", "the manager", "this stand-in keeps nothing"));
        }
        Ok(Self { setup, served: Mutex::default(), names: Arc::default() })
    }

    pub(super) fn connect(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        self.served.lock().unwrap_or_else(PoisonError::into_inner).push(theirs);
        Ok(ours)
    }

    /// Serves its own connections until one of them ends it.
    pub(super) fn run(self) -> Result<(), Error> {
        let served = self.served.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (parse, names) = (&self.setup.parse, &self.names);
        let copies: Vec<_> = served.iter().filter_map(|stream| stream.try_clone().ok()).collect();
        thread::scope(|scope| {
            for stream in served {
                let copies = &copies;
                scope.spawn(move || {
                    if matches!(serve(stream, parse, names), Ok(true)) {
                        copies.iter().for_each(|stream| drop(stream.shutdown(std::net::Shutdown::Both)));
                    }
                });
            }
        });
        drop(self.setup.socket);
        Ok(())
    }
}

/// Answers the requests of one connection; true if one of them ended the manager.
fn serve(
    stream: UnixStream,
    parse: &(dyn Fn(&[OsString]) -> Result<Command, Refusal> + Send + Sync),
    names: &Mutex<Vec<String>>,
) -> io::Result<bool> {
    let mut output = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let request: Request = serde_json::from_str(&line?)?;
        if request.interrupt {
            output.write_all(Answer::End { exit: Code::Interrupted.exit(), id: None }.line().as_bytes())?;
            continue;
        }
        let words: Vec<OsString> = request.cmd.into_iter().map(Into::into).collect();
        let (answers, exit, over) = match parse(&words) {
            Ok(Command::Wait { .. } | Command::Events { .. }) => continue,
            Ok(command) => carry_out(command, &mut names.lock().unwrap_or_else(PoisonError::into_inner)),
            Err(refusal) => {
                let exit = refusal.code.exit();
                (vec![Answer::Error(refusal)], exit, false)
            }
        };
        let end = Answer::End { exit, id: request.id };
        for answer in answers.into_iter().chain([end]) {
            output.write_all(answer.line().as_bytes())?;
        }
        if over {
            return Ok(true);
        }
    }
    Ok(false)
}

fn carry_out(command: Command, names: &mut Vec<String>) -> (Vec<Answer>, u8, bool) {
    match command {
        Command::CreateThread(spec) if names.iter().any(|name| name == spec.name.as_str()) => {
            let refusal = Refusal::new(Code::NameTaken, format!("the name {} is taken", spec.name));
            (vec![Answer::Error(refusal)], 1, false)
        }
        Command::CreateThread(spec) => {
            names.push(spec.name.to_string());
            let (done, kind, id) = (Done::Created, Kind::Thread, names.len() as u64);
            let (status, name) = (Status::Running, spec.name.into());
            let deed = Deed { done, kind, id, name, pid: Some(1), processes: None, took_ms: None, status, note: None };
            (vec![Answer::Done(deed)], 0, false)
        }
        Command::List(_) => (names.iter().enumerate().map(|(at, name)| row(at, name)).collect(), 0, false),
        Command::Names => {
            let answer = |name: &String| Answer::Name { kind: Kind::Thread, name: name.clone() };
            (names.iter().map(answer).collect(), 0, false)
        }
        Command::Quit { .. } | Command::Clear | Command::Exit => {
            let threads = names.len() as u32;
            (vec![Answer::Ended { processes: 0, threads }], 0, true)
        }
        _ => (vec![Answer::Error(Refusal::new(Code::NotFound, "nothing has this name"))], 3, false),
    }
}

fn row(at: usize, name: &str) -> Answer {
    let (tid, status, uptime_s) = (Some(1), Status::Running, Some(0.0));
    let (id, name) = (at as u64 + 1, name.to_owned());
    Answer::Thread(ThreadRow { id, name, tid, status, uptime_s, cpu_percent: None, command: Vec::new(), result: None })
}
