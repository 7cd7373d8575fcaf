//! The policy document as it is written.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Limit, Policy, Rule, Who};
use crate::class::RouteClass;
use crate::diagnostic::{Diagnostic, from_yaml};
use crate::glob::Glob;
use crate::identity::Identity;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: Spanned<u32>,
    rules: Vec<WrittenRule>,
    #[serde(default)]
    limits: BTreeMap<String, WrittenLimit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: Spanned<String>,
    effect: Effect,
    who: Spanned<Vec<Spanned<String>>>,
    classes: Spanned<Vec<RouteClass>>,
    #[serde(default)]
    routes: Vec<String>,
    models: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLimit {
    max: f64,
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// Every mistake in it, each with its place.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Diagnostic>> {
        let document: Document = serde_saphyr::from_str(text).map_err(|e| vec![from_yaml(file, &e)])?;
        let mut mistakes = Vec::new();
        let mut note = |at: (u64, u64), key: &str, message: String, hint: Option<&str>| {
            let mistake = Diagnostic::at(file, at.0, at.1, key, message);
            mistakes.push(match hint {
                Some(hint) => mistake.with_hint(hint),
                None => mistake,
            });
        };
        if document.version.value != 1 {
            note(
                place(&document.version),
                "version",
                format!("`{}` is not a version that this release reads, expected `1`", document.version.value),
                None,
            );
        }
        let mut names = HashSet::new();
        let mut rules = Vec::new();
        for written in &document.rules {
            let name = &written.name.value;
            if name.is_empty() || !names.insert(name.clone()) {
                note(
                    place(&written.name),
                    "rules.name",
                    format!("`{name}` is empty or used by another rule, expected a name of its own"),
                    None,
                );
            }
            if written.who.value.is_empty() {
                note(
                    place(&written.who),
                    "rules.who",
                    "the list is empty, so the rule is about nobody".to_owned(),
                    Some("write `['*']` for every approved caller"),
                );
            }
            if written.classes.value.is_empty() {
                note(
                    place(&written.classes),
                    "rules.classes",
                    "the list is empty, so the rule covers nothing".to_owned(),
                    Some("write `[inference, read]`"),
                );
            }
            let mut who = Vec::new();
            for word in &written.who.value {
                match read_who(&word.value) {
                    Some(meant) => who.push(meant),
                    None => note(
                        place(word),
                        "rules.who",
                        format!(
                            "`{}` is nobody, expected `*`, an identity such as `peer:…`, `name:` or `method:` and a value",
                            word.value
                        ),
                        None,
                    ),
                }
            }
            // A rule that allows says for which models; one that denies is about all unless it says.
            let models = written.models.clone().unwrap_or_else(|| vec!["*".to_owned()]);
            rules.push(Rule {
                name: name.clone(),
                allows: written.effect == Effect::Allow,
                who,
                classes: written.classes.value.clone(),
                routes: written.routes.iter().map(|r| Glob::new(r)).collect(),
                models: models.iter().map(|m| Glob::new(m)).collect(),
            });
        }
        for (field, limit) in &document.limits {
            if !limit.max.is_finite() || limit.max < 1.0 {
                note(
                    (0, 0),
                    &format!("limits.{field}.max"),
                    format!("`{}` is not a limit, expected a number of at least 1", limit.max),
                    None,
                );
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let limits = document.limits.into_iter().map(|(field, limit)| Limit { field, max: limit.max }).collect();
        Ok(Self { rules, limits })
    }
}

fn place<T>(spanned: &Spanned<T>) -> (u64, u64) {
    (spanned.referenced.line(), spanned.referenced.column())
}

fn read_who(text: &str) -> Option<Who> {
    if text == "*" {
        return Some(Who::Anyone);
    }
    if let Some(name) = text.strip_prefix("name:") {
        return (!name.is_empty()).then(|| Who::Name(Glob::new(name)));
    }
    if let Some(method) = text.strip_prefix("method:") {
        let known = ["api_key", "jwt", "mtls", "ollama_key", "signature"];
        return known.contains(&method).then(|| Who::Method(method.to_owned()));
    }
    Identity::parse(text).ok().map(|_| Who::Identity(Glob::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_has_its_place() {
        for (text, line, words) in [
            ("version: 1\nrulez: []\n", 2, "did you mean `rules`?"),
            ("version: 2\nrules: []\n", 1, "expected `1`"),
            ("version: 1\nrules:\n  - {name: a, effect: permit, who: ['*'], classes: [read]}\n", 3, "permit"),
            ("version: 1\nrules:\n  - {name: a, effect: allow, who: [], classes: [read]}\n", 3, "about nobody"),
            (
                "version: 1\nrules:\n  - {name: a, effect: allow, who: [alice], classes: [read]}\n",
                3,
                "`alice` is nobody",
            ),
            ("version: 1\nrules:\n  - {name: a, effect: allow, who: ['*'], classes: [inferense]}\n", 3, "inferense"),
            (
                "version: 1\nrules:\n  - {name: a, effect: allow, who: ['*'], classes: [read]}\n  - {name: a, effect: deny, who: ['*'], classes: [read]}\n",
                4,
                "used by another rule",
            ),
            ("version: 1\nrules: [\n", 2, ""),
        ] {
            let mistakes = Policy::parse(text, "p.yaml").unwrap_err();
            let said = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            assert!(said.contains(words), "{said}");
            assert!(mistakes.iter().any(|m| m.line >= line.min(2) && m.column > 0), "{said}");
        }
    }

    #[test]
    fn all_mistakes_come_at_once() {
        let text = "version: 3\nrules:\n  - {name: '', effect: allow, who: [x], classes: []}\n";
        assert_eq!(Policy::parse(text, "p.yaml").unwrap_err().len(), 4);
    }
}
