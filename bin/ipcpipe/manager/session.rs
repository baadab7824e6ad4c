//! A conversation with a manager, which is what every surface is: commands go out as words, answers come back and are
//! shown. What only a client can do, such as reading a file of commands, is done here.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::task::Poll;
use std::time::{Duration, Instant};

use ipcpipe::manager::client::Client;
use ipcpipe::manager::protocol::{Answer, Code, Refusal, Request, VERSION};
use ipcpipe::manager::{Command, Kind, Selector};
use ipcpipe::sys::signal::{self, Signals};
use ipcpipe::sys::wait::{self, Interest};
use ipcpipe::{Error, OneLine};

use super::count::Ended;
use super::grammar::{self, Form, Options, Verb};
use super::script::{self, Place};
use super::view::{Shape, View, write};
use super::{Status, bench, count, demo, help, map};

/// How deep files of commands may include each other.
const DEPTH: usize = 16;

/// Requests to end, during one command, after which a manager that does not answer is waited for no longer.
const INSISTENCE: usize = 3;

/// How long a manager may take to answer an interrupt when this program was asked to end.
const COURTESY: Duration = Duration::from_secs(2);

/// A conversation.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    signals: Signals,
    options: Options,
    depth: usize,
    /// Requests to end since the command began.
    requests: usize,
    /// The manager goes on without us.
    guest: bool,
    /// Commands come from standard input, so nothing else can.
    pub(crate) has_stdin: bool,
    /// The last command failed, and its status is all that tells.
    pub(crate) silent: bool,
    /// The manager has ended, or gone.
    pub(crate) over: bool,
    /// A signal other than Ctrl-C asked this program to end.
    pub(crate) stopped_by: Option<i32>,
}

