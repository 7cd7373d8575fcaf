//! One peer in the trust store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A peer, as it stands in the file and in the output of `peers list --json`. Times are RFC 3339 in
/// UTC, empty where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The identity.
    pub id: String,
    /// The operator's label.
    pub name: Option<Arc<str>>,
    /// What a person compares.
    pub fingerprint: String,
    /// What was decided.
    pub state: State,
    /// The profile that it came in with: what it may do is what the policy gives that profile.
    #[serde(default)]
    pub profile: Option<Arc<str>>,
    /// When it first knocked.
    pub first_seen: String,
    /// When it last knocked.
    #[serde(default)]
    pub last_seen: String,
    /// When a person said yes.
    #[serde(default)]
    pub approved_at: String,
    /// The name that its certificate claims. Proves nothing.
    #[serde(default)]
    pub presented_name: Option<String>,
    /// Where it came from last.
    #[serde(default)]
    pub address: String,
    /// What it calls its program.
    #[serde(default)]
    pub client: String,
    /// How often it knocked while it was not approved.
    #[serde(default)]
    pub count: u64,
}

/// What a person decided about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Yes.
    Approved,
    /// Never, and do not ask again.
    Blocked,
    /// Nothing yet.
    Pending,
    /// Not any more.
    Revoked,
}

impl State {
    /// The word for it in files and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Blocked => "blocked",
            Self::Pending => "pending",
            Self::Revoked => "revoked",
        }
    }
}

impl Entry {
    /// A peer that nobody decided about, first seen at this Unix second.
    pub(super) fn new(id: &str, fingerprint: &str, first_seen: i64) -> Self {
        Self {
            id: id.to_owned(),
            name: None,
            fingerprint: fingerprint.to_owned(),
            state: State::Pending,
            profile: None,
            first_seen: rfc3339(first_seen),
            last_seen: rfc3339(first_seen),
            approved_at: String::new(),
            presented_name: None,
            address: String::new(),
            client: String::new(),
            count: 0,
        }
    }

    /// Whether the operator calls it so, in whatever case.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }
}

pub(super) fn rfc3339(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds).map(|t| t.to_string()).unwrap_or_default()
}
