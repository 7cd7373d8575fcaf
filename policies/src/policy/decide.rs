//! The decision: explicit denials first, then grants, then the rules that allow.

use super::Policy;
use super::ask::{Allow, Ask, Basis, Decision, Denial, Deny};
use super::index::{Sides, Table};
use super::rule::Rule;
use super::when::Hold;
use crate::class::RouteClass;
use crate::glob::Glob;
use crate::model::{ModelMatcher, ModelName};

impl Policy {
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
            match (grant.has_ended(ask.now), grant.holds_at(ask.now), grant.fits(ask)) {
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
                && rule.fits(ask)
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
            let (fits, hold) = (rule.fits(ask), rule.hold(ask.now));
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
        let egress = Ask { class: RouteClass::Egress, model: None, any_model: false, ..*ask };
        let cloud = matches!(self.decide_class(&egress), Decision::Allow(_));
        ModelMatcher::new(&allowed).without(&denied, cloud)
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
