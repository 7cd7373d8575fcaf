//! What a caller may do: the policy, the grants, and the scopes of its credentials, held against one
//! request. All of them must agree.

use std::sync::Arc;

use portcullis_policies::model::{ModelMatcher, ModelName};
use portcullis_policies::policy::{Ask, Basis, Bounds, Decision, Denial, Deny, Policy, Rule, Tools};
use portcullis_policies::{Grants, RouteClass, Scope};

use super::shown;
use crate::exchange::{Caller, Facts, Quota, Shadow};
use crate::verdict::{Code, Refusal};

/// What the filter needs from the world: what people granted, and the time.
pub trait GrantView: Send + Sync + 'static {
    /// The grants as they are now. Called for every request: no I/O, no lock that a writer holds.
    fn grants(&self) -> Arc<Grants>;

    /// The time, in Unix seconds.
    fn now(&self) -> i64;
}

/// The most hands that a right may have gone through.
const MAX_HANDS: usize = 8;

/// What one caller may do at one moment.
pub(super) struct Rights<'r> {
    policy: &'r Policy,
    grants: Arc<Grants>,
    now: i64,
    /// Whose rights they are.
    holder: &'r Caller,
    /// Who uses them: the caller, and everybody between it and the holder.
    hands: Vec<&'r Caller>,
    /// Whether the request runs already: then a right that holds no more has ended.
    running: bool,
}

/// A yes, and how much it allows.
#[derive(Default)]
pub(super) struct Allowance {
    pub(super) bounds: Bounds,
    pub(super) tools: Vec<Arc<Tools>>,
    pub(super) quotas: Vec<Quota>,
    pub(super) basis: Option<Arc<str>>,
    pub(super) shadow: Option<Shadow>,
}

impl Allowance {
    /// Both must hold.
    pub(super) fn add(&mut self, other: Allowance) {
        self.bounds = self.bounds.and(other.bounds);
        self.tools.extend(other.tools);
        for quota in other.quotas {
            if !self.quotas.iter().any(|known| known.key == quota.key) {
                self.quotas.push(quota);
            }
        }
        self.basis = self.basis.take().or(other.basis);
        self.shadow = self.shadow.take().or(other.shadow);
    }

    /// States it for later filters and for the record.
    pub(super) fn note(self, facts: &mut Facts) {
        self.quotas.into_iter().for_each(|quota| facts.add_quota(quota));
        self.basis.into_iter().for_each(|basis| facts.note_basis(basis));
        self.shadow.into_iter().for_each(|shadow| facts.note_shadow(shadow));
    }
}

impl<'r> Rights<'r> {
    /// The rights of this caller now.
    ///
    /// # Errors
    /// When they were passed on too often.
    pub(super) fn of(policy: &'r Policy, view: &dyn GrantView, caller: &'r Caller) -> Result<Self, Refusal> {
        let mut hands = Vec::new();
        let mut holder = caller;
        while let Some(delegator) = &holder.delegator {
            hands.push(holder);
            if hands.len() > MAX_HANDS {
                return Err(Refusal::new(
                    "policy",
                    Code::PolicyRouteDenied,
                    "the right was passed on through too many hands",
                ));
            }
            holder = delegator;
        }
        Ok(Self { policy, grants: view.grants(), now: view.now(), holder, hands, running: false })
    }

    /// The same for a request that runs already.
    pub(super) fn running(self) -> Self {
        Self { running: true, ..self }
    }

    /// What is allowed of this.
    ///
    /// # Errors
    /// The refusal, when nothing is.
    pub(super) fn judge(
        &self,
        class: RouteClass,
        route: &str,
        model: Option<&ModelName>,
    ) -> Result<Allowance, Refusal> {
        self.weigh(class, route, model, false)
    }

    /// What is allowed where the request could name a model and does not: the server picks one, so all of
    /// them must be allowed.
    ///
    /// # Errors
    /// The refusal, when not all are.
    pub(super) fn judge_any_model(&self, class: RouteClass, route: &str) -> Result<Allowance, Refusal> {
        self.weigh(class, route, None, true)
    }

