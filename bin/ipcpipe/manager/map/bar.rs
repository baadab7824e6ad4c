//! The progress bar, which the loop draws now and then.

use std::env;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ipcpipe::jobs::Statistics;

use crate::manager::grammar;

/// What is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_millis(500);
/// Time from one look at it to the next.
const TICK: Duration = Duration::from_millis(100);
/// The bar is drawn at most so many times a second.
const HERTZ: u8 = 10;

/// A bar that comes if somebody can see it.
#[derive(Debug)]
pub(super) struct Bar {
    next: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(super) fn new(wanted: grammar::Bar) -> Self {
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let seen = wanted == grammar::Bar::Auto && !dumb && io::stderr().is_terminal();
        Self { next: if seen { Instant::now().checked_add(PATIENCE) } else { None }, bar: None }
    }

    /// When to draw it again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Draws it if it is time: so many jobs are over, of `total` if that is known.
    pub(super) fn draw(&mut self, now: Instant, over: Statistics, running: usize, total: Option<u64>) {
        if self.next.is_none_or(|at| at > now) {
            return;
        }
        self.next = now.checked_add(TICK);
        let bar = self.bar.get_or_insert_with(|| bar(total));
        bar.set_position(over.over());
        let failed = if over.failed > 0 { format!(", {} failed", over.failed) } else { String::new() };
        bar.set_message(format!("{running} running{failed}"));
        bar.tick();
    }

    /// Takes the bar away while `action` writes.
    pub(super) fn suspend<T>(&self, action: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(action),
            None => action(),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:40} {pos} of {len} jobs, {msg}  {eta} left",
        None => "{pos} jobs, {msg}  {elapsed}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(HERTZ)).with_style(style)
}
