//! `submit POOL -`: the arguments of jobs are lines of this program's standard input, which no manager can read.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use ipcpipe::Error;
use ipcpipe::manager::protocol::{Code, Refusal};
use ipcpipe::sys::wait::{self, Interest};

use super::Status;
use super::grammar::{Options, misuse};
use super::script::Place;
use super::session::{Lost, Session, refuse};
use super::view::{Shape, View};

/// Bytes of lines that go into one request: in JSON a byte takes six at most, and a request may have 256 KiB.
const CHUNK: usize = 32 << 10;

/// Lines of one request, for each takes three bytes more.
const LINES: usize = 8 << 10;

impl Session {
    /// Gives the lines of standard input to a pool, as one batch. `words` are those of the command, with `-` among them.
    pub(super) fn submit_lines(
        &mut self,
        words: &[OsString],
        options: &Options,
        place: Option<&Place>,
    ) -> Result<Status, Lost> {
        if self.has_stdin {
            let why =
                "submit: standard input holds the commands here, so '-' cannot read jobs from it; give them as words";
            return refuse(options, place, misuse(why));
        }
        if words.iter().any(|word| word == "--single") {
            return refuse(options, place, misuse("submit: --single is for one job"));
        }
        let head: Vec<OsString> = words.iter().filter(|word| *word != "-" && *word != "--").cloned().collect();
        let mut view = View::new(options, Shape::Submission, place.map(ToString::to_string));
        let mut lines = Lines::default();
        loop {
            while !lines.is_enough() {
                if !self.wait_for_input()? {
                    return Ok(Status(Code::Interrupted.exit()));
                }
                if let Err(error) = lines.read() {
                    let error = Error::os("cannot read", "standard input", error);
                    return refuse(options, place, Refusal::new(Code::Failed, format!("submit: {error}")));
                }
            }
            let (args, is_last) = lines.take();
            if args.is_empty() && view.batch().is_none() {
                return refuse(
                    options,
                    place,
                    misuse("submit: standard input has no lines, so there is nothing to do"),
                );
            }
            let mut request = head.clone();
            request.extend(view.batch().map(|batch| format!("--batch={batch}").into()));
            if !is_last {
                request.push("--more".into());
            }
            request.push("--".into());
            request.extend(args);
            let status = self.converse(&request, false, &mut view)?;
            if is_last || status != Status::DONE {
                view.tell_of_submission()?;
                return Ok(status);
            }
        }
    }

    /// Waits until standard input can be read; false if somebody wants this to end.
    fn wait_for_input(&mut self) -> io::Result<bool> {
        let stdin = io::stdin();
        let [_, signals] = wait::wait([(stdin.as_fd(), Interest::Read), (self.signals_fd(), Interest::Read)], None)?;
        Ok(!(signals.any() && self.was_interrupted()))
    }
}

/// Lines that were read and not handed out.
#[derive(Debug, Default)]
struct Lines {
    held: Vec<u8>,
    /// How many lines `held` has that end.
    ends: usize,
    has_ended: bool,
}

impl Lines {
    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; CHUNK];
        let read = io::stdin().lock().read(&mut buffer)?;
        self.held.extend_from_slice(&buffer[..read]);
        self.ends += buffer[..read].iter().filter(|byte| **byte == b'\n').count();
        self.has_ended = read == 0;
        Ok(())
    }

    /// True if there is a request full of lines, with one to spare: a request that may be the last says that it is not.
    fn is_enough(&self) -> bool {
        self.has_ended || (self.ends > 1 && (self.held.len() > CHUNK || self.ends > LINES))
    }

    /// The lines of one request, and true if they are the last. One that is too long for any is alone in its own.
    fn take(&mut self) -> (Vec<OsString>, bool) {
        let mut lines: Vec<OsString> = Vec::new();
        let mut taken = 0;
        while lines.len() < LINES {
            let rest = &self.held[taken..];
            let length = match rest.iter().position(|byte| *byte == b'\n') {
                Some(at) => at,
                None if self.has_ended && !rest.is_empty() => rest.len(),
                None => break,
            };
            if !lines.is_empty() && taken + length > CHUNK {
                break;
            }
            lines.push(OsString::from_vec(rest[..length].to_vec()));
            taken = (taken + length + 1).min(self.held.len());
            self.ends = self.ends.saturating_sub(1);
        }
        self.held.drain(..taken);
        (lines, self.has_ended && self.held.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(Vec<OsString>, bool)> {
        let ends = text.iter().filter(|byte| **byte == b'\n').count();
        let mut lines = Lines { held: text.to_vec(), ends, has_ended: true };
        let mut requests = Vec::new();
        while requests.last().is_none_or(|(_, is_last)| !is_last) {
            requests.push(lines.take());
        }
        requests
    }

    #[test]
    fn lines_fill_requests_and_the_last_one_says_so() {
        assert_eq!(all(b""), [(vec![], true)]);
        assert_eq!(all(b"a\n\nb"), [(vec!["a".into(), "".into(), "b".into()], true)]);
        let requests = all("1234567\n".repeat(10_000).as_bytes());
        assert_eq!(requests.iter().map(|(lines, _)| lines.len()).sum::<usize>(), 10_000);
        assert!(requests.iter().all(|(lines, _)| lines.len() <= CHUNK / 8 + 1));
        assert_eq!(requests.iter().filter(|(_, is_last)| *is_last).count(), 1);
        assert_eq!(all("\n".repeat(LINES + 1).as_bytes()).len(), 2);
        let long = "x".repeat(3 * CHUNK);
        let requests = all(format!("a\n{long}\nb\n").as_bytes());
        assert_eq!(requests.iter().map(|(lines, _)| lines.len()).collect::<Vec<_>>(), [1, 1, 1]);
    }
}
