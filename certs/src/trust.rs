//! Whom a person decided to trust: one file, shared by the command line and the running gate.
//!
//! `<state>/trust.json` is written whole or not at all, under an advisory lock, and every change
//! starts from the file as it is then, so that two writers lose nothing of each other's. Readers look
//! at an immutable snapshot without a lock. Strangers who knock are kept up to a bound; what a person
//! decided is never pushed out.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::peer::printable;

mod entry;
mod select;

pub use entry::{Entry, State};
pub use select::SelectError;

/// The most strangers that are remembered.
pub const MAX_PENDING: usize = 256;

/// The trust store of one node.
pub struct TrustStore {
    file: PathBuf,
    lock: PathBuf,
    snapshot: ArcSwap<Snapshot>,
    /// Strangers seen since the last write, to be merged into the file.
    knocks: Mutex<HashMap<String, Knock>>,
}

/// What was decided about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A person said yes.
    Approved {
        /// The operator's label.
        name: Option<Arc<str>>,
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

/// Why the trust store cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file is not what it should be.
    #[error("the trust store `{path}` is damaged: {why}; restore it from a backup, or move it away to begin anew with nobody trusted")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The name is taken or not a name.
    #[error("`{0}` cannot be a name: expected 1 to 64 letters, digits, `-`, `_` or `.`, not used by another peer")]
    Name(String),
    /// Nobody, or more than one, is meant.
    #[error(transparent)]
    Select(#[from] SelectError),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    peers: Vec<Entry>,
}

#[derive(Default)]
struct Snapshot {
    by_id: HashMap<String, Arc<Entry>>,
    approved_names: HashMap<String, Arc<str>>,
    stamp: Option<Stamp>,
}

/// What tells one version of the file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    length: u64,
    inode: u64,
}

struct Knock {
    fingerprint: String,
    presented_name: Option<String>,
    address: String,
    client: String,
    count: u64,
    first: i64,
    last: i64,
}

impl TrustStore {
    /// Opens the store of this state directory; one that does not exist yet is empty.
    ///
    /// # Errors
    /// When the file is there and cannot be read: nobody is trusted by accident, and nobody is
    /// forgotten by accident either.
    pub fn open(state: &Path) -> Result<Self, TrustError> {
        let file = state.join("trust.json");
        let (document, stamp) = read(&file)?;
        Ok(Self {
            lock: state.join("trust.lock"),
            snapshot: ArcSwap::from_pointee(Snapshot::of(document, stamp)),
            file,
            knocks: Mutex::default(),
        })
    }

    /// What was decided about this identity. No lock, no I/O.
    #[must_use]
    pub fn standing(&self, id: &str) -> Standing {
        self.standing_named(id, None)
    }

    /// As [`standing`](Self::standing), and notices when an unknown key claims the name of an approved
    /// peer.
    #[must_use]
    pub fn standing_named(&self, id: &str, presented_name: Option<&str>) -> Standing {
        let snapshot = self.snapshot.load();
        match snapshot.by_id.get(id).map(|e| (e.state, e)) {
            Some((State::Approved, entry)) => return Standing::Approved { name: entry.name.clone() },
            Some((State::Revoked | State::Blocked, _)) => return Standing::Revoked,
            Some((State::Pending, _)) | None => {}
        }
        if let Some(name) = presented_name.and_then(|n| snapshot.approved_names.get(&n.to_ascii_lowercase())) {
            return Standing::KeyChanged { name: Arc::clone(name) };
        }
        if snapshot.by_id.contains_key(id) { Standing::Pending } else { Standing::Unknown }
    }

    /// Notes a stranger in memory. Returns whether the file knows it already; if not, a
    /// [`flush`](Self::flush) brings it there.
    pub fn note_pending(
        &self,
        id: &str,
        fingerprint: &str,
        presented_name: Option<&str>,
        address: &str,
        client: &str,
    ) -> bool {
        let now = now();
        let mut knocks = self.knocks();
        let full = knocks.len() >= MAX_PENDING;
        match knocks.get_mut(id) {
            Some(knock) => {
                knock.count += 1;
                knock.last = now;
            }
            // A flood of fresh keys between two writes: those above the bound would be evicted anyway.
            None if full => {}
            None => {
                let knock = Knock {
                    fingerprint: fingerprint.to_owned(),
                    presented_name: presented_name.map(printable),
                    address: printable(address),
                    client: printable(client),
                    count: 1,
                    first: now,
                    last: now,
                };
                knocks.insert(id.to_owned(), knock);
            }
        }
        self.snapshot.load().by_id.contains_key(id)
    }

