//! How much may be asked: the words of `filters.ratelimit`.

use std::fmt::{self, Write as _};
use std::time::Duration;

use portcullis_filters::ratelimit::{self, RateLimitSettings};
use portcullis_policies::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check::Check;
use super::store::Counting;
use super::written::ModeWord;

/// The most requests at once that a limit can name.
const MAX_CONCURRENT: u64 = 1_000_000;
/// The most tokens that can be set aside for one answer.
const MAX_ANSWER: u64 = 1_048_576;
/// How much may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimits {
    pub(crate) filter: RateLimitSettings,
    /// Refusals for want of an identity, for each address.
    pub(crate) strangers: Option<Rate>,
    /// Where it is counted.
    pub(crate) store: Counting,
}

impl Default for RateLimits {
    fn default() -> Self {
        let rate = |count, per| Some(Rate { count, per: Duration::from_secs(per) });
        // How much a caller may ask is the operator's to say; that none holds up the others is the queue's.
        let filter = RateLimitSettings { answer_tokens: 512, ..RateLimitSettings::default() };
        Self { filter, strangers: rate(3_000, 60), store: Counting::default() }
    }
}

/// How much may be asked: `requests` and `tokens` as in `600/m`, `concurrent` as a number, `off` for
/// no limit.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// `enforce`, `shadow` or `off`.
    pub(crate) mode: Option<ModeWord>,
    /// Requests of one caller, such as `600/m`. Default: no limit.
    requests: Option<Amount>,
    /// Tokens of one caller, prompts and answers together, such as `2000000/h`. Default: no limit.
    tokens: Option<Amount>,
    /// Requests of one caller at once, such as `16`. Default: no limit.
    concurrent: Option<Amount>,
    /// The same for each model, over all callers. Default: no limit.
    per_model: Option<Shared>,
    /// The same for everybody together. Default: no limit.
    global: Option<Shared>,
    /// Refusals for want of an identity, for each address; what comes beyond is refused without an
    /// audit entry of its own, and counted in one. Default: `3000/m`.
    strangers: Option<Amount>,
    /// Tokens that are set aside for an answer whose request names no maximum. Default: 512.
    answer_tokens: Option<Amount>,
    /// Where it is counted: in this gate's `memory`, or `shared`, in the store that `filters.signature.store`
    /// names, so that a caller has one allowance in all gates together. Default: `memory`.
    store: Option<Counting>,
}

/// Limits that several callers share.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shared {
    /// Requests, such as `6000/m`.
    requests: Option<Amount>,
    /// Tokens, such as `20000000/h`.
    tokens: Option<Amount>,
    /// Requests at once.
    concurrent: Option<Amount>,
}

/// A number, a rate, or `off`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Amount {
    /// YAML's own reading of a bare `off`.
    Switch(bool),
    /// A number.
    Number(i64),
    /// `off`, `auto`, or a rate such as `600/m`.
    Text(String),
}

impl Amount {
    pub(super) fn is_off(&self) -> bool {
        matches!(self, Self::Switch(false)) || matches!(self, Self::Text(word) if word == "off")
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(false) => f.write_str("off"),
            Self::Switch(true) => f.write_str("on"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.chars().take(32).try_for_each(|c| f.write_char(c)),
        }
    }
}

impl RateLimits {
    /// As it is written in a config, with every default filled in.
    pub(crate) fn to_json(self) -> Value {
        let rate = |rate: Option<Rate>| rate.map_or_else(|| "off".to_owned(), |rate| rate.to_string());
        let concurrent = |most: Option<u32>| most.map_or_else(|| json!("off"), |most| json!(most));
        let limits = |limits: ratelimit::Limits| {
            json!({
                "requests": rate(limits.requests), "tokens": rate(limits.tokens),
                "concurrent": concurrent(limits.concurrent),
            })
        };
        let own = self.filter.caller;
        json!({
            "requests": rate(own.requests), "tokens": rate(own.tokens), "concurrent": concurrent(own.concurrent),
            "per_model": limits(self.filter.model), "global": limits(self.filter.global),
            "strangers": rate(self.strangers), "answer_tokens": self.filter.answer_tokens, "store": self.store,
        })
    }

    pub(super) fn check(check: &mut Check<'_>, w: &RateLimit) -> Self {
        let usual = Self::default();
        let at = |key: &str| format!("filters.ratelimit.{key}");
        let own = usual.filter.caller;
        let caller = ratelimit::Limits {
            requests: rate(check, &at("requests"), w.requests.as_ref(), own.requests),
            tokens: rate(check, &at("tokens"), w.tokens.as_ref(), own.tokens),
            concurrent: places(check, &at("concurrent"), w.concurrent.as_ref(), own.concurrent),
        };
        let answer = number(check, &at("answer_tokens"), w.answer_tokens.as_ref(), MAX_ANSWER);
        Self {
            filter: RateLimitSettings {
                caller,
                model: shared(check, &at("per_model"), w.per_model.as_ref()),
                global: shared(check, &at("global"), w.global.as_ref()),
                answer_tokens: answer.unwrap_or(usual.filter.answer_tokens),
            },
            strangers: rate(check, &at("strangers"), w.strangers.as_ref(), usual.strangers),
            store: w.store.unwrap_or_default(),
        }
    }
}

fn shared(check: &mut Check<'_>, key: &str, w: Option<&Shared>) -> ratelimit::Limits {
    let Some(w) = w else { return ratelimit::Limits::default() };
    ratelimit::Limits {
        requests: rate(check, &format!("{key}.requests"), w.requests.as_ref(), None),
        tokens: rate(check, &format!("{key}.tokens"), w.tokens.as_ref(), None),
        concurrent: places(check, &format!("{key}.concurrent"), w.concurrent.as_ref(), None),
    }
}

fn rate(check: &mut Check<'_>, key: &str, amount: Option<&Amount>, usual: Option<Rate>) -> Option<Rate> {
    let text = match amount {
        None => return usual,
        Some(amount) if amount.is_off() => return None,
        Some(amount) => amount.to_string(),
    };
    match text.parse() {
        Ok(rate) => Some(rate),
        Err(error) => {
            let example = if key.ends_with("tokens") { "2000000/h" } else { "600/m" };
            check.wrong(key, error.to_string(), Some(&format!("write `{example}`, or `off` for no limit")));
            usual
        }
    }
}

fn places(check: &mut Check<'_>, key: &str, amount: Option<&Amount>, usual: Option<u32>) -> Option<u32> {
    match amount {
        None => usual,
        Some(amount) if amount.is_off() => None,
        some => number(check, key, some, MAX_CONCURRENT).and_then(|n| u32::try_from(n).ok()).or(usual),
    }
}

pub(super) fn number(check: &mut Check<'_>, key: &str, amount: Option<&Amount>, most: u64) -> Option<u64> {
    let amount = amount?;
    let number = if let Amount::Number(number) = amount { u64::try_from(*number).ok() } else { None };
    if let Some(number) = number.filter(|number| (1..=most).contains(number)) {
        return Some(number);
    }
    check.wrong(key, format!("`{amount}` does not fit, expected a number from 1 to {most}"), None);
    None
}
