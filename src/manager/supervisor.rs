//! The loop: one thread, poll(2), and nothing that blocks.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::Error;
use crate::manager::command::Command;
use crate::manager::context::{Context, Setup};
use crate::manager::ending::Ending;
use crate::manager::event_log::EventLog;
use crate::manager::guardian::Guardian;
use crate::manager::journal::{Journal, Record};
use crate::manager::process::{Process, Source};
use crate::manager::protocol::{Event, Level, Refusal};
use crate::manager::registry::{Entry, Registry};
use crate::manager::serving::Client;
use crate::manager::sink::Sink;
use crate::manager::socket::Socket;
use crate::manager::spec::ProcessSpec;
use crate::sys::signal::{CHILD_ENDED, FILE_TOO_LONG, Signals};
use crate::sys::wait::{Interest, wait_many};
use crate::sys::wake::Waker;
use crate::sys::{clock, process, signal};

/// How long the socket is left out of the waits when there is no descriptor for a new client.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Turns words into a command.
pub type Parse = Box<dyn Fn(&[OsString]) -> Result<Command, Refusal> + Send>;

/// What a manager needs to be told.
pub struct Options {
    /// The grammar.
    pub parse: Parse,
    /// Program and first arguments of the built-in job; the name of the process and the period follow.
    pub job: Vec<OsString>,
    /// Program and arguments of the guard, which runs [`guard::run_guard`](crate::manager::guard::run_guard).
    pub guard: Vec<OsString>,
    /// Where clients of other processes connect; nowhere if None.
    pub socket: Option<Socket>,
    /// A directory for sockets of sd_notify(3); the temporary directory if None.
    pub directory: Option<PathBuf>,
    /// Where events are written to.
    pub sink: Sink,
    /// Take over what a manager that was killed at the same socket has left running.
    pub adopt: bool,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("socket", &self.socket).field("adopt", &self.adopt).finish_non_exhaustive()
    }
}

/// A manager of processes and threads.
///
/// It takes over the process that it runs in, as far as children go: it is their subreaper, and reaps every child of the
/// process that has ended.
pub struct Manager {
    pub(super) parse: Parse,
    pub(super) clients: Vec<Client>,
    pub(super) registry: Registry,
    pub(super) events: EventLog,
    pub(super) leaders: HashSet<u32>,
    pub(super) guardian: Guardian,
    pub(super) setup: Setup,
    pub(super) ending: Option<Ending>,
    pub(super) waker: Waker,
    pub(super) now: Instant,
    /// Goes before the socket, which removes the directory that both are in if it is empty.
    journal: Option<Journal>,
    socket: Option<Socket>,
    /// No descriptor for a new client until then.
    exhausted_until: Option<Instant>,
    /// Number of events when the journal was last written.
    journalled: u64,
    children: Signals,
    /// A child that nobody waited for yet was seen dead.
    pub(super) unreaped: bool,
    /// Something is left to do that no descriptor announces.
    pub(super) busy: bool,
    remarks: Vec<String>,
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// Whose descriptor is ready.
#[derive(Clone, Copy, Debug)]
enum Token {
    Children,
    Waker,
    Socket,
    Client(usize),
    Process(u64, Source),
    Pool,
    Sink,
}

impl Manager {
    /// Prepares one; [`run`](Self::run) makes it work.
    ///
    /// # Errors
    /// The system's: descriptors, or a journal that cannot be read.
    pub fn new(options: Options) -> Result<Self, Error> {
        let Options { parse, job, guard, socket, directory, sink, adopt } = options;
        process::become_subreaper().map_err(|error| Error::os("cannot become subreaper", "", error))?;
        signal::restore_default(&[CHILD_ENDED]).map_err(|error| Error::os("cannot catch", "SIGCHLD", error))?;
        // A log that grew too long is an event, and not the end of everybody.
        let children = Signals::catch(&[CHILD_ENDED, FILE_TOO_LONG]);
        let children = children.map_err(|error| Error::os("cannot catch", "SIGCHLD", error))?;
        let journal = socket.as_ref().map(|socket| Journal::open(socket.path())).transpose()?;
        let tag = format!("{}.{}", std::process::id(), clock::now_ns());
        let directory = directory.unwrap_or_else(std::env::temp_dir);
        let mut manager = Self {
            parse,
            clients: Vec::new(),
            registry: Registry::default(),
            events: EventLog::open(&sink)?,
            leaders: HashSet::new(),
            guardian: Guardian::new(guard),
            setup: Setup { job, tag, directory },
            ending: None,
            waker: Waker::new()?,
            now: Instant::now(),
            socket,
            exhausted_until: None,
            journal,
            journalled: 0,
            children,
            unreaped: true,
            busy: false,
            remarks: Vec::new(),
        };
        manager.tell(Level::Info, "started", &format!("manager started, pid {}", std::process::id()));
        if let (Sink::Unix(path), Some(_)) = (&sink, manager.events.deadline()) {
            let path = path.display();
            manager
                .remarks
                .push(format!("no log server listens at {path} yet; events wait for it, the first 1 MiB of them"));
        }
        if adopt {
            manager.take_over();
        } else {
            manager.tell_of_what_is_left();
        }
        manager.write_journal();
        Ok(manager)
    }