    /// Writes the strangers that were noted, if there are any.
    ///
    /// # Errors
    /// When the file cannot be written; they are kept for the next try.
    pub fn flush(&self) -> Result<(), TrustError> {
        if self.knocks().is_empty() {
            return Ok(());
        }
        self.change(|_| Ok(()))
    }

    /// Takes in the file if another process changed it. Returns whether it did.
    ///
    /// # Errors
    /// When it is damaged; the last good state stays in force.
    pub fn reload_if_changed(&self) -> Result<bool, TrustError> {
        if stamp(&self.file)? == self.snapshot.load().stamp {
            return Ok(false);
        }
        let (document, stamp) = read(&self.file)?;
        self.snapshot.store(Arc::new(Snapshot::of(document, stamp)));
        Ok(true)
    }

    /// Trusts a peer, under this name if one is given.
    ///
    /// # Errors
    /// When nobody or more than one is meant, or the name is taken.
    pub fn approve(&self, selector: &str, name: Option<&str>) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = select::one(&document.peers, selector)?;
            if let Some(name) = name {
                check_name(document, name, position)?;
            }
            let entry = entry_at(document, position, selector)?;
            entry.state = State::Approved;
            entry.approved_at = entry::rfc3339(now());
            if let Some(name) = name {
                entry.name = Some(name.into());
            }
            Ok(entry.clone())
        })
    }

    /// Takes the trust in a peer back, or refuses one that is pending.
    ///
    /// # Errors
    /// When nobody or more than one is meant.
    pub fn revoke(&self, selector: &str) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = select::one(&document.peers, selector)?;
            let entry = entry_at(document, position, selector)?;
            entry.state = State::Revoked;
            Ok(entry.clone())
        })
    }

    /// Gives a peer a name.
    ///
    /// # Errors
    /// When nobody or more than one is meant, or the name is taken.
    pub fn rename(&self, selector: &str, name: &str) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = select::one(&document.peers, selector)?;
            check_name(document, name, position)?;
            let entry = entry_at(document, position, selector)?;
            entry.name = Some(name.into());
            Ok(entry.clone())
        })
    }

    /// Trusts a key beforehand, before it was ever seen.
    ///
    /// # Errors
    /// When the name is taken, or the file cannot be written.
    pub fn add(&self, id: &str, fingerprint: &str, name: Option<&str>) -> Result<Entry, TrustError> {
        self.change(|document| {
            let position = document.peers.iter().position(|p| p.id == id).unwrap_or_else(|| {
                document.peers.push(Entry::new(id, fingerprint, now()));
                document.peers.len() - 1
            });
            if let Some(name) = name {
                check_name(document, name, position)?;
            }
            let entry = entry_at(document, position, id)?;
            entry.state = State::Approved;
            entry.approved_at = entry::rfc3339(now());
            if let Some(name) = name {
                entry.name = Some(name.into());
            }
            Ok(entry.clone())
        })
    }

    /// Everybody, in the order of first contact.
    #[must_use]
    pub fn list(&self) -> Vec<Entry> {
        let mut all: Vec<_> = self.snapshot.load().by_id.values().map(|e| (**e).clone()).collect();
        all.sort_by(|a, b| (&a.first_seen, &a.id).cmp(&(&b.first_seen, &b.id)));
        all
    }

    /// Those who wait for a decision.
    #[must_use]
    pub fn pending(&self) -> Vec<Entry> {
        self.list().into_iter().filter(|e| e.state == State::Pending).collect()
    }

    /// How many there are in each state.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, usize); 4] {
        let snapshot = self.snapshot.load();
        [State::Approved, State::Blocked, State::Pending, State::Revoked]
            .map(|state| (state.as_str(), snapshot.by_id.values().filter(|e| e.state == state).count()))
    }

    /// One change: under the lock, from the file as it is now, written before it is in force.
    fn change<T>(&self, change: impl FnOnce(&mut Document) -> Result<T, TrustError>) -> Result<T, TrustError> {
        let _locked = self.locked()?;
        let (mut document, _) = read(&self.file)?;
        let mut knocks = self.knocks();
        merge(&mut document, &knocks);
        let outcome = change(&mut document)?;
        document.version = 1;
        let bytes = serde_json::to_vec_pretty(&document)
            .map_err(|e| TrustError::Damaged { path: self.file.clone(), why: e.to_string() })?;
        files::write_private(&self.file, &bytes)?;
        knocks.clear();
        let stamp = stamp(&self.file)?;
        self.snapshot.store(Arc::new(Snapshot::of(document, stamp)));
        Ok(outcome)
    }

    fn locked(&self) -> Result<File, TrustError> {
        let io = |source| FileError::Io { what: "lock", path: self.lock.clone(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.lock).map_err(io)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|e| io(e.into()))?;
        Ok(file)
    }

    fn knocks(&self) -> MutexGuard<'_, HashMap<String, Knock>> {
        self.knocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    fn of(document: Document, stamp: Option<Stamp>) -> Self {
        let entries: Vec<_> = document.peers.into_iter().map(Arc::new).collect();
        Self {
            approved_names: entries
                .iter()
                .filter(|e| e.state == State::Approved)
                .filter_map(|e| e.name.as_ref().map(|n| (n.to_ascii_lowercase(), Arc::clone(n))))
                .collect(),
            by_id: entries.into_iter().map(|e| (e.id.clone(), e)).collect(),
            stamp,
        }
    }
}

