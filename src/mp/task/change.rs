//! Functions that change a state: how the state gets to them and back.
//!
//! They are given one byte that says in which [`Form`] the state is wanted back, the state, and the arguments. They answer
//! with pieces, each behind its length: first what the function returned, then the state.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pieces;
use crate::mp::{Error, Result, wire};

/// In how many pieces whoever keeps a state wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As one value.
    Whole = 0,
    /// A sequence element by element, or a map key by key and value by value.
    Parts = 1,
}

/// Calls `function` with the state and the arguments of `given`, and appends its answer and the new state to `result`.
pub(super) fn run_change<T, A, R>(
    given: &[u8],
    result: &mut Vec<u8>,
    function: impl FnOnce(&mut T, A) -> R,
) -> Result<()>
where
    T: Serialize + DeserializeOwned,
    A: DeserializeOwned,
    R: Serialize,
{
    let Some((form, given)) = given.split_first() else { return Err(Error::codec("there is no state to change")) };
    let (mut state, at) = wire::decode_prefix::<T>(given)?;
    let answer = function(&mut state, wire::decode(&given[at..])?);
    put_piece(&answer, result)?;
    if *form == Form::Parts as u8 { pieces::put_parts(&state, result) } else { put_piece(&state, result) }
}

/// Appends `value` behind its length.
pub(super) fn put_piece<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    wire::encode(value, out)?;
    let length = (out.len() - start - 8) as u64;
    out[start..start + 8].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// The pieces that a function has answered.
#[derive(Debug)]
pub(crate) struct Pieces<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let piece = self.0.split_first_chunk().and_then(|(length, rest)| {
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            rest.split_at_checked(length)
        });
        let Some((piece, rest)) = piece else {
            self.0 = &[];
            return Some(Err(Error::codec("the task does not change a state")));
        };
        self.0 = rest;
        Some(Ok(piece))
    }
}
