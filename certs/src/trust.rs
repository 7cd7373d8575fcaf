//! Whom a person decided to trust: one file, shared by the command line and the running gate.
//!
//! `<state>/trust.json` is written whole or not at all, under an advisory lock, and every change
//! starts from the file as it is then, so that two writers lose nothing of each other's. Readers look
//! at an immutable snapshot without a lock. Strangers who knock are kept up to a bound; what a person
//! decided is never pushed out.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use portcullis_policies::Identity;

mod crowd;
mod document;
mod entry;
mod error;
mod select;
mod snapshot;
mod strangers;
#[cfg(test)]
mod tests;

pub use crowd::network;
pub use document::{MAX_PENDING, is_name};
pub use entry::{Entry, State};
pub use error::{NameError, TrustError};
pub use select::SelectError;

use document::{Document, Known};

use crate::ledger::{LedgerFile, Stamp};

use snapshot::Snapshot;
use strangers::Strangers;

/// The trust store of one node.
pub struct TrustStore {
    file: LedgerFile,
    /// What the file said when it was last read or written, for readers.
    snapshot: ArcSwap<Snapshot>,
    /// Those who knocked since the last write, to be merged into the file.
    strangers: Mutex<Strangers>,
    /// Keeps this process's changes and reloads in order: an older file never replaces a newer one.
    order: Mutex<()>,
}

/// What was decided about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A person said yes.
    Approved {
        /// The operator's label.
        name: Option<Arc<str>>,
        /// The profile that it came in with.
        profile: Option<Arc<str>>,
    },
    /// It claims the name of an approved peer whose key is another.
    KeyChanged {
        /// That name.
        name: Arc<str>,
    },
    /// Seen before, not decided.
    Pending,
    /// A person said no, or took a yes back.
    Revoked,
    /// Never seen.
    Unknown,
}

impl TrustStore {
    /// Opens the store of this state directory; one that does not exist yet is empty.
    ///
    /// # Errors
    /// When the file is there and cannot be read: nobody is trusted by accident, and nobody is
    /// forgotten by accident either.
    pub fn open(state: &Path) -> Result<Self, TrustError> {
        let file = LedgerFile::at(&state.join("trust.json"));
        let (document, stamp) = read(&file)?;
        Ok(Self {
            snapshot: ArcSwap::from_pointee(Snapshot::of(document, stamp)),
            file,
            strangers: Mutex::default(),
            order: Mutex::default(),
        })
    }

    /// What was decided about this identity. For everybody in the file without a lock, I/O or
    /// allocation.
    #[must_use]
    pub fn standing(&self, id: &str) -> Standing {
        self.standing_named(id, None)
    }

    /// As [`standing`](Self::standing), and notices when a key that is not decided claims the name of
    /// an approved peer.
    #[must_use]
    pub fn standing_named(&self, id: &str, presented_name: Option<&str>) -> Standing {
        let snapshot = self.snapshot.load();
        let known = snapshot.find(id);
        match known.map(|entry| (entry.state, entry)) {
            Some((State::Approved, entry)) => {
                return Standing::Approved { name: entry.name.clone(), profile: entry.profile.clone() };
            }
            Some((State::Revoked | State::Blocked, _)) => return Standing::Revoked,
            Some((State::Pending, _)) | None => {}
        }
        if let Some(name) = presented_name.and_then(|name| snapshot.approved_name(name)) {
            return Standing::KeyChanged { name };
        }
        if known.is_some() || self.strangers().contains(id) { Standing::Pending } else { Standing::Unknown }
    }

    /// Notes a stranger in memory, at once pending in this process. Returns whether the file knows it
    /// already; if not, a [`flush`](Self::flush) brings it there. What the stranger says of itself is
    /// kept in printable ASCII, at most 64 characters each. Never waits for the disk.
    pub fn note_pending(
        &self,
        id: &str,
        fingerprint: &str,
        presented_name: Option<&str>,
        address: &str,
        client: &str,
    ) -> bool {
        self.strangers().note(id, fingerprint, presented_name, address, client, now());
        self.snapshot.load().find(id).is_some()
    }

    /// Writes the strangers that were noted, if there are any.
    ///
    /// # Errors
    /// When the file cannot be written; they are kept for the next try.
    pub fn flush(&self) -> Result<(), TrustError> {
        if self.strangers().is_empty() {
            return Ok(());
        }
        self.change(|_| Ok(()))
    }

    /// Takes in the file if another process changed it. Returns whether it did.
    ///
    /// # Errors
    /// When it is damaged; the last good state stays in force.
    pub fn reload_if_changed(&self) -> Result<bool, TrustError> {
        let _ordered = lock(&self.order);
        if self.file.stamp()? == self.snapshot.load().stamp() {
            return Ok(false);
        }
        let (document, stamp) = read(&self.file)?;
        self.snapshot.store(Arc::new(Snapshot::of(document, stamp)));
        Ok(true)
    }

