//! What OSV's API says: <https://google.github.io/osv.dev/api/>.
//!
//! One request asks of many packages whether there is anything (`/v1/querybatch` answers with identifiers alone); of
//! those that have something, the advisories are fetched (`/v1/query`, page by page). Answers are kept for a while. Only
//! names of packages leave the machine.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portcullis_filters::sca::{Advisories, Lookup, Told, Unavailable};
use portcullis_osv::{Advisory, Notice, Package};
use serde_json::{Value, json};

use super::local::Local;
use crate::config::ApiConfig;
use crate::web;

/// The most bytes of one answer: the pages of the packages with the most advisories have a few megabytes.
const MOST_BYTES: u64 = 32 << 20;
/// The most pages of one package.
const MOST_PAGES: usize = 50;
/// Packages that one request asks of; the service takes 1,000.
const BATCH: usize = 500;
/// Packages whose answers are kept.
const KEPT: usize = 20_000;
/// Requests that are sent again after an answer that says to try later.
const TRIES: u32 = 3;
/// How long one waits where the answer does not say.
const BREATH: Duration = Duration::from_millis(200);
/// After so many lookups in a row that failed, the next ones fail at once, for a while.
const FAILURES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

/// OSV's API, and what it said lately.
pub(crate) struct Api {
    config: ApiConfig,
    agent: ureq::Agent,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<Package, (Instant, Arc<[Notice]>)>,
    failures: u32,
    failed: Option<Instant>,
}

impl Api {
    pub(super) fn new(config: &ApiConfig) -> anyhow::Result<Self> {
        let ca: Option<PathBuf> = config.ca.clone();
        let agent = web::agent(ca.as_deref(), config.timeout).map_err(anyhow::Error::msg)?;
        Ok(Self { config: config.clone(), agent, kept: Mutex::default() })
    }

    pub(super) fn is_of(&self, config: &ApiConfig) -> bool {
        self.config == *config
    }

