//! How much may be asked: the words of `filters.ratelimit`, and the queue in front of an upstream.

use std::fmt::{self, Write as _};
use std::time::Duration;

use portcullis_filters::ratelimit::{self, RateLimitSettings};
use portcullis_policies::Rate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::load::Check;
use super::written::ModeWord;

/// The most requests at once that a limit can name.
const MAX_CONCURRENT: u64 = 1_000_000;
/// The most tokens that can be set aside for one answer.
const MAX_ANSWER: u64 = 1_048_576;
/// The most slots of one upstream.
const MAX_SLOTS: u64 = 4_096;
/// The most requests that wait for one upstream.
const MAX_QUEUE: u64 = 65_536;
/// The longest that one may wait.
const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// How much may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimits {
    pub(crate) filter: RateLimitSettings,
    /// Refusals for want of an identity, for each address.
    pub(crate) strangers: Option<Rate>,
}

/// How many requests an upstream works on at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Slots {
    /// What the server says of itself.
    #[default]
    Auto,
    /// So many.
    Count(u32),
    /// As many as come.
    Unlimited,
}

/// How many may wait for a slot, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueSettings {
    pub(crate) slots: Slots,
    pub(crate) length: usize,
    pub(crate) per_caller: usize,
    pub(crate) wait: Duration,
}

impl Default for RateLimits {
    fn default() -> Self {
        let rate = |count, per| Some(Rate { count, per: Duration::from_secs(per) });
        let caller =
            ratelimit::Limits { requests: rate(600, 60), tokens: rate(2_000_000, 3_600), concurrent: Some(16) };
        let filter = RateLimitSettings { caller, answer_tokens: 512, ..RateLimitSettings::default() };
        Self { filter, strangers: rate(600, 60) }
    }
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { slots: Slots::Auto, length: 64, per_caller: 16, wait: Duration::from_secs(60) }
    }
}

/// How much may be asked: `requests` and `tokens` as in `600/m`, `concurrent` as a number, `off` for
/// no limit.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// `enforce`, `shadow` or `off`.
    pub(crate) mode: Option<ModeWord>,
    /// Requests of one caller. Default: `600/m`.
    requests: Option<Amount>,
    /// Tokens of one caller, prompts and answers together. Default: `2000000/h`.
    tokens: Option<Amount>,
    /// Requests of one caller at once. Default: 16.
    concurrent: Option<Amount>,
    /// The same for each model, over all callers. Default: no limit.
    per_model: Option<Shared>,
    /// The same for everybody together. Default: no limit.
    global: Option<Shared>,
    /// Refusals for want of an identity, for each address; what comes beyond is refused without an
    /// audit entry of its own, and counted in one. Default: `600/m`.
    strangers: Option<Amount>,
    /// Tokens that are set aside for an answer whose request names no maximum. Default: 512.
    answer_tokens: Option<Amount>,
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

/// Who waits for a slot of the upstream, and how long.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    /// Requests that may wait. Default: 64.
    length: Option<Amount>,
    /// Requests of one caller that may wait. Default: 16.
    per_caller: Option<Amount>,
    /// How long one may wait. Default: `60s`.
    wait: Option<String>,
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Count(count) => count.fmt(f),
            Self::Unlimited => f.write_str("off"),
        }
    }
}

impl Amount {
    fn is_off(&self) -> bool {
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
            "strangers": rate(self.strangers), "answer_tokens": self.filter.answer_tokens,
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
        }
    }
}

impl QueueSettings {
    pub(super) fn check(check: &mut Check<'_>, upstream: &str, slots: Option<&Amount>, w: &Queue) -> Self {
        let usual = Self::default();
        let at = |key: &str| format!("upstreams.{upstream}.{key}");
        let slots = match slots {
            None => usual.slots,
            Some(Amount::Text(word)) if word == "auto" => Slots::Auto,
            Some(amount) if amount.is_off() => Slots::Unlimited,
            some => number(check, &at("slots"), some, MAX_SLOTS)
                .and_then(|count| u32::try_from(count).ok())
                .map_or(usual.slots, Slots::Count),
        };
        let count = |check: &mut Check<'_>, key: &str, amount: Option<&Amount>, usual: usize| {
            number(check, &at(key), amount, MAX_QUEUE).and_then(|n| usize::try_from(n).ok()).unwrap_or(usual)
        };
        let length = count(check, "queue.length", w.length.as_ref(), usual.length);
        let per_caller = count(check, "queue.per_caller", w.per_caller.as_ref(), usual.per_caller.min(length));
        if per_caller > length {
            check.wrong(
                &at("queue.per_caller"),
                format!("{per_caller} of one caller never wait where {length} may wait in all"),
                Some("write a smaller number, or a larger `length`"),
            );
        }
        let wait = check.duration(&at("queue.wait"), w.wait.as_deref(), usual.wait.as_secs());
        if wait > MAX_WAIT {
            check.wrong(
                &at("queue.wait"),
                format!("no client waits {} s for its turn, expected at most an hour", wait.as_secs()),
                Some("write `60s`"),
            );
        }
        Self { slots, length, per_caller, wait }
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

fn number(check: &mut Check<'_>, key: &str, amount: Option<&Amount>, most: u64) -> Option<u64> {
    let amount = amount?;
    let number = if let Amount::Number(number) = amount { u64::try_from(*number).ok() } else { None };
    if let Some(number) = number.filter(|number| (1..=most).contains(number)) {
        return Some(number);
    }
    check.wrong(key, format!("`{amount}` does not fit, expected a number from 1 to {most}"), None);
    None
}
