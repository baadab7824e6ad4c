//! pipe: parent and child send each other values of two types.

use std::time::{Duration, Instant};

use ipcpipe::mp::{self, Connection, Result, Scope, pipe};
use ipcpipe::task;
use serde::{Deserialize, Serialize};

use super::say;

/// What the parent sends. In Python this would be "one", 1, "two", 2 and None; here a type says what may come.
#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Word(String),
    Number(u64),
}

/// Gets requests and sends lengths and squares.
fn worker(mut parent: Connection<u64, Request>) -> Result<u32> {
    let mut answered = 0;
    loop {
        match parent.recv() {
            Ok(Request::Word(word)) => parent.send(&(word.len() as u64))?,
            Ok(Request::Number(number)) => parent.send(&(number * number))?,
            // The parent has dropped his end. Nobody has to send a None for that.
            Err(ipcpipe::mp::Error::Closed(..)) => return Ok(answered),
            Err(error) => return Err(error),
        }
        answered += 1;
    }
}

pub(super) fn run() -> Result<String> {
    mp::scope(ask)
}

fn ask(scope: &Scope) -> Result<String> {
    let (mut child, theirs) = pipe::<Request, u64>()?;

    // The child's end is moved into the child, so no copy of it stays open here: the mistake by which pipes hang.
    let process = scope.spawn(task!(worker), theirs)?;

    say!("an answer without a question within 10 ms: {}", child.poll(Some(Duration::from_millis(10)))?);
    for request in [Request::Word("one".into()), Request::Number(1), Request::Word("three".into()), Request::Number(12)] {
        let began = Instant::now();
        child.send(&request)?;
        let answer = child.recv()?;
        say!("{request:?} is answered with {answer} after {} µs", began.elapsed().as_micros());
    }

    drop(child);
    let answered = process.join()??;
    Ok(format!("{answered} requests answered over a pipe in both directions"))
}
