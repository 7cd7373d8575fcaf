//! What the firewall does at least, whatever the gate's config says.

use serde::{Deserialize, Serialize};

use crate::level::DataLevel;

/// The least that the firewall does. The stricter of this and the config counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirewallFloor {
    /// Findings of this level and above are refused.
    pub block_at: Option<DataLevel>,
    /// What is done about data on persons.
    pub pii: Option<Handling>,
}

/// What is done about findings of a kind. Ordered: the later one is the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Handling {
    /// Nothing looks for them.
    Off,
    /// They are told, and raise the exchange's level.
    Flag,
    /// They are taken out, and the rest goes on.
    Redact,
    /// The exchange is refused.
    Block,
}
