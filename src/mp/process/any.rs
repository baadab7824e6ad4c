//! Waiting for whichever process ends first.

use std::time::{Duration, Instant};

use crate::mp::Process;
use crate::sys::wait;

/// Waits until one of `processes` has ended, at most `timeout` long (None: for ever): its place. None if the time is over,
/// or there are no processes. Of several that have ended it is the first.
pub fn wait_any<'a, R: 'a>(
    processes: impl IntoIterator<Item = &'a mut Process<R>>,
    timeout: Option<Duration>,
) -> Option<usize> {
    let mut processes: Vec<_> = processes.into_iter().collect();
    let deadline = timeout.and_then(wait::deadline_in);
    loop {
        if let Some(place) = processes.iter().position(|it| !it.is_alive()) {
            return Some(place);
        }
        let is_late = timeout.is_some() && deadline.is_some_and(|at| at <= Instant::now());
        if is_late || processes.is_empty() {
            return None;
        }
        let fds: Vec<_> = processes.iter_mut().flat_map(|it| it.news()).collect();
        wait::wait_many(&fds, deadline).ok()?;
    }
}