    /// What advisories say of each of these packages, in their order. Blocks, for as long as the config says at most.
    fn notices(&self, packages: &[Package]) -> Result<Vec<Arc<[Notice]>>, Unavailable> {
        let by = Instant::now() + self.config.timeout;
        let unknown: Vec<_> = {
            let kept = self.kept();
            let paused = kept.failures >= FAILURES && kept.failed.is_some_and(|at| at.elapsed() < PAUSE);
            let fresh =
                |package: &&Package| kept.answers.get(package).is_some_and(|(at, _)| at.elapsed() <= self.config.keep);
            let unknown: Vec<_> = packages.iter().filter(|package| !fresh(package)).cloned().collect();
            if paused && !unknown.is_empty() {
                return Err(Unavailable("OSV's API failed again and again, and is left alone for 10 s".to_owned()));
            }
            unknown
        };
        let mut told = HashMap::new();
        for batch in unknown.chunks(BATCH) {
            match self.ask(batch, by) {
                Ok(answers) => told.extend(batch.iter().cloned().zip(answers)),
                Err(why) => {
                    let mut kept = self.kept();
                    kept.failures = kept.failures.saturating_add(1);
                    kept.failed = Some(Instant::now());
                    return Err(why);
                }
            }
        }
        let mut kept = self.kept();
        kept.failures = 0;
        if kept.answers.len() + told.len() > KEPT {
            kept.answers.clear();
        }
        let now = Instant::now();
        kept.answers.extend(told.iter().map(|(package, notices)| (package.clone(), (now, Arc::clone(notices)))));
        let find = |package: &Package| {
            let old = kept.answers.get(package).map(|(_, notices)| notices);
            told.get(package).or(old).cloned().ok_or_else(|| Unavailable("an answer was lost".to_owned()))
        };
        packages.iter().map(find).collect()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks of packages, all of them or none.
    fn ask(&self, packages: &[Package], by: Instant) -> Result<Vec<Arc<[Notice]>>, Unavailable> {
        let queries: Vec<_> = packages.iter().map(query).collect();
        let answer = self.post("/v1/querybatch", &json!({"queries": queries}), by)?;
        let results = answer.get("results").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if results.len() != packages.len() {
            return Err(malformed("/v1/querybatch", "it does not answer every query"));
        }
        let mut all = Vec::with_capacity(packages.len());
        for (package, result) in packages.iter().zip(results) {
            let something = match (result.get("vulns"), result.get("next_page_token")) {
                (None | Some(Value::Null), None) => false,
                (Some(Value::Array(vulns)), token) => !vulns.is_empty() || token.is_some(),
                (None, Some(_)) => true,
                _ => return Err(malformed("/v1/querybatch", "`vulns` is no list")),
            };
            all.push(if something { self.advisories(package, by)?.into() } else { Arc::from([]) });
        }
        Ok(all)
    }

    /// Every advisory on a package, page by page.
    fn advisories(&self, package: &Package, by: Instant) -> Result<Vec<Notice>, Unavailable> {
        let mut query = query(package);
        let mut notices = Vec::new();
        for _ in 0..MOST_PAGES {
            let answer = self.post("/v1/query", &query, by)?;
            let vulns = match answer.get("vulns") {
                None | Some(Value::Null) => &[][..],
                Some(Value::Array(vulns)) => vulns,
                Some(_) => return Err(malformed("/v1/query", "`vulns` is no list")),
            };
            for vuln in vulns {
                // One that cannot be read may be the one that matters.
                let advisory = Advisory::parse(&vuln.to_string())
                    .map_err(|error| malformed("/v1/query", &format!("an advisory in it cannot be read: {error}")))?;
                notices.extend(advisory.notices.into_iter().filter(|notice| notice.package == *package));
            }
            match answer.get("next_page_token").and_then(Value::as_str).filter(|token| !token.is_empty()) {
                None => return Ok(notices),
                Some(token) => {
                    if let Some(query) = query.as_object_mut() {
                        query.insert("page_token".to_owned(), token.into());
                    }
                }
            }
        }
        Err(malformed("/v1/query", "its pages do not end"))
    }

    /// One request, sent again where the answer says so and there is time.
    fn post(&self, path: &str, body: &Value, by: Instant) -> Result<Value, Unavailable> {
        let url = format!("{}{path}", self.config.url);
        let failed = |why: String| Unavailable(format!("OSV's API cannot be asked: `{url}` {why}"));
        let mut last = "did not answer in time".to_owned();
        for attempt in 0..TRIES {
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let sent = self
                .agent
                .post(&url)
                .config()
                .timeout_global(Some(left))
                .build()
                .header("Content-Type", "application/json")
                .header("Accept", "application/json")
                .send(body.to_string());
            let mut answer = match sent {
                Ok(answer) => answer,
                Err(error) => return Err(failed(format!("failed: {error}"))),
            };
            let status = answer.status().as_u16();
            match status {
                200 => {
                    let text = answer.body_mut().with_config().limit(MOST_BYTES).read_to_string();
                    let text = text.map_err(|error| failed(format!("broke off: {error}")))?;
                    return serde_json::from_str(&text).map_err(|_| failed("answered what is no JSON".to_owned()));
                }
                429 | 500..=599 => {
                    last = format!("answered {status}");
                    let said = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
                    let pause = said.map_or(BREATH * 2u32.pow(attempt), Duration::from_secs);
                    let left = by.saturating_duration_since(Instant::now());
                    if pause >= left || attempt + 1 == TRIES {
                        break;
                    }
                    std::thread::sleep(pause);
                }
                _ => return Err(failed(format!("answered {status}"))),
            }
        }
        Err(failed(last))
    }
}

fn query(package: &Package) -> Value {
    json!({"package": {"name": package.name(), "ecosystem": package.ecosystem().as_str()}})
}

fn malformed(path: &str, why: &str) -> Unavailable {
    Unavailable(format!("OSV's API answered what cannot be used: `{path}`: {why}"))
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
        if self.both
            && let Ok(told) = self.local.told(packages.clone())
        {
            return Lookup::Now(Ok(told));
        }
        let (api, local) = (Arc::clone(&self.api), Arc::clone(&self.local));
        Lookup::Later(Box::pin(async move {
            let told = tokio::task::spawn_blocking(move || -> Told {
                let notices = api.notices(&packages)?;
                let dossiers = packages.into_iter().zip(notices);
                Ok(dossiers.map(|(package, notices)| local.dossier(package, notices.to_vec())).collect())
            });
            told.await.unwrap_or_else(|_| Err(Unavailable("the lookup was cut off".to_owned())))
        }))
    }
}
