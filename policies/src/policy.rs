//! The policy: who may do what. Nothing means no, and an explicit no wins.
//!
//! The document as it is written is read in `policy/document.rs`; here it is kept as it is meant.

use crate::class::RouteClass;
use crate::glob::Glob;
use crate::identity::{Identity, IdentityMethod};
use crate::model::{ModelMatcher, ModelName, fits};

mod document;

/// The policy that is in force when the config names none.
pub const DEFAULT: &str = include_str!("../default.yaml");
/// The shipped policies, by file name.
pub const SHIPPED: [(&str, &str); 3] = [
    ("default.yaml", DEFAULT),
    ("homelab.yaml", include_str!("../homelab.yaml")),
    ("strict.yaml", include_str!("../strict.yaml")),
];

/// An operator's policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
    limits: Vec<Limit>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    name: String,
    allows: bool,
    who: Vec<Who>,
    classes: Vec<RouteClass>,
    routes: Vec<Glob>,
    models: Vec<Glob>,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq)]
enum Who {
    /// Every caller whose identity is established.
    Anyone,
    /// Identities that fit.
    Identity(Glob),
    /// Callers who came in this way.
    Method(String),
    /// Callers whom the operator calls by a name that fits.
    Name(Glob),
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
    /// What proved it.
    pub method: IdentityMethod,
    /// The class of the route.
    pub class: RouteClass,
    /// The route's name.
    pub route: &'a str,
    /// The model, where the request names one.
    pub model: Option<&'a ModelName>,
}

/// What the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'p> {
    /// Yes, by this rule.
    Allow(&'p str),
    /// No.
    Deny(Denial, Option<&'p str>),
}

/// What a no is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It would leave the machine.
    Egress,
    /// The model.
    Model,
    /// The route.
    Route,
}

