//! How the filter is set: by the gate's config, and at least by the policy.

use std::collections::BTreeMap;

use portcullis_firewall::Selection;
use portcullis_policies::DataLevel;
use portcullis_policies::policy::{FirewallFloor, Handling};
use serde::{Deserialize, Serialize};

/// How the filter is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirewallSettings {
    /// Findings of this level and above are refused, where nothing else is said about their rule.
    pub block_at: DataLevel,
    /// Where the rules come from: `builtin`, and rule files.
    pub rules: Vec<String>,
    /// Rules that are not in force.
    pub disable: Vec<String>,
    /// What is done about the findings of single rules.
    pub actions: BTreeMap<String, RuleAction>,
    /// What is done about data on persons.
    pub pii: Handling,
    /// Attempts to give the model other orders.
    pub injection: InjectionSettings,
    /// What is done about structural findings; `None` where their level decides.
    pub structural: Option<Watchfulness>,
    /// What the policy asks for at least.
    pub floor: FirewallFloor,
}

/// Attempts to give the model other orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InjectionSettings {
    /// The score, 1 to 100, from which on a text is held for one. Default: 50.
    pub threshold: u8,
    /// What is done about it: `flag`, `block` or `off`. Default: by its level, L2, and `block_at`.
    pub action: Option<Watchfulness>,
}

/// What is done about the findings of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// The exchange is refused.
    Block,
    /// It is told, and raises the exchange's level.
    Flag,
    /// It is taken out, and the rest goes on.
    Redact,
}

/// What is done about findings that cannot be cut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Watchfulness {
    /// The exchange is refused.
    Block,
    /// It is told, and raises the exchange's level.
    Flag,
    /// Nothing.
    Off,
}

impl Default for FirewallSettings {
    fn default() -> Self {
        Self {
            block_at: DataLevel::L3,
            rules: vec!["builtin".to_owned()],
            disable: Vec::new(),
            actions: BTreeMap::new(),
            pii: Handling::Off,
            injection: InjectionSettings::default(),
            structural: None,
            floor: FirewallFloor::default(),
        }
    }
}

impl Default for InjectionSettings {
    fn default() -> Self {
        Self { threshold: 50, action: None }
    }
}

impl FirewallSettings {
    /// Which rules are to be in force.
    #[must_use]
    #[allow(clippy::needless_update, reason = "what the config does not set has its default")]
    pub fn selection(&self) -> Selection {
        Selection {
            pii: self.pii.max(self.floor.pii.unwrap_or(Handling::Off)) != Handling::Off,
            disabled: self.disable.clone(),
            injection_threshold: self.injection.threshold,
            ..Selection::default()
        }
    }
}
