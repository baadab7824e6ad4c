//! Who holds something that others wait for: a process, told from all that ever had its pid.

use std::sync::OnceLock;

use crate::sys::proc;

/// A process: its pid, and when it started, because a pid is given to another process one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
}

impl Holder {
    /// This process. Without /proc it has the pid 0, and nobody will find out that it has died.
    pub(crate) fn this() -> Self {
        static THIS: OnceLock<Holder> = OnceLock::new();
        *THIS.get_or_init(|| {
            let stat = proc::stat(std::process::id());
            stat.map_or(Self { pid: 0, start_ticks: 0 }, |stat| Self { pid: stat.pid, start_ticks: stat.start_ticks })
        })
    }

    /// True if it has ended; a zombie has. Reads /proc.
    pub(crate) fn is_dead(self) -> bool {
        let is_it = |stat: proc::Stat| stat.start_ticks == self.start_ticks && !stat.is_zombie();
        self.pid != 0 && !proc::stat(self.pid).is_some_and(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_and_one_that_had_its_pid_before_is_dead() {
        let this = Holder::this();
        assert!(!this.is_dead());
        assert!(Holder { start_ticks: this.start_ticks - 1, ..this }.is_dead());
        assert!(Holder { pid: u32::MAX, start_ticks: 1 }.is_dead());
        assert!(!Holder { pid: 0, start_ticks: 0 }.is_dead());
    }
}
