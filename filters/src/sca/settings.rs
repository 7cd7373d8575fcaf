//! What the operator says about dependencies.

use portcullis_osv::{Severity, Unpinned};

/// What is done about something that is doubtful rather than bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Handling {
    /// The answer ends.
    Block,
    /// It is told.
    #[default]
    Flag,
    /// Nothing.
    Off,
}

/// What the filter is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaSettings {
    /// From which severity on a vulnerable dependency ends the answer.
    pub block_at: Severity,
    /// What is done about a vulnerability that nobody rated.
    pub unrated: Handling,
    /// What is done about what cannot be looked up.
    pub unavailable: Handling,
    /// What is done about a package that its registry does not know.
    pub unknown: Handling,
    /// What is done about a name that looks like that of a well-known package.
    pub typosquat: Handling,
    /// What is done about a package from elsewhere than its registry: a repository, an address, a file.
    pub remote: Handling,
    /// How a requirement is judged that several versions fit.
    pub unpinned: Unpinned,
}

impl Default for ScaSettings {
    fn default() -> Self {
        Self {
            block_at: Severity::High,
            unrated: Handling::Flag,
            unavailable: Handling::Block,
            unknown: Handling::Flag,
            typosquat: Handling::Flag,
            remote: Handling::Flag,
            unpinned: Unpinned::Newest,
        }
    }
}
