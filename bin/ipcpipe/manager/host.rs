//! A manager in this process: started here, in a thread of its own, and met by everybody through a connection.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use ipcpipe::manager::client::Client;
use ipcpipe::manager::socket::{self, BindError, Socket};
use ipcpipe::manager::{Manager, Options as Setup, Sink};
use ipcpipe::{Error, OneLine};

use super::grammar::{self, Options};
use super::session::request;
use crate::complain;

/// Connections that the program itself needs: commands, events, names or output, and one to end the manager with.
const OWN: usize = 4;

/// Who else may talk to the manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Public {
    /// Others, at the socket that was asked for, and nobody if none was.
    IfAsked,
    /// Others, unless another manager has the place.
    IfFree,
    /// Others, or it makes no sense.
    Must,
}

/// What a manager is started with besides the options of every surface.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// Take over what a killed manager has left.
    pub(crate) adopt: bool,
    /// Where events go.
    pub(crate) sink: Sink,
}

/// A running manager.
#[derive(Debug)]
pub(crate) struct Host {
    thread: JoinHandle<Result<(), Error>>,
    /// What a person should hear before anything else.
    pub(crate) remarks: Vec<String>,
    connections: RefCell<Vec<UnixStream>>,
}

impl Host {
    /// Starts a manager for `label`, which is who asked when somebody asks why.
    pub(crate) fn start(options: &Options, public: Public, sink: &Sink, label: &str) -> Result<Self, Error> {
        let host = Self::start_with(listen(options, public)?, &Extras { adopt: false, sink: sink.clone() }, label)?;
        // A script talks of what it was told to do, and the manager of a person or of a service of how it is.
        if public != Public::IfAsked {
            host.remarks.iter().for_each(complain);
        }
        Ok(host)
    }

    /// Starts a manager on `socket`.
    pub(crate) fn start_with(socket: Option<Socket>, extras: &Extras, label: &str) -> Result<Self, Error> {
        let own = |surface: &str| ["/proc/self/exe", "manager", surface].map(OsString::from).to_vec();
        let directory = socket.as_ref().and_then(|socket| socket.path().parent()).map(Path::to_owned);
        let setup = Setup {
            parse: Box::new(grammar::parse),
            job: own("job"),
            guard: own("guard"),
            socket,
            directory,
            sink: extras.sink.clone(),
            adopt: extras.adopt,
        };
        let mut manager = Manager::new(setup)?;
        let remarks = manager.remarks().to_vec();
        let failed = |error| Error::os("cannot start", "the manager", error);
        let connections = (0..OWN).map(|_| manager.connect(label)).collect::<Result<_, _>>().map_err(failed)?;
        let thread = thread::Builder::new().name("manager".into()).spawn(move || manager.run()).map_err(failed)?;
        Ok(Self { thread, remarks, connections: RefCell::new(connections) })
    }

    /// One of the connections that the program itself needs.
    pub(crate) fn connect(&self) -> Result<Client, Error> {
        let spare = self.connections.borrow_mut().pop();
        spare.map(Client::over).ok_or_else(|| Error::refused("cannot talk to", "the manager", "no connection is left"))
    }

    /// Waits for the end of the manager, which somebody has told it.
    pub(crate) fn join(self) -> Result<(), Error> {
        let lost = || Error::refused("cannot go on with", "the manager", "its thread panicked");
        self.thread.join().unwrap_or_else(|_| Err(lost()))
    }

    /// Ends the manager of a conversation that broke off, and waits for its end. A connection that was fine until then
    /// is used, because the broken one may be full of answers that nobody reads.
    pub(crate) fn end(self, words: &[&str]) -> Result<(), Error> {
        // Without an answer there is nothing to say either, and the wait for the thread tells the same.
        let mut client = self.connect()?;
        let _ = client.send(&request(&words.iter().map(OsString::from).collect::<Vec<_>>()));
        self.join()
    }
}

/// The socket for a manager that is about to start.
pub(crate) fn listen(options: &Options, public: Public) -> Result<Option<Socket>, Error> {
    if public == Public::IfAsked && asked(options).is_none() {
        return Ok(None);
    }
    remark_on_place(options);
    let path = socket_path(options)?;
    match Socket::bind(&path) {
        Ok(socket) => Ok(Some(socket)),
        Err(BindError::Busy) if public == Public::IfFree && asked(options).is_none() => {
            let place = OneLine::path(&path);
            complain(format_args!("another manager has {place}, so this one is for this terminal alone"));
            Ok(None)
        }
        Err(BindError::Busy) => {
            Err(Error::refused("cannot listen at", OneLine::path(&path), "a manager is running there")
                .hint("talk to it with 'ipcpipe manager attach', or give this one another --socket"))
        }
        Err(BindError::Other(error)) => Err(error),
    }
}

/// Says that the usual place is not where the environment wanted it; whoever has named one knows where it is.
pub(crate) fn remark_on_place(options: &Options) {
    if asked(options).is_none()
        && let Some(remark) = socket::default_path_remark()
    {
        complain(remark);
    }
}

/// Where the manager is found.
pub(crate) fn socket_path(options: &Options) -> Result<PathBuf, Error> {
    asked(options).map_or_else(socket::default_path, Ok)
}

/// The socket that was asked for: typed, or in the environment.
fn asked(options: &Options) -> Option<PathBuf> {
    let variable = || env::var_os("IPCPIPE_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from);
    options.socket.clone().or_else(variable)
}
