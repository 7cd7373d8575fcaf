//! What is known of packages: from the database of advisories, from OSV's API, and from lists of names.
//!
//! The filter `sca` asks; nothing here decides. What is at hand is told at once. What takes longer, many packages or a
//! request to the API, is told when it is there, in bounded time.

use std::sync::{Arc, Mutex, PoisonError};

use portcullis_advisories::{Database, DatabaseError, Index};
use portcullis_filters::Mode;
use portcullis_filters::sca::{Advisories, Standing};
use portcullis_osv::{Package, Popular};
use serde::Serialize;

use crate::config::{Config, ScaConfig, SourceWord};

mod age;
mod api;
mod local;

pub(crate) use age::{Age, Spoken};
use api::Api;
use local::Local;

/// The sources of one gate. What was opened, loaded and asked outlives a reload.
#[derive(Default)]
pub(crate) struct Packages {
    opened: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    local: Option<Arc<Local>>,
    api: Option<Arc<Api>>,
}

impl Packages {
    /// When the advisories of the database were imported, in Unix seconds: 0 where it has none that can be used, and
    /// nothing where it is not asked.
    pub(crate) fn imported(&self) -> Option<i64> {
        let local = self.opened.lock().unwrap_or_else(PoisonError::into_inner).local.clone()?;
        Some(local.imported().map_or(0, |at| at.as_second()))
    }

    /// Whom a config asks.
    ///
    /// # Errors
    /// When its lists of names cannot be read, or the API's authorities.
    pub(crate) fn source(&self, config: &ScaConfig) -> anyhow::Result<Arc<dyn Advisories>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let local = match opened.local.take().filter(|local| local.is_of(config)) {
            Some(local) => local,
            None => Arc::new(Local::new(config)?),
        };
        opened.local = Some(Arc::clone(&local));
        if config.source != SourceWord::Api {
            // What is in the way is told in the log now, not with the first answer that names a package.
            let _ = local.trouble();
        }
        if config.source == SourceWord::Local {
            return Ok(Arc::new(local::Source(local)));
        }
        let api = match opened.api.take().filter(|api| api.is_of(&config.api)) {
            Some(api) => api,
            None => Arc::new(Api::new(&config.api)?),
        };
        opened.api = Some(Arc::clone(&api));
        Ok(Arc::new(api::Source { api, local, both: config.source == SourceWord::Both }))
    }

    /// How the advisories of the config in force are, where its chain asks for any.
    pub(crate) fn standing(&self, config: &Config) -> Option<Look> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let (local, api) = (opened.local.clone(), opened.api.clone());
        drop(opened);
        Look::at(config, |_| local.ok_or_else(|| "they were not opened".to_owned()), api.and_then(|api| api.trouble()))
    }
}

/// How advisories are: where they come from, and what is in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Look {
    pub(crate) source: SourceWord,
    /// What there is, for people.
    pub(crate) what: String,
    /// Why nothing can be looked up, where nothing can.
    pub(crate) trouble: Option<String>,
    /// What is in the way, and keeps nothing from being looked up elsewhere.
    pub(crate) doubt: Option<String>,
}

impl Look {
    /// How the advisories of a config are, as its files and the API's last answers tell; none where its chain asks for
    /// none.
    fn at(
        config: &Config,
        local: impl FnOnce(&ScaConfig) -> Result<Arc<Local>, String>,
        api: Option<String>,
    ) -> Option<Self> {
        if !config.chain.iter().any(|link| link.name == "sca" && link.mode != Mode::Off) {
            return None;
        }
        let sca = &config.filters.sca;
        let remote = format!("OSV's API at `{}`", sca.api.url);
        let source = sca.source;
        if source == SourceWord::Api {
            return Some(Self { source, what: remote, trouble: api, doubt: None });
        }
        let known = local(sca).and_then(|local| match local.trouble() {
            Some(why) => Err(why),
            None => Ok(local.described()),
        });
        Some(match (known, source) {
            (Ok(what), SourceWord::Local | SourceWord::Api) => Self { source, what, trouble: None, doubt: None },
            (Ok(what), SourceWord::Both) => {
                Self { source, what: format!("{what}; behind them {remote}"), trouble: None, doubt: api }
            }
            (Err(why), SourceWord::Both) => Self { source, what: remote, trouble: api, doubt: Some(why) },
            (Err(why), SourceWord::Local | SourceWord::Api) => {
                Self { source, what: "nothing".to_owned(), trouble: Some(why), doubt: None }
            }
        })
    }
}

/// The lists of names that a config has.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn index(config: &ScaConfig) -> anyhow::Result<Index> {
    Ok(config.index.as_deref().map(Index::load).transpose()?.unwrap_or_default())
}