/// Why a conversation cannot go on.
#[derive(Debug)]
pub(crate) struct Lost(pub(crate) io::Error);

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl Session {
    /// Talks over `client`, and heeds `signals`, which whoever has a manager of its own catches before it answers anybody.
    pub(crate) fn new(client: Client, signals: Signals, options: &Options) -> Self {
        Self {
            client,
            signals,
            options: options.clone(),
            depth: 0,
            requests: 0,
            guest: false,
            has_stdin: false,
            silent: false,
            over: false,
            stopped_by: None,
        }
    }

    /// The same, with a manager that was there before and goes on afterwards.
    pub(crate) fn visit(client: Client, options: &Options) -> Result<Self, Error> {
        Ok(Self { guest: true, ..Self::new(client, Signals::catch_requests()?, options) })
    }

    /// True if a script of this conversation stops at an error unless somebody asked for `-k`, which only one with a manager
    /// of its own knows.
    pub(crate) fn knows_keep_going(&self) -> bool {
        !self.guest && self.depth == 0
    }

    /// True if what is written for a person is wanted.
    pub(crate) fn is_chatty(&self) -> bool {
        !self.options.quiet && self.options.format != Some(Form::Json)
    }

    /// Carries out one command. The status is what it deserves; what went wrong has been said.
    pub(crate) fn execute(&mut self, words: &[OsString], place: Option<&Place>) -> Result<Status, Lost> {
        self.silent = false;
        let line = match grammar::read(words) {
            Ok(line) => line,
            Err(error) => return self.answer_locally(words, error, place),
        };
        let options = line.options.or(&self.options);
        if let Err(error) = grammar::check(&line.verb, &options) {
            return refuse(&options, place, grammar::refusal(words, error));
        }
        match line.verb {
            Verb::Count(args) => self.here(place, |place| count::run(&args, &options, place)),
            Verb::Map(args) => self.here(place, |place| map::run(&args, &options, place)),
            Verb::Demo(args) => self.here(place, |place| demo::run(&args, &options, place)),
            Verb::Bench(args) => self.here(place, |place| bench::run(&args, &options, place)),
            Verb::Help { words } => help::print(&words),
            Verb::Source { file } => self.source(&file, &options, place),
            Verb::Save { file: Some(file) } => self.save(&file, &options, place),
            Verb::Time { words } => self.time(&words, place),
            Verb::Detach => self.detach(&options, place),
            Verb::Submit(args) if args.read_from_stdin().is_some() => self.submit_lines(words, &options, place),
            verb => match verb.lower() {
                Ok(command) => self.ask(words, &command, &options, place),
                Err(error) => refuse(&options, place, grammar::refusal(words, error)),
            },
        }
    }

    /// Does here what the manager has no part in. Ctrl-C ends that and not this program.
    fn here(
        &mut self,
        place: Option<&Place>,
        work: impl FnOnce(Option<&str>) -> Result<Ended, Lost>,
    ) -> Result<Status, Lost> {
        let place = place.map(ToString::to_string);
        let ended = work(place.as_deref())?;
        // The signals were heard there, and came here too.
        self.was_interrupted();
        Ok(if ended.stopped_by.is_some() { Status(Code::Interrupted.exit()) } else { ended.status })
    }

    /// Help that was asked for with `--help`, or a usage error.
    fn answer_locally(&self, words: &[OsString], error: clap::Error, place: Option<&Place>) -> Result<Status, Lost> {
        match grammar::help_of(&error) {
            Some(help) => help::show(&help),
            None => refuse(&Options::of_error(words, &self.options), place, grammar::refusal(words, error)),
        }
    }

    /// Says what is wrong with what was read.
    pub(crate) fn refuse(&self, place: Option<&Place>, refusal: Refusal) -> Result<Status, Lost> {
        refuse(&self.options, place, refusal)
    }

    /// Leaves a manager that goes on.
    fn detach(&mut self, options: &Options, place: Option<&Place>) -> Result<Status, Lost> {
        if !self.guest {
            let why = "detach is for 'ipcpipe manager attach'; there is a manager of its own here, which 'quit' ends";
            return refuse(options, place, grammar::misuse(why));
        }
        self.over = true;
        Ok(Status::DONE)
    }

    /// Sends a command and shows its answers.
    fn ask(
        &mut self,
        words: &[OsString],
        command: &Command,
        options: &Options,
        place: Option<&Place>,
    ) -> Result<Status, Lost> {
        let mut view = View::new(options, shape(command), place.map(ToString::to_string));
        let ends = matches!(command, Command::Quit { .. } | Command::Clear | Command::Exit);
        let status = self.converse(words, ends, &mut view)?;
        // A pattern may mean nobody.
        if let (Status::DONE, false, Some(verb)) = (status, view.answered, changes(command)) {
            view.remark(&format!("nothing to {verb}"));
        }
        Ok(status)
    }

    /// Ends the manager as `words` say, at the end of a script: a manager with nothing left to stop is no news.
    pub(crate) fn end(&mut self, verb: &str) -> Result<Status, Lost> {
        let mut view = View::new(&self.options, Shape::Silent, None);
        self.converse(&[verb.into()], true, &mut view)
    }

    pub(super) fn converse(&mut self, words: &[OsString], ends: bool, view: &mut View) -> Result<Status, Lost> {
        self.requests = 0;
        // A manager that is gone is found out by reading, which also has its last words.
        let _ = self.client.send(&request(words));
        let (mut status, interrupted) = self.listen(ends, view)?;
        if interrupted && ends && !self.over {
            let _ = self.client.send(&request(&["exit".into()]));
            status = self.listen(ends, view)?.0;
        }
        // A command that was done before it heard of the interrupt does not make it undone: it was meant for the script too.
        if interrupted && !ends {
            status = Status(Code::Interrupted.exit());
        }
        self.over |= ends && status != Status(Code::Interrupted.exit());
        self.silent = status != Status::DONE && !view.refused;
        view.finish()?;
        Ok(status)
    }

    /// Shows answers until the end of them; true if somebody interrupted.
    fn listen(&mut self, ends: bool, view: &mut View) -> Result<(Status, bool), Lost> {
        let mut interrupted = false;
        loop {
            match self.client.try_next()? {
                Poll::Ready(Some(Answer::End { exit, .. })) => return Ok((Status(exit), interrupted)),
                Poll::Ready(Some(answer)) => view.show(answer)?,
                Poll::Ready(None) => {
                    self.over = true;
                    return self.gone(ends, view).map(|status| (status, interrupted));
                }
                Poll::Pending => interrupted |= self.wait(ends)?,
            }
        }
    }

    /// The manager closed the connection, as it should after it was told to end.
    fn gone(&self, expected: bool, view: &View) -> Result<Status, Lost> {
        if expected {
            return Ok(Status::DONE);
        }
        let refusal = Refusal::new(Code::Unreachable, "the manager has gone");
        let status = Status(refusal.code.exit());
        view.refuse(refusal)?;
        Ok(status)
    }

    /// Waits for more; a request to end this program ends the command. True if there was one.
    fn wait(&mut self, ends: bool) -> io::Result<bool> {
        let stdout = io::stdout();
        let mut fds = vec![(self.client.as_fd(), Interest::Read), (self.signals.as_fd(), Interest::Read)];
        // Whoever reads `logs -f` may be gone long before the next line. The end of a manager is waited for without readers.
        fds.extend((!ends).then_some((stdout.as_fd(), Interest::HangUp)));
        let hurry = self.stopped_by.is_some() && !ends;
        let ready = wait::wait_many(&fds, if hurry { wait::deadline_in(COURTESY) } else { None })?;
        let (answered, signals) = (ready[0], ready[1]);
        if ready.get(2).is_some_and(|reader| reader.hung_up) && !answered.any() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !answered.any() && !signals.any() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the manager does not answer"));
        }
        Ok(signals.any() && self.interrupted())
    }

    fn interrupted(&mut self) -> bool {
        let taken = self.signals.take();
        for signal in &taken {
            if signal.as_str() != "SIGINT" {
                self.stopped_by = Some(*signal as i32);
            }
            self.requests += 1;
            if self.requests >= INSISTENCE {
                signal::die_by(*signal as i32);
            }
            let _ = self.client.interrupt();
        }
        !taken.is_empty()
    }

    /// Becomes readable when a signal came while nothing was under way.
    pub(crate) fn signals_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// Notes signals that came while nothing was under way; true if there were any.
    pub(crate) fn was_interrupted(&mut self) -> bool {
        let taken = self.signals.take();
        let other = taken.iter().find(|signal| signal.as_str() != "SIGINT");
        self.stopped_by = self.stopped_by.or(other.map(|signal| *signal as i32));
        !taken.is_empty()
    }

    /// Carries out the commands of a file. Like a script, it stops at the first error.
    fn source(&mut self, file: &Path, options: &Options, place: Option<&Place>) -> Result<Status, Lost> {
        if self.depth == DEPTH {
            let why = format!("{DEPTH} files include each other already, so this one may include itself");
            let error = Error::refused("cannot read", OneLine::path(file), why);
            return refuse(options, place, Refusal::new(Code::Failed, error.to_string()));
        }
        match File::open(file) {
            Ok(open) => {
                self.depth += 1;
                let name = OneLine::path(file).to_string();
                let status = script::commands(self, &mut BufReader::new(open), &name, false);
                self.depth -= 1;
                status
            }
            Err(error) => {
                let error = Error::os("cannot read", OneLine::path(file), error);
                refuse(options, place, Refusal::new(Code::Failed, error.to_string()))
            }
        }
    }

    /// Writes the live state to a file.
    fn save(&mut self, file: &Path, options: &Options, place: Option<&Place>) -> Result<Status, Lost> {
        let mut view = View::new(options, Shape::Script(Vec::new()), place.map(ToString::to_string));
        let status = self.converse(&["save".into()], false, &mut view)?;
        if status != Status::DONE {
            return Ok(status);
        }
        let script = view.into_script();
        let number = script.iter().filter(|byte| **byte == b'\n').count();
        let commands = if number == 1 { "command" } else { "commands" };
        let saved = format!("saved {number} {commands} to {}\n", OneLine::path(file));
        let quiet = options.quiet || options.format == Some(Form::Json);
        match fs::write(file, script) {
            Ok(()) if quiet => Ok(status),
            Ok(()) => write(saved.as_bytes()).map(|()| status).map_err(Lost),
            Err(error) => {
                let error = Error::os("cannot write", OneLine::path(file), error);
                refuse(options, place, Refusal::new(Code::Failed, error.to_string()))
            }
        }
    }

    /// Carries out a command and says how long it took.
    fn time(&mut self, words: &[OsString], place: Option<&Place>) -> Result<Status, Lost> {
        let start = Instant::now();
        let status = self.execute(words, place)?;
        crate::say(&format!("took {:.1} ms\n", start.elapsed().as_secs_f64() * 1e3));
        Ok(status)
    }
}

