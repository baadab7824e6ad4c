//! One end of a link on its way to the process that will use it: text for its argument list and the
//! descriptors it inherits.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::str::FromStr;

use super::backend::Backend;
use super::lifeline::Lifeline;
use super::link::Geometry;
use super::receiver::Receiver;
use super::sender::Sender;
use super::transport::{Rx, Tx};
use super::{fifo, mq, shm, socket, stream};
use crate::Error;
use crate::record::Record;
use crate::sys::fd;

/// One end of a link, before it is attached.
///
/// Its text, `mq:9:/ipcpipe.5f3c.conv-log`, is what a child reads in its argument list and what ps(1)
/// shows: backend, the numbers of the inherited descriptors if there are any, and the name.
#[derive(Debug)]
pub struct Endpoint {
    backend: Backend,
    fds: Vec<OwnedFd>,
    name: OsString,
}

impl Endpoint {
    pub(super) fn new(backend: Backend, fds: impl IntoIterator<Item = OwnedFd>, name: impl Into<OsString>) -> Self {
        Self { backend, fds: fds.into_iter().collect(), name: name.into() }
    }

    /// The descriptors that the child which attaches this end has to inherit, at their present numbers:
    /// for [`Inheritable`](crate::sys::fd::Inheritable) or [`Child::spawn`](crate::sys::child::Child::spawn).
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.fds.iter().map(AsFd::as_fd)
    }

    /// The text for the child's argument list.
    #[must_use]
    pub fn to_text(&self) -> OsString {
        let fds = self.fds.iter().map(AsRawFd::as_raw_fd).collect();
        Text { backend: self.backend, fds, name: self.name.clone() }.format()
    }

    /// Parses the text in the child and takes over the descriptors that it names. Call it once for each text.
    ///
    /// # Errors
    /// When the text is no endpoint's, or a descriptor is not open.
    pub fn adopt(text: &OsStr) -> Result<Self, Error> {
        let parsed = Text::parse(text)
            .map_err(|error| Error::refused("cannot read endpoint", text.to_string_lossy(), error.to_string()))?;
        let fds = parsed.fds.into_iter().map(fd::adopt).collect::<Result<_, _>>()?;
        Ok(Self { backend: parsed.backend, fds, name: parsed.name })
    }

    /// Opens this end for sending. A socket connects; nothing waits for the peer.
    ///
    /// # Errors
    /// When the object cannot be opened: it is gone, or the system's limits are reached.
    pub fn attach_sender<T: Record>(mut self) -> Result<Sender<T>, Error> {
        let tx = match self.backend {
            Backend::Pipe => Tx::Stream(stream::Writer::new(self.descriptor()?)),
            Backend::Fifo => Tx::Stream(stream::Writer::new(fifo::open_writer(self.path())?)),
            // The lifeline is held until the connection stands, which has a liveness of its own.
            Backend::Socket => Tx::Stream(stream::Writer::new(socket::connect(self.path(), Geometry::default())?)),
            Backend::Mq => Tx::Mq(mq::Writer::open(&self.utf8_name()?, self.descriptor()?)?),
            Backend::Shm => Tx::Shm(shm::Writer::open(&self.utf8_name()?, self.descriptor()?)?),
        };
        Ok(Sender::new(tx, self.label()))
    }

    /// Opens this end for receiving. A socket waits until its sender has connected or is gone.
    ///
    /// # Errors
    /// As [`attach_sender`](Self::attach_sender).
    pub fn attach_receiver<T: Record>(mut self) -> Result<Receiver<T>, Error> {
        let rx = match self.backend {
            Backend::Pipe => Rx::Stream(stream::Reader::new(self.descriptor()?)),
            Backend::Fifo => Rx::Stream(stream::Reader::new(fifo::open_reader(self.path())?)),
            Backend::Socket => {
                let (lifeline, listener) = (self.descriptor()?, self.descriptor()?);
                Rx::Stream(stream::Reader::new(socket::accept(listener, &Lifeline::new(lifeline), self.path())?))
            }
            Backend::Mq => Rx::Mq(mq::Reader::open(&self.utf8_name()?, self.descriptor()?)?),
            Backend::Shm => Rx::Shm(shm::Reader::open(&self.utf8_name()?, self.descriptor()?)?),
        };
        Ok(Receiver::new(rx, self.label()))
    }

    /// Takes the last descriptor that is left.
    fn descriptor(&mut self) -> Result<OwnedFd, Error> {
        let missing = || Error::refused("cannot attach", self.name.to_string_lossy(), "a descriptor is missing");
        self.fds.pop().ok_or_else(missing)
    }

    fn path(&self) -> &Path {
        Path::new(&self.name)
    }

    fn utf8_name(&self) -> Result<String, Error> {
        let name = self.name.to_str().map(str::to_owned);
        name.ok_or_else(|| Error::refused("cannot attach", self.name.to_string_lossy(), "the name is not UTF-8"))
    }

    /// The link's own name in errors: the last part of a path or of a dotted name.
    fn label(&self) -> String {
        let name = self.name.to_string_lossy();
        name.rsplit(['/', '.']).next().unwrap_or_default().to_owned()
    }
}

