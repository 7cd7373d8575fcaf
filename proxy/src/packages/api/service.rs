//! Requests to OSV's API: bounded in time and size, sent again where that may help.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::web;

/// The most bytes of one answer: the pages of the packages with the most advisories have a few megabytes.
const MOST_BYTES: u64 = 32 << 20;
/// How often a request is sent, when the answer says to try later or the connection broke.
const TRIES: u32 = 3;
/// How long one waits where the answer does not say.
const BREATH: Duration = Duration::from_millis(200);

/// Where the API is, and how it is reached.
pub(super) struct Service {
    /// Without a slash at its end.
    url: String,
    agent: ureq::Agent,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) why: String,
    /// Whether the service is at fault, so that the next question will hardly have one.
    pub(super) service: bool,
}

impl Failed {
    /// The service did not do what it should.
    pub(super) fn theirs(why: String) -> Self {
        Self { why, service: true }
    }
}

/// What came of sending a request once.
enum Sent {
    Answered(Value),
    /// It may be sent again, after this long, where the answer says so.
    Again(String, Option<Duration>),
    Failed(Failed),
}

impl Service {
    /// # Errors
    /// A sentence, when the authorities cannot be read.
    pub(super) fn new(url: &str, ca: Option<&Path>, patience: Duration) -> Result<Self, String> {
        Ok(Self { url: url.to_owned(), agent: web::agent(ca, patience)? })
    }

    /// Asks, until then at most.
    pub(super) fn post(&self, path: &str, body: &Value, by: Instant) -> Result<Value, Failed> {
        let body = body.to_string();
        self.retry(path, by, &|url, left| {
            let request = self.agent.post(url).config().timeout_global(Some(left)).build();
            request.header("Content-Type", "application/json").header("Accept", "application/json").send(&body)
        })
    }

    /// Fetches, until then at most.
    pub(super) fn get(&self, path: &str, by: Instant) -> Result<Value, Failed> {
        self.retry(path, by, &|url, left| {
            let request = self.agent.get(url).config().timeout_global(Some(left)).build();
            request.header("Accept", "application/json").call()
        })
    }

    fn retry(&self, path: &str, by: Instant, send: &Send<'_>) -> Result<Value, Failed> {
        let url = format!("{}{path}", self.url);
        let mut last = "did not answer in time".to_owned();
        for attempt in 0..TRIES {
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match once(send(&url, left)) {
                Sent::Answered(value) => return Ok(value),
                Sent::Failed(failed) => {
                    return Err(Failed { why: cannot(&url, &failed.why), ..failed });
                }
                Sent::Again(why, after) => {
                    last = why;
                    let pause = after.unwrap_or(BREATH * 2u32.saturating_pow(attempt));
                    // Who has no time to wait for the answer knows at once that there is none.
                    if pause >= by.saturating_duration_since(Instant::now()) || attempt + 1 == TRIES {
                        break;
                    }
                    std::thread::sleep(pause);
                }
            }
        }
        Err(Failed::theirs(cannot(&url, &last)))
    }
}

/// Sends a request to an address, with so much time.
type Send<'s> = dyn Fn(&str, Duration) -> Result<http::Response<ureq::Body>, ureq::Error> + 's;

fn cannot(url: &str, why: &str) -> String {
    format!("OSV's API cannot be asked: `{url}` {why}")
}

/// What came of it.
fn once(answer: Result<http::Response<ureq::Body>, ureq::Error>) -> Sent {
    let mut answer = match answer {
        Ok(answer) => answer,
        // A connection that was kept may have been closed by the other side in the meantime.
        Err(error @ (ureq::Error::Io(_) | ureq::Error::ConnectionFailed)) => {
            return Sent::Again(format!("failed: {error}"), None);
        }
        Err(error) => return Sent::Failed(Failed::theirs(format!("failed: {error}"))),
    };
    let status = answer.status().as_u16();
    match status {
        200 => match answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec() {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(value) => Sent::Answered(value),
                Err(_) => Sent::Failed(Failed::theirs("answered what is no JSON".to_owned())),
            },
            Err(error) => Sent::Failed(Failed::theirs(format!("broke off: {error}"))),
        },
        429 | 500..=599 => {
            let after = answer.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
            Sent::Again(format!("answered {status}"), after.map(Duration::from_secs))
        }
        // What it does not take, it may take of another package.
        400..=499 => Sent::Failed(Failed { why: format!("answered {status}"), service: false }),
        _ => Sent::Failed(Failed::theirs(format!("answered {status}"))),
    }
}
