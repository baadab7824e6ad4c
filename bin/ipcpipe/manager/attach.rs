//! `ipcpipe manager attach`: the prompt of a running manager, or a script for it. It goes on when this ends.

use std::io::{self, IsTerminal};

use ipcpipe::Error;
use ipcpipe::manager::client::Client;

use super::grammar::Options;
use super::script::{self, Source};
use super::session::{self, Session};
use super::{Status, host, repl};

/// Attaches to the manager at the socket.
pub(crate) fn run(options: &Options) -> Result<Status, Error> {
    let path = host::socket_path(options)?;
    let client = match Client::connect(&path) {
        Ok(client) => client,
        Err(refusal) => return Ok(super::settle(session::refuse(options, None, refusal), None)),
    };
    let mut session = Session::new(client, options)?;
    if !io::stdin().is_terminal() {
        return script::send(&mut session, &Source::Stdin, false);
    }
    let connect = || Client::connect(&path).map_err(|refusal| io::Error::other(refusal.message));
    Ok(repl::visit(&mut session, &connect))
}
