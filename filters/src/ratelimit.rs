//! The `ratelimit` filter: how much one caller may ask of a gate, of a model, and of what it was granted.
//!
//! A request is counted when its head comes, before anything of it is read. What it costs is taken once
//! every other filter has let it through: a place among those that run, and tokens, as many as it may
//! use at most. Either everything is taken or nothing. When the exchange ends, what it really used takes
//! the place of what was reserved. Reads count as requests and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_policies::{Rate, RouteClass};

use crate::dialect::Usage;
use crate::exchange::{Caller, Facts, Head, Lease, Request};
use crate::filter::{Filter, Phase};
use crate::verdict::{FilterError, Outcome, Verdict};

mod bucket;
mod budgets;
mod counters;
mod estimate;
mod memory;
mod refusal;

pub use budgets::{BudgetStore, delegation};
pub use counters::{Clock, Counters, Demand, Denied, Held, Kind, Limit, Monotonic, Shortage};
pub use memory::Memory;

use estimate::Estimate;
use refusal::refuse;

/// The most callers that one request counts against: the one that calls, and those whose rights it uses.
const MAX_CALLERS: usize = 8;
/// The most quotas that one request counts against.
const MAX_QUOTAS: usize = memory::MAX_DEMANDS - MAX_CALLERS - 2;
/// How much is allowed. What is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in a span of time.
    pub requests: Option<Rate>,
    /// Tokens in a span of time, of prompts and answers together.
    pub tokens: Option<Rate>,
    /// Requests at once.
    pub concurrent: Option<u32>,
}

/// What the filter is set to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// For each caller.
    pub caller: Limits,
    /// For each model.
    pub model: Limits,
    /// For everybody together.
    pub global: Limits,
    /// Tokens that are set aside for an answer whose request names no maximum.
    pub answer_tokens: u64,
}

/// The filter.
pub struct RateLimit {
    settings: RateLimitSettings,
    counters: Arc<dyn Counters>,
}

impl RateLimit {
    /// A filter with these limits. The counters outlive it: a reload of the config gives nobody a fresh
    /// start.
    #[must_use]
    pub fn new(settings: RateLimitSettings, counters: Arc<dyn Counters>) -> Self {
        Self { settings, counters }
    }

    /// What a request costs before anything of it is read.
    fn at_head<'d>(&self, who: &'d [Who<'d>]) -> Vec<Demand<'d>> {
        let mut demands: Vec<_> = who
            .iter()
            .map(|who| Demand { requests: self.settings.caller.requests, ..Demand::of(Kind::Caller, who.as_str()) })
            .collect();
        demands.push(Demand { requests: self.settings.global.requests, ..Demand::of(Kind::Global, "") });
        demands.retain(|demand| !demand.is_empty());
        demands
    }

    /// What it costs once all of it is known.
    fn at_end<'d>(&self, head: &Head, facts: &'d Facts, who: &'d [Who<'d>]) -> Vec<Demand<'d>> {
        let weight = Weight::of(head.route.class);
        let mut demands: Vec<_> =
            who.iter().map(|who| weight.of_limits(Kind::Caller, who.as_str(), self.settings.caller)).collect();
        demands.push(weight.of_limits(Kind::Global, "", self.settings.global));
        // These two were counted when the head came.
        demands.iter_mut().for_each(|demand| demand.requests = None);
        if let Some(model) = facts.model() {
            demands.push(weight.of_limits(Kind::Model, model.as_str(), self.settings.model));
        }
        for (number, quota) in facts.quotas().iter().enumerate() {
            // A rule that two ways lead to counts once.
            if facts.quotas().iter().take(number).any(|earlier| earlier == quota) {
                continue;
            }
            let limits = Limits { requests: quota.requests, tokens: quota.tokens, concurrent: quota.concurrent };
            let demand = weight.of_limits(Kind::Quota, &quota.key, limits);
            demands.push(Demand { budget: quota.budget.filter(|_| weight.tokens), ..demand });
        }
        demands.retain(|demand| !demand.is_empty());
        demands
    }
}

#[async_trait]
impl Filter for RateLimit {
    fn name(&self) -> &'static str {
        "ratelimit"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Head, Phase::Account]
    }

    async fn head(&self, head: &Head, facts: &mut Facts) -> Outcome<()> {
        let who = callers(head, facts)?;
        let demands = self.at_head(&who);
        match self.counters.take(&demands, 0).await {
            Ok(_) => Ok(Verdict::Pass),
            Err(denied) => refuse(denied, &demands),
        }
    }

    async fn account(&self, request: &Request<'_>, facts: &mut Facts) -> Outcome<()> {
        if facts.quotas().len() > MAX_QUOTAS {
            return Err(FilterError::Failed("the request falls under more quotas than the gate counts".to_owned()));
        }
        let estimate = Estimate::of(request, facts.streams().unwrap_or(false), self.settings.answer_tokens);
        let held = {
            let who = callers(request.head, facts)?;
            let demands = self.at_end(request.head, facts, &who);
            match self.counters.take(&demands, estimate.total()).await {
                Ok(held) => held,
                Err(denied) => return refuse(denied, &demands),
            }
        };
        if let Some(held) = held {
            facts.hold(Box::new(Reserved { held, estimate }));
        }
        Ok(Verdict::Pass)
    }
}

/// What one exchange has set aside.
struct Reserved {
    held: Box<dyn Held>,
    estimate: Estimate,
}

impl Lease for Reserved {
    fn settle(&self, usage: Usage) {
        self.held.settle(self.estimate.charge(usage));
    }

    fn waive(&self) {
        self.held.settle(0);
    }
}

/// What a class of routes is counted by, beside requests.
#[derive(Clone, Copy)]
struct Weight {
    tokens: bool,
    places: bool,
}

impl Weight {
    fn of(class: RouteClass) -> Self {
        match class {
            RouteClass::Inference | RouteClass::Egress => Self { tokens: true, places: true },
            // A pull may run for an hour, but it costs no tokens.
            RouteClass::Admin => Self { tokens: false, places: true },
            RouteClass::Read | RouteClass::Sensitive | RouteClass::Public | RouteClass::Witness => {
                Self { tokens: false, places: false }
            }
        }
    }

    fn of_limits(self, kind: Kind, key: &str, limits: Limits) -> Demand<'_> {
        Demand {
            requests: limits.requests,
            tokens: limits.tokens.filter(|_| self.tokens),
            concurrent: limits.concurrent.filter(|_| self.places),
            ..Demand::of(kind, key)
        }
    }
}

/// Whom a request counts against.
enum Who<'f> {
    Caller(&'f Caller),
    /// Without an `identity` filter there is nothing but the address.
    Address(String),
}

impl Who<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Caller(caller) => caller.identity.as_str(),
            Self::Address(address) => address,
        }
    }
}

/// The caller, and everybody whose rights it uses: a right that is passed on brings no second allowance.
fn callers<'f>(head: &Head, facts: &'f Facts) -> Result<Vec<Who<'f>>, FilterError> {
    let Some(caller) = facts.caller() else {
        return Ok(vec![Who::Address(head.presented.address.to_string())]);
    };
    let mut who = vec![Who::Caller(caller)];
    let mut next = caller.delegator.as_deref();
    while let Some(delegator) = next {
        if who.len() >= MAX_CALLERS {
            return Err(FilterError::Failed("the caller's rights passed through too many hands".to_owned()));
        }
        if !who.iter().any(|known| known.as_str() == delegator.identity.as_str()) {
            who.push(Who::Caller(delegator));
        }
        next = delegator.delegator.as_deref();
    }
    Ok(who)
}

#[cfg(test)]
mod tests;
