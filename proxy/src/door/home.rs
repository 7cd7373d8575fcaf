//! What a door keeps on the client's machine: its own key, and the gates that a person has met.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_certs::ledger::{Document, Ledger, LedgerError};
use portcullis_certs::{NodeError, NodeKey, NodePublic, files};
use serde::{Deserialize, Serialize};

use super::address::GateAddress;

/// The most gates that are remembered.
const MAX_GATES: usize = 1024;
/// The longest spelling of an address: a host name of 253 bytes, and a port.
const MAX_ADDRESS: usize = 300;

/// The folder of the doors of one user.
pub(crate) struct Home {
    dir: PathBuf,
    known: Ledger<KnownGates>,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    #[error(transparent)]
    File(#[from] files::FileError),
    #[error("too many gates are remembered ({MAX_GATES}); forget one with `portcullis connect --forget URL`")]
    Full,
    #[error(transparent)]
    Known(#[from] LedgerError),
    #[error(transparent)]
    Key(#[from] NodeError),
    #[error("there is no place for the door's key: set PORTCULLIS_DOOR, or give --dir DIR")]
    NoPlace,
}

/// A gate that a person has met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownGate {
    /// `peer:…`
    pub(crate) node_id: String,
    /// What the person compared.
    pub(crate) fingerprint: String,
    /// When, in RFC 3339.
    pub(crate) first_seen: String,
}

impl KnownGate {
    /// A gate that is met now.
    pub(crate) fn new(node_id: &str, fingerprint: &str) -> Self {
        let first_seen = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { node_id: node_id.to_owned(), fingerprint: fingerprint.to_owned(), first_seen }
    }
}

/// `known_gates.json`: by `HOST:PORT`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownGates {
    gates: BTreeMap<String, KnownGate>,
}

impl Document for KnownGates {
    fn check(&self) -> Result<(), String> {
        if self.gates.len() > MAX_GATES {
            return Err(format!("it names more than {MAX_GATES} gates"));
        }
        for (address, gate) in &self.gates {
            if address.len() > MAX_ADDRESS {
                return Err("an address in it is too long".to_owned());
            }
            let fits = NodePublic::from_node_id(&gate.node_id).is_ok_and(|n| n.fingerprint() == gate.fingerprint);
            if !fits {
                return Err(format!("the fingerprint of `{address}` is not that of its node id"));
            }
        }
        Ok(())
    }
}

impl Home {
    /// Opens the folder, and makes it where there is none: `given`, else `$PORTCULLIS_DOOR`, else
    /// `$XDG_STATE_HOME/portcullis`, else `~/.local/state/portcullis`.
    ///
    /// # Errors
    /// When there is no such place, it cannot be made, or what is known cannot be read.
    pub(crate) fn open(given: Option<&Path>) -> Result<Self, HomeError> {
        let dir = given.map(Path::to_owned).or_else(usual_place).ok_or(HomeError::NoPlace)?;
        files::create_private_dir(&dir)?;
        let known = Ledger::open(&dir.join("known_gates.json"))?;
        Ok(Self { dir, known })
    }

    /// The door's own key, made at its first use.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub(crate) fn key(&self) -> Result<Arc<NodeKey>, HomeError> {
        let path = self.dir.join("node.key");
        if !path.exists() {
            match NodeKey::generate()?.save_new(&path) {
                // Another door that starts at the same time was first: its key is ours.
                Ok(()) | Err(NodeError::File(files::FileError::Exists(_))) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Arc::new(NodeKey::load(&path)?))
    }

    /// What is remembered of a gate.
    pub(crate) fn gate(&self, address: &GateAddress) -> Option<KnownGate> {
        self.known.get().gates.get(&address.to_string()).cloned()
    }

    /// Remembers a gate. One that is known already stays what it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn remember(&self, address: &GateAddress, gate: KnownGate) -> Result<(), HomeError> {
        self.known.change(|known| {
            if known.gates.len() >= MAX_GATES {
                return Err(HomeError::Full);
            }
            known.gates.entry(address.to_string()).or_insert(gate);
            Ok(())
        })
    }

    /// Forgets a gate, and returns what was remembered of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn forget(&self, address: &GateAddress) -> Result<Option<KnownGate>, HomeError> {
        self.known.change(|known| Ok(known.gates.remove(&address.to_string())))
    }
}

fn usual_place() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    // What is not absolute is to be ignored, says the XDG Base Directory Specification.
    let state = set("XDG_STATE_HOME").filter(|p| p.is_absolute()).map(|p| p.join("portcullis"));
    set("PORTCULLIS_DOOR").or(state).or_else(|| set("HOME").map(|home| home.join(".local/state/portcullis")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_key_and_remembers_gates() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a/door");
        let home = Home::open(Some(&place)).unwrap();
        let key = home.key().unwrap().public();
        assert_eq!(home.key().unwrap().public(), key);
        files::check_private(&place.join("node.key")).unwrap();
        let address = GateAddress::parse("https://gpu-box:8443").unwrap();
        assert_eq!(home.gate(&address), None);
        let gate = KnownGate::new(&key.node_id(), &key.fingerprint());
        home.remember(&address, gate.clone()).unwrap();
        let other = NodeKey::generate().unwrap().public();
        home.remember(&address, KnownGate::new(&other.node_id(), &other.fingerprint())).unwrap();
        let again = Home::open(Some(&place)).unwrap();
        assert_eq!(again.gate(&address), Some(gate.clone()), "what is known is not replaced");
        assert_eq!(again.forget(&address).unwrap(), Some(gate));
        assert_eq!(again.forget(&address).unwrap(), None);
    }

    #[test]
    fn a_file_that_contradicts_itself_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (NodeKey::generate().unwrap().public(), NodeKey::generate().unwrap().public());
        let wrong = serde_json::json!({"gates": {"gpu-box:8443":
            {"node_id": one.node_id(), "fingerprint": other.fingerprint(), "first_seen": ""}}});
        files::write_private(&dir.path().join("known_gates.json"), wrong.to_string().as_bytes()).unwrap();
        assert!(matches!(Home::open(Some(dir.path())), Err(HomeError::Known(LedgerError::Damaged { .. }))));
    }
}