fn read(file: &Path) -> Result<(Document, Option<Stamp>), TrustError> {
    let stamp = stamp(file)?;
    if stamp.is_none() {
        return Ok((Document::default(), None));
    }
    let text = files::read_private(file)?;
    let damaged = |why: String| TrustError::Damaged { path: file.to_owned(), why };
    let document: Document = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
    if document.version > 1 {
        return Err(damaged(format!("it has version {}, this release reads 1", document.version)));
    }
    Ok((document, stamp))
}

fn stamp(file: &Path) -> Result<Option<Stamp>, TrustError> {
    match fs::metadata(file) {
        Ok(meta) => Ok(Some(Stamp {
            modified: (meta.mtime(), meta.mtime_nsec()),
            length: meta.len(),
            inode: meta.ino(),
        })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::Io { what: "look at", path: file.to_owned(), source }.into()),
    }
}

/// Brings strangers into the document, and pushes the oldest out above the bound.
fn merge(document: &mut Document, knocks: &HashMap<String, Knock>) {
    for (id, knock) in knocks {
        match document.peers.iter_mut().find(|p| p.id == *id) {
            Some(entry) => {
                entry.count += knock.count;
                entry.last_seen = entry::rfc3339(knock.last);
                entry.address.clone_from(&knock.address);
                entry.client.clone_from(&knock.client);
            }
            None => document.peers.push(Entry {
                presented_name: knock.presented_name.clone(),
                last_seen: entry::rfc3339(knock.last),
                address: knock.address.clone(),
                client: knock.client.clone(),
                count: knock.count,
                ..Entry::new(id, &knock.fingerprint, knock.first)
            }),
        }
    }
    let mut pending: Vec<_> =
        document.peers.iter().filter(|p| p.state == State::Pending).map(|p| (p.last_seen.clone(), p.id.clone())).collect();
    if pending.len() > MAX_PENDING {
        pending.sort();
        pending.truncate(pending.len() - MAX_PENDING);
        let out: std::collections::HashSet<_> = pending.into_iter().map(|(_, id)| id).collect();
        document.peers.retain(|p| !out.contains(&p.id));
    }
}

fn entry_at<'d>(document: &'d mut Document, position: usize, selector: &str) -> Result<&'d mut Entry, TrustError> {
    document.peers.get_mut(position).ok_or_else(|| SelectError::Nobody(selector.to_owned()).into())
}