/// Says what is wrong, and answers with the status for it.
pub(crate) fn refuse(options: &Options, place: Option<&Place>, refusal: Refusal) -> Result<Status, Lost> {
    let status = Status(refusal.code.exit());
    View::new(options, Shape::Lines, place.map(ToString::to_string)).refuse(refusal)?;
    Ok(status)
}

/// The request for `words`, from the directory we are in.
pub(crate) fn request(words: &[OsString]) -> Request {
    let cwd = std::env::current_dir().ok().map(|dir| dir.as_os_str().into());
    Request { v: VERSION, cmd: words.iter().map(|word| word.as_os_str().into()).collect(), cwd, ..Request::default() }
}

/// The word for what a command does to each of its targets, if it does anything.
fn changes(command: &Command) -> Option<&'static str> {
    Some(match command {
        Command::Pause(_) => "pause",
        Command::Resume(_) => "resume",
        Command::Terminate { .. } => "terminate",
        Command::Kill(_) => "kill",
        Command::Restart(_) => "restart",
        Command::Signal { .. } => "signal",
        Command::Forget(_) => "forget",
        Command::Cancel(_) => "cancel",
        Command::Results { .. } => "show",
        _ => return None,
    })
}

/// What the answers to a command look like.
fn shape(command: &Command) -> Shape {
    match command {
        Command::List(Some(Kind::Pool)) => Shape::Pools,
        Command::List(_) => Shape::Table,
        Command::ListBatches => Shape::Batches,
        Command::Show(_) => Shape::Show,
        Command::Logs { targets, .. } => match targets.select.as_slice() {
            [Selector::Name(_) | Selector::Id(_) | Selector::Number(_)] => Shape::Lines,
            _ => Shape::Prefixed,
        },
        _ => Shape::Lines,
    }
}
