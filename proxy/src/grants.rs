//! Grants: rights for a time that a person gave to one caller, in `state/grants.json` or in the store that
//! gates share, and how the running gate sees them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_certs::ledger::{Document, Ledger, LedgerError};
use portcullis_filters::policy::GrantView;
use portcullis_policies::{Grant, Grants, Identity, RouteClass, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ulid::Ulid;

use crate::config::{Config, Granting};
use crate::keyring::now;
use crate::store::redis::{Redis, SharedDocument, SharedError};

/// How often the file is looked at: what the command line decides bites within this.
const POLL: Duration = Duration::from_millis(250);
/// How long a grant that ended is remembered, so that its holder is told that it ended.
const REMEMBERED: i64 = 7 * 86_400;
/// The most grants in the file, and for one caller: a bound on what a request is held against.
const MAX_GRANTS: usize = 10_000;
const MAX_OF_ONE: usize = 64;
/// The longest note, in characters.
const MAX_NOTE: usize = 200;

/// What the file holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantDocument {
    grants: Vec<Grant>,
}

impl Document for GrantDocument {
    fn check(&self) -> Result<(), String> {
        if self.grants.len() > MAX_GRANTS {
            return Err(format!("it holds more than {MAX_GRANTS} grants"));
        }
        self.grants.iter().try_for_each(|grant| Identity::parse(&grant.identity).map(drop).map_err(|e| e.to_string()))
    }
}

/// The grants of one gate.
pub(crate) struct GrantBook {
    pages: Pages,
    /// The same by caller.
    found: ArcSwap<Grants>,
}

/// Where they are written.
enum Pages {
    Local(Ledger<GrantDocument>),
    Shared(SharedDocument<GrantDocument>),
}

/// Why a grant cannot be given or taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    #[error(
        "there is no room for another grant: at most {MAX_OF_ONE} for one caller and {MAX_GRANTS} in all; revoke one first"
    )]
    Full,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error("`{0}` is no grant, or one that ended already; `portcullis grants list --all` shows them")]
    Nobody(String),
    #[error("{0}")]
    Meaning(String),
}