    /// A connection for a client in this process, who is called `label` where it is said who asked for something.
    ///
    /// # Errors
    /// EMFILE.
    pub fn connect(&mut self, label: &str) -> std::io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        self.clients.push(Client::new(ours, label.to_owned())?);
        Ok(theirs)
    }

    /// Serves until a client tells it to end, and everything that it started is gone.
    ///
    /// # Errors
    /// The system's, if it cannot wait for events any more; then everything is killed.
    pub fn run(mut self) -> Result<(), Error> {
        while !self.is_over() {
            self.turn()?;
        }
        self.farewell();
        Ok(())
    }

    /// Removes the names that it has.
    pub(super) fn leave(&mut self) {
        self.journal = None;
        self.socket = None;
    }

    /// What is worth telling a person before it runs.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// One turn: wait until something can be done, and do all that can be done.
    fn turn(&mut self) -> Result<(), Error> {
        let ready = self.wait().map_err(|error| Error::os("cannot wait for", "events", error))?;
        self.now = Instant::now();
        self.busy = false;
        let mut sources: Vec<(u64, Source)> = Vec::new();
        for token in ready {
            match token {
                Token::Children => {
                    self.children.take();
                    self.unreaped = true;
                }
                Token::Waker => self.waker.clear(),
                Token::Socket => self.accept(),
                Token::Client(at) => self.clients[at].hear(),
                Token::Process(id, source) => sources.push((id, source)),
                // Pools are looked after in every turn.
                Token::Pool | Token::Sink => {}
            }
        }
        self.step_entries(&sources);
        self.start_waiting();
        self.serve_clients();
        self.step_ending();
        self.reap_strays();
        self.renew_guard();
        self.write_journal();
        self.events.flush(self.now);
        self.let_clients_go();
        Ok(())
    }

    /// Sends what is left, and lets go of clients that have gone. What was held back for want of room is due where that
    /// made some: poll(2) wakes the loop only for a client to whom something is still to be sent.
    fn let_clients_go(&mut self) {
        let mut has_new_room = false;
        let before = self.clients.len();
        self.clients.retain_mut(|client| {
            let was_full = !client.connection.has_room();
            let stays = client.stays();
            has_new_room |= was_full && client.connection.has_room();
            stays
        });
        self.busy |= has_new_room;
        if self.clients.len() < before {
            self.seal_batches();
        }
    }

