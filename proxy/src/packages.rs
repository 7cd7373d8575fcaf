//! What is known of packages: from the database of advisories, from OSV's API, and from lists of names.
//!
//! The filter `sca` asks; nothing here decides. What is at hand is told at once. What takes longer, many packages or a
//! request to the API, is told when it is there, in bounded time.

use std::sync::{Arc, Mutex, PoisonError};

use portcullis_advisories::{Database, DatabaseError, Index};
use portcullis_filters::Mode;
use portcullis_filters::sca::{Advisories, Standing};
use portcullis_osv::{Package, Popular};

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
        if config.source != SourceWord::Api
            && let Some(why) = local.trouble()
        {
            tracing::warn!(why, "Advisories cannot be looked up.");
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

/// How the advisories of a config are: what there is, or why they cannot be used. Nothing where no database is asked.
pub(crate) fn look(config: &Config) -> Option<Result<String, String>> {
    let asked = config.chain.iter().any(|link| link.name == "sca" && link.mode != Mode::Off);
    if !asked || config.filters.sca.source == SourceWord::Api {
        return None;
    }
    let local = match Local::new(&config.filters.sca) {
        Ok(local) => local,
        Err(error) => return Some(Err(error.to_string())),
    };
    Some(match local.trouble() {
        Some(why) => Err(why),
        None => Ok(local.described()),
    })
}
