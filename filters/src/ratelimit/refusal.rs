//! What somebody is told who reached a limit.

use std::fmt;
use std::time::Duration;

use portcullis_policies::Rate;

use super::{Demand, Denied, Kind, Limit};
use crate::filter::block;
use crate::verdict::{Code, FilterError, Outcome, Refusal};

/// When to come again while budgets cannot be written down, or the counters' store is away.
const STORE_RETRY: u32 = 5;

/// Says which limit it was, and when to come again.
pub(super) fn refuse<T>(denied: Denied, demands: &[Demand<'_>]) -> Outcome<T> {
    let short = match denied {
        Denied::Broken(error) => return Err(error),
        Denied::Away(away) => {
            let retry = away.retry_after.map_or(STORE_RETRY, whole_seconds);
            return block(
                Refusal::new("ratelimit", Code::StoreUnavailable, "the store that keeps the limits does not answer")
                    .with_detail(away.why)
                    .with_retry_after(retry),
            );
        }
        Denied::Unsaved => {
            return block(
                Refusal::new("ratelimit", Code::StoreUnavailable, "what is left of a budget cannot be written down")
                    .with_retry_after(STORE_RETRY),
            );
        }
        Denied::Short(short) => short,
    };
    let Some(demand) = demands.get(short.demand) else {
        return Err(FilterError::Failed("a limit that nobody asked about".to_owned()));
    };
    let (code, message) = match short.limit {
        Limit::Requests(rate) => (Code::RateLimitRequests, format!("{} requests per {}", rate.count, unit(rate))),
        Limit::Tokens(rate) => (Code::RateLimitTokens, format!("{} tokens per {}", rate.count, unit(rate))),
        Limit::Concurrent(1) => (Code::RateLimitConcurrent, "1 request at once".to_owned()),
        Limit::Concurrent(most) => (Code::RateLimitConcurrent, format!("{most} requests at once")),
        Limit::Budget(budget) => (Code::RateLimitTokens, format!("{budget} tokens in all")),
    };
    let message = match short.limit {
        Limit::Budget(_) => format!("the budget of {message} does not hold this request"),
        _ => format!("the limit of {message} {} is reached", Scope(demand.kind)),
    };
    block(
        Refusal::new("ratelimit", code, message)
            .with_detail(format!("{:?} {}", demand.kind, demand.key))
            .with_retry_after(whole_seconds(short.wait)),
    )
}

/// Whom a limit is for, in a sentence.
struct Scope(Kind);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Caller => "for one caller",
            Kind::Global => "for all callers together",
            Kind::Model => "for this model",
            Kind::Quota => "of what allows this request",
            Kind::Stranger => "for callers that are not known",
        })
    }
}

fn unit(rate: Rate) -> &'static str {
    match rate.per.as_secs() {
        1 => "second",
        60 => "minute",
        3_600 => "hour",
        _ => "day",
    }
}

/// Rounded up: who comes again a moment too early waits for nothing.
fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX).max(1)
}
