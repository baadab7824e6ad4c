//! How long something takes, step by step, in a log.

use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Measures steps, and writes a line for each: its time since the start in seconds, and what it was.
///
/// `W` is where the lines go: a file, standard error, or [`io::sink()`] for nowhere. To write to two, make one that does.
/// What cannot be written is left out: a full disk is no reason to stop what is measured.
///
/// ```
/// use ipcpipe::mp::Timer;
///
/// let mut log = Vec::new();
/// let mut timer = Timer::start(&mut log);
/// timer.step("data read");
/// timer.stop("finished");
/// let text = String::from_utf8(log).unwrap();
/// assert!(text.lines().nth(1).unwrap().ends_with(" s  finished"));
/// ```
#[derive(Debug)]
pub struct Timer<W: Write> {
    begun: Instant,
    stepped: Instant,
    log: W,
}

impl Timer<io::Sink> {
    /// Starts a timer that only measures.
    #[must_use]
    pub fn silent() -> Self {
        Self::start(io::sink())
    }
}

impl<W: Write> Timer<W> {
    /// Starts now.
    pub fn start(log: W) -> Self {
        let now = Instant::now();
        Self { begun: now, stepped: now, log }
    }

    /// Ends a step: how long it took since the one before, or since the start.
    pub fn step(&mut self, what: &str) -> Duration {
        let now = Instant::now();
        let took = now - self.stepped;
        self.stepped = now;
        let _ = writeln!(self.log, "{:10.6} s  {what}", (now - self.begun).as_secs_f64());
        took
    }

    /// Ends it: how long all of it took.
    pub fn stop(mut self, what: &str) -> Duration {
        self.step(what);
        let _ = self.log.flush();
        self.stepped - self.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b31_steps_are_logged_with_the_time_since_the_start() {
        let mut log = Vec::new();
        let mut timer = Timer::start(&mut log);
        let first = timer.step("one");
        let all = timer.stop("two");
        assert!(all >= first);
        let text = String::from_utf8(log).unwrap();
        let times: Vec<f64> =
            text.lines().map(|line| line.trim_start().split(' ').next().unwrap().parse().unwrap()).collect();
        assert!(text.contains(" s  one\n") && text.ends_with(" s  two\n") && times[0] <= times[1], "{text}");
        assert_eq!(Timer::silent().stop("").as_secs(), 0);
    }
}
