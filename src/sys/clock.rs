//! The clocks of the machine, as nanoseconds.

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

/// Both clocks exist on every Linux kernel; a failed read would mean a broken vDSO, and reads as 0.
fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// CLOCK_REALTIME in nanoseconds since the epoch: a date, which may jump.
#[must_use]
pub fn realtime_ns() -> u64 {
    read(ClockId::CLOCK_REALTIME)
}
