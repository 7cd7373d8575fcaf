//! What a rule says about itself; how it matches is the engine's.

use std::sync::Arc;

use portcullis_policies::DataLevel;
use serde::{Deserialize, Serialize};

/// One rule, as everybody but the engine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, in audit, metrics and findings.
    pub id: Arc<str>,
    /// One sentence: what it finds.
    pub description: Arc<str>,
    /// What kind of thing that is.
    pub kind: Kind,
    /// How sensitive a text is that holds it.
    pub level: DataLevel,
    /// What is done about it; `None` where the level decides.
    pub action: Option<Action>,
    /// Which way the texts go that it looks at.
    pub direction: Direction,
}

/// What a rule finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A credential.
    #[default]
    Secret,
    /// Something about a person.
    Pii,
    /// An attempt to give the model other orders.
    Injection,
    /// A text that is built in a way it should not be.
    Structural,
}

/// What is done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The exchange is refused.
    Block,
    /// It is told, and raises the exchange's level.
    Flag,
    /// It is taken out, and the rest goes on.
    Redact,
}

/// Which way a text goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Either way.
    #[default]
    Both,
    /// To the model.
    Request,
    /// From the model.
    Response,
}

impl Kind {
    /// The public code of a finding of this kind.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Secret => "firewall.secret",
            Self::Pii => "firewall.pii",
            Self::Injection => "firewall.injection",
            Self::Structural => "firewall.structural",
        }
    }

    /// The level of its rules where they name none.
    #[must_use]
    pub const fn usual_level(self) -> DataLevel {
        match self {
            Self::Secret => DataLevel::L4,
            Self::Pii | Self::Injection | Self::Structural => DataLevel::L2,
        }
    }
}

impl Direction {
    /// Whether a rule for this direction looks at a text that goes `way`.
    #[must_use]
    pub fn covers(self, way: Self) -> bool {
        self == Self::Both || way == Self::Both || self == way
    }
}

impl Action {
    /// The word for it in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Flag => "flag",
            Self::Redact => "redact",
        }
    }
}
