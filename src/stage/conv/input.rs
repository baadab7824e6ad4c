//! Real input: bytes that are read without blocking and parsed as they come.

use super::lines::{LineParser, Lines};
use super::source::{Fill, Samples};
use crate::Error;
use crate::error::OneLine;
use crate::record::Sample;
use crate::stage::fault::Fault;
use crate::stage::world::{Input, InputWake, Taken};

/// So many bytes are read at once.
const READ: usize = 64 * 1024;

/// Samples from text, one a line; [`LineParser`] has the rules.
#[derive(Debug)]
pub struct InputSource<I> {
    input: I,
    name: String,
    parser: LineParser,
    buffer: Box<[u8]>,
    /// The bytes that were read and are not yet parsed: from, to.
    unparsed: (usize, usize),
    ended: bool,
}

impl<I: Input> InputSource<I> {
    /// Reads `input`, which faults call `name`, by the rules of `lines`.
    pub fn new(input: I, name: impl Into<String>, lines: Lines) -> Self {
        let parser = LineParser::new(lines);
        let buffer = vec![0; READ].into();
        Self { input, name: name.into(), parser, buffer, unparsed: (0, 0), ended: false }
    }

    /// Parses what was read into `room`.
    fn parse(&mut self, room: &mut [Sample]) -> (usize, Result<(), Fault>) {
        let (from, to) = self.unparsed;
        let pushed = self.parser.push(&self.buffer[from..to], room);
        self.unparsed.0 += pushed.consumed;
        (pushed.samples, pushed.fault.map_or(Ok(()), |fault| Err(self.fault(&fault))))
    }

    /// Reads once, after everything read was parsed.
    fn read(&mut self) -> Fill {
        loop {
            match self.input.read(&mut self.buffer) {
                Ok(Taken::Bytes(bytes)) => {
                    self.unparsed = (0, bytes);
                    return Fill::More;
                }
                Ok(Taken::WouldBlock) => return Fill::Dry,
                Ok(Taken::End) => {
                    self.ended = true;
                    return Fill::More;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Fill::Fault(Error::os("cannot read", &self.name, error).into()),
            }
        }
    }
}

impl<I: Input> Samples for InputSource<I> {
    fn take(&mut self, room: &mut [Sample]) -> (usize, Fill) {
        let (samples, parsed) = self.parse(room);
        if let Err(fault) = parsed {
            return (samples, Fill::Fault(fault));
        }
        if self.unparsed.0 < self.unparsed.1 {
            return (samples, Fill::More);
        }
        // Read ahead of need, so that the end of the input is known with its last sample.
        let fill = if self.ended { Fill::More } else { self.read() };
        if self.ended { self.finish(room, samples) } else { (samples, fill) }
    }

    fn wait(&mut self, until_ns: Option<u64>) -> InputWake {
        self.input.wait_input(until_ns)
    }

    fn skipped(&self) -> u64 {
        self.parser.skipped()
    }
}

impl<I> InputSource<I> {
    fn fault(&self, fault: &str) -> Fault {
        Fault::failed(format!("cannot read {}: {fault}", OneLine::text(&self.name)))
    }

    /// Adds what a last line without a newline holds, if there is room.
    fn finish(&mut self, room: &mut [Sample], samples: usize) -> (usize, Fill) {
        if samples == room.len() && !self.parser.is_at_line_start() {
            return (samples, Fill::More);
        }
        match self.parser.finish() {
            Ok(None) => (samples, Fill::End),
            Ok(Some(last)) => {
                room[samples] = last;
                (samples + 1, Fill::End)
            }
            Err(fault) => (samples, Fill::Fault(self.fault(&fault))),
        }
    }
}
