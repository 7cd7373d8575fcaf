//! The trust store as it is written, and the changes that a person makes to it.

use std::collections::HashSet;

use portcullis_policies::Identity;
use serde::{Deserialize, Serialize};

use super::crowd;
use super::entry::{Entry, State, rfc3339};
use super::{NameError, TrustError};
use crate::fingerprint;
use crate::peer::printable;

/// The most strangers that are remembered.
pub const MAX_PENDING: usize = 256;

/// A caller as it presents itself.
pub(super) struct Known<'k> {
    pub(super) id: &'k str,
    pub(super) fingerprint: &'k str,
    pub(super) claimed_name: Option<&'k str>,
}

/// Whether this can be a name that an operator gives: nothing that looks like a fingerprint.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let like_a_print = name.len() >= 8 && name.bytes().all(|b| b.is_ascii_hexdigit());
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !like_a_print
}

/// The version of the file that this release reads and writes.
pub(super) const VERSION: u32 = 1;

/// `trust.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) version: u32,
    pub(super) peers: Vec<Entry>,
}

impl Default for Document {
    fn default() -> Self {
        Self { version: VERSION, peers: Vec::new() }
    }
}

impl Document {
    /// Reads a file's text; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let document: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if document.version != VERSION {
            return Err(format!("it has version {}, this release reads {VERSION}", document.version));
        }
        let (mut ids, mut names) = (HashSet::new(), HashSet::new());
        for peer in &document.peers {
            Identity::parse(&peer.id).map_err(|e| e.to_string())?;
            if !ids.insert(&peer.id) {
                return Err(format!("`{}` stands in it twice", peer.id));
            }
            if let Some(name) = &peer.name
                && !names.insert(name.to_ascii_lowercase())
            {
                return Err(format!("two peers have the name `{}`", printable(name)));
            }
        }
        Ok(document)
    }

    /// Where a peer stands, entered as pending if it is new. What it is called by people has to agree
    /// with the identity.
    pub(super) fn position_or_new(&mut self, id: &str, given: &str, now: i64) -> Result<usize, TrustError> {
        let refuse = || TrustError::Identity(printable(id));
        let identity = Identity::parse(id).map_err(|_| refuse())?;
        let implied = fingerprint::implied(&identity);
        if implied.is_none() && !id.starts_with("spiffe://") {
            return Err(refuse());
        }
        let given_normal = fingerprint::normalise(given);
        let Some(print) = given_normal.filter(|g| implied.as_ref().is_none_or(|i| i == g)) else {
            return Err(TrustError::Fingerprint {
                id: printable(id),
                given: printable(given),
                expected: implied.unwrap_or_else(|| "16 bytes in hex pairs".to_owned()),
            });
        };
        if let Some(position) = self.peers.iter().position(|p| p.id == id) {
            return Ok(position);
        }
        self.peers.push(Entry::new(id, &print, now));
        Ok(self.peers.len() - 1)
    }

    /// Enters what a person decided at this Unix second, and the name if one is given.
    pub(super) fn decide(
        &mut self,
        position: usize,
        state: State,
        name: Option<&str>,
        now: i64,
    ) -> Result<Entry, TrustError> {
        if let Some(name) = name {
            self.name(position, name)?;
        }
        let entry = self.at(position)?;
        if state == State::Approved && entry.state != State::Approved {
            entry.approved_at = rfc3339(now);
        }
        entry.state = state;
        Ok(entry.clone())
    }

    /// Gives a peer a profile.
    pub(super) fn give_profile(&mut self, position: usize, profile: &str) -> Result<Entry, TrustError> {
        let entry = self.at(position)?;
        entry.profile = Some(profile.into());
        Ok(entry.clone())
    }

    /// Gives a peer a name. One that is revoked or blocked gives its name up to whoever gets it: the
    /// way a peer with a new key takes its old place.
    pub(super) fn name(&mut self, position: usize, name: &str) -> Result<Entry, TrustError> {
        if !is_name(name) {
            return Err(NameError::Invalid(printable(name)).into());
        }
        for (i, other) in self.peers.iter_mut().enumerate() {
            if i == position || !other.has_name(name) {
                continue;
            }
            if matches!(other.state, State::Approved | State::Pending) {
                let owner = other.id.clone();
                return Err(NameError::Taken { name: name.to_owned(), owner }.into());
            }
            other.name = None;
        }
        let entry = self.at(position)?;
        entry.name = Some(name.into());
        Ok(entry.clone())
    }

    /// Pushes some out of those who are pending, above the bound: from the most crowded place, whoever has
    /// been silent the longest.
    pub(super) fn bound_pending(&mut self) {
        let mut pending: Vec<_> = self.peers.iter().enumerate().filter(|(_, p)| p.state == State::Pending).collect();
        let Some(excess) = pending.len().checked_sub(MAX_PENDING).filter(|n| *n > 0) else {
            return;
        };
        // Within one second the order in the file is the order of arrival.
        pending.sort_by(|(i, a), (j, b)| (&a.last_seen, i).cmp(&(&b.last_seen, j)));
        let mut out = HashSet::new();
        for _ in 0..excess {
            let staying = pending.iter().filter(|(i, _)| !out.contains(i));
            out.extend(crowd::first_to_go(staying.map(|(i, p)| (*i, p.address.clone()))));
        }
        let mut position = 0;
        self.peers.retain(|_| {
            position += 1;
            !out.contains(&(position - 1))
        });
    }

    /// Forgets a peer that nobody decided about.
    pub(super) fn dismiss(&mut self, position: usize) -> Result<Entry, TrustError> {
        let entry = self.at(position)?.clone();
        if entry.state != State::Pending {
            return Err(TrustError::Decided { id: entry.id, state: entry.state.as_str() });
        }
        self.peers.remove(position);
        Ok(entry)
    }

    /// Trusts a key that came with an invitation, under the name that the operator gave, if any.
    pub(super) fn enroll(
        &mut self,
        known: &Known<'_>,
        name: Option<&str>,
        profile: Option<&str>,
        now: i64,
    ) -> Result<Entry, TrustError> {
        let position = match self.peers.iter().position(|p| p.id == known.id) {
            Some(position) => position,
            None => {
                self.peers.push(Entry::new(known.id, known.fingerprint, now));
                self.peers.len() - 1
            }
        };
        let entry = self.at(position)?;
        if !matches!(entry.state, State::Pending) {
            return Err(TrustError::Decided { id: entry.id.clone(), state: entry.state.as_str() });
        }
        entry.profile = profile.map(Into::into);
        entry.presented_name = known.claimed_name.map(crate::peer::printable).filter(|name| !name.is_empty());
        // A name is the operator's to give: rules are written about it. What the caller calls itself stays
        // beside it. Whoever comes second by the same invitation has no name yet.
        if let Some(name) = name {
            let _ = self.name(position, name);
        }
        self.decide(position, State::Approved, None, now)
    }

    fn at(&mut self, position: usize) -> Result<&mut Entry, TrustError> {
        self.peers.get_mut(position).ok_or_else(|| super::SelectError::Nobody(String::new()).into())
    }
}