    /// Trusts a peer, under this name and with this profile if they are given. `selector` is an identity, a name, or 8 or more
    /// hex digits of the fingerprint's beginning.
    ///
    /// # Errors
    /// When nobody or more than one is meant, or the name is taken.
    pub fn approve(&self, selector: &str, name: Option<&str>, profile: Option<&str>) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = select::one(&document.peers, selector)?;
            let entry = document.decide(position, State::Approved, name, now())?;
            match profile {
                None => Ok(entry),
                Some(profile) => document.give_profile(position, profile),
            }
        })
    }

    /// Trusts a caller that came with an invitation. One that was decided about before is not decided
    /// about again.
    ///
    /// # Errors
    /// When it was decided about, or the file cannot be written.
    pub fn enroll(
        &self,
        id: &str,
        fingerprint: &str,
        claimed_name: Option<&str>,
        name: Option<&str>,
        profile: Option<&str>,
    ) -> Result<Entry, TrustError> {
        self.change(|document| document.enroll(&Known { id, fingerprint, claimed_name }, name, profile, now()))
    }

    /// Forgets a peer that is pending; it may knock again.
    ///
    /// # Errors
    /// When nobody or more than one is meant, or it was decided about.
    pub fn dismiss(&self, selector: &str) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = select::one(&document.peers, selector)?;
            document.dismiss(position)
        })
    }

    /// Takes the trust in a peer back, or refuses one that is pending.
    ///
    /// # Errors
    /// When nobody or more than one is meant.
    pub fn revoke(&self, selector: &str) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = select::one(&document.peers, selector)?;
            document.decide(position, State::Revoked, None, now())
        })
    }

    /// Refuses somebody for good: as [`revoke`](Self::revoke), and never to be asked about again. Also an
    /// identity that this store has never seen, because somebody else vouches for it: a SPIFFE ID, the
    /// subject of an identity provider.
    ///
    /// # Errors
    /// When more than one is meant, or nobody and it is no identity.
    pub fn block(&self, selector: &str) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = match select::one(&document.peers, selector) {
                Err(SelectError::Nobody(nobody)) => {
                    let identity = Identity::parse(selector).ok().filter(|_| selector.contains(':'));
                    let identity = identity.ok_or(SelectError::Nobody(nobody))?;
                    let print = crate::fingerprint::implied(&identity).unwrap_or_default();
                    document.peers.push(Entry::new(selector, &print, now()));
                    document.peers.len() - 1
                }
                found => found?,
            };
            document.decide(position, State::Blocked, None, now())
        })
    }

    /// Gives a peer a name.
    ///
    /// # Errors
    /// When nobody or more than one is meant, or the name is taken.
    pub fn rename(&self, selector: &str, name: &str) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = select::one(&document.peers, selector)?;
            document.name(position, name)
        })
    }

    /// Trusts a key beforehand, before it was ever seen.
    ///
    /// # Errors
    /// When the identity is none, the fingerprint is not its own, the name is taken, or the file
    /// cannot be written.
    pub fn add(&self, id: &str, fingerprint: &str, name: Option<&str>) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = document.position_or_new(id, fingerprint, now())?;
            document.decide(position, State::Approved, name, now())
        })
    }

    /// Everybody, in the order of first contact, those included who are not on disk yet.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        // In this order nobody is missed who is being written just now.
        let strangers = self.strangers();
        let mut document = self.snapshot.load().document();
        strangers.merge_into(&mut document);
        drop(strangers);
        let mut all = document.peers;
        all.sort_by(|a, b| (&a.first_seen, &a.id).cmp(&(&b.first_seen, &b.id)));
        all
    }

    /// The one that is meant by an id, a name, or the beginning of a fingerprint.
    ///
    /// # Errors
    /// When it is nobody, or more than one.
    pub fn find(&self, selector: &str) -> Result<Entry, TrustError> {
        let mut all = self.list();
        let position = select::one(&all, selector)?;
        Ok(all.swap_remove(position))
    }

    /// Those who wait for a decision.
    #[must_use]
    pub fn pending(&self) -> Vec<Entry> {
        self.list().into_iter().filter(|e| e.state == State::Pending).collect()
    }

    /// How many the file has in each state.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, usize); 4] {
        let snapshot = self.snapshot.load();
        [State::Approved, State::Blocked, State::Pending, State::Revoked]
            .map(|state| (state.as_str(), snapshot.count(state)))
    }

    /// One change: under the lock, from the file as it is now, written before it is in force.
    fn change<T>(&self, apply: impl FnOnce(&mut Document) -> Result<T, TrustError>) -> Result<T, TrustError> {
        let _ordered = lock(&self.order);
        let _locked = self.file.lock()?;
        let (mut document, _) = read(&self.file)?;
        // A copy: who knocks while the disk works does not wait for it, and is not lost either.
        let noted = self.strangers().clone();
        noted.merge_into(&mut document);
        let outcome = apply(&mut document)?;
        let stamp = self.file.write(&document)?;
        self.snapshot.store(Arc::new(Snapshot::of(document, stamp)));
        self.strangers().settle(&noted);
        Ok(outcome)
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        lock(&self.strangers)
    }
}

fn read(file: &LedgerFile) -> Result<(Document, Option<Stamp>), TrustError> {
    let (text, stamp) = file.read()?;
    let document = text.map_or_else(|| Ok(Document::default()), |text| Document::parse(&text));
    Ok((document.map_err(|why| file.damaged(why))?, stamp))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
