//! One rule: whom it is about, what it covers, when, and how much.

use std::sync::Arc;

use super::Ask;
use super::when::{Hold, When};
use crate::class::RouteClass;
use crate::glob::{ExactGlob, Glob};
use crate::model::fits;
use crate::rate::Rate;

/// One rule of the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: Arc<str>,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// What requests that it allows are held to.
    pub bounds: Bounds,
    /// Which tools they may offer to the model.
    pub tools: Arc<Tools>,
    /// How much it allows to each caller.
    pub limits: RuleLimits,
    pub(super) column: u64,
    pub(super) allows: bool,
    pub(super) shadow: bool,
    pub(super) who: Vec<Who>,
    pub(super) classes: Vec<RouteClass>,
    pub(super) routes: Vec<Glob>,
    pub(super) models: Vec<Glob>,
    pub(super) when: Option<When>,
}

/// Upper bounds for the fields of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Tokens of one answer.
    pub max_tokens: Option<u64>,
    /// Tokens of one context.
    pub max_context: Option<u64>,
}

impl Bounds {
    /// Both at once: the lower one counts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let lower = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Self {
            max_tokens: lower(self.max_tokens, other.max_tokens),
            max_context: lower(self.max_context, other.max_context),
        }
    }
}

/// Which tools a request may offer to the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tools {
    /// Any.
    #[default]
    Any,
    /// None.
    Deny,
    /// Those whose names fit.
    Allow(Vec<Glob>),
}

impl Tools {
    /// Whether a tool of this name may be offered.
    #[must_use]
    pub fn allow(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Deny => false,
            Self::Allow(globs) => globs.iter().any(|glob| glob.matches(name)),
        }
    }
}

/// How much a rule allows to each caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleLimits {
    /// Requests in a span of time.
    pub requests: Option<Rate>,
    /// Tokens in a span of time.
    pub tokens: Option<Rate>,
    /// Requests at once.
    pub concurrent: Option<u32>,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Who {
    /// Every caller whose identity is established.
    Anyone,
    /// Callers of whom their identity provider says this.
    Claim(Box<str>, Glob),
    /// Identities that fit.
    Identity(ExactGlob),
    /// Callers who came in this way.
    Method(Box<str>),
    /// Callers whom the operator calls by a name that fits.
    Name(Glob),
    /// Callers who were enrolled with a profile that fits.
    Profile(Glob),
}

impl Who {
    /// Whether it is about whoever comes, and not about callers that it names: then it allows nothing
    /// to a caller who was enrolled with a profile.
    pub(super) fn is_general(&self) -> bool {
        let any = |glob: &str| glob.bytes().all(|b| b == b'*');
        match self {
            Self::Anyone | Self::Method(_) => true,
            Self::Identity(glob) => {
                let text = glob.as_str();
                any(text.split_once("://").or_else(|| text.split_once(':')).map_or(text, |(_, value)| value))
            }
            Self::Name(glob) => any(glob.as_str()),
            Self::Claim(..) | Self::Profile(_) => false,
        }
    }

    fn means(&self, ask: &Ask<'_>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Claim(claim, glob) => {
                ask.claims.is_some_and(|claims| claims.get(claim).iter().any(|value| glob.matches(value)))
            }
            Self::Identity(glob) => glob.matches(ask.identity.as_str()),
            Self::Method(method) => **method == *ask.method.as_str(),
            Self::Name(glob) => ask.name.is_some_and(|name| glob.matches(name)),
            Self::Profile(glob) => ask.profile.is_some_and(|profile| glob.matches(profile)),
        }
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rule `{}`, line {}", self.name, self.line)
    }
}

impl Rule {
    /// Whether it allows, or denies.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.allows
    }

    /// Whether it is only tried: decided and noted, without effect.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// Whether it speaks of all models, and so of the route.
    #[must_use]
    pub fn is_about_every_model(&self) -> bool {
        self.every_model()
    }

    pub(super) fn is_about(&self, ask: &Ask<'_>) -> bool {
        let named_only = self.allows && ask.profile.is_some();
        self.who.iter().any(|who| !(named_only && who.is_general()) && who.means(ask))
    }

    pub(super) fn covers_route(&self, route: &str) -> bool {
        self.routes.is_empty() || self.routes.iter().any(|glob| glob.matches(route))
    }

    /// Whether it says something about a request for this model, or for none. A rule that denies some
    /// models says nothing about a request that has none; where the server picks one, it may be any of
    /// them, and what allows some does not allow all.
    pub(super) fn fits(&self, ask: &Ask<'_>) -> bool {
        match ask.model {
            None if ask.any_model => !self.allows || self.every_model(),
            None => self.allows || self.every_model(),
            Some(model) => fits(&self.models, model),
        }
    }

    pub(super) fn hold(&self, now: i64) -> Hold {
        self.when.as_ref().map_or(Hold::Now, |when| when.at(now))
    }

    pub(super) fn every_model(&self) -> bool {
        self.models.iter().any(|glob| glob.as_str() == "*")
    }
}
