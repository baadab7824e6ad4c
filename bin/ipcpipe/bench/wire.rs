//! What a number travels over in the latency experiments: links, or the plain pipe that they are compared with.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use ipcpipe::Error;
use ipcpipe::channel::{Receiver, RecvError, Sender};
use ipcpipe::record::Sample;
use ipcpipe::stage::Fault;
use ipcpipe::sys::clock;

/// A number and the moment at which it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) number: u64,
    pub(super) sent_ns: u64,
}

/// A way for numbers, out, in, or both.
pub(super) trait Wire {
    /// Sends `number` at once.
    fn put(&mut self, number: u64) -> Result<(), Fault>;

    /// Blocks for the next number; None at the end.
    fn get(&mut self) -> Result<Option<Arrival>, Fault>;

    /// Ends what goes out, and waits for the end of what comes in.
    fn finish(self) -> Result<(), Fault>;
}

/// Frames of one sample.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) tx: Option<Sender<Sample>>,
    pub(super) rx: Option<Receiver<Sample>>,
}

impl Wire for Linked {
    fn put(&mut self, number: u64) -> Result<(), Fault> {
        let tx = self.tx.as_mut().ok_or_else(|| Fault::failed("there is no way out"))?;
        Ok(tx.send(&[number as Sample])?)
    }

    fn get(&mut self) -> Result<Option<Arrival>, Fault> {
        let rx = self.rx.as_mut().ok_or_else(|| Fault::failed("there is no way in"))?;
        let Some(batch) = rx.recv()? else { return Ok(None) };
        match batch[..] {
            [sample] if batch.first_seq() as Sample == sample => {
                Ok(Some(Arrival { number: batch.first_seq(), sent_ns: batch.sent_ns() }))
            }
            _ => {
                let fault = format!("{:?} arrived in place {}", &batch[..], batch.first_seq());
                Err(RecvError::Corrupt { link: "a link".into(), fault }.into())
            }
        }
    }

    fn finish(self) -> Result<(), Fault> {
        if let Some(tx) = self.tx {
            tx.finish()?;
        }
        match self.rx.map(|mut rx| rx.recv().map(|batch| batch.is_some())).transpose()? {
            Some(true) => Err(Fault::failed("more arrived than was sent")),
            _ => Ok(()),
        }
    }
}

/// A number and its time of sending, 16 bytes, by one write(2) and one read(2) on standard output and input.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) tx: File,
    pub(super) rx: File,
}

impl Wire for Raw {
    fn put(&mut self, number: u64) -> Result<(), Fault> {
        let mut message = [0; 16];
        message[..8].copy_from_slice(&number.to_ne_bytes());
        message[8..].copy_from_slice(&clock::now_ns().to_ne_bytes());
        // Sixteen bytes go through a pipe whole or not at all.
        self.tx.write_all(&message).map_err(|error| fault("cannot write to", error))
    }

    fn get(&mut self) -> Result<Option<Arrival>, Fault> {
        let mut message = [0; 16];
        let count = self.rx.read(&mut message).map_err(|error| fault("cannot read from", error))?;
        let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| message[at + byte]));
        match count {
            0 => Ok(None),
            16 => Ok(Some(Arrival { number: word(0), sent_ns: word(8) })),
            _ => Err(Fault::failed("a message arrived in pieces")),
        }
    }

    /// The end is the end of this process, which closes standard output.
    fn finish(self) -> Result<(), Fault> {
        Ok(())
    }
}

fn fault(what: &'static str, error: io::Error) -> Fault {
    Error::os(what, "a pipe", error).into()
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_raw_pipe_carries_numbers_and_its_end() {
        let (read, write) = io::pipe().unwrap();
        let (rx, tx) = (File::from(OwnedFd::from(read)), File::from(OwnedFd::from(write)));
        let nothing = || File::open("/dev/null").unwrap();
        let mut there = Raw { tx, rx: nothing() };
        let mut here = Raw { tx: nothing(), rx };
        let before = clock::now_ns();
        there.put(7).unwrap();
        let arrival = here.get().unwrap().unwrap();
        assert_eq!(arrival.number, 7);
        assert!((before..=clock::now_ns()).contains(&arrival.sent_ns));
        there.finish().unwrap();
        assert_eq!(here.get().unwrap(), None);
    }
}
