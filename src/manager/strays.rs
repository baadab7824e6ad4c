//! Children that nobody asked for: what lost its parent comes to the manager, its subreaper.

use crate::manager::supervisor::Manager;
use crate::sys::{child, handle};

impl Manager {
    /// Reaps children that nobody holds: processes of a tree that lost their parents and came to this manager, its
    /// subreaper. Leaders, and what pools have started, are left to those who want their status.
    pub(super) fn reap_strays(&mut self) {
        while std::mem::take(&mut self.unreaped) {
            match handle::next_dead() {
                Some(pid) if self.leaders.contains(&pid) || child::is_held(pid) != Some(false) => {
                    // Whoever holds it is awake, and until it is reaped it hides what is behind it.
                    self.busy = true;
                    self.unreaped = true;
                    return;
                }
                Some(pid) => {
                    handle::reap(pid);
                    self.unreaped = true;
                }
                None => {}
            }
        }
    }
}
