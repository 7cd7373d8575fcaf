//! What OSV's API says: <https://google.github.io/osv.dev/api/>.
//!
//! One request asks of many packages whether there is anything (`/v1/querybatch` answers with identifiers alone); of
//! those that have something, the advisories are fetched (`/v1/query`, page by page; what it leaves out, by
//! `/v1/vulns/ID`). Answers are kept for a while. Only names of packages leave the machine.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_filters::sca::{Advisories, Lookup, Told, Unavailable};
use portcullis_osv::{Advisory, Ecosystem, Notice, Package};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::service::{Failed, Service};
use self::spelling::spellings;
use super::local::{AT_ONCE, Local};
use crate::config::ApiConfig;

mod service;
mod spelling;

/// The most pages of one package.
const MOST_PAGES: usize = 50;
/// Packages that one request asks of; the service takes 1,000.
const BATCH: usize = 500;
/// Packages whose answers are kept.
const KEPT: usize = 20_000;
/// Lookups that are under way at once. Each takes a thread; more wait, within their time.
const LOOKUPS: usize = 32;
/// After so many lookups in a row in which the service failed, the next ones fail at once, for a while.
const FAILURES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

/// OSV's API, and what it said lately.
pub(crate) struct Api {
    config: ApiConfig,
    service: Service,
    kept: Mutex<Kept>,
    room: Arc<Semaphore>,
}

/// A name in one spelling, as it is asked for.
type Asked = (Ecosystem, String);

#[derive(Default)]
struct Kept {
    answers: HashMap<Asked, (Instant, Arc<[Notice]>)>,
    failures: u32,
    failed: Option<Instant>,
}

impl Api {
    pub(super) fn new(config: &ApiConfig) -> anyhow::Result<Self> {
        let ca: Option<PathBuf> = config.ca.clone();
        let service = Service::new(&config.url, ca.as_deref(), config.timeout).map_err(anyhow::Error::msg)?;
        let room = Arc::new(Semaphore::new(LOOKUPS));
        Ok(Self { config: config.clone(), service, kept: Mutex::default(), room })
    }

    pub(super) fn is_of(&self, config: &ApiConfig) -> bool {
        self.config == *config
    }

    /// Why nothing can be looked up, where the service failed the last time.
    pub(super) fn trouble(&self) -> Option<String> {
        let failures = self.kept().failures;
        (failures > 0).then(|| format!("OSV's API failed {failures} times in a row"))
    }

    /// Asks the service whether it answers, by the name of a package that everybody knows. Blocks for the time of one
    /// lookup at most.
    pub(super) fn answers(&self) -> Result<(), Unavailable> {
        let by = Instant::now() + self.config.timeout;
        self.notices(&[Package::new(Ecosystem::PyPi, "requests")], by).map(drop)
    }