impl GrantBook {
    /// Opens the grants of this state directory.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(crate) fn open(state: &Path) -> Result<Self, LedgerError> {
        let ledger = Ledger::<GrantDocument>::open(&state.join("grants.json"))?;
        let found = ArcSwap::from_pointee(Grants::new(ledger.get().grants.iter().cloned()));
        Ok(Self { pages: Pages::Local(ledger), found })
    }

    /// The grants of a running gate: its own, or those in the store that it shares, which need not answer
    /// yet.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(crate) fn of(config: &Config, shared: Option<&Arc<Redis>>) -> Result<Self, LedgerError> {
        match shared.filter(|_| config.filters.grants == Granting::Shared) {
            None => Self::open(&config.node.state),
            Some(redis) => {
                let pages = Pages::Shared(SharedDocument::open(Arc::clone(redis), "grants"));
                Ok(Self { pages, found: ArcSwap::default() })
            }
        }
    }

    /// The grants as a command works on them, with or without a running gate. Blocks.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn for_command(config: &Config) -> Result<Self, GrantError> {
        let settings = config.filters.signature.store.redis().filter(|_| config.filters.grants == Granting::Shared);
        let redis = settings.map(|settings| Redis::for_command(settings.clone())).transpose();
        let redis = redis.map_err(|e| GrantError::Meaning(format!("{e:#}")))?;
        let book = Self::of(config, redis.map(Arc::new).as_ref())?;
        if let Pages::Shared(document) = &book.pages {
            document.fetch()?;
            book.find_anew();
        }
        Ok(book)
    }

    /// Keeps memory up with what is written until it is dropped. Runs off the workers.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut last = self.document();
        loop {
            tokio::time::sleep(POLL).await;
            let this = Arc::clone(&self);
            let reload = tokio::task::spawn_blocking(move || match &this.pages {
                Pages::Local(ledger) => ledger.reload_if_changed().map(drop).map_err(GrantError::from),
                // The store says itself when it is away, and what is known holds for a while.
                Pages::Shared(document) => match document.reload() {
                    Err(SharedError::Away(_)) => Ok(()),
                    reloaded => reloaded.map_err(GrantError::from),
                },
            });
            if let Ok(Err(error)) = reload.await {
                tracing::error!(%error, "The grants cannot be read; the last good ones stay in force for now.");
            }
            let now = self.document();
            if !Arc::ptr_eq(&now, &last) {
                self.find_anew();
                last = now;
            }
        }
    }

    /// Gives a caller a right. On disk when it returns.
    ///
    /// # Errors
    /// When it means nothing, when there is no room, or when the file cannot be written.
    pub(crate) fn add(&self, identity: &Identity, scope: Scope, note: &str) -> Result<Grant, GrantError> {
        let now = now();
        if scope.classes.is_empty() {
            let message = "a grant names at least one class of routes, such as `inference`";
            return Err(GrantError::Meaning(message.to_owned()));
        }
        if scope.until.is_none_or(|until| until <= now) {
            return Err(GrantError::Meaning("a grant ends in the future: say `--for 8h` or `--until`".to_owned()));
        }
        let note: String = note.chars().filter(|c| !c.is_control()).take(MAX_NOTE).collect();
        let random = Ulid::new().to_string().to_ascii_lowercase();
        let id = format!("g-{}", random.get(random.len().saturating_sub(10)..).unwrap_or_default());
        let grant = Grant { id, identity: identity.to_string(), scope, created: now, revoked: None, note };
        self.change(|document| {
            make_room(document, &grant.identity, now)?;
            document.grants.push(grant.clone());
            Ok(grant.clone())
        })
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// When there is none of this id that has not ended, or the file cannot be written.
    pub(crate) fn revoke(&self, id: &str) -> Result<Grant, GrantError> {
        let now = now();
        self.change(|document| {
            let grant = document.grants.iter_mut().find(|grant| grant.id == id && !grant.has_ended(now));
            let grant = grant.ok_or_else(|| GrantError::Nobody(id.chars().take(64).collect()))?;
            grant.revoked = Some(now);
            Ok(grant.clone())
        })
    }

    /// The grants, also those that have ended lately where `all` is asked for.
    pub(crate) fn list(&self, all: bool) -> Vec<Grant> {
        let now = now();
        self.document().grants.iter().filter(|grant| all || !grant.has_ended(now)).cloned().collect()
    }

    fn document(&self) -> Arc<GrantDocument> {
        match &self.pages {
            Pages::Local(ledger) => ledger.get(),
            Pages::Shared(document) => document.get(),
        }
    }

    fn change<T>(&self, apply: impl FnMut(&mut GrantDocument) -> Result<T, GrantError>) -> Result<T, GrantError> {
        let outcome = match &self.pages {
            Pages::Local(ledger) => ledger.change(apply),
            Pages::Shared(document) => document.change(apply),
        };
        self.find_anew();
        outcome
    }

    fn find_anew(&self) {
        self.found.store(Arc::new(Grants::new(self.document().grants.iter().cloned())));
    }
}

impl GrantView for GrantBook {
    fn grants(&self) -> Arc<Grants> {
        self.found.load_full()
    }

    fn now(&self) -> i64 {
        now()
    }
}

/// A grant as commands and the admin API show it.
pub(crate) fn shown(grant: &Grant) -> Value {
    let text = |at: i64| jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |t| t.to_string());
    json!({
        "id": grant.id, "identity": grant.identity, "state": state(grant), "created": text(grant.created),
        "until": grant.scope.until.map(text), "revoked": grant.revoked.map(text), "note": grant.note,
        "scope": grant.scope,
    })
}

/// What a grant is for that names no class of routes: to use models, and to see which there are.
pub(crate) fn or_usual(classes: Vec<RouteClass>) -> Vec<RouteClass> {
    if classes.is_empty() { vec![RouteClass::Inference, RouteClass::Read] } else { classes }
}

