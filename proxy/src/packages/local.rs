//! What the database of advisories and the lists of names say.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis_advisories::{Database, DatabaseError, Index};
use portcullis_filters::sca::{Advisories, Dossier, Lookup, Told, Unavailable};
use portcullis_osv::{Ecosystem, Notice, Package};

use super::age::{Age, Spoken};
use crate::config::ScaConfig;

/// As many packages are looked up at once; more are, on a thread that may wait.
pub(super) const AT_ONCE: usize = 64;
/// How often it is asked how old the database is.
const LOOK: Duration = Duration::from_secs(1);

/// The database, and the lists of names.
pub(crate) struct Local {
    path: PathBuf,
    max_age: Duration,
    index_path: Option<PathBuf>,
    index: Index,
    opened: Mutex<Option<Opened>>,
    /// Whether the last lookup found nothing that can be used: told once, and once more when it is over.
    away: AtomicBool,
}

struct Opened {
    database: Arc<Database>,
    /// When it was imported, and when that was asked.
    imported: Option<Timestamp>,
    /// The ecosystems that it has advisories of.
    covers: Vec<Ecosystem>,
    asked: Instant,
}

impl Local {
    pub(super) fn new(config: &ScaConfig) -> anyhow::Result<Self> {
        Ok(Self {
            path: config.database.clone(),
            max_age: config.max_age,
            index_path: config.index.clone(),
            index: super::index(config)?,
            opened: Mutex::new(None),
            away: AtomicBool::new(false),
        })
    }

    /// Whether it is what this config names. Lists of names are read anew with every reload.
    pub(super) fn is_of(&self, config: &ScaConfig) -> bool {
        self.path == config.database
            && self.max_age == config.max_age
            && self.index_path.is_none()
            && config.index.is_none()
    }

    /// What advisories say of packages. Blocks for some microseconds each.
    pub(super) fn told(&self, packages: Vec<Package>) -> Told {
        self.noted(self.looked_up(packages))
    }

    fn looked_up(&self, packages: Vec<Package>) -> Told {
        let database = self.database(&packages)?;
        let dossier = |package: Package| {
            let notices = database.notices(&package).map_err(|error| {
                // Whoever asks next is not told that it is there because it was a moment ago.
                self.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
                unavailable(error)
            })?;
            Ok(self.dossier(package, notices))
        };
        packages.into_iter().map(dossier).collect()
    }

    /// What is known of a package of which advisories say this.
    pub(super) fn dossier(&self, package: Package, notices: Vec<Notice>) -> Dossier {
        let versions = self.index.versions(&package);
        let standing = super::standing(&self.index, &package);
        Dossier { notices, versions, standing, package }
    }

    /// When advisories were imported; none where there are none that can be used, whatever their age.
    pub(super) fn imported(&self) -> Option<Timestamp> {
        if self.database(&[]).is_ok() {
            self.back();
        }
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.imported
    }

    /// What there is, for people.
    pub(super) fn described(&self) -> String {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(opened) = opened.as_ref() else { return "nothing".to_owned() };
        let age = opened.imported.and_then(|at| Duration::try_from(Timestamp::now().duration_since(at)).ok());
        let of: Vec<_> = opened.covers.iter().map(ToString::to_string).collect();
        format!("advisories of {}, imported {} ago", of.join(", "), Spoken(age.unwrap_or_default()))
    }

    /// Why nothing can be looked up, where nothing can.
    pub(super) fn trouble(&self) -> Option<String> {
        self.noted(self.database(&[])).err().map(|why| why.to_string())
    }

    /// Tells the log when nothing can be looked up any more, and when it can again.
    fn noted<T>(&self, found: Result<T, Unavailable>) -> Result<T, Unavailable> {
        match &found {
            Ok(_) => self.back(),
            Err(Unavailable::Away(why)) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(why, "Advisories cannot be looked up.");
                }
            }
            // The others can.
            Err(Unavailable::Ecosystem(_) | Unavailable::Language) => {}
        }
        found
    }

    fn back(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("Advisories can be looked up again.");
        }
    }

    /// The database, if it is there, young enough, and has advisories of the ecosystems of these packages: one that was
    /// never imported says nothing against anything.
    fn database(&self, packages: &[Package]) -> Result<Arc<Database>, Unavailable> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = opened.as_ref().is_none_or(|opened| opened.asked.elapsed() >= LOOK);
        if stale {
            let database = match opened.take() {
                Some(opened) => opened.database,
                None => Arc::new(Database::open(&self.path).map_err(unavailable)?),
            };
            let status = database.status().map_err(unavailable)?;
            let covers = status.advisories.keys().copied().collect();
            *opened = Some(Opened { database, imported: status.imported, covers, asked: Instant::now() });
        }
        let Some(opened) = opened.as_ref() else {
            return Err(Unavailable::Away("the database is not open".to_owned()));
        };
        let missing = packages.iter().map(Package::ecosystem).find(|ecosystem| !opened.covers.contains(ecosystem));
        if let Some(ecosystem) = missing {
            return Err(Unavailable::Ecosystem(ecosystem));
        }
        let Some(imported) = opened.imported else {
            let why = "the database holds no advisories; `portcullis osv sync` or `osv import` brings some";
            return Err(Unavailable::Away(why.to_owned()));
        };
        match Age::at(imported, Timestamp::now()).problem(self.max_age) {
            None => Ok(Arc::clone(&opened.database)),
            Some(why) => Err(Unavailable::Away(why)),
        }
    }
}

fn unavailable(error: DatabaseError) -> Unavailable {
    Unavailable::Away(error.to_string())
}

/// The database as the filter asks it.
pub(super) struct Source(pub(super) Arc<Local>);

impl Advisories for Source {
    fn look_up(&self, packages: Vec<Package>) -> Lookup {
        if packages.len() <= AT_ONCE {
            return Lookup::Now(self.0.told(packages));
        }
        let local = Arc::clone(&self.0);
        Lookup::Later(Box::pin(async move {
            let told = tokio::task::spawn_blocking(move || local.told(packages)).await;
            told.unwrap_or_else(|_| Err(Unavailable::Away("the lookup was cut off".to_owned())))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_nothing_can_be_looked_up_is_told_once_and_so_is_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let config = ScaConfig { database: folder.path().join("osv.redb"), ..ScaConfig::default() };
        let local = Local::new(&config).unwrap();
        let away = || local.away.load(Ordering::Relaxed);
        assert!(local.imported().is_none() && !away(), "whoever counts is told nothing");
        assert!(local.trouble().is_some() && away());
        let ecosystem: Result<(), _> = local.noted(Err(Unavailable::Ecosystem(Ecosystem::Go)));
        assert!(ecosystem.is_err() && away(), "nothing is said of the others");
        let file = folder.path().join("a.jsonl");
        let advisory = r#"{"id": "GHSA-1", "modified": "2026-01-01T00:00:00Z",
            "affected": [{"package": {"ecosystem": "PyPI", "name": "django"}, "versions": ["1"]}]}"#;
        std::fs::write(&file, advisory.replace('\n', " ")).unwrap();
        portcullis_advisories::import(&config.database, &[file], Timestamp::now(), &mut |_| ()).unwrap();
        assert!(local.imported().is_some() && !away(), "it is over, whoever sees it first");
        assert_eq!(local.trouble(), None);
    }
}
