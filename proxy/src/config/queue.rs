//! Who waits for an upstream: the words `slots` and `queue`.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::limits::{Amount, number};

/// The most slots of one upstream.
const MAX_SLOTS: u64 = 4_096;
/// The most requests that wait for one upstream.
const MAX_QUEUE: u64 = 65_536;
/// The longest that one may wait.
const MAX_WAIT: Duration = Duration::from_secs(3_600);

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

impl Default for QueueSettings {
    fn default() -> Self {
        Self { slots: Slots::Auto, length: 256, per_caller: 64, wait: Duration::from_secs(120) }
    }
}

/// Who waits for a slot of the upstream, and how long.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    /// Requests that may wait. Default: 256.
    length: Option<Amount>,
    /// Requests of one caller that may wait. Default: 64.
    per_caller: Option<Amount>,
    /// How long one may wait. Default: `120s`.
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
