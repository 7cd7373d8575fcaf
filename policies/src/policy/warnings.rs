//! What is legal in a policy, but probably not meant: rules that can never match, or never matter.

use super::Policy;
use super::rule::{Rule, Who};
use crate::class::RouteClass;
use crate::diagnostic::Diagnostic;
use crate::glob::Glob;

/// What the gate's routes lead to: the class and the name of every route that can be reached.
pub type Reach<'r> = &'r [(RouteClass, &'r str)];

/// Whom the gate knows, where its state can be read.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// Identities in the trust store.
    pub identities: &'k [String],
    /// The operator's names.
    pub names: &'k [String],
}

/// Rules are compared in pairs only up to this many.
const MAX_COMPARED: usize = 2_000;

impl Policy {
    /// Rules that can never match or never matter. `now` is in Unix seconds.
    #[must_use]
    pub fn warnings(&self, reach: Reach<'_>, now: i64) -> Vec<Diagnostic> {
        let mut said = Vec::new();
        for (position, rule) in self.rules.iter().enumerate() {
            self.timeless(rule, now, &mut said);
            if !reach.iter().any(|(class, route)| rule.classes.contains(class) && rule.covers_route(route)) {
                let what = "no route of this gate has this class and name, so the rule never matches";
                said.push(self.warning(rule, "rules.classes", what.to_owned(), "look at `routes` in the config"));
            }
            let others = self.rules.iter().take(if position < MAX_COMPARED { MAX_COMPARED } else { 0 });
            if let Some(other) = others.enumerate().filter(|(at, _)| *at != position).find_map(|(at, other)| {
                // A rule that denies wins wherever it stands, and is hidden by none that allows.
                let counts_first = if other.allows == rule.allows { at < position } else { rule.allows };
                (counts_first && hides(other, rule)).then_some(other)
            }) {
                let how = if other.allows == rule.allows { "says it already" } else { "denies all of it" };
                let what = format!("the rule `{}` on line {} {how}, so this one never matters", other.name, other.line);
                said.push(self.warning(rule, "rules.name", what, "take one of the two out, or narrow it"));
            }
        }
        said
    }

    /// Rules that name callers whom the gate does not know.
    #[must_use]
    pub fn unknown_callers(&self, known: &Known<'_>) -> Vec<Diagnostic> {
        let mut said = Vec::new();
        for rule in &self.rules {
            for who in &rule.who {
                let (word, met) = match who {
                    Who::Name(glob) => {
                        (format!("name:{}", glob.as_str()), known.names.iter().any(|name| glob.matches(name)))
                    }
                    // Only peers stand in the trust store; keys and tokens are known elsewhere.
                    Who::Identity(glob) if glob.as_str().starts_with("peer:") => {
                        (glob.as_str().to_owned(), known.identities.iter().any(|id| glob.matches(id)))
                    }
                    _ => continue,
                };
                if !met && !who.is_general() {
                    let what = format!("`{word}` is nobody in the trust store");
                    said.push(self.warning(rule, "rules.who", what, "`portcullis peers list` shows who is"));
                }
            }
        }
        said
    }

    fn timeless(&self, rule: &Rule, now: i64, said: &mut Vec<Diagnostic>) {
        let Some(when) = &rule.when else { return };
        if when.is_empty() {
            let what = "`from` is not before `until`, so the rule never holds".to_owned();
            said.push(self.warning(rule, "rules.when", what, "swap them"));
        } else if when.until.is_some_and(|until| until <= now) {
            let what = "`until` is in the past, so the rule holds no more".to_owned();
            said.push(self.warning(rule, "rules.when.until", what, "take the rule out"));
        }
    }

    fn warning(&self, rule: &Rule, key: &str, what: String, hint: &str) -> Diagnostic {
        let what = format!("rule `{}`: {what}", rule.name);
        Diagnostic::at(&self.file, rule.line, rule.column, key, what).with_hint(hint)
    }
}

/// Whether whatever the one rule matches, the other matches as well, and always: as far as that is
/// easily seen.
fn hides(other: &Rule, rule: &Rule) -> bool {
    let globs = |wide: &[Glob], narrow: &[Glob]| narrow.iter().all(|n| wide.iter().any(|w| w.covers(n)));
    let routes = other.routes.is_empty() || (!rule.routes.is_empty() && globs(&other.routes, &rule.routes));
    let same_time = other.when.is_none() || other.when == rule.when;
    // An allow rule with bounds of its own is not the same as a wider one that comes first; but the
    // first one is the one that counts.
    let models = globs(&other.models, &rule.models)
        && (other.allows || other.every_model() || !rule.models.iter().any(|m| m.as_str() == "*"));
    !other.shadow
        && !rule.shadow
        && same_time
        && routes
        && models
        && rule.classes.iter().all(|class| other.classes.contains(class))
        && rule.who.iter().all(|who| other.who.iter().any(|wide| contains(wide, who, other.allows)))
}

/// Whether everybody whom the one names is somebody whom the other means.
fn contains(wide: &Who, narrow: &Who, allows: bool) -> bool {
    match (wide, narrow) {
        // A rule that allows everybody allows nothing to callers who came with a profile, and a name
        // or an identity may be such a caller's.
        (Who::Anyone, _) => !allows || narrow.is_general(),
        (Who::Identity(wide), Who::Identity(narrow)) => wide.matches(narrow.as_str()),
        (Who::Name(wide), Who::Name(narrow)) | (Who::Profile(wide), Who::Profile(narrow)) => wide.covers(narrow),
        (Who::Claim(a, wide), Who::Claim(b, narrow)) => a == b && wide.covers(narrow),
        (wide, narrow) => wide == narrow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: &[(RouteClass, &str)] = &[
        (RouteClass::Inference, "ollama.chat"),
        (RouteClass::Read, "ollama.tags"),
        (RouteClass::Admin, "ollama.pull"),
    ];

    /// The rules that are warned of.
    fn warned(rules: &[&str]) -> Vec<String> {
        let rules: String = rules.iter().enumerate().map(|(n, rule)| format!("  - {{name: r{n}, {rule}}}\n")).collect();
        let text = format!("version: 1\ngroups: {{team: ['name:alice', 'name:bob']}}\nrules:\n{rules}");
        let policy = Policy::parse(&text, "p.yaml").unwrap_or_else(|e| panic!("{e:?}"));
        // 2026-11-20
        let warnings = policy.warnings(REACH, 1_795_176_000);
        warnings.iter().filter_map(|w| w.to_string().split('`').nth(1).map(str::to_owned)).collect()
    }

    #[test]
    fn warns_of_what_never_matters_and_of_nothing_else() {
        let all = "effect: allow, who: ['*'], classes: [inference, read]";
        for (rules, meant) in [
            (&[all][..], &[][..]),
            (&[all, "effect: allow, who: ['method:mtls'], classes: [read]"], &["r1"]),
            (&[all, "effect: allow, who: ['name:alice'], classes: [read]"], &[]),
            (&[all, "effect: allow, who: ['profile:x'], classes: [read]"], &[]),
            (
                &[
                    "effect: allow, who: ['group:team'], classes: [read]",
                    "effect: allow, who: ['name:bob'], classes: [read]",
                ],
                &["r1"],
            ),
            (
                &[
                    "effect: allow, who: ['name:bob'], classes: [read]",
                    "effect: allow, who: ['group:team'], classes: [read]",
                ],
                &[],
            ),
            (&[all, "effect: deny, who: ['*'], classes: [inference]"], &[]),
            (
                &["effect: allow, who: ['name:x'], classes: [read]", "effect: deny, who: ['*'], classes: [read]"],
                &["r0"],
            ),
            (
                &[
                    "effect: deny, who: ['*'], classes: [read], models: ['a*']",
                    "effect: allow, who: ['*'], classes: [read], models: ['ab*']",
                ],
                &["r1"],
            ),
            (
                &[
                    "effect: deny, who: ['*'], classes: [read], models: ['ab*']",
                    "effect: allow, who: ['*'], classes: [read], models: ['a*']",
                ],
                &[],
            ),
            (
                &[
                    "effect: deny, mode: shadow, who: ['*'], classes: [read]",
                    "effect: allow, who: ['*'], classes: [read]",
                ],
                &[],
            ),
            (
                &[
                    "effect: deny, who: ['*'], classes: [read], when: {hours: '08:00-09:00'}",
                    "effect: allow, who: ['*'], classes: [read]",
                ],
                &[],
            ),
            (&["effect: allow, who: ['*'], classes: [read], when: {from: 2027-01-02, until: 2027-01-01}"], &["r0"]),
            (&["effect: allow, who: ['*'], classes: [read], when: {until: 2026-11-19}"], &["r0"]),
            (&["effect: allow, who: ['*'], classes: [read], when: {until: 2026-12-19}"], &[]),
            (&["effect: allow, who: ['*'], classes: [sensitive]"], &["r0"]),
            (&["effect: allow, who: ['*'], classes: [read], routes: ['openai.*']"], &["r0"]),
            (&["effect: allow, who: ['*'], classes: [read], routes: ['ollama.*']"], &[]),
        ] {
            assert_eq!(warned(rules), meant, "{rules:#?}");
        }
    }

    #[test]
    fn the_shipped_policies_are_beyond_doubt() {
        let reach: Vec<_> = RouteClass::ALL.into_iter().map(|class| (class, "ollama.chat")).collect();
        for (file, text) in super::super::SHIPPED {
            let policy = Policy::parse(text, file).unwrap_or_else(|e| panic!("{e:?}"));
            assert_eq!(policy.warnings(&reach, 1_795_176_000), [], "{file}");
        }
    }

    #[test]
    fn names_and_nodes_that_nobody_has_are_told() {
        let text = "version: 1\nrules:\n  - {name: r, effect: allow, who: ['name:alice', 'name:al*', 'name:bob', 'peer:a', \
                    'peer:b', 'key:ci'], classes: [read]}\n";
        let policy = Policy::parse(text, "p.yaml").unwrap_or_else(|e| panic!("{e:?}"));
        let known = Known { identities: &["peer:a".to_owned()], names: &["Alice".to_owned()] };
        let said: Vec<_> = policy.unknown_callers(&known).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("`name:bob`") && said[1].contains("`peer:b`"), "{said:?}");
    }
}
