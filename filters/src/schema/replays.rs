//! Which nonces were answered already, for each caller and server.
//!
//! A nonce is used up by an answer that holds, so that a caller may ask again with the one whose answer was refused.
//! What is remembered is bounded; that a request itself is used once is what signatures are for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

/// Callers that are remembered, and the nonces of each.
const MOST: (usize, usize) = (1_024, 4_096);

/// The nonces that were answered.
#[derive(Debug, Default)]
pub struct Answered(Mutex<Callers>);

#[derive(Debug, Default)]
struct Callers {
    known: HashMap<[u8; 32], Nonces>,
    order: VecDeque<[u8; 32]>,
}

#[derive(Debug, Default)]
struct Nonces {
    known: HashSet<[u8; 16]>,
    order: VecDeque<[u8; 16]>,
}

impl Answered {
    /// Whether this server answered this caller's nonce before.
    pub(super) fn knows(&self, server: &str, caller: &str, nonce: &str) -> bool {
        let callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (pair, key) = (pair(server, caller), key(nonce));
        callers.known.get(&pair).is_some_and(|nonces| nonces.known.contains(&key))
    }

    /// Whether this is the first answer of this server to this caller's nonce. It is one from now on.
    pub(super) fn first(&self, server: &str, caller: &str, nonce: &str) -> bool {
        let (pair, key) = (pair(server, caller), key(nonce));
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = &mut *callers;
        if !callers.known.contains_key(&pair) {
            callers.order.push_back(pair);
            if callers.order.len() > MOST.0
                && let Some(oldest) = callers.order.pop_front()
            {
                callers.known.remove(&oldest);
            }
        }
        let nonces = callers.known.entry(pair).or_default();
        if !nonces.known.insert(key) {
            return false;
        }
        nonces.order.push_back(key);
        if nonces.order.len() > MOST.1
            && let Some(oldest) = nonces.order.pop_front()
        {
            nonces.known.remove(&oldest);
        }
        true
    }
}

fn pair(server: &str, caller: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [server, caller] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().into()
}

fn key(nonce: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key.iter_mut().zip(Sha256::digest(nonce.as_bytes())).for_each(|(to, from)| *to = from);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_answered_once_for_each_caller_and_server() {
        let answered = Answered::default();
        assert!(answered.first("one", "a", "n"));
        assert!(!answered.first("one", "a", "n"));
        assert!(answered.first("one", "b", "n") && answered.first("two", "a", "n"));
        assert!(answered.first("on", "ea", "n"), "what stands where counts");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let answered = Answered::default();
        for number in 0..=MOST.1 {
            assert!(answered.first("one", "a", &number.to_string()));
        }
        assert!(answered.first("one", "a", "0"), "the oldest is forgotten");
        assert!(!answered.first("one", "a", &MOST.1.to_string()));
        for number in 0..=MOST.0 {
            assert!(answered.first("one", &format!("caller {number}"), "n"));
        }
        let callers = answered.0.lock().unwrap();
        assert_eq!((callers.known.len(), callers.order.len()), (MOST.0, MOST.0));
    }
}