impl Policy {
    /// The policy that allows nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self { rules: Vec::new(), limits: Vec::new() }
    }

    /// Decides. No rule that allows means no; a rule that denies wins over any that allows. A request
    /// for a model that leaves the machine needs a grant for egress beside that for its route.
    #[must_use]
    pub fn decide(&self, ask: &Ask<'_>) -> Decision<'_> {
        let decision = self.decide_class(ask);
        let leaves = ask.model.is_some_and(ModelName::is_cloud);
        match decision {
            Decision::Allow(_) if leaves && ask.class != RouteClass::Egress => {
                match self.decide_class(&Ask { class: RouteClass::Egress, ..*ask }) {
                    Decision::Allow(_) => decision,
                    Decision::Deny(_, rule) => Decision::Deny(Denial::Egress, rule),
                }
            }
            other => other,
        }
    }

    fn decide_class(&self, ask: &Ask<'_>) -> Decision<'_> {
        let about = |rule: &&Rule| rule.is_about(ask) && rule.covers(ask.class, ask.route);
        let of_model = |rule: &&Rule| ask.model.is_none_or(|model| fits(&rule.models, model));
        let route_denial = if ask.class == RouteClass::Egress { Denial::Egress } else { Denial::Route };
        if let Some(no) = self.rules.iter().filter(about).find(|rule| {
            // A rule that denies some models says nothing about a request that names none.
            !rule.allows && (rule.every_model() || (ask.model.is_some() && of_model(rule)))
        }) {
            let denial = if no.every_model() { route_denial } else { Denial::Model };
            return Decision::Deny(denial, Some(&no.name));
        }
        let mut yes = self.rules.iter().filter(|rule| rule.allows).filter(about).peekable();
        if yes.peek().is_none() {
            return Decision::Deny(route_denial, None);
        }
        yes.find(of_model).map_or(Decision::Deny(Denial::Model, None), |rule| Decision::Allow(&rule.name))
    }

    /// The models that a caller may use on routes of a class; for filtering lists.
    #[must_use]
    pub fn models_for(&self, ask: &Ask<'_>) -> ModelMatcher {
        let mut allowed: Vec<Glob> = Vec::new();
        let mut denied: Vec<Glob> = Vec::new();
        let classes = [ask.class, RouteClass::Inference];
        for rule in self.rules.iter().filter(|rule| rule.is_about(ask)) {
            if !classes.iter().any(|class| rule.classes.contains(class)) {
                continue;
            }
            if rule.allows { &mut allowed } else { &mut denied }.extend(rule.models.iter().cloned());
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

    /// The names of the rules, in order.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }

    /// Models that the policy spells out, with their tags: those that may be a metric's label.
    #[must_use]
    pub fn literal_models(&self) -> Vec<String> {
        let literal = self.rules.iter().flat_map(|rule| &rule.models).filter(|glob| glob.is_literal());
        literal.map(|glob| glob.as_str().to_owned()).collect()
    }
}

impl Rule {
    fn is_about(&self, ask: &Ask<'_>) -> bool {
        self.who.iter().any(|who| match who {
            Who::Anyone => true,
            Who::Identity(glob) => glob.matches(ask.identity.as_str()),
            Who::Method(method) => method == ask.method.as_str(),
            Who::Name(glob) => ask.name.is_some_and(|name| glob.matches(name)),
        })
    }

    fn covers(&self, class: RouteClass, route: &str) -> bool {
        self.classes.contains(&class) && (self.routes.is_empty() || self.routes.iter().any(|glob| glob.matches(route)))
    }

    fn every_model(&self) -> bool {
        self.models.iter().any(|glob| glob.as_str() == "*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::UpstreamKind;

    fn policy(rules: &str) -> Policy {
        Policy::parse(&format!("version: 1\nrules:\n{rules}"), "p.yaml").unwrap()
    }

    fn decide<'p>(policy: &'p Policy, class: RouteClass, model: Option<&str>) -> Decision<'p> {
        let identity = Identity::peer("abc");
        let model = model.map(|m| ModelName::canonical(m, UpstreamKind::Ollama).unwrap());
        policy.decide(&Ask {
            identity: &identity,
            name: Some("alice"),
            method: IdentityMethod::Mtls,
            class,
            route: "ollama.chat",
            model: model.as_ref(),
        })
    }

    #[test]
    fn nothing_means_no() {
        let none = Policy::parse("version: 1\nrules: []\n", "p.yaml").unwrap();
        assert_eq!(decide(&none, RouteClass::Inference, Some("x")), Decision::Deny(Denial::Route, None));
        assert_eq!(decide(&none, RouteClass::Egress, None), Decision::Deny(Denial::Egress, None));
    }

    #[test]
    fn the_default_runs_local_models_and_nothing_else() {
        let default = Policy::parse(DEFAULT, "default.yaml").unwrap();
        for (class, model, allowed) in [
            (RouteClass::Inference, Some("llama3"), true),
            (RouteClass::Inference, None, true),
            (RouteClass::Read, None, true),
            (RouteClass::Inference, Some("x:cloud"), false),
            (RouteClass::Admin, Some("llama3"), false),
            (RouteClass::Egress, None, false),
            (RouteClass::Sensitive, None, false),
        ] {
            let decision = decide(&default, class, model);
            assert_eq!(matches!(decision, Decision::Allow(_)), allowed, "{class:?} {model:?}: {decision:?}");
        }
        assert!(matches!(decide(&default, RouteClass::Inference, Some("x:cloud")), Decision::Deny(Denial::Egress, _)));
    }

    #[test]
    fn an_explicit_no_wins() {
        let policy = policy(concat!(
            "  - {name: yes, effect: allow, who: ['*'], classes: [inference], models: ['*']}\n",
            "  - {name: not-this, effect: deny, who: ['name:alice'], classes: [inference], models: ['secret*']}\n",
        ));
        assert_eq!(decide(&policy, RouteClass::Inference, Some("tiny")), Decision::Allow("yes"));
        assert_eq!(
            decide(&policy, RouteClass::Inference, Some("secret:7b")),
            Decision::Deny(Denial::Model, Some("not-this"))
        );
        assert_eq!(decide(&policy, RouteClass::Inference, None), Decision::Allow("yes"));
    }

    #[test]
    fn rules_are_about_whom_they_name() {
        for (who, meant) in [
            ("'*'", true),
            ("'peer:abc'", true),
            ("'peer:*'", true),
            ("'peer:abd'", false),
            ("'name:Alice'", true),
            ("'name:bob'", false),
            ("'method:mtls'", true),
            ("'method:jwt'", false),
            ("'spiffe://td/*'", false),
        ] {
            let policy = policy(&format!("  - {{name: r, effect: allow, who: [{who}], classes: [read]}}\n"));
            assert_eq!(matches!(decide(&policy, RouteClass::Read, None), Decision::Allow(_)), meant, "{who}");
        }
    }

    #[test]
    fn a_route_can_be_named() {
        let policy = policy(
            "  - {name: r, effect: allow, who: ['*'], classes: [inference], routes: ['ollama.embed'], models: ['*']}\n",
        );
        assert_eq!(decide(&policy, RouteClass::Inference, Some("x")), Decision::Deny(Denial::Route, None));
    }

    #[test]
    fn every_shipped_policy_is_readable() {
        for (file, text) in SHIPPED {
            Policy::parse(text, file).unwrap_or_else(|e| panic!("{e:?}"));
        }
    }
}
