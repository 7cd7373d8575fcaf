//! The monotonic clock, the one with which the stub stamps its tokens.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some fixed moment, the same for all processes of the machine.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
