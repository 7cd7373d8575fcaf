//! Remembers device signatures for as long as they could be used again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use portcullis_filters::identity::DeviceProblem;
use sha2::{Digest as _, Sha256};

/// How far the client's clock may be off, in seconds, either way.
const WINDOW: i64 = 30;
/// The most signatures that are remembered: a minute of a thousand requests a second.
const MAX_REMEMBERED: usize = 65_536;

/// The signatures that were used.
pub(super) struct Devices {
    /// Signatures made before the gate started could have been used before it started.
    since: i64,
    used: Mutex<HashMap<[u8; 32], i64>>,
}

impl Devices {
    /// Begins to remember at this Unix second.
    pub(super) fn new(since: i64) -> Self {
        Self { since, used: Mutex::default() }
    }

    /// Whether a signature of this time can be taken now.
    pub(super) fn check_time(&self, ts: i64, now: i64) -> Result<(), DeviceProblem> {
        let fresh = ts > self.since && now.abs_diff(ts) <= WINDOW.unsigned_abs();
        if fresh { Ok(()) } else { Err(DeviceProblem::Stale) }
    }

    /// Takes a signature, once. The signature is what is remembered, not the whole header: base64 could
    /// be written in two ways, but only one of them decodes.
    pub(super) fn take_once(&self, proof: &str, ts: i64, now: i64) -> Result<(), DeviceProblem> {
        let digest: [u8; 32] = Sha256::digest(proof.as_bytes()).into();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MAX_REMEMBERED {
            used.retain(|_, ts| now.saturating_sub(*ts) <= WINDOW);
            if used.len() >= MAX_REMEMBERED {
                return Err(DeviceProblem::Overloaded);
            }
        }
        if used.insert(digest, ts).is_some() { Err(DeviceProblem::Replayed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_once_and_for_a_short_time() {
        let devices = Devices::new(1000);
        for (ts, now, fine) in [
            (1001, 1001, true),
            (1001, 1031, true),
            (1001, 1032, false),
            (1050, 1020, true),
            (1051, 1020, false),
            (1000, 1001, false),
            (i64::MAX, 1001, false),
            (i64::MIN, 1001, false),
        ] {
            assert_eq!(devices.check_time(ts, now).is_ok(), fine, "{ts} at {now}");
        }
        assert_eq!(devices.take_once("a", 1001, 1001), Ok(()));
        assert_eq!(devices.take_once("a", 1001, 1001), Err(DeviceProblem::Replayed));
        assert_eq!(devices.take_once("b", 1001, 1001), Ok(()));
    }

    #[test]
    fn when_too_many_are_remembered_nothing_is_taken() {
        let devices = Devices::new(0);
        for n in 0..MAX_REMEMBERED {
            assert_eq!(devices.take_once(&n.to_string(), 100, 100), Ok(()));
        }
        assert_eq!(devices.take_once("new", 100, 100), Err(DeviceProblem::Overloaded));
        assert_eq!(devices.take_once("new", 131, 131), Ok(()), "the old ones are of no use any more");
    }
}
