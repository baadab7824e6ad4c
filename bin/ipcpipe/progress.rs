//! A progress bar on stderr. It is drawn by whoever calls [`Progress::update`], never by a thread of its own, and a
//! stderr that nobody reads any more does not disturb it.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle, TermLike};

use crate::args::When;
use crate::config::Config;

/// The bar is drawn at most so many times a second.
const HERTZ: u8 = 10;

/// The bar counts thousandths of the way.
const WHOLE: u64 = 1000;

/// The bar's columns where there is no terminal to ask for its width.
const COLUMNS: u16 = 80;

/// A bar that fills until the count or the duration of a run is reached, whichever is nearer.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    count: Option<u64>,
    duration: Option<Duration>,
}

impl Progress {
    /// A bar for a run that starts now, if one is wanted.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let &Config { count, duration, ref output, .. } = config;
        let known_end = count.is_some() || duration.is_some();
        let surroundings = Surroundings::look(output.quiet);
        surroundings.want_a_bar(output.progress, known_end).then(|| Self {
            bar: bar(known_end, surroundings.terminal),
            started: Instant::now(),
            count,
            duration,
        })
    }

    /// Shows that so many samples were produced so far.
    pub(crate) fn update(&self, produced: u64) {
        let message = match self.count {
            Some(count) => format!("{produced} of {count} samples"),
            None => format!("{produced} samples"),
        };
        self.bar.set_message(message);
        self.bar.set_position(permille(self.done(produced)));
    }

    /// Prints a line above the bar.
    pub(crate) fn println(&self, line: &str) {
        self.bar.suspend(|| crate::say(&format!("{line}\n")));
    }

    /// Takes the bar off the screen. Dropping it does the same.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }

    /// The part of the way behind us, from 0 to 1.
    fn done(&self, produced: u64) -> f64 {
        let counted = self.count.map(|count| produced as f64 / count as f64);
        let passed = self.duration.map(|duration| self.started.elapsed().as_secs_f64() / duration.as_secs_f64());
        counted.into_iter().chain(passed).fold(0.0, f64::max)
    }
}

fn permille(part: f64) -> u64 {
    ((part * WHOLE as f64) as u64).min(WHOLE)
}

fn bar(known_end: bool, terminal: bool) -> ProgressBar {
    let target = match terminal {
        true => ProgressDrawTarget::stderr_with_hz(HERTZ),
        false => ProgressDrawTarget::term_like_with_hz(Box::new(Paper), HERTZ),
    };
    let template = if known_end { "{bar:40} {percent:>3}%  {msg}  {eta} left" } else { "{msg}  {elapsed}" };
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    let length = known_end.then_some(WHOLE);
    ProgressBar::with_draw_target(length, target).with_style(style).with_finish(ProgressFinish::AndClear)
}

/// What decides whether a bar can be seen and does no harm.
#[derive(Clone, Copy, Debug)]
struct Surroundings {
    /// stderr is a terminal that moves its cursor when told.
    terminal: bool,
    /// report prints states to a terminal, which would tear the bar.
    shared: bool,
}

impl Surroundings {
    fn look(quiet: bool) -> Self {
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { terminal: io::stderr().is_terminal() && !dumb, shared: io::stdout().is_terminal() && !quiet }
    }

    fn want_a_bar(self, when: When, known_end: bool) -> bool {
        match when {
            When::Auto => self.terminal && !self.shared && known_end,
            When::Always => true,
            When::Never => false,
        }
    }
}

/// stderr when it is no terminal but `--progress always` wants the bar in it: escape sequences and all.
#[derive(Debug)]
struct Paper;

impl Paper {
    /// Moves the cursor. Terminals take a distance of 0 for 1, so that is not sent.
    fn step(&self, distance: usize, direction: char) -> io::Result<()> {
        if distance == 0 { Ok(()) } else { self.write_str(&format!("\x1b[{distance}{direction}")) }
    }
}

impl TermLike for Paper {
    fn width(&self) -> u16 {
        COLUMNS
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.step(lines, 'A')
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.step(lines, 'B')
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.step(columns, 'C')
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.step(columns, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(&format!("{line}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        io::stderr().write_all(text.as_bytes())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write_str("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(count: Option<u64>, duration: Option<Duration>) -> Progress {
        Progress { bar: ProgressBar::hidden(), started: Instant::now(), count, duration }
    }

    #[test]
    fn auto_wants_a_free_terminal_and_a_known_end() {
        let free = Surroundings { terminal: true, shared: false };
        assert!(free.want_a_bar(When::Auto, true));
        assert!(!free.want_a_bar(When::Auto, false));
        assert!(!free.want_a_bar(When::Never, true));
        assert!(!Surroundings { shared: true, ..free }.want_a_bar(When::Auto, true));
        assert!(!Surroundings { terminal: false, ..free }.want_a_bar(When::Auto, true));
        assert!(Surroundings { terminal: false, shared: true }.want_a_bar(When::Always, false));
    }

    #[test]
    fn the_nearer_end_counts_and_the_bar_never_overflows() {
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(permille(progress(Some(4), hour).done(3)), 750);
        assert_eq!(permille(progress(Some(4), None).done(9)), 1000);
        assert_eq!(permille(progress(Some(0), None).done(0)), 0);
        assert_eq!(permille(progress(Some(4), Some(Duration::ZERO)).done(0)), 1000);
        assert_eq!(permille(progress(None, None).done(7)), 0);
    }

    #[test]
    fn a_hidden_bar_takes_every_call() {
        let progress = progress(Some(4), None);
        progress.update(2);
        progress.finish();
    }
}
