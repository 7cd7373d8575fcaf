//! What a request may cost, before anybody has counted.

use portcullis_policies::routes::{Route, Streaming};

use crate::dialect::Usage;
use crate::exchange::Request;
use crate::json::Json;

/// Bytes of a prompt to a token, roughly.
const BYTES_PER_TOKEN: u64 = 4;
/// The most that is set aside for a prompt, and for an answer: what a large context window holds. An
/// image is many bytes and few tokens.
const MOST: u64 = 131_072;
/// The most that one answer is charged with, whatever an upstream claims.
const MOST_USED: u64 = 1 << 24;

/// How a client says how long an answer may be.
const FIELDS: [&str; 4] = ["max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict"];

/// What is set aside for one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) prompt: u64,
    pub(super) answer: u64,
    /// Whether the upstream shows its work as it goes.
    streams: bool,
}

impl Estimate {
    /// Reads it off a request; an answer without a maximum of its own may take `usual`.
    pub(super) fn of(request: &Request<'_>, streams: bool, usual: u64) -> Self {
        let prompt = (request.body.len() as u64 / BYTES_PER_TOKEN).clamp(1, MOST);
        let answer = if answers_in_tokens(&request.head.route) {
            request.json.and_then(named).unwrap_or(usual).min(MOST)
        } else {
            0
        };
        Self { prompt, answer, streams }
    }

    pub(super) fn total(self) -> u64 {
        self.prompt + self.answer
    }

    /// What an exchange is charged with, by what is known in the end. An upstream that does not count
    /// the prompt leaves the estimate in force; so does one that was cut off before it had counted
    /// anything of an answer that nobody saw grow.
    pub(super) fn charge(self, usage: Usage) -> u64 {
        if usage == Usage::default() && !self.streams {
            return self.total();
        }
        let prompt = if usage.input == 0 { self.prompt } else { usage.input };
        prompt.saturating_add(usage.output).min(MOST_USED)
    }
}

/// Embeddings and the like have no answer that grows.
fn answers_in_tokens(route: &Route) -> bool {
    !matches!(route.stream, Streaming::Never)
}

/// The maximum that the request itself names, for all of its answers together. Negative numbers name
/// none.
fn named(json: &Json<'_>) -> Option<u64> {
    let options = json.get("options");
    let of = |from: &Json<'_>, field: &str| from.get(field).and_then(Json::as_whole);
    let most = FIELDS
        .iter()
        .filter_map(|field| of(json, field))
        .chain(options.and_then(|options| of(options, "num_predict")))
        .max()?;
    let answers = ["best_of", "n", "n_cmpl"].iter().filter_map(|field| of(json, field)).max().unwrap_or(1);
    Some(most.saturating_mul(answers.max(1)))
}
