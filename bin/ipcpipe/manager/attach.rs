//! `ipcpipe manager attach`: the prompt of a running manager, or a script for it. It goes on when this ends.

use std::io::{self, IsTerminal};

use ipcpipe::manager::client::Client;
use ipcpipe::{Error, OneLine};

use super::grammar::Options;
use super::script::{self, Source};
use super::session::{self, Session};
use super::{Status, host, repl};
use crate::say;

/// Attaches to the manager at the socket.
pub(crate) fn run(options: &Options) -> Result<Status, Error> {
    let path = host::socket_path(options)?;
    let client = match Client::connect(&path) {
        Ok(client) => client,
        Err(refusal) => return Ok(super::settle(session::refuse(options, None, refusal), None)),
    };
    let mut session = Session::visit(client, options)?;
    if !io::stdin().is_terminal() {
        return script::send(&mut session, &Source::Stdin, false);
    }
    if session.is_chatty() {
        let place = OneLine::path(&path);
        say(&format!("attached to the manager at {place}; 'detach' or Ctrl-D leaves it, 'quit' and 'exit' end it\n"));
    }
    let connect = || Client::connect(&path).map_err(|refusal| io::Error::other(refusal.message));
    Ok(repl::visit(&mut session, &connect))
}
