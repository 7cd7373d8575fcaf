//! Shared state behind small traits: what must be known beyond one exchange, in this process or in a
//! store that several gates share.
//!
//! An error has one meaning everywhere: it cannot be told, so the answer is no.

use std::time::Duration;

use async_trait::async_trait;

use crate::verdict::{Code, Refusal};

/// A nonce that somebody wants to use, once.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'c> {
    /// Who signed: the same nonce of two nodes is two nonces.
    pub node: &'c str,
    /// What is good once.
    pub nonce: &'c [u8],
    /// When the signer says it was made, in Unix milliseconds; inside the window by `now`.
    pub created_ms: i64,
    /// What time it is, in Unix milliseconds.
    pub now_ms: i64,
    /// How far `created_ms` may be from `now_ms`, either way.
    pub window: Duration,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It was made so long ago that whether it was used is forgotten. Refused.
    Forgotten,
    /// It was never used, and is used up now, also for whoever asks after a crash.
    Fresh,
    /// It was used before.
    Replayed,
}

/// Whether a nonce was used cannot be told, or not be written down: it counts as used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unavailable {
    /// For the operator; holds nothing of a request.
    pub why: String,
    /// After which time it may be told again, where that is known.
    pub retry_after: Option<Duration>,
}

impl Unavailable {
    /// Something is wrong, and nobody knows how long.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after: None }
    }

    /// The refusal of a signature by this filter: it may have been used already.
    pub(crate) fn refuse(self, filter: &'static str) -> Refusal {
        let seconds = self.retry_after.map_or(1, |after| after.as_millis().div_ceil(1000)).max(1);
        let message = format!(
            "whether this signature was used before cannot be told at the moment; try again in {seconds} s, signed anew"
        );
        Refusal::new(filter, Code::StoreUnavailable, message)
            .with_detail(self.why)
            .with_retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

/// Remembers nonces for as long as they could be used again, and longer than any crash of the process.
///
/// It never forgets one to make room. What it forgets, it forgets by time, oldest first, and says
/// [`Claimed::Forgotten`] to everything that is not younger than what it forgot: so that no clock,
/// however it jumps, lets a nonce in twice.
#[async_trait]
pub trait Nonces: Send + Sync + 'static {
    /// Uses a nonce up. Of any number of claims at once, by any number of gates that share the store,
    /// at most one is [`Claimed::Fresh`].
    ///
    /// # Errors
    /// When it cannot be told. The nonce may or may not be used up then: the caller signs anew.
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, Unavailable>;
}

/// The time of day, as far as this process knows.
pub trait WallClock: Send + Sync + 'static {
    /// Unix milliseconds. Called for every signed request: cheap.
    fn now_ms(&self) -> i64;
}
