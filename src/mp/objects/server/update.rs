//! Running a task of a client on the state of an object.

use std::cell::Cell;

use super::super::protocol::Change;
use crate::mp::process::{catch, current};
use crate::mp::task::{self, Form, Pieces};
use crate::mp::{Error, Result};

thread_local! {
    static UPDATES: Cell<bool> = const { Cell::new(false) };
}

/// True in a task that changes an object.
pub(in crate::mp::objects) fn is_updating() -> bool {
    UPDATES.get()
}

/// What a task has answered.
#[derive(Debug, Default)]
pub(super) struct Changed(Vec<u8>);

impl Changed {
    /// What it returned, and the pieces of the new state.
    ///
    /// # Errors
    /// [`Error::Codec`] when the task is none that changes a state.
    pub(super) fn parts(&self) -> Result<(&[u8], Vec<&[u8]>)> {
        let mut pieces = Pieces(&self.0);
        let answer = pieces.next().unwrap_or_else(|| Err(Error::codec("the task answered nothing")))?;
        Ok((answer, pieces.collect::<Result<_>>()?))
    }

    /// What it returned, and the new state in one piece.
    ///
    /// # Errors
    /// As [`parts`](Self::parts).
    pub(super) fn whole(&self) -> Result<(&[u8], &[u8])> {
        match self.parts()? {
            (answer, state) if state.len() == 1 => Ok((answer, state[0])),
            _ => Err(Error::codec("the task does not answer with one state")),
        }
    }
}

/// Calls the task with the state that `put_state` appends. The state is the caller's to replace.
///
/// # Errors
/// [`Error::Panicked`], [`Error::Refused`] when there is no such task, [`Error::Codec`].
pub(super) fn run(change: Change<'_>, form: Form, put_state: impl FnOnce(&mut Vec<u8>)) -> Result<Changed> {
    let entry = task::find(change.task);
    let entry = entry.ok_or_else(|| Error::Refused(format!("no task {} in this program", change.task)))?;
    let mut given = vec![form as u8];
    put_state(&mut given);
    given.extend_from_slice(change.args.0);
    let mut changed = Changed::default();
    UPDATES.set(true);
    let called = catch(|| entry.run(&given, &mut changed.0));
    UPDATES.set(false);
    match called {
        Ok(result) => result.map(|()| changed),
        Err(panic) => Err(Error::Panicked(Box::new(current().worker), Box::new(panic))),
    }
}
