//! The output of a process, from its pipes into memory and its file.

use std::fs::File;
use std::io::{ErrorKind, Read};

use super::{Process, Source};
use crate::manager::command::Kind;
use crate::manager::context::{Context, Subject};
use crate::manager::protocol::{Level, Stream};
use crate::sys::clock;

/// What is read at once from one pipe: the size of a pipe, so that one loud process does not keep the manager from the
/// others.
const CHUNK: usize = 64 * 1024;

/// What a step or a drain takes from one pipe at most; a process that outlives its manager's patience writes on for ever.
const DRAIN: usize = 16;

impl Process {
    pub(super) fn read_pipes(&mut self, cx: &mut Context<'_>, ready: &[Source]) {
        let mut closed = Vec::new();
        let pipes = self.run.as_ref().map_or(0, |run| run.pipes.len());
        for at in (0..pipes).filter(|at| ready.contains(&Source::Pipe(*at))) {
            let Some((stream, pipe)) = self.run.as_ref().and_then(|run| run.pipes.get(at)) else { break };
            let stream = *stream;
            let mut chunk = vec![0; CHUNK];
            match read(pipe, &mut chunk) {
                Some(0) => {
                    self.output.end(stream, clock::realtime_ns());
                    closed.push(stream);
                }
                Some(n) => self.take(cx, stream, &chunk[..n]),
                None => {}
            }
        }
        if let Some(run) = &mut self.run {
            run.pipes.retain(|(stream, _)| !closed.contains(stream));
        }
    }

    /// Takes what the pipes still hold when the leader has ended; descendants may hold them open and go on.
    pub(super) fn drain_pipes(&mut self, cx: &mut Context<'_>) {
        for _ in 0..DRAIN {
            let places = self.run.as_ref().map_or(0, |run| run.pipes.len());
            let all: Vec<Source> = (0..places).map(Source::Pipe).collect();
            self.read_pipes(cx, &all);
        }
    }

    fn take(&mut self, cx: &mut Context<'_>, stream: Stream, bytes: &[u8]) {
        self.output.push(stream, bytes, clock::realtime_ns());
        let written = self.log_file.as_mut().map_or(Ok(()), |file| file.write(bytes));
        if let Err(error) = written {
            let subject = Subject { kind: Kind::Process, name: self.spec.name.as_str(), pid: self.pid() };
            cx.tell(Level::Error, "log-failed", subject, &error.to_string());
        }
    }
}

/// Reads without blocking: 0 at the end, or on an error that will not go away; None if there is nothing now.
fn read(mut pipe: &File, chunk: &mut [u8]) -> Option<usize> {
    match pipe.read(chunk) {
        Ok(n) => Some(n),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
        Err(_) => Some(0),
    }
}