    fn weigh(
        &self,
        class: RouteClass,
        route: &str,
        model: Option<&ModelName>,
        any_model: bool,
    ) -> Result<Allowance, Refusal> {
        for hand in &self.hands {
            // Whoever uses another's rights needs none of its own, but what is denied to it stays so.
            if let Decision::Deny(deny) = self.policy.decide(&Ask { any_model, ..self.ask(hand, class, route, model) })
                && deny.is_explicit()
            {
                return Err(self.refusal(&deny, class, route, model));
            }
        }
        let grants = self.grants.of(&self.holder.identity);
        let ask = Ask { grants, any_model, ..self.ask(self.holder, class, route, model) };
        let allow = match self.policy.decide(&ask) {
            Decision::Allow(allow) => allow,
            Decision::Deny(deny) => return Err(self.refusal(&deny, class, route, model)),
        };
        let mut allowance = Allowance { basis: Some(basis(allow.by)), ..Allowance::default() };
        if let Some(rule) = allow.shadow {
            let code = if rule.is_about_every_model() { Code::PolicyRouteDenied } else { Code::PolicyModelDenied };
            allowance.shadow = Some(Shadow { filter: "policy", code, detail: rule.to_string() });
        }
        for by in [Some(allow.by), allow.egress].into_iter().flatten() {
            allowance.bounds = allowance.bounds.and(by.bounds());
            allowance.tools.extend(by.tools().cloned());
            allowance.quotas.extend(self.quota(by));
        }
        if any_model && self.scopes().any(|scope| !scope.covers_every_model()) {
            return Err(unnamed().with_detail("the scope of the caller's credential"));
        }
        self.hold_to_scopes(class, route, model, &mut allowance)?;
        Ok(allowance)
    }

    /// The models that lists may show.
    pub(super) fn models(&self, class: RouteClass, route: &str) -> ModelMatcher {
        let ask = Ask { grants: self.grants.of(&self.holder.identity), ..self.ask(self.holder, class, route, None) };
        let mut models = self.policy.models_for(&ask);
        for scope in self.scopes() {
            if !scope.models.is_empty() {
                models = models.within(&scope.models);
            }
            if !scope.covers(RouteClass::Egress, route) {
                models = models.at_home();
            }
        }
        models
    }

