//! What a policy is asked, and what it answers.

use std::sync::Arc;

use super::rule::{Bounds, Rule, Tools};
use crate::claims::Claims;
use crate::class::RouteClass;
use crate::grant::{Grant, Grants};
use crate::identity::{Identity, IdentityMethod};
use crate::model::ModelName;

/// What is asked of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who calls.
    pub identity: &'a Identity,
    /// What the operator calls them.
    pub name: Option<&'a str>,
    /// The profile they were enrolled with.
    pub profile: Option<&'a str>,
    /// What their identity provider says of them.
    pub claims: Option<&'a Claims>,
    /// What proved it.
    pub method: IdentityMethod,
    /// The class of the route.
    pub class: RouteClass,
    /// The route's name.
    pub route: &'a str,
    /// The model, where the request names one.
    pub model: Option<&'a ModelName>,
    /// Whether the server picks the model, because the request names none.
    pub any_model: bool,
    /// What a person granted besides.
    pub grants: &'a [Arc<Grant>],
    /// The time, in Unix seconds.
    pub now: i64,
}

impl<'a> Ask<'a> {
    /// A question about this caller, of whom nothing else is known, without a model and at no time.
    #[must_use]
    pub fn new(identity: &'a Identity, method: IdentityMethod, class: RouteClass, route: &'a str) -> Self {
        Self {
            identity,
            name: None,
            profile: None,
            claims: None,
            method,
            class,
            route,
            model: None,
            any_model: false,
            grants: &[],
            now: 0,
        }
    }

    /// The same with what these grants give the caller.
    #[must_use]
    pub fn with(mut self, grants: &'a Grants) -> Self {
        self.grants = grants.of(self.identity);
        self
    }
}

/// What a decision stands on.
#[derive(Clone, Copy, Debug)]
pub enum Basis<'a> {
    /// A grant.
    Grant(&'a Grant),
    /// A rule.
    Rule(&'a Rule),
}

/// What the policy says.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'a> {
    /// Yes.
    Allow(Allow<'a>),
    /// No.
    Deny(Deny<'a>),
}

/// A yes.
#[derive(Clone, Copy, Debug)]
pub struct Allow<'a> {
    /// What allows it.
    pub by: Basis<'a>,
    /// What allows that it leaves the machine, where the model does.
    pub egress: Option<Basis<'a>>,
    /// The rule that would deny it, were it not only tried.
    pub shadow: Option<&'a Rule>,
}

/// A no.
#[derive(Clone, Copy, Debug)]
pub struct Deny<'a> {
    /// What it is about.
    pub denial: Denial,
    /// What denies it; for a right that has ended or does not hold now, that right.
    pub by: Option<Basis<'a>>,
    /// The rule that would allow it, were it not only tried.
    pub shadow: Option<&'a Rule>,
}

impl Deny<'_> {
    /// Whether a rule says no, and not only none says yes.
    #[must_use]
    pub fn is_explicit(&self) -> bool {
        matches!(self.by, Some(Basis::Rule(_))) && !matches!(self.denial, Denial::Expired | Denial::Later)
    }
}

/// What a no is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It would leave the machine.
    Egress,
    /// The only right to it has ended.
    Expired,
    /// The only right to it does not hold at this time.
    Later,
    /// The model.
    Model,
    /// The route.
    Route,
}

impl Basis<'_> {
    /// What requests that it allows are held to.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        match self {
            Self::Grant(grant) => Bounds { max_tokens: grant.scope.max_tokens, max_context: grant.scope.max_context },
            Self::Rule(rule) => rule.bounds,
        }
    }

    /// Which tools they may offer; `None` for any.
    #[must_use]
    pub fn tools(&self) -> Option<&Arc<Tools>> {
        match self {
            Self::Grant(_) => None,
            Self::Rule(rule) => Some(&rule.tools).filter(|tools| ***tools != Tools::Any),
        }
    }
}

impl std::fmt::Display for Basis<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Grant(grant) => write!(f, "grant `{}`", grant.id),
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}
