//! The clocks of the machine, as nanoseconds.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC in nanoseconds: the same count in every process of the machine, so a difference
/// between a sender's and a receiver's reading is a latency.
#[must_use]
pub fn now_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME minus CLOCK_MONOTONIC in nanoseconds: turns a monotonic stamp into a date.
#[must_use]
pub fn realtime_offset_ns() -> u64 {
    read(ClockId::CLOCK_REALTIME).saturating_sub(now_ns())
}

/// CPU time that thread `tid` of this process has used so far, to the nanosecond. None when there is no such thread.
#[must_use]
pub fn thread_cpu(tid: u32) -> Option<Duration> {
    // A thread's clock has its number in it (clock_getcpuclockid(3)): inverted, above the bits for "thread" (4) and
    // "as the scheduler counts" (2).
    let id = ClockId::from_raw((!i32::try_from(tid).ok()? << 3) | 4 | 2);
    clock_gettime(id).ok().map(Duration::from)
}

/// CPU time that the calling thread has used so far, in nanoseconds.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// CLOCK_REALTIME in nanoseconds since the epoch: a date, which may jump.
#[must_use]
pub fn realtime_ns() -> u64 {
    read(ClockId::CLOCK_REALTIME)
}

/// Both clocks exist on every Linux kernel; a failed read would mean a broken vDSO, and reads as 0.
fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_clock_of_a_thread_runs_while_it_works() {
        let tid = crate::sys::process::thread_id();
        let before = thread_cpu(tid).unwrap();
        let deadline = now_ns() + 10_000_000_000;
        while thread_cpu(tid).unwrap() < before + Duration::from_millis(2) {
            assert!(now_ns() < deadline);
        }
        assert_eq!(thread_cpu(u32::MAX), None);
    }
}