/// Whether the database of a config must be removed before another one can be made in its place.
pub(crate) fn is_beyond_repair(config: &Config) -> bool {
    let opened = Database::open(&config.filters.sca.database);
    matches!(opened, Err(DatabaseError::Damaged(_) | DatabaseError::Format { .. }))
}

/// How a package stands in its registry, as far as the lists of names tell.
fn standing(index: &Index, package: &Package) -> Standing {
    let popular = Popular::shipped();
    if popular.contains(package) {
        return Standing::Established;
    }
    let near = popular.resembled(package).map(|resembled| resembled.name.into());
    match (index.knows(package), near) {
        (Some(false), near) => Standing::Unknown(near),
        (Some(true), _) => Standing::Ordinary,
        (None, Some(near)) => Standing::Resembling(near),
        (None, None) => Standing::Ordinary,
    }
}

/// How the advisories of a config are, where its chain asks for any. The API is not asked.
pub(crate) fn look(config: &Config) -> Option<Look> {
    Look::at(config, opened, None)
}

/// The same, and the API is asked whether it answers, where it is a source.
pub(crate) fn probe(config: &Config) -> Option<Look> {
    let answers = || -> Result<(), String> {
        let api = Api::new(&config.filters.sca.api).map_err(|error| error.to_string())?;
        api.answers().map_err(|why| why.to_string())
    };
    let trouble = match config.filters.sca.source {
        SourceWord::Local => None,
        // Nobody is asked for a filter that is off.
        SourceWord::Api | SourceWord::Both => look(config).and_then(|_| answers().err()),
    };
    Look::at(config, opened, trouble)
}

fn opened(config: &ScaConfig) -> Result<Arc<Local>, String> {
    Local::new(config).map(Arc::new).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    /// A gate's config with these settings, in this folder.
    fn config(folder: &std::path::Path, sca: &str) -> Config {
        let file = folder.join("p.yaml");
        let text = format!(
            "filters:\n  sca: {{{sca}}}\nupstreams:\n  local: {{url: 'http://127.0.0.1:11434', kind: ollama}}\n"
        );
        std::fs::write(&file, text).unwrap();
        crate::config::load(&file).unwrap()
    }

    fn import(config: &Config) {
        let database = &config.filters.sca.database;
        std::fs::create_dir_all(database.parent().unwrap()).unwrap();
        let file = database.with_extension("jsonl");
        let affected = json!([{"package": {"ecosystem": "PyPI", "name": "django"}, "versions": ["1"]}]);
        let advisory = json!({"id": "GHSA-1", "modified": "2026-01-01T00:00:00Z", "affected": affected});
        std::fs::write(&file, advisory.to_string()).unwrap();
        portcullis_advisories::import(database, &[file], Timestamp::now(), &mut |_| ()).unwrap();
    }

    #[test]
    fn how_advisories_are_is_told_for_every_source() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(look(&config(folder.path(), "mode: off")), None, "nobody asks for any");
        let (local, api) = (config(folder.path(), "source: local"), config(folder.path(), "source: api"));
        let both = config(folder.path(), "source: both");
        let missing = look(&local).unwrap().trouble.unwrap();
        assert!(missing.contains("portcullis osv sync") && missing.contains("portcullis osv import"), "{missing}");
        let remote = "OSV's API at `https://api.osv.dev`";
        let told = look(&api).unwrap();
        assert_eq!((told.what.as_str(), told.trouble, told.doubt), (remote, None, None));
        let told = look(&both).unwrap();
        assert_eq!((told.what.as_str(), told.trouble, told.doubt), (remote, None, Some(missing)));
        import(&local);
        let told = look(&local).unwrap();
        assert!(told.what.starts_with("advisories of PyPI, imported "), "{}", told.what);
        assert_eq!((told.trouble, told.doubt), (None, None));
        let told = Look::at(&both, opened, Some("it is away".to_owned())).unwrap();
        assert!(told.what.ends_with(remote), "{}", told.what);
        assert_eq!((told.trouble, told.doubt), (None, Some("it is away".to_owned())), "the database is enough");
        let told = Look::at(&api, opened, Some("it is away".to_owned())).unwrap();
        assert_eq!(told.trouble, Some("it is away".to_owned()));
    }

    #[test]
    fn an_api_that_does_not_answer_is_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = config(folder.path(), &format!("source: api, api: {{url: 'http://{closed}', timeout: 2s}}"));
        assert_eq!(look(&config).unwrap().trouble, None, "it is not asked");
        let told = probe(&config).unwrap();
        assert!(told.trouble.is_some(), "{told:?}");
        assert!(told.what.contains(&closed.to_string()), "{told:?}");
    }
}