    fn wait(&self) -> std::io::Result<Vec<Token>> {
        let mut tokens = vec![Token::Children, Token::Waker];
        let mut fds = vec![(self.children.as_fd(), Interest::Read), (self.waker.as_fd(), Interest::Read)];
        let mut add = |token, fd, interest| {
            tokens.push(token);
            fds.push((fd, interest));
        };
        let exhausted = self.exhausted_until.is_some_and(|until| until > Instant::now());
        if let Some(socket) = self.socket.as_ref().filter(|_| !exhausted) {
            add(Token::Socket, socket.as_fd(), Interest::Read);
        }
        for (at, client) in self.clients.iter().enumerate() {
            client.watch(|fd, interest| add(Token::Client(at), fd, interest));
        }
        for process in self.registry.processes() {
            process.watch(|source, fd| add(Token::Process(process.id, source), fd, Interest::Read));
        }
        for pool in self.registry.pools() {
            pool.watch(|fd| add(Token::Pool, fd, Interest::Read));
        }
        self.events.watch(|fd: BorrowedFd<'_>, interest| add(Token::Sink, fd, interest));
        let ready = wait_many(&fds, self.deadline(exhausted))?;
        let ready = ready.into_iter().zip(tokens).filter(|(readiness, _)| readiness.any());
        Ok(ready.map(|(_, token)| token).collect())
    }

    /// When to look again though no descriptor is ready; None: never.
    fn deadline(&self, exhausted: bool) -> Option<Instant> {
        let processes = self.registry.processes().filter_map(|process| process.next_step());
        let clients = self.clients.iter().filter_map(Client::deadline);
        let pools = self.registry.pools().filter_map(|pool| pool.next_step());
        let others = [
            self.busy.then_some(self.now),
            exhausted.then_some(self.exhausted_until).flatten(),
            self.ending.as_ref().and_then(Ending::deadline),
            self.events.deadline(),
            self.guardian.deadline(),
        ];
        processes.chain(clients).chain(pools).chain(others.into_iter().flatten()).min()
    }

    fn accept(&mut self) {
        use crate::manager::socket::Accept;

        while let Some(socket) = &self.socket {
            match socket.accept() {
                Accept::Client(stream) => {
                    if let Some(client) = Client::of_peer(stream, self.clients.len()) {
                        self.clients.push(client);
                    }
                }
                Accept::Nobody => return self.exhausted_until = None,
                Accept::Exhausted => return self.exhausted_until = self.now.checked_add(EXHAUSTED),
            }
        }
    }

    /// The registry, and what its entries need besides.
    pub(super) fn parts(&mut self) -> (&mut Registry, Context<'_>) {
        let cx = Context {
            now: self.now,
            events: &mut self.events,
            leaders: &mut self.leaders,
            guardian: &mut self.guardian,
            journal: &mut self.journal,
            ending: self.ending.is_some(),
            setup: &self.setup,
        };
        (&mut self.registry, cx)
    }

    fn step_entries(&mut self, sources: &[(u64, Source)]) {
        let (registry, mut cx) = self.parts();
        let mut mine = Vec::new();
        for (id, entry) in registry.iter_mut() {
            match entry {
                Entry::Process(process) => {
                    mine.clear();
                    mine.extend(sources.iter().filter(|(whose, _)| *whose == id).map(|(_, source)| *source));
                    if !mine.is_empty() || process.next_step().is_some_and(|at| at <= cx.now) {
                        process.step(&mut cx, &mine);
                    }
                }
                Entry::Thread(thread) => thread.step(&mut cx),
                Entry::Pool(pool) => pool.step(&mut cx),
            }
        }
    }

    fn renew_guard(&mut self) {
        let daemons = self.registry.processes().filter(|process| process.spec.daemon);
        let pools = self.registry.pools().filter_map(|pool| pool.live_root());
        if self.guardian.renew(daemons.filter_map(|process| process.live_root()).chain(pools), self.now) {
            self.tell(Level::Warning, "guard-renewed", "the guard of the daemons had ended; there is a new one");
        }
    }

    /// Writes down what there is, unless nothing has happened since it was written last.
    pub(super) fn write_journal(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        if self.journalled == self.events.count() {
            return;
        }
        self.journalled = self.events.count();
        let now = self.now;
        let records = self.registry.processes().filter(|process| !process.spec.daemon);
        if let Err(error) = journal.write(records.filter_map(|process| process.record(now))) {
            self.tell(Level::Error, "journal-failed", &error.to_string());
            self.journalled = self.events.count();
        }
    }

    /// Takes over what a dead manager left.
    fn take_over(&mut self) {
        for record in self.journal.as_mut().map_or_else(Vec::new, Journal::take) {
            let Some(spec) = self.spec_of(&record) else { continue };
            let id = self.registry.next_id();
            let (registry, mut cx) = self.parts();
            let process = Process::adopt(&mut cx, id, spec, &record);
            registry.insert(id, Entry::Process(Box::new(process)));
        }
    }

    fn tell_of_what_is_left(&mut self) {
        let left = self.journal.as_mut().map_or_else(Vec::new, |journal| journal.left().to_vec());
        for record in left {
            let Some(spec) = self.spec_of(&record) else { continue };
            let (name, pid) = (spec.name, record.pid);
            let msg = format!("an earlier manager left {name}, pid {pid}; quit and serve --adopt takes it over");
            self.tell(Level::Warning, "left-behind", &msg);
            self.remarks.push(msg);
        }
    }

    fn spec_of(&self, record: &Record) -> Option<ProcessSpec> {
        let words: Vec<OsString> = record.words.iter().cloned().map(OsString::from).collect();
        match (self.parse)(&words) {
            Ok(Command::CreateProcess(spec)) => Some(*spec),
            _ => None,
        }
    }

    /// An event about the manager itself.
    pub(super) fn tell(&mut self, level: Level, event: &str, msg: &str) {
        let (event, msg) = (event.to_owned(), msg.to_owned());
        let ts_ns = clock::realtime_ns();
        self.events.push(Event { ts_ns, level, event, target: String::new(), pid: None, msg, lost: 0 });
    }
}