fn check_name(document: &Document, name: &str, position: usize) -> Result<(), TrustError> {
    let fine = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let taken = document.peers.iter().enumerate().any(|(i, p)| {
        i != position && p.state == State::Approved && p.name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(name))
    });
    if fine && !taken { Ok(()) } else { Err(TrustError::Name(printable(name))) }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knock(store: &TrustStore, id: &str) {
        store.note_pending(id, "aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99", Some("alice\u{7}"), "192.0.2.1", "curl");
    }

    #[test]
    fn two_handles_see_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let (gate, cli) = (TrustStore::open(dir.path()).unwrap(), TrustStore::open(dir.path()).unwrap());
        assert_eq!(gate.standing("peer:a"), Standing::Unknown);
        knock(&gate, "peer:a");
        gate.flush().unwrap();
        assert_eq!(gate.standing("peer:a"), Standing::Pending);
        assert!(cli.reload_if_changed().unwrap());
        let [waiting] = &cli.pending()[..] else { panic!("one waits") };
        assert_eq!(waiting.presented_name.as_deref(), Some("alice"));
        cli.approve("aabbccdd", Some("alice")).unwrap();
        assert!(gate.reload_if_changed().unwrap());
        assert_eq!(gate.standing("peer:a"), Standing::Approved { name: Some("alice".into()) });
        assert_eq!(gate.standing_named("peer:b", Some("Alice")), Standing::KeyChanged { name: "alice".into() });
        cli.revoke("alice").unwrap();
        gate.reload_if_changed().unwrap();
        assert_eq!(gate.standing("peer:a"), Standing::Revoked);
        files::check_private(&dir.path().join("trust.json")).unwrap();
    }

    #[test]
    fn a_damaged_file_opens_nothing_and_forgets_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = TrustStore::open(dir.path()).unwrap();
        store.add("peer:a", "aa:bb", None).unwrap();
        let file = dir.path().join("trust.json");
        fs::write(&file, "{\"version\":1,").unwrap();
        assert!(store.reload_if_changed().unwrap_err().to_string().contains("damaged"));
        assert!(matches!(store.standing("peer:a"), Standing::Approved { .. }));
        assert!(TrustStore::open(dir.path()).is_err());
        assert!(store.revoke("peer:a").is_err(), "a change starts from the file");
    }

    #[test]
    fn strangers_are_bounded_and_decisions_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = TrustStore::open(dir.path()).unwrap();
        store.add("peer:friend", "aa:bb", Some("friend")).unwrap();
        for round in 0..3 {
            for i in 0..MAX_PENDING {
                knock(&store, &format!("peer:{round}x{i}"));
            }
            store.flush().unwrap();
        }
        assert_eq!(store.pending().len(), MAX_PENDING);
        assert!(matches!(store.standing("peer:friend"), Standing::Approved { .. }));
    }

    #[test]
    fn names_are_unique_and_selectors_exact() {
        let dir = tempfile::tempdir().unwrap();
        let store = TrustStore::open(dir.path()).unwrap();
        store.add("peer:a", "aa:bb:cc:dd:01", Some("one")).unwrap();
        store.add("peer:b", "aa:bb:cc:dd:02", None).unwrap();
        assert!(matches!(store.rename("peer:b", "ONE"), Err(TrustError::Name(_))));
        assert!(matches!(store.rename("peer:b", "a b"), Err(TrustError::Name(_))));
        assert!(matches!(store.approve("aabbccdd", None), Err(TrustError::Select(SelectError::Many(..)))));
        assert!(matches!(store.approve("aabbcc", None), Err(TrustError::Select(SelectError::Nobody(_)))));
        assert_eq!(store.approve("aa:bb:cc:dd:02", None).unwrap().id, "peer:b");
    }

    #[test]
    fn writers_lose_nothing_of_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = dir.path();
                scope.spawn(move || {
                    let store = TrustStore::open(path).unwrap();
                    for i in 0..10 {
                        store.add(&format!("peer:{writer}x{i}"), "aa", None).unwrap();
                    }
                });
            }
        });
        assert_eq!(TrustStore::open(dir.path()).unwrap().list().len(), 40);
    }
}
