//! `ipcpipe manager serve`: a manager without a terminal, in the foreground or behind it.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};
use std::task::Poll;

use ipcpipe::manager::Sink;
use ipcpipe::manager::client::Client;
use ipcpipe::manager::protocol::Answer;
use ipcpipe::manager::socket::Socket;
use ipcpipe::sys::fd::{self, Inheritable};
use ipcpipe::sys::process;
use ipcpipe::sys::signal::Signals;
use ipcpipe::sys::wait::{self, Interest};
use ipcpipe::{Error, OneLine};

use super::Status;
use super::grammar::{Form, Options};
use super::host::{self, Extras, Host, Public};
use super::options::ServeArgs;
use super::repl::QUIT_SOON;
use super::session::request;
use super::view::write;

/// What a detached manager reports last when it answers, after its remarks; anything else is why it does not.
const READY: &str = "ready\n";

/// Runs a manager, or has another process run it.
pub(crate) fn run(args: &ServeArgs, options: &Options, sink: &Sink) -> Result<Status, Error> {
    match args.report {
        _ if args.detach => detach(args, options, sink),
        Some(fd) => {
            let mut report = File::from(fd::adopt(fd)?);
            let served = begin(args, options, sink);
            let text = served.as_ref().map_or_else(ToString::to_string, |served| report_of(&served.host));
            // Nobody to report to means nobody to talk to about it.
            let _ = report.write_all(text.as_bytes());
            drop(report);
            stay(served?)
        }
        None => {
            let (served, path) = begin_here(args, options, sink)?;
            served.host.remarks.iter().for_each(crate::complain);
            announce(std::process::id(), &path, options)?;
            stay(served)
        }
    }
}

/// What is told to whoever asked for a manager in the background: its remarks, a line each, and that it answers.
fn report_of(host: &Host) -> String {
    let remarks = host.remarks.iter().map(|remark| format!("{}\n", OneLine::text(remark)));
    remarks.chain([READY.to_owned()]).collect()
}

/// A manager that answers, and what its first thread listens to meanwhile. A signal that comes as soon as somebody knows of
/// the manager is one that it heeds.
struct Served {
    host: Host,
    client: Client,
    signals: Signals,
}

fn begin(args: &ServeArgs, options: &Options, sink: &Sink) -> Result<Served, Error> {
    process::new_session().map_err(|error| Error::os("cannot leave", "the terminal", error))?;
    begin_here(args, options, sink).map(|(served, _)| served)
}

fn begin_here(args: &ServeArgs, options: &Options, sink: &Sink) -> Result<(Served, String), Error> {
    let signals = Signals::catch_requests()?;
    let socket = host::listen(options, Public::Must)?;
    let path = socket.as_ref().map(Socket::path).map_or_else(String::new, |path| OneLine::path(path).to_string());
    let extras = Extras { adopt: args.adopt, sink: sink.clone() };
    let host = Host::start_with(socket, &extras, "serve")?;
    let client = host.connect()?;
    Ok((Served { host, client, signals }, path))
}

/// Waits for the end of the manager. The first signal asks it to quit soon, the second to end now.
fn stay(Served { host, mut client, mut signals }: Served) -> Result<Status, Error> {
    let failed = |error: io::Error| Error::os("cannot wait for", "the manager", error);
    let mut asked = 0;
    loop {
        let fds = [(client.as_fd(), Interest::Read), (signals.as_fd(), Interest::Read)];
        let [answered, signalled] = wait::wait(fds, None).map_err(failed)?;
        if signalled.any() && !signals.take().is_empty() {
            asked += 1;
            let words: &[&str] = if asked == 1 { &QUIT_SOON } else { &["exit"] };
            if asked > 1 {
                let _ = client.interrupt();
            }
            let _ = client.send(&request(&words.iter().map(OsString::from).collect::<Vec<_>>()));
        }
        // Answers are for nobody; the end of them is the end of the manager.
        if answered.any() && is_over(&mut client) {
            host.join()?;
            return Ok(Status::DONE);
        }
    }
}

fn is_over(client: &mut Client) -> bool {
    loop {
        match client.try_next() {
            Ok(Poll::Ready(Some(Answer::Ended { .. }) | None)) | Err(_) => return true,
            Ok(Poll::Ready(Some(_))) => {}
            Ok(Poll::Pending) => return false,
        }
    }
}

/// Starts this program again in a session of its own, and returns when its socket answers.
fn detach(args: &ServeArgs, options: &Options, sink: &Sink) -> Result<Status, Error> {
    host::remark_on_place(options);
    let path = std::path::absolute(host::socket_path(options)?)
        .map_err(|error| Error::os("cannot find", "the socket's directory", error))?;
    let failed = |error: io::Error| Error::os("cannot start", "the manager", error);
    let (report, reported) = fd::pipe()?;
    let mut command = Command::new(env::current_exe().map_err(failed)?);
    command.args(["manager", "--socket"]).arg(&path).arg("serve").arg(format!("--report={}", reported.as_raw_fd()));
    if args.adopt {
        command.arg("--adopt");
    }
    let mut log = OsString::from("--log=");
    log.push(sink.text()?);
    command.arg(log);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let open = Inheritable::new([reported.as_fd()]).map_err(failed)?;
    let child = command.spawn().map_err(failed)?;
    drop(open);
    drop(reported);
    let mut said = String::new();
    File::from(report).read_to_string(&mut said).map_err(failed)?;
    if let Some(remarks) = said.strip_suffix(READY) {
        remarks.lines().for_each(crate::complain);
        return announce(child.id(), &OneLine::path(&path).to_string(), options).map(|()| Status::DONE);
    }
    match said.as_str() {
        "" => Err(Error::refused("cannot start", "the manager", "it died before it could say why")),
        why => {
            crate::complain(why);
            Ok(Status(1))
        }
    }
}

fn announce(pid: u32, path: &str, options: &Options) -> Result<(), Error> {
    let line = match options.format {
        Some(Form::Json) => {
            format!("{}\n", serde_json::json!({"v": 1, "type": "manager", "pid": pid, "socket": path}))
        }
        _ if options.quiet => return Ok(()),
        _ => format!("manager running, pid {pid}, socket {path}\n"),
    };
    write(line.as_bytes()).map_err(|error| Error::os("cannot write to", "stdout", error))
}
