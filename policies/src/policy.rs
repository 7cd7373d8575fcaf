//! The policy: who may do what. Nothing means no, and an explicit no wins.
//!
//! The document as it is written is read in `policy/document.rs`; here it is kept as it is meant, and
//! decides. A decision asks, in this order: does a rule deny it, does a grant of this caller allow it,
//! does a rule allow it. The first that allows it, in the order of the document, also says how much.

use std::sync::Arc;

use crate::claims::Claims;
use crate::class::RouteClass;
use crate::glob::Glob;
use crate::grant::{Grant, Grants};
use crate::identity::{Identity, IdentityMethod};
use crate::model::{ModelMatcher, ModelName};

mod document;
mod explain;
mod index;
mod rule;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
mod warnings;
mod when;

pub use explain::{Explanation, Near};
pub use rule::{Bounds, Rule, RuleLimits, Tools};
pub use warnings::{Known, Reach};

use index::{Index, Sides, Table};
use when::Hold;

/// The policy that is in force when the config names none.
pub const DEFAULT: &str = include_str!("../default.yaml");
/// The shipped policies, by file name.
pub const SHIPPED: [(&str, &str); 3] = [
    ("default.yaml", DEFAULT),
    ("homelab.yaml", include_str!("../homelab.yaml")),
    ("strict.yaml", include_str!("../strict.yaml")),
];

/// An operator's policy.
#[derive(Clone, Debug)]
pub struct Policy {
    file: Arc<str>,
    /// The line of `rules:`.
    line: u64,
    rules: Vec<Rule>,
    limits: Vec<Limit>,
    live: Index,
    /// Rules that are only tried; `None` without any.
    tried: Option<Index>,
}

/// An upper bound for a request field, beside that of the route's own table.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The field.
    pub field: String,
    /// The most it may be.
    pub max: f64,
}

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

