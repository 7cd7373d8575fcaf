//! How sensitive a text is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The data level of a text, from public to secret. Levels are ordered: `L0 < L4`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum DataLevel {
    /// Public.
    #[default]
    L0,
    /// Low risk.
    L1,
    /// Internal.
    L2,
    /// Confidential.
    L3,
    /// Secret or regulated; also what a failing firewall says.
    L4,
}

impl DataLevel {
    /// `L0` to `L4`, as in config, audit and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
        }
    }
}

impl fmt::Display for DataLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DataLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::L0, Self::L1, Self::L2, Self::L3, Self::L4]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a data level, expected `L0` to `L4`"))
    }
}
