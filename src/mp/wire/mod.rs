//! Values as bytes, and the descriptors that travel with them.
//!
//! The format is that of postcard, and a test compares the two: what a value is, both sides know from its type, so the
//! bytes hold no names and no types. Integers from 16 bits on are LEB128 varints, signed ones zigzag first; a byte and a
//! bool are one byte; floats are their bits, little-endian; text, bytes, sequences and maps begin with their length, an
//! option with 0 or 1, an enum with the index of its variant; a char is a text; a struct or a tuple is its fields.
//!
//! The length of a sequence stands before it even if it is not known beforehand: then it is put there afterwards, and
//! the bytes behind it move.
//!
//! Decoding trusts nothing: a length is checked against the bytes that are left before anything is made of it.

mod access;
mod de;
mod handles;
mod ser;
#[cfg(test)]
mod tests;
mod varint;

use std::fmt::Display;
use std::os::fd::OwnedFd;

use serde::de::{Deserialize, DeserializeOwned};
use serde::ser::Serialize;

use crate::mp::Error;

pub(crate) use handles::{Handle, aside, collect, exchange, receive_owned, send_copy, supply};

/// How deep values may be nested; both sides check it, because a stack ends without an error.
const DEEPEST: u32 = 128;

/// How many elements of sequences may take no byte in one message: without a bound, three bytes could ask for 2^60 units.
const MOST_EMPTY: u64 = 1 << 16;

/// Appends the encoding of `value` to `out`. After an error `out` is as it was.
///
/// # Errors
/// [`Error::Codec`]: the value cannot be put into bytes (it is nested too deep, or leaves fields out).
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    value.serialize(&mut ser::Encoder::new(out)).map_err(|fault| {
        out.truncate(start);
        *fault.0
    })
}

/// Decodes exactly one value that takes all of `bytes`. Text and bytes can be borrowed from them.
///
/// # Errors
/// [`Error::Codec`]: the bytes are not the encoding of such a value.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    let mut decoder = de::Decoder::new(bytes);
    let value = T::deserialize(&mut decoder).map_err(|fault| *fault.0)?;
    match decoder.left() {
        0 => Ok(value),
        left => Err(Error::codec(format!("{left} bytes follow the value"))),
    }
}

/// Decodes the value that `bytes` begin with: the value, and how many bytes it takes.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_prefix<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, usize), Error> {
    let mut decoder = de::Decoder::new(bytes);
    let value = T::deserialize(&mut decoder).map_err(|fault| *fault.0)?;
    Ok((value, bytes.len() - decoder.left()))
}

/// Bytes, and the descriptors that they refer to.
#[derive(Debug, Default)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

/// [`encode`], together with copies of the descriptors of all [`Handle`]s in the value.
///
/// # Errors
/// As [`encode`]; EMFILE when there is no room for the copies.
pub(crate) fn encode_with_handles<T: Serialize + ?Sized>(value: &T) -> Result<Message, Error> {
    let mut bytes = Vec::new();
    let fds = handles::collect(|| encode(value, &mut bytes))?;
    Ok(Message { bytes, fds })
}

/// [`decode`], which gives the descriptors back to the [`Handle`]s in the value. Those that none asks for are closed.
///
/// # Errors
/// As [`decode`], also when a handle refers to a descriptor that is not there.
pub(crate) fn decode_with_handles<T: DeserializeOwned>(message: Message) -> Result<T, Error> {
    let Message { bytes, fds } = message;
    handles::supply(fds, || decode(&bytes))
}

/// [`encode_with_handles`] of two values, one behind the other.
///
/// # Errors
/// As [`encode_with_handles`].
pub(crate) fn encode_two_with_handles<A: Serialize, B: Serialize>(first: &A, second: &B) -> Result<Message, Error> {
    let mut bytes = Vec::new();
    let fds = handles::collect(|| {
        encode(first, &mut bytes)?;
        encode(second, &mut bytes)
    })?;
    Ok(Message { bytes, fds })
}

/// Why a value could not be encoded or decoded. Boxed, because every step of the codec answers with a result.
#[derive(Debug)]
struct Fault(Box<Error>);

impl Fault {
    #[cold]
    fn new(why: impl Into<String>) -> Self {
        Self(Box::new(Error::codec(why)))
    }

    #[cold]
    fn too_deep() -> Self {
        Self::new(format!("the value is nested more than {DEEPEST} levels deep"))
    }

    #[cold]
    fn too_many_empty() -> Self {
        Self::new(format!("there are more than {MOST_EMPTY} elements that take no byte"))
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.0 {
            Error::Codec(why) => f.write_str(why),
            error => error.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

impl serde::ser::Error for Fault {
    fn custom<T: Display>(why: T) -> Self {
        Self::new(why.to_string())
    }
}

impl serde::de::Error for Fault {
    fn custom<T: Display>(why: T) -> Self {
        Self::new(why.to_string())
    }
}
