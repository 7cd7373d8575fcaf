//! Those who knocked and are not on disk yet.

use std::collections::HashMap;

use portcullis_policies::Identity;

use super::crowd;
use super::document::{Document, MAX_PENDING};
use super::entry::{Entry, rfc3339};
use crate::peer::printable;

/// Strangers since the last write, at most [`MAX_PENDING`].
#[derive(Clone, Default)]
pub(super) struct Strangers {
    knocks: HashMap<String, Knock>,
    /// Counts all knocks: seconds are too coarse to say who came last in a flood.
    turn: u64,
}

#[derive(Clone)]
struct Knock {
    fingerprint: String,
    presented_name: Option<String>,
    address: String,
    client: String,
    count: u64,
    /// Unix seconds.
    first: i64,
    /// Unix seconds.
    last: i64,
    turn: u64,
}

impl Strangers {
    /// Notes a knock at this Unix second; the one who has been silent the longest makes room. What is
    /// no identity is not noted: it could not be read back from the file.
    pub(super) fn note(
        &mut self,
        id: &str,
        fingerprint: &str,
        presented_name: Option<&str>,
        address: &str,
        client: &str,
        now: i64,
    ) {
        self.turn += 1;
        if let Some(knock) = self.knocks.get_mut(id) {
            knock.count = knock.count.saturating_add(1);
            knock.last = now;
            knock.turn = self.turn;
            knock.address = printable(address);
            knock.client = printable(client);
            return;
        }
        if Identity::parse(id).is_err() {
            return;
        }
        if self.knocks.len() >= MAX_PENDING {
            let mut waiting: Vec<_> = self.knocks.iter().collect();
            waiting.sort_by_key(|(_, knock)| knock.turn);
            let out = crowd::first_to_go(waiting.into_iter().map(|(id, knock)| (id.clone(), knock.address.clone())));
            out.and_then(|id| self.knocks.remove(&id));
        }
        let knock = Knock {
            fingerprint: printable(fingerprint),
            presented_name: presented_name.map(printable).filter(|name| !name.is_empty()),
            address: printable(address),
            client: printable(client),
            count: 1,
            first: now,
            last: now,
            turn: self.turn,
        };
        self.knocks.insert(id.to_owned(), knock);
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.knocks.contains_key(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.knocks.is_empty()
    }

    /// Brings them into a document, in the order in which they came, and keeps its bound.
    pub(super) fn merge_into(&self, document: &mut Document) {
        let positions: HashMap<_, _> = document.peers.iter().enumerate().map(|(i, p)| (p.id.clone(), i)).collect();
        let mut knocks: Vec<_> = self.knocks.iter().collect();
        knocks.sort_by_key(|(_, knock)| knock.turn);
        for (id, knock) in knocks {
            match positions.get(id).and_then(|position| document.peers.get_mut(*position)) {
                Some(entry) => {
                    entry.count = entry.count.saturating_add(knock.count);
                    entry.last_seen = rfc3339(knock.last);
                    entry.address.clone_from(&knock.address);
                    entry.client.clone_from(&knock.client);
                }
                None => document.peers.push(Entry {
                    presented_name: knock.presented_name.clone(),
                    last_seen: rfc3339(knock.last),
                    address: knock.address.clone(),
                    client: knock.client.clone(),
                    count: knock.count,
                    ..Entry::new(id, &knock.fingerprint, knock.first)
                }),
            }
        }
        document.bound_pending();
    }

    /// Forgets what was written, and keeps what came since.
    pub(super) fn settle(&mut self, written: &Self) {
        self.knocks.retain(|id, knock| {
            let Some(old) = written.knocks.get(id) else {
                return true;
            };
            knock.count = knock.count.saturating_sub(old.count);
            knock.turn != old.turn
        });
    }
}