impl Policy {
    /// The policy that allows nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::of("".into(), 0, Vec::new(), Vec::new())
    }

    fn of(file: Arc<str>, line: u64, rules: Vec<Rule>, limits: Vec<Limit>) -> Self {
        let tried = rules.iter().any(Rule::is_shadow).then(|| Index::of(&rules, true));
        Self { file, line, live: Index::of(&rules, false), tried, rules, limits }
    }

    /// Decides. No rule that allows means no; a rule that denies wins over any that allows. A request
    /// for a model that leaves the machine needs a right to egress beside that to its route.
    #[must_use]
    pub fn decide<'a>(&'a self, ask: &Ask<'a>) -> Decision<'a> {
        let decision = self.decide_class(ask);
        let leaves = ask.class != RouteClass::Egress && ask.model.is_some_and(ModelName::is_cloud);
        match decision {
            Decision::Allow(allow) if leaves => match self.decide_class(&Ask { class: RouteClass::Egress, ..*ask }) {
                Decision::Allow(egress) => {
                    Decision::Allow(Allow { egress: Some(egress.by), shadow: allow.shadow.or(egress.shadow), ..allow })
                }
                Decision::Deny(Deny { denial: Denial::Expired, by, shadow }) => {
                    Decision::Deny(Deny { denial: Denial::Expired, by, shadow })
                }
                Decision::Deny(deny) => Decision::Deny(Deny { denial: Denial::Egress, ..deny }),
            },
            other => other,
        }
    }

    fn decide_class<'a>(&'a self, ask: &Ask<'a>) -> Decision<'a> {
        let Some(live) = self.live.class(ask.class) else { return Decision::Deny(self.refused(ask, Found::default())) };
        if let Some(rule) = self.denying(&live.deny, ask) {
            return Decision::Deny(Deny { by: Some(Basis::Rule(rule)), ..self.refused(ask, Found::by(rule)) });
        }
        let mut found = Found::default();
        for grant in ask.grants.iter().filter(|grant| grant.covers(ask.class, ask.route)) {
            match (grant.has_ended(ask.now), grant.holds_at(ask.now), grant.covers_model(ask.model)) {
                (false, true, true) => return self.allowed(ask, Basis::Grant(grant)),
                (false, true, false) => found.covered = true,
                (true, _, true) => found.ended = found.ended.or(Some(Basis::Grant(grant))),
                (false, false, true) => found.later = found.later.or(Some(Basis::Grant(grant))),
                (_, _, false) => {}
            }
        }
        match self.allowing(&live.allow, ask, &mut found) {
            Some(rule) => self.allowed(ask, Basis::Rule(rule)),
            None => Decision::Deny(self.refused(ask, found)),
        }
    }

    fn allowed<'a>(&'a self, ask: &Ask<'a>, by: Basis<'a>) -> Decision<'a> {
        let shadow = self.tried(ask).and_then(|sides| self.denying(&sides.deny, ask));
        Decision::Allow(Allow { by, egress: None, shadow })
    }

    fn refused<'a>(&'a self, ask: &Ask<'a>, found: Found<'a>) -> Deny<'a> {
        let route = if ask.class == RouteClass::Egress { Denial::Egress } else { Denial::Route };
        let (denial, by) = match found {
            Found { denied: Some(rule), .. } => {
                (if rule.every_model() { route } else { Denial::Model }, Some(Basis::Rule(rule)))
            }
            Found { ended: Some(by), .. } => (Denial::Expired, Some(by)),
            Found { later: Some(by), .. } => (Denial::Later, Some(by)),
            Found { covered: true, .. } => (Denial::Model, None),
            Found { .. } => (route, None),
        };
        let shadow = self.tried(ask).and_then(|sides| self.allowing(&sides.allow, ask, &mut Found::default()));
        Deny { denial, by, shadow }
    }

    fn tried(&self, ask: &Ask<'_>) -> Option<&Sides> {
        self.tried.as_ref()?.class(ask.class)
    }

    /// The first rule that denies it now.
    fn denying(&self, table: &Table, ask: &Ask<'_>) -> Option<&Rule> {
        let mut best = u32::MAX;
        let mut visit = |n: u32| {
            if n < best
                && let Some(rule) = self.rule(n)
                && rule.covers_route(ask.route)
                && rule.fits(ask.model)
                && rule.is_about(ask)
                && rule.hold(ask.now) == Hold::Now
            {
                best = n;
            }
        };
        table.named(ask, &mut visit);
        table.general(ask, true, &mut visit);
        self.rule(best)
    }

    /// The first rule that allows it now; without one, notes what comes near.
    fn allowing<'a>(&'a self, table: &Table, ask: &Ask<'a>, found: &mut Found<'a>) -> Option<&'a Rule> {
        let mut best = u32::MAX;
        let mut visit = |n: u32| {
            let Some(rule) = self.rule(n).filter(|rule| n < best && rule.covers_route(ask.route)) else { return };
            let (fits, hold) = (rule.fits(ask.model), rule.hold(ask.now));
            if !(fits || hold == Hold::Now) || !rule.is_about(ask) {
                return;
            }
            match hold {
                Hold::Now if fits => best = n,
                Hold::Now => found.covered = true,
                Hold::Ended => found.ended = found.ended.or(Some(Basis::Rule(rule))),
                Hold::Later => found.later = found.later.or(Some(Basis::Rule(rule))),
            }
        };
        table.named(ask, &mut visit);
        // A caller who was enrolled with a profile is nobody's `*`.
        if ask.profile.is_none() {
            table.general(ask, false, &mut visit);
        }
        if best == u32::MAX && !found.covered && ask.profile.is_none() {
            found.covered = table
                .everybody()
                .iter()
                .filter_map(|n| self.rule(*n))
                .any(|rule| rule.covers_route(ask.route) && rule.hold(ask.now) == Hold::Now && rule.is_about(ask));
        }
        self.rule(best)
    }

    fn rule(&self, n: u32) -> Option<&Rule> {
        self.rules.get(usize::try_from(n).ok()?)
    }

    /// The models that a caller may use on routes of a class; for filtering lists.
    #[must_use]
    pub fn models_for(&self, ask: &Ask<'_>) -> ModelMatcher {
        let mut allowed: Vec<Glob> = Vec::new();
        let mut denied: Vec<Glob> = Vec::new();
        let classes = [ask.class, RouteClass::Inference];
        let holds = |rule: &&Rule| !rule.shadow && rule.hold(ask.now) == Hold::Now && rule.is_about(ask);
        for rule in self.rules.iter().filter(holds) {
            if !classes.iter().any(|class| rule.classes.contains(class)) {
                continue;
            }
            if rule.allows { &mut allowed } else { &mut denied }.extend(rule.models.iter().cloned());
        }
        for grant in ask.grants.iter().filter(|grant| grant.holds_at(ask.now)) {
            if classes.iter().any(|class| grant.scope.classes.contains(class)) {
                let all = [Glob::new("*")];
                allowed.extend_from_slice(if grant.scope.models.is_empty() { &all } else { &grant.scope.models });
            }
        }
        let egress = Ask { class: RouteClass::Egress, model: None, ..*ask };
        let cloud = matches!(self.decide_class(&egress), Decision::Allow(_));
        ModelMatcher::new(&allowed).without(&denied, cloud)
    }

    /// Upper bounds for request fields.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Where it was read from, as a person named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line on which the rules begin.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The line of the rule of this name.
    #[must_use]
    pub fn line_of(&self, rule: &str) -> Option<u64> {
        self.rules.iter().find(|known| *known.name == *rule).map(|known| known.line)
    }

    /// The names of the rules, in order.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.name)
    }

    /// Models that the policy spells out, with their tags: those that may be a metric's label.
    #[must_use]
    pub fn literal_models(&self) -> Vec<String> {
        let literal = self.rules.iter().flat_map(|rule| &rule.models).filter(|glob| glob.is_literal());
        literal.map(|glob| glob.as_str().to_owned()).collect()
    }

    /// Whether some rule allows something to callers who came in with this profile.
    #[must_use]
    pub fn knows_profile(&self, profile: &str) -> bool {
        let means = |who: &rule::Who| matches!(who, rule::Who::Profile(glob) if glob.matches(profile));
        self.rules.iter().any(|rule| rule.allows && !rule.shadow && rule.who.iter().any(means))
    }
}

/// What was met on the way to a decision.
#[derive(Clone, Copy, Default)]
struct Found<'a> {
    /// The rule that denies it.
    denied: Option<&'a Rule>,
    /// A right to it that has ended.
    ended: Option<Basis<'a>>,
    /// A right to it that does not hold now.
    later: Option<Basis<'a>>,
    /// Whether some right covers the route, for other models.
    covered: bool,
}

impl<'a> Found<'a> {
    fn by(rule: &'a Rule) -> Self {
        Self { denied: Some(rule), ..Self::default() }
    }
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
