//! What pool and worker say to each other, over a socket for each worker.
//!
//! Jobs: any number of `length: u64, arguments`, each the encoding of a tuple. Results: `busy: u64` nanoseconds since the
//! last ones, then for each job, in the order of the jobs, `kind: u8, length: u64, content`. All numbers are little-endian.
//! The other side is this same program, but a length is believed only as far as there are bytes.

use crate::mp::{Error, Panic, Result, Worker, wire};

/// How a job ended in its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Returned = 0,
    Panicked = 1,
    /// Arguments or result could not be decoded or encoded; the content says why.
    Failed = 2,
}

impl TryFrom<u8> for Kind {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self> {
        [Self::Returned, Self::Panicked, Self::Failed]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or_else(|| Error::codec(format!("a result of the unknown kind {byte}")))
    }
}

/// Appends a job with these arguments.
pub(super) fn put_job(message: &mut Vec<u8>, args: &[u8]) {
    message.extend_from_slice(&(args.len() as u64).to_le_bytes());
    message.extend_from_slice(args);
}

/// Takes the next job off `message`: its arguments.
pub(super) fn take_job<'a>(message: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = take_number(message)?;
    take(message, length)
}

/// Appends a result, whose content `write` appends; what it answers is the kind.
pub(super) fn put_result(message: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Kind) {
    let head = message.len();
    message.extend_from_slice(&[0; 9]);
    let kind = write(message);
    let length = (message.len() - head - 9) as u64;
    message[head] = kind as u8;
    message[head + 1..head + 9].copy_from_slice(&length.to_le_bytes());
}

/// Takes the next result off `message`.
pub(super) fn take_result<'a>(message: &mut &'a [u8]) -> Result<(Kind, &'a [u8])> {
    let kind = Kind::try_from(take(message, 1)?[0])?;
    let length = take_number(message)?;
    Ok((kind, take(message, length)?))
}

pub(super) fn take_number(message: &mut &[u8]) -> Result<u64> {
    let (number, rest) = message.split_first_chunk::<8>().ok_or_else(cut)?;
    *message = rest;
    Ok(u64::from_le_bytes(*number))
}

fn take<'a>(message: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let length = usize::try_from(length).ok().filter(|length| *length <= message.len()).ok_or_else(cut)?;
    let (taken, rest) = message.split_at(length);
    *message = rest;
    Ok(taken)
}

fn cut() -> Error {
    Error::codec("a message between pool and worker ends too early")
}

/// Why a job that was heard of has no result.
pub(super) fn failure(kind: Kind, content: &[u8], worker: &Worker) -> Error {
    match kind {
        Kind::Returned => Error::codec("a result is none"),
        Kind::Failed => Error::codec(String::from_utf8_lossy(content)),
        Kind::Panicked => match wire::decode::<Panic>(content) {
            Ok(panic) => Error::Panicked(Box::new(worker.clone()), Box::new(panic)),
            Err(error) => error,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_taken() {
        let mut jobs = Vec::new();
        put_job(&mut jobs, b"ab");
        put_job(&mut jobs, b"");
        let mut rest = &jobs[..];
        assert_eq!(take_job(&mut rest).unwrap(), b"ab");
        assert_eq!(take_job(&mut rest).unwrap(), b"");
        take_job(&mut rest).unwrap_err();
        let mut results = Vec::new();
        put_result(&mut results, |out| {
            out.extend(b"xyz");
            Kind::Failed
        });
        let mut rest = &results[..];
        assert_eq!(take_result(&mut rest).unwrap(), (Kind::Failed, &b"xyz"[..]));
        assert!(rest.is_empty());
    }

    #[test]
    fn b34_no_length_is_trusted() {
        let mut huge = u64::MAX.to_le_bytes().to_vec();
        take_job(&mut &huge[..]).unwrap_err();
        huge.insert(0, 0);
        take_result(&mut &huge[..]).unwrap_err();
        huge[0] = 9;
        take_result(&mut &huge[..]).unwrap_err();
    }
}
