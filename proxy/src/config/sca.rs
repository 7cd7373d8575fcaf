//! What is done about dependencies that answers bring in, and where what is known of them comes from.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_filters::sca::{Handling, ScaSettings};
use portcullis_osv::{Severity, Unpinned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::units::span;
use super::written::ModeWord;
use crate::web::is_safe;

/// The public service of OSV.
const PUBLIC_API: &str = "https://api.osv.dev";
/// Older than this, a database is not believed any more: OSV publishes daily.
const MAX_AGE: u64 = 14 * 86_400;
/// How long one lookup by the API may take.
const PATIENCE: u64 = 5;

/// What is done about dependencies that answers bring in.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sca {
    /// `enforce`, `shadow` or `off`.
    pub(crate) mode: Option<ModeWord>,
    /// From which severity on a vulnerable dependency ends the answer: `low`, `medium`, `high` or `critical`.
    /// Malicious ones always do. Default: `high`.
    pub(crate) block_at: Option<SeverityWord>,
    /// Where advisories come from: `local`, the database that `portcullis osv import` makes; `api`, OSV's API; `both`,
    /// the database first, and the API where it is missing or too old. Default: `local`.
    pub(crate) source: Option<SourceWord>,
    /// The database; relative to this file. Default: `osv.redb` in the state directory.
    pub(crate) database: Option<String>,
    /// How old the database may be. Default: `14d`.
    pub(crate) max_age: Option<String>,
    /// What is done where nothing can be looked up, or the database is too old: `block`, `flag` or `off`. Default:
    /// `block`.
    pub(crate) unavailable: Option<Handling>,
    /// What is done about vulnerabilities that nobody rated: `block`, `flag` or `off`. Default: `flag`.
    pub(crate) unrated: Option<Handling>,
    /// How a requirement is judged that several versions fit: `newest`, by the one that would be installed, or
    /// `strict`, by all of them. Default: `newest`.
    pub(crate) unpinned: Option<UnpinnedWord>,
    /// A folder with the names of the packages that registries have, one file for each: `PyPI.txt`, `npm.txt`. Without
    /// it no package is unknown. Relative to this file.
    pub(crate) index: Option<String>,
    /// What is done about packages that are in no index: `block`, `flag` or `off`. Default: `flag`.
    pub(crate) unknown: Option<Handling>,
    /// What is done about names that look like those of well-known packages: `block`, `flag` or `off`. Default:
    /// `flag`.
    pub(crate) typosquat: Option<Handling>,
    /// What is done about packages from elsewhere than their registry: repositories, addresses, files. Default: `flag`.
    pub(crate) remote: Option<Handling>,
    /// OSV's API.
    #[serde(default)]
    pub(crate) api: Api,
}

/// OSV's API.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    /// Where it is. Default: the public one.
    pub(crate) url: Option<String>,
    /// How long one lookup may take. Default: `5s`.
    pub(crate) timeout: Option<String>,
    /// How long an answer is kept. Default: `1h`.
    pub(crate) keep: Option<String>,
    /// The authorities that vouch for its server, in PEM. Default: the system's.
    pub(crate) ca: Option<String>,
}

/// A severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SeverityWord {
    /// 9.0 and above.
    Critical,
    /// 7.0 to 8.9.
    High,
    /// Up to 3.9.
    Low,
    /// 4.0 to 6.9.
    Medium,
}

impl From<SeverityWord> for Severity {
    fn from(word: SeverityWord) -> Self {
        match word {
            SeverityWord::Critical => Self::Critical,
            SeverityWord::High => Self::High,
            SeverityWord::Low => Self::Low,
            SeverityWord::Medium => Self::Medium,
        }
    }
}

/// Where advisories come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SourceWord {
    /// OSV's API.
    Api,
    /// The database, then the API.
    Both,
    /// The database.
    #[default]
    Local,
}

/// How a requirement is judged that several versions fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UnpinnedWord {
    /// By the one that would be installed.
    Newest,
    /// By all of them.
    Strict,
}

/// What is done about dependencies, and where what is known of them comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScaConfig {
    pub(crate) settings: ScaSettings,
    pub(crate) source: SourceWord,
    pub(crate) database: PathBuf,
    pub(crate) max_age: Duration,
    pub(crate) index: Option<PathBuf>,
    pub(crate) api: ApiConfig,
}

/// How OSV's API is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiConfig {
    /// Without a slash at its end.
    pub(crate) url: String,
    pub(crate) timeout: Duration,
    pub(crate) keep: Duration,
    pub(crate) ca: Option<PathBuf>,
}

/// The database's name in the state directory.
const DATABASE: &str = "osv.redb";

impl Default for ScaConfig {
    fn default() -> Self {
        Self {
            settings: ScaSettings::default(),
            source: SourceWord::default(),
            database: PathBuf::from(DATABASE),
            max_age: Duration::from_secs(MAX_AGE),
            index: None,
            api: ApiConfig {
                url: PUBLIC_API.to_owned(),
                timeout: Duration::from_secs(PATIENCE),
                keep: Duration::from_secs(3_600),
                ca: None,
            },
        }
    }
}