    /// What advisories say of each of these packages, in their order. Blocks until then at most.
    fn notices(&self, packages: &[Package], by: Instant) -> Result<Vec<Vec<Notice>>, Unavailable> {
        let spelt = |package: &Package| -> Vec<Asked> {
            spellings(package).into_iter().map(|name| (package.ecosystem(), name)).collect()
        };
        let asked: Vec<Vec<Asked>> = packages.iter().map(spelt).collect();
        let all: BTreeSet<&Asked> = asked.iter().flatten().collect();
        let mut told: HashMap<&Asked, Arc<[Notice]>> = HashMap::new();
        let unknown: Vec<&Asked> = {
            let kept = self.kept();
            let fresh = |asked: &Asked| {
                let (at, notices) = kept.answers.get(asked)?;
                (at.elapsed() <= self.config.keep).then(|| Arc::clone(notices))
            };
            let mut unknown = Vec::new();
            for asked in all {
                match fresh(asked) {
                    Some(notices) => drop(told.insert(asked, notices)),
                    None => unknown.push(asked),
                }
            }
            let paused = kept.failures >= FAILURES && kept.failed.is_some_and(|at| at.elapsed() < PAUSE);
            if paused && !unknown.is_empty() {
                let pause = PAUSE.as_secs();
                return Err(Unavailable::Away(format!(
                    "OSV's API failed again and again, and is left alone for {pause} s"
                )));
            }
            unknown
        };
        for batch in unknown.chunks(BATCH) {
            let answers = self.ask(batch, by).map_err(|failed| self.failed(failed))?;
            self.keep(batch, &answers);
            told.extend(batch.iter().copied().zip(answers));
        }
        let gather = |spelt: &Vec<Asked>| {
            let mut notices = Vec::new();
            for asked in spelt {
                let known = told.get(asked).ok_or_else(|| Unavailable::Away("an answer was lost".to_owned()))?;
                notices.extend(known.iter().cloned());
            }
            notices.sort_by(|a: &Notice, b| a.id.cmp(&b.id));
            notices.dedup_by(|a, b| a.id == b.id);
            Ok(notices)
        };
        asked.iter().map(gather).collect()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was answered, and that the service does.
    fn keep(&self, asked: &[&Asked], answers: &[Arc<[Notice]>]) {
        let mut kept = self.kept();
        if std::mem::take(&mut kept.failures) > 0 {
            tracing::info!("OSV's API answers again.");
        }
        if kept.answers.len() + asked.len() > KEPT {
            kept.answers.clear();
        }
        let now = Instant::now();
        let new = asked.iter().zip(answers).map(|(asked, notices)| ((*asked).clone(), (now, Arc::clone(notices))));
        kept.answers.extend(new);
    }

    /// Notes that the service failed. That it does not take one question says nothing of the next.
    fn failed(&self, failed: Failed) -> Unavailable {
        if failed.service {
            let mut kept = self.kept();
            if kept.failures == 0 {
                tracing::warn!(why = failed.why, "OSV's API cannot be asked.");
            }
            kept.failures = kept.failures.saturating_add(1);
            kept.failed = Some(Instant::now());
        }
        Unavailable::Away(failed.why)
    }

    /// Asks of names, all of them or none.
    fn ask(&self, asked: &[&Asked], by: Instant) -> Result<Vec<Arc<[Notice]>>, Failed> {
        let queries: Vec<_> = asked.iter().map(|asked| query(asked)).collect();
        let path = "/v1/querybatch";
        let answer = self.service.post(path, &json!({"queries": queries}), by)?;
        let results = answer.get("results").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if results.len() != asked.len() {
            return Err(malformed(path, &format!("it answers {} of {} queries", results.len(), asked.len())));
        }
        let mut all = Vec::with_capacity(asked.len());
        for (asked, result) in asked.iter().zip(results) {
            let ids = list(path, result)?.iter().map(|vuln| vuln.get("id").and_then(Value::as_str));
            let ids: Option<BTreeSet<&str>> = ids.collect();
            let ids = ids.ok_or_else(|| malformed(path, "an advisory in it has no identifier"))?;
            let something = !ids.is_empty() || next_page(path, result)?.is_some();
            all.push(if something { self.advisories(asked, &ids, by)?.into() } else { Arc::from([]) });
        }
        Ok(all)
    }

    /// Every advisory on a name, page by page; among them, those of these identifiers.
    fn advisories(&self, asked: &Asked, ids: &BTreeSet<&str>, by: Instant) -> Result<Vec<Notice>, Failed> {
        let package = Package::new(asked.0, &asked.1);
        let path = "/v1/query";
        let mut query = query(asked);
        let (mut notices, mut seen) = (Vec::new(), BTreeSet::new());
        let mut take = |path: &str, vuln: &Value| -> Result<(), Failed> {
            // One that cannot be read may be the one that matters.
            let advisory = Advisory::parse(&vuln.to_string())
                .map_err(|error| malformed(path, &format!("an advisory in it cannot be read: {error}")))?;
            seen.insert(advisory.id);
            notices.extend(advisory.notices.into_iter().filter(|notice| notice.package == package));
            Ok(())
        };
        let mut pages = 0;
        loop {
            let answer = self.service.post(path, &query, by)?;
            list(path, &answer)?.iter().try_for_each(|vuln| take(path, vuln))?;
            let Some(token) = next_page(path, &answer)? else { break };
            pages += 1;
            if pages == MOST_PAGES {
                return Err(malformed(path, "its pages do not end"));
            }
            if let Some(query) = query.as_object_mut() {
                query.insert("page_token".to_owned(), token.into());
            }
        }
        // What was named and not told was changed in between, or left out.
        for id in ids.iter().filter(|id| !seen.contains(**id)) {
            let path = format!("/v1/vulns/{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
            let vuln = self.service.get(&path, by)?;
            let advisory = Advisory::parse(&vuln.to_string());
            let advisory = advisory.map_err(|error| malformed(&path, &format!("it cannot be read: {error}")))?;
            notices.extend(advisory.notices.into_iter().filter(|notice| notice.package == package));
        }
        Ok(notices)
    }
}

fn query((ecosystem, name): &Asked) -> Value {
    json!({"package": {"name": name, "ecosystem": ecosystem.as_str()}})
}

/// The advisories in an answer, or in one result of it.
fn list<'v>(path: &str, answer: &'v Value) -> Result<&'v [Value], Failed> {
    match (answer.as_object(), answer.get("vulns")) {
        (Some(_), None | Some(Value::Null)) => Ok(&[]),
        (Some(_), Some(Value::Array(vulns))) => Ok(vulns),
        (Some(_), Some(_)) => Err(malformed(path, "`vulns` is no list")),
        (None, _) => Err(malformed(path, "an answer in it is no object")),
    }
}

