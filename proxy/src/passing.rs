//! Nonces in memory, until the embedded store takes their place.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use portcullis_filters::store::{Claim, Claimed, Nonces, Unavailable, WallClock};

#[derive(Default)]
pub(crate) struct Passing(Mutex<HashSet<(String, Vec<u8>)>>);

#[async_trait]
impl Nonces for Passing {
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, Unavailable> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = used.insert((claim.node.to_owned(), claim.nonce.to_vec()));
        Ok(if fresh { Claimed::Fresh } else { Claimed::Replayed })
    }
}

pub(crate) struct System;

impl WallClock for System {
    fn now_ms(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond()
    }
}