impl ScaConfig {
    pub(super) fn check(check: &mut Check<'_>, w: &Sca, state: &std::path::Path) -> Self {
        let usual = ScaSettings::default();
        let settings = ScaSettings {
            block_at: w.block_at.map_or(usual.block_at, Severity::from),
            unrated: w.unrated.unwrap_or(usual.unrated),
            unavailable: w.unavailable.unwrap_or(usual.unavailable),
            unknown: w.unknown.unwrap_or(usual.unknown),
            typosquat: w.typosquat.unwrap_or(usual.typosquat),
            remote: w.remote.unwrap_or(usual.remote),
            unpinned: match w.unpinned {
                None | Some(UnpinnedWord::Newest) => Unpinned::Newest,
                Some(UnpinnedWord::Strict) => Unpinned::Strict,
            },
        };
        let url = w.api.url.as_deref().unwrap_or(PUBLIC_API).trim_end_matches('/').to_owned();
        if !is_safe(&url) {
            let message = format!("`{url}` is not reached by https, nor on this very machine");
            check.wrong("filters.sca.api.url", message, Some("write `https://api.osv.dev`"));
        }
        let timeout = check.duration("filters.sca.api.timeout", w.api.timeout.as_deref(), PATIENCE);
        if timeout.is_zero() || timeout > Duration::from_secs(60) {
            let message = "an answer waits for it, so expected more than nothing and at most a minute".to_owned();
            check.wrong("filters.sca.api.timeout", message, Some("write `5s`"));
        }
        let index = w.index.as_deref().map(|folder| check.path(folder));
        if let Some(folder) = index.as_ref().filter(|folder| !folder.is_dir()) {
            let message = format!("`{}` is no folder", folder.display());
            check.wrong("filters.sca.index", message, Some("leave it out where you have no lists of names"));
        }
        if settings.unknown == Handling::Block && index.is_none() {
            check.warn("`filters.sca.unknown` is `block`, and there is no `index`: no package is unknown".to_owned());
        }
        Self {
            settings,
            source: w.source.unwrap_or_default(),
            database: w.database.as_deref().map_or_else(|| state.join(DATABASE), |file| check.path(file)),
            max_age: check.duration("filters.sca.max_age", w.max_age.as_deref(), MAX_AGE),
            index,
            api: ApiConfig {
                url,
                timeout,
                keep: check.duration("filters.sca.api.keep", w.api.keep.as_deref(), 3_600),
                ca: w.api.ca.as_deref().map(|file| check.bundle("filters.sca.api.ca", file)),
            },
        }
    }

    /// As it is written in a config, with every default filled in.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let s = &self.settings;
        serde_json::json!({
            "block_at": s.block_at.as_str(), "unrated": s.unrated, "unavailable": s.unavailable, "unknown": s.unknown,
            "typosquat": s.typosquat, "remote": s.remote,
            "unpinned": if s.unpinned == Unpinned::Strict { "strict" } else { "newest" },
            "source": self.source, "database": self.database, "max_age": span(self.max_age), "index": self.index,
            "api": {"url": self.api.url, "timeout": span(self.api.timeout), "keep": span(self.api.keep), "ca": self.api.ca},
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use portcullis_filters::Mode;

    use super::super::{Config, ConfigError, load};
    use super::*;

    fn parse(filters: &str) -> Result<Config, ConfigError> {
        let text = format!("{filters}upstreams:\n  local: {{url: http://127.0.0.1:11434, kind: ollama}}\n");
        load::parse(&text, Path::new("/etc/portcullis/p.yaml"))
    }

    #[test]
    fn it_is_in_the_chain_once_it_is_written() {
        let names = |filters: &str| -> Vec<(&str, Mode)> {
            parse(filters).unwrap().chain.iter().map(|link| (link.name, link.mode)).collect()
        };
        assert!(!names("").iter().any(|(name, _)| *name == "sca"));
        let with = names("filters:\n  sca: {block_at: low}\n");
        let places: Vec<_> = with.iter().map(|(name, _)| *name).collect();
        assert_eq!(places, ["identity", "signature", "ratelimit", "policy", "firewall", "schema", "sca", "audit"]);
        let config = parse("filters:\n  sca: {block_at: low, source: both, max_age: 3d}\n").unwrap();
        let sca = &config.filters.sca;
        assert_eq!((sca.settings.block_at, sca.source), (Severity::Low, SourceWord::Both));
        assert_eq!(sca.database, Path::new("/etc/portcullis/state/osv.redb"));
        assert_eq!(sca.max_age, Duration::from_secs(3 * 86_400));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (text, words) in [
            ("{block_at: severe}", "severe"),
            ("{block_at: hihg}", "did you mean `high`?"),
            ("{block_at: [high]}", "write `block_at: high`"),
            ("{max_age: 14}", "write `14d`"),
            ("{source: remote}", "remote"),
            ("{api: {url: 'http://osv.example'}}", "https"),
            ("{api: {timeout: 2h}}", "at most a minute"),
            ("{index: nowhere}", "is no folder"),
            ("{blok_at: low}", "did you mean `block_at`?"),
            ("{max_age: soon}", "is not a duration"),
        ] {
            let said = parse(&format!("filters:\n  sca: {text}\n")).err().expect(text).to_string();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