/// How the page after this one is asked for.
fn next_page<'v>(path: &str, answer: &'v Value) -> Result<Option<&'v str>, Failed> {
    match answer.get("next_page_token") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(token)) => Ok(Some(token.as_str()).filter(|token| !token.is_empty())),
        Some(_) => Err(malformed(path, "`next_page_token` is no text")),
    }
}

fn malformed(path: &str, why: &str) -> Failed {
    Failed::theirs(format!("OSV's API answered what cannot be used: `{path}`: {why}"))
}

/// The API as the filter asks it, alone or behind the database.
pub(super) struct Source {
    pub(super) api: Arc<Api>,
    pub(super) local: Arc<Local>,
    /// Whether the database is asked first.
    pub(super) both: bool,
}

impl Advisories for Source {
    fn look_up(&self, packages: Vec<Package>) -> Lookup {
        let mut both = self.both;
        if both && packages.len() <= AT_ONCE {
            match self.local.told(packages.clone()) {
                Ok(told) => return Lookup::Now(Ok(told)),
                Err(_) => both = false,
            }
        }
        let (api, local) = (Arc::clone(&self.api), Arc::clone(&self.local));
        Lookup::Later(Box::pin(async move {
            let by = Instant::now() + api.config.timeout;
            let room = tokio::time::timeout(api.config.timeout, Arc::clone(&api.room).acquire_owned()).await;
            let Ok(Ok(room)) = room else {
                return Err(Unavailable::Away("too many lookups wait for OSV's API".to_owned()));
            };
            let told = tokio::task::spawn_blocking(move || -> Told {
                let _room = room;
                if both && let Ok(told) = local.told(packages.clone()) {
                    return Ok(told);
                }
                let notices = api.notices(&packages, by)?;
                let dossiers = packages.into_iter().zip(notices);
                Ok(dossiers.map(|(package, notices)| local.dossier(package, notices)).collect())
            });
            told.await.unwrap_or_else(|_| Err(Unavailable::Away("the lookup was cut off".to_owned())))
        }))
    }
}
