//! The trust store as readers see it: immutable, and found by identity or by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::document::{Document, VERSION};
use super::entry::{Entry, State};
use crate::ledger::Stamp;

/// One version of the file.
pub(super) struct Snapshot {
    by_id: HashMap<String, Entry>,
    /// In lower case, with the name as it is written.
    approved_names: HashMap<String, Arc<str>>,
    stamp: Option<Stamp>,
}

impl Snapshot {
    pub(super) fn of(document: Document, stamp: Option<Stamp>) -> Self {
        let approved = document.peers.iter().filter(|e| e.state == State::Approved);
        let names = approved.filter_map(|e| e.name.as_ref());
        Self {
            approved_names: names.map(|n| (n.to_ascii_lowercase(), Arc::clone(n))).collect(),
            by_id: document.peers.into_iter().map(|e| (e.id.clone(), e)).collect(),
            stamp,
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id)
    }

    /// The approved peer's name that this one is, whatever its case.
    pub(super) fn approved_name(&self, name: &str) -> Option<Arc<str>> {
        self.approved_names.get(&name.to_ascii_lowercase()).cloned()
    }

    pub(super) fn count(&self, state: State) -> usize {
        self.by_id.values().filter(|e| e.state == state).count()
    }

    pub(super) fn document(&self) -> Document {
        Document { version: VERSION, peers: self.by_id.values().cloned().collect() }
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }
}