/// The text form, apart from any open descriptor: pure, so that it can be tested with every value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text {
    backend: Backend,
    fds: Vec<RawFd>,
    name: OsString,
}

impl Text {
    fn format(&self) -> OsString {
        let mut text = OsString::from(format!("{}:", self.backend));
        if !self.fds.is_empty() {
            let fds: Vec<String> = self.fds.iter().map(RawFd::to_string).collect();
            text.push(format!("{}:", fds.join(",")));
        }
        text.push(&self.name);
        text
    }

    /// A name never starts with a digit: it is a path, a queue's name, or a link's name.
    fn parse(text: &OsStr) -> Result<Self, ParseEndpointError> {
        let (backend, rest) = split_at_colon(text.as_bytes()).ok_or(ParseEndpointError::NoBackend)?;
        let backend = str::from_utf8(backend).ok().and_then(|name| Backend::from_str(name).ok());
        let backend = backend.ok_or(ParseEndpointError::NoBackend)?;
        let (fds, name) = match split_at_colon(rest) {
            Some((fds, name)) if fds.first().is_some_and(u8::is_ascii_digit) => (parse_numbers(fds)?, name),
            _ => (Vec::new(), rest),
        };
        if name.is_empty() {
            return Err(ParseEndpointError::NoName);
        }
        Ok(Self { backend, fds, name: OsString::from_vec(name.to_vec()) })
    }
}

fn parse_numbers(text: &[u8]) -> Result<Vec<RawFd>, ParseEndpointError> {
    let number = |digits: &[u8]| str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number >= 0);
    text.split(|&byte| byte == b',').map(|digits| number(digits).ok_or(ParseEndpointError::BadDescriptor)).collect()
}

fn split_at_colon(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == b':')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseEndpointError {
    /// It does not start with a backend's name and a colon.
    NoBackend,
    /// The number of a descriptor is none, or out of range.
    BadDescriptor,
    /// Nothing names the link.
    NoName,
}

impl fmt::Display for ParseEndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBackend => "it does not start with pipe:, fifo:, mq:, shm: or socket:",
            Self::BadDescriptor => "the number of a descriptor is none, or out of range",
            Self::NoName => "it has no name",
        })
    }
}

impl std::error::Error for ParseEndpointError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_value_are_two_forms_of_one_thing(
            backend in prop::sample::select(&Backend::ALL[..]),
            fds in prop::collection::vec(0..i32::MAX, 0..4),
            name in "/[^\0]{0,60}|[a-z][a-z0-9-]{0,20}",
            tail in prop::collection::vec(1u8.., 0..4),
        ) {
            let mut bytes = name.into_bytes();
            if bytes[0] == b'/' {
                bytes.extend(tail);
            }
            let text = Text { backend, fds, name: OsString::from_vec(bytes) };
            prop_assert_eq!(Text::parse(&text.format()), Ok(text));
        }

        #[test]
        fn no_text_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Text::parse(OsStr::from_bytes(&bytes));
        }
    }

    #[test]
    fn refusals_say_why() {
        let parse = |text: &str| Text::parse(OsStr::new(text)).unwrap_err();
        assert_eq!(parse("tcp:3:x"), ParseEndpointError::NoBackend);
        assert_eq!(parse("pipe"), ParseEndpointError::NoBackend);
        assert_eq!(parse("pipe:99999999999:x"), ParseEndpointError::BadDescriptor);
        assert_eq!(parse("mq:4:"), ParseEndpointError::NoName);
    }

    #[test]
    fn a_descriptor_that_was_not_handed_on_is_refused() {
        let error = Endpoint::adopt(OsStr::new("pipe:9876:conv-log")).unwrap_err();
        assert!(error.to_string().starts_with("cannot take over descriptor 9876: the launcher did not hand it on; "));
    }
}