    fn ask<'a>(
        &'a self,
        caller: &'a Caller,
        class: RouteClass,
        route: &'a str,
        model: Option<&'a ModelName>,
    ) -> Ask<'a> {
        Ask {
            name: caller.name.as_deref(),
            profile: caller.profile.as_deref(),
            claims: caller.claims.as_deref(),
            model,
            now: self.now,
            ..Ask::new(&caller.identity, caller.method, class, route)
        }
    }

    fn callers(&self) -> impl Iterator<Item = &'r Caller> {
        self.hands.iter().copied().chain([self.holder])
    }

    fn scopes(&self) -> impl Iterator<Item = &'r Scope> {
        self.callers().flat_map(|caller| caller.scopes.iter().map(|scope| &**scope))
    }

    /// A scope only takes away: every one must agree.
    fn hold_to_scopes(
        &self,
        class: RouteClass,
        route: &str,
        model: Option<&ModelName>,
        allowance: &mut Allowance,
    ) -> Result<(), Refusal> {
        let leaves = class != RouteClass::Egress && model.is_some_and(ModelName::is_cloud);
        for scope in self.scopes() {
            if !scope.holds_at(self.now) {
                return Err(if self.running || scope.has_ended(self.now) {
                    ended().with_detail("the scope of the caller's credential")
                } else {
                    later().with_detail("the scope of the caller's credential")
                });
            }
            let no = if !scope.covers(class, route) {
                let code = if class == RouteClass::Egress { Code::PolicyEgressDenied } else { Code::PolicyRouteDenied };
                Some(Refusal::new("policy", code, "your credential does not reach this route"))
            } else if leaves && !scope.covers(RouteClass::Egress, route) {
                let message = "your credential does not reach models that leave the machine";
                Some(Refusal::new("policy", Code::PolicyEgressDenied, message))
            } else {
                model.filter(|model| !scope.covers_model(model)).map(|model| {
                    let message = format!("your credential does not reach the model `{}`", shown(model));
                    Refusal::new("policy", Code::PolicyModelDenied, message)
                })
            };
            if let Some(no) = no {
                return Err(no.with_detail("the scope of the caller's credential"));
            }
            let own = Bounds { max_tokens: scope.max_tokens, max_context: scope.max_context };
            allowance.bounds = allowance.bounds.and(own);
        }
        for (number, scope) in self.scopes().enumerate() {
            // A credential is counted under its own name, whoever holds it.
            let unnamed = || format!("scope:{}:{number}", self.holder.identity);
            allowance.quotas.extend(quota(scope.name.as_deref().map_or_else(unnamed, str::to_owned), scope));
        }
        Ok(())
    }

    /// How much a rule or a grant allows. What is passed on counts for whoever holds it.
    fn quota(&self, by: Basis<'_>) -> Option<Quota> {
        match by {
            Basis::Grant(grant) => quota(format!("grant:{}", grant.id), &grant.scope),
            Basis::Rule(rule) => {
                let limits = rule.limits;
                let some = limits.requests.is_some() || limits.tokens.is_some() || limits.concurrent.is_some();
                some.then(|| Quota {
                    key: format!("rule:{} {}", rule.name, self.holder.identity),
                    requests: limits.requests,
                    tokens: limits.tokens,
                    concurrent: limits.concurrent,
                    budget: None,
                })
            }
        }
    }

    fn refusal(&self, deny: &Deny<'_>, class: RouteClass, route: &str, model: Option<&ModelName>) -> Refusal {
        let refusal = match deny.denial {
            Denial::Egress => Refusal::new(
                "policy",
                Code::PolicyEgressDenied,
                "this would leave the machine, and no grant of yours allows that",
            ),
            Denial::Expired => ended(),
            Denial::Later if self.running => ended(),
            Denial::Later => later(),
            Denial::Model => Refusal::new(
                "policy",
                Code::PolicyModelDenied,
                model.map_or_else(|| UNNAMED.into(), |m| format!("the model `{}` is not granted to you", shown(m))),
            ),
            Denial::Route => Refusal::new(
                "policy",
                Code::PolicyRouteDenied,
                format!("no rule and no grant allows you this: `{route}`, a route of class {}", class.as_str()),
            ),
        };
        let mut detail = deny.by.map_or_else(|| "no rule allows it".to_owned(), |by| by.to_string());
        if let Some(rule) = deny.shadow {
            detail.push_str(&format!("; {rule}, would allow it, were it not in shadow mode"));
        }
        refusal.with_detail(detail)
    }
}

fn basis(by: Basis<'_>) -> Arc<str> {
    match by {
        Basis::Grant(grant) => format!("grant:{}", grant.id).into(),
        Basis::Rule(Rule { name, .. }) => Arc::clone(name),
    }
}

fn quota(key: String, scope: &Scope) -> Option<Quota> {
    let Scope { requests, tokens, concurrent, budget, .. } = *scope;
    let some = requests.is_some() || tokens.is_some() || concurrent.is_some() || budget.is_some();
    some.then_some(Quota { key, requests, tokens, concurrent, budget })
}

/// What is said where a model should have been named.
const UNNAMED: &str = "name a model: not every one is granted to you, and without a name the server picks one";

fn unnamed() -> Refusal {
    Refusal::new("policy", Code::PolicyModelDenied, UNNAMED)
}

fn ended() -> Refusal {
    Refusal::new("policy", Code::PolicyExpired, "your right to this has ended")
}

fn later() -> Refusal {
    Refusal::new("policy", Code::PolicyRouteDenied, "your right to this does not hold at this time")
}

#[cfg(test)]
mod tests;