/// The Unix second at which a grant for this long ends: `8h`.
///
/// # Errors
/// When it is no duration.
pub(crate) fn ends_after(ttl: &str) -> Result<i64, String> {
    let ttl = crate::config::duration(ttl).filter(|d| !d.is_zero());
    let ttl = ttl.ok_or_else(|| "`for` is not a duration, expected such as `15m`, `8h` or `30d`".to_owned())?;
    Ok(now().saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)))
}

/// One word for where a grant stands.
pub(crate) fn state(grant: &Grant) -> &'static str {
    if grant.revoked.is_some() {
        "revoked"
    } else if grant.has_ended(now()) {
        "ended"
    } else {
        "valid"
    }
}

/// Forgets grants that ended long ago, and the oldest of those that ended where there are too many.
fn make_room(document: &mut GrantDocument, identity: &str, now: i64) -> Result<(), GrantError> {
    let gone = |grant: &Grant| grant.has_ended(now) && grant.end().is_some_and(|end| end < now - REMEMBERED);
    document.grants.retain(|grant| !gone(grant));
    let of_one = document.grants.iter().filter(|grant| grant.identity == identity).count();
    let oldest = |of: &dyn Fn(&Grant) -> bool| document.grants.iter().position(|g| of(g) && g.has_ended(now));
    let full = if of_one >= MAX_OF_ONE {
        Some(oldest(&|grant| grant.identity == identity))
    } else if document.grants.len() >= MAX_GRANTS {
        Some(oldest(&|_| true))
    } else {
        None
    };
    match full {
        None => Ok(()),
        Some(None) => Err(GrantError::Full),
        Some(Some(position)) => {
            document.grants.remove(position);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(until: i64) -> Scope {
        Scope { classes: vec![RouteClass::Inference], until: Some(until), ..Scope::default() }
    }

    #[test]
    fn what_one_process_grants_another_sees() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (GrantBook::open(dir.path()).unwrap(), GrantBook::open(dir.path()).unwrap());
        let alice = Identity::peer("alice");
        let made = one.add(&alice, scope(now() + 60), "a\nb").unwrap();
        assert_eq!((made.note.as_str(), one.grants().of(&alice).len()), ("ab", 1));
        assert!(two.grants().of(&alice).is_empty());
        let Pages::Local(ledger) = &two.pages else { panic!("it is a file") };
        assert!(ledger.reload_if_changed().unwrap());
        two.find_anew();
        assert_eq!(two.list(false), std::slice::from_ref(&made));
        two.revoke(&made.id).unwrap();
        assert!(two.list(false).is_empty() && two.list(true).len() == 1);
        assert!(matches!(two.revoke(&made.id), Err(GrantError::Nobody(_))));
        assert!(matches!(one.add(&alice, scope(now()), ""), Err(GrantError::Meaning(_))));
        assert!(matches!(
            one.add(&alice, Scope { classes: vec![], ..scope(now() + 9) }, ""),
            Err(GrantError::Meaning(_))
        ));
    }

    #[test]
    fn grants_of_one_caller_are_bounded_and_those_that_ended_make_room() {
        let grant = |n: usize, until: i64| Grant {
            id: format!("g-{n}"),
            identity: "key:ci".to_owned(),
            scope: scope(until),
            created: 0,
            revoked: None,
            note: String::new(),
        };
        let now = 10 * REMEMBERED;
        let mut document = GrantDocument { grants: (0..MAX_OF_ONE).map(|n| grant(n, now + 1)).collect() };
        assert!(matches!(make_room(&mut document, "key:ci", now), Err(GrantError::Full)));
        make_room(&mut document, "key:other", now).unwrap();
        document.grants[3].revoked = Some(now - 1);
        make_room(&mut document, "key:ci", now).unwrap();
        assert_eq!((document.grants.len(), document.grants[3].id.as_str()), (MAX_OF_ONE - 1, "g-4"));
        document.grants[5] = grant(5, now - REMEMBERED - 1);
        make_room(&mut document, "key:other", now).unwrap();
        assert_eq!(document.grants.len(), MAX_OF_ONE - 2);
    }
}
