//! The policy document as it is written.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_saphyr::Spanned;

use super::rule::{Bounds, Rule, RuleLimits, Tools, Who};
use super::when::{self, When};
use super::{Limit, Policy};
use crate::diagnostic::{Diagnostic, from_yaml, nearest};
use crate::glob::{ExactGlob, Glob};
use crate::identity::Identity;
use crate::rate::Rate;

mod written;

use written::{Document, Effect, Mode, WrittenRule, WrittenTools};

/// The most callers that rules may name after their groups are written out: a bound on memory.
const MAX_WORDS: usize = 200_000;

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// Every mistake in it, each with its place.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Diagnostic>> {
        let document: Document = serde_saphyr::from_str(text).map_err(|e| vec![from_yaml(file, text, &e)])?;
        let mut reader = Reader { file, mistakes: Vec::new(), groups: HashMap::new(), words: 0 };
        if document.version.value != 1 {
            let version = document.version.value;
            let message = format!("`{version}` is not a version that this release reads, expected `1`");
            reader.wrong(&document.version, "version", message, None);
        }
        reader.groups(&document.groups);
        let mut names = HashSet::new();
        let rules = document.rules.iter().map(|written| reader.rule(written, &mut names)).collect();
        let limits = document.limits.into_iter().map(|(field, limit)| reader.limit(field, &limit)).collect();
        if !reader.mistakes.is_empty() {
            return Err(reader.mistakes);
        }
        let line = text.lines().position(|line| line.starts_with("rules:")).map_or(1, |at| at as u64 + 1);
        Ok(Self { firewall: document.firewall, ..Self::of(file.into(), line, rules, limits) })
    }
}

struct Reader<'f> {
    file: &'f str,
    mistakes: Vec<Diagnostic>,
    groups: HashMap<String, Vec<Who>>,
    words: usize,
}

impl Reader<'_> {
    fn groups(&mut self, written: &BTreeMap<String, Spanned<Vec<Spanned<String>>>>) {
        for (name, members) in written {
            let key = format!("groups.{name}");
            if members.value.is_empty() {
                self.wrong(members, &key, "the group has no members".to_owned(), Some("take it out, or name one"));
            }
            let mut meant = Vec::new();
            for word in &members.value {
                if word.value == "*" || word.value.starts_with("group:") {
                    let message = format!("`{}` cannot be a member of a group", word.value);
                    self.wrong(word, &key, message, Some("write the callers out, or name both groups in `who`"));
                } else if let Some(who) = self.who(word, &key) {
                    meant.push(who);
                }
            }
            self.groups.insert(name.clone(), meant);
        }
    }

    fn rule(&mut self, written: &WrittenRule, names: &mut HashSet<String>) -> Rule {
        let name = &written.name.value;
        if name.is_empty() || !names.insert(name.clone()) {
            let message = format!("`{name}` is empty or used by another rule, expected a name of its own");
            self.wrong(&written.name, "rules.name", message, None);
        }
        if written.who.value.is_empty() {
            let message = "the list is empty, so the rule is about nobody".to_owned();
            self.wrong(&written.who, "rules.who", message, Some("write `['*']` for every approved caller"));
        }
        if written.classes.value.is_empty() {
            let message = "the list is empty, so the rule covers nothing".to_owned();
            self.wrong(&written.classes, "rules.classes", message, Some("write `[inference, read]`"));
        }
        let allows = written.effect == Effect::Allow;
        if !allows {
            self.only_for_allow(written);
        }
        // A rule that says nothing about models is about all of them.
        let models = written.models.clone().unwrap_or_else(|| vec!["*".to_owned()]);
        let (line, column) = place(&written.name);
        Rule {
            name: name.as_str().into(),
            line,
            column,
            bounds: Bounds {
                max_tokens: self.bound(written.max_tokens.as_ref(), "rules.max_tokens"),
                max_context: self.bound(written.max_context.as_ref(), "rules.max_context"),
            },
            tools: self.tools(written.tools.as_ref()).into(),
            limits: self.limits(written),
            allows,
            shadow: written.mode == Some(Mode::Shadow),
            who: self.callers(&written.who.value),
            classes: written.classes.value.clone(),
            routes: written.routes.iter().map(|r| Glob::new(r)).collect(),
            models: models.iter().map(|m| Glob::new(m)).collect(),
            when: self.when(written),
        }
    }

    /// How much a rule allows says nothing about one that denies.
    fn only_for_allow(&mut self, written: &WrittenRule) {
        let places = [
            ("rules.max_tokens", written.max_tokens.as_ref().map(place)),
            ("rules.max_context", written.max_context.as_ref().map(place)),
            ("rules.tools", written.tools.as_ref().map(place)),
            ("rules.limits", written.limits.as_ref().map(place)),
        ];
        for (key, at) in places {
            if let Some((line, column)) = at {
                let message = "a rule with `effect: deny` has nothing to bound".to_owned();
                let mistake = Diagnostic::at(self.file, line, column, key, message);
                self.mistakes.push(mistake.with_hint("put it into the rule that allows"));
            }
        }
    }

    fn callers(&mut self, words: &[Spanned<String>]) -> Vec<Who> {
        let mut who = Vec::new();
        for word in words {
            match word.value.strip_prefix("group:") {
                None => who.extend(self.who(word, "rules.who")),
                Some(group) => match self.groups.get(group) {
                    Some(members) if self.words + members.len() > MAX_WORDS => {
                        let message = format!("more than {MAX_WORDS} callers stand in the rules, groups written out");
                        self.wrong(word, "rules.who", message, Some("use patterns, names or profiles"));
                    }
                    Some(members) => {
                        self.words += members.len();
                        who.extend(members.iter().cloned());
                    }
                    None => {
                        let near = nearest(group, self.groups.keys().map(String::as_str));
                        let hint = near.map_or_else(
                            || format!("write it under `groups:`, such as `{group}: ['name:alice']`"),
                            |near| format!("did you mean `group:{near}`?"),
                        );
                        let message = format!("`{group}` is no group of this document");
                        self.wrong(word, "rules.who", message, Some(&hint));
                    }
                },
            }
        }
        who
    }

    fn who(&mut self, word: &Spanned<String>, key: &str) -> Option<Who> {
        let read = read_who(&word.value);
        if read.is_none() {
            let message = format!(
                "`{}` is nobody, expected `*`, an identity such as `peer:…`, or `name:`, `group:`, `profile:`, \
                 `claim:NAME=`, `method:` and a value",
                word.value
            );
            let kinds = ["name", "group", "profile", "claim", "method", "peer", "spiffe", "key", "jwt"];
            let hint = match word.value.split_once(':') {
                Some((kind, _)) => nearest(kind, kinds).map(|near| format!("did you mean `{near}:`?")),
                None => Some(format!("write `name:{}` for whom the operator calls so", word.value)),
            };
            self.wrong(word, key, message, hint.as_deref());
        }
        read
    }

    fn bound(&mut self, written: Option<&Spanned<u64>>, key: &str) -> Option<u64> {
        let written = written?;
        if written.value == 0 {
            self.wrong(written, key, "`0` is not a bound, expected at least 1".to_owned(), None);
        }
        Some(written.value)
    }

    fn tools(&mut self, written: Option<&Spanned<WrittenTools>>) -> Tools {
        match written.map(|w| (&w.value, w)) {
            None => Tools::Any,
            Some((WrittenTools::Deny, _)) => Tools::Deny,
            Some((WrittenTools::Allow(globs), at)) => {
                if globs.is_empty() {
                    let message = "the list is empty, so no tool is allowed".to_owned();
                    self.wrong(at, "rules.tools", message, Some("write `tools: deny`"));
                }
                Tools::Allow(globs.iter().map(|glob| Glob::new(glob)).collect())
            }
        }
    }

    fn limits(&mut self, written: &WrittenRule) -> RuleLimits {
        let Some(limits) = &written.limits else { return RuleLimits::default() };
        let limits = &limits.value;
        if let Some(zero) = limits.concurrent.as_ref().filter(|n| n.value == 0) {
            self.wrong(zero, "rules.limits.concurrent", "`0` is not a limit, expected at least 1".to_owned(), None);
        }
        RuleLimits {
            requests: self.rate(limits.requests.as_ref(), "rules.limits.requests"),
            tokens: self.rate(limits.tokens.as_ref(), "rules.limits.tokens"),
            concurrent: limits.concurrent.as_ref().map(|n| n.value),
        }
    }

    fn rate(&mut self, written: Option<&Spanned<String>>, key: &str) -> Option<Rate> {
        let written = written?;
        written.value.parse().map_err(|e: crate::InvalidRate| self.wrong(written, key, e.to_string(), None)).ok()
    }

    fn when(&mut self, written: &WrittenRule) -> Option<When> {
        let written = &written.when.as_ref()?.value;
        let zone = written.timezone.as_ref().and_then(|name| {
            let hint = "`timedatectl list-timezones` lists the names";
            when::zone(&name.value).map_err(|e| self.wrong(name, "rules.when.timezone", e, Some(hint))).ok()
        });
        let utc = jiff::tz::TimeZone::UTC;
        let mut moment = |at: &Option<Spanned<String>>, key: &str| {
            let at = at.as_ref()?;
            when::moment(&at.value, zone.as_ref().unwrap_or(&utc)).map_err(|e| self.wrong(at, key, e, None)).ok()
        };
        let (from, until) = (moment(&written.from, "rules.when.from"), moment(&written.until, "rules.when.until"));
        let hours = written
            .hours
            .as_ref()
            .and_then(|text| when::hours(&text.value).map_err(|e| self.wrong(text, "rules.when.hours", e, None)).ok());
        let days = written.days.as_ref().map(|list| {
            if list.value.is_empty() {
                let message = "the list is empty, so the rule never holds".to_owned();
                self.wrong(list, "rules.when.days", message, Some("write `[mon..fri]`"));
            }
            list.value.iter().fold(0, |bits, day| {
                bits | when::days(&day.value).unwrap_or_else(|e| {
                    self.wrong(day, "rules.when.days", e, None);
                    0
                })
            })
        });
        Some(When { from, until, hours, days, zone })
    }

    fn limit(&mut self, field: String, limit: &Spanned<written::WrittenLimit>) -> Limit {
        let max = limit.value.max;
        if !max.is_finite() || max < 1.0 {
            let message = format!("`{max}` is not a limit, expected a number of at least 1");
            self.wrong(limit, &format!("limits.{field}.max"), message, None);
        }
        Limit { field, max }
    }

    fn wrong<T>(&mut self, at: &Spanned<T>, key: &str, message: String, hint: Option<&str>) {
        let (line, column) = place(at);
        let mistake = Diagnostic::at(self.file, line, column, key, message);
        self.mistakes.push(match hint {
            Some(hint) => mistake.with_hint(hint),
            None => mistake,
        });
    }
}

fn place<T>(spanned: &Spanned<T>) -> (u64, u64) {
    (spanned.referenced.line(), spanned.referenced.column())
}

fn read_who(text: &str) -> Option<Who> {
    let glob = |value: &str| (!value.is_empty()).then(|| Glob::new(value));
    if text == "*" {
        return Some(Who::Anyone);
    }
    if let Some(name) = text.strip_prefix("name:") {
        return glob(name).map(Who::Name);
    }
    if let Some(profile) = text.strip_prefix("profile:") {
        return glob(profile).map(Who::Profile);
    }
    if let Some(claim) = text.strip_prefix("claim:") {
        let (claim, value) = claim.split_once('=').filter(|(claim, _)| !claim.is_empty())?;
        return glob(value).map(|value| Who::Claim(claim.into(), value));
    }
    if let Some(method) = text.strip_prefix("method:") {
        let known = ["api_key", "jwt", "mtls", "ollama_key", "signature"];
        return known.contains(&method).then(|| Who::Method(method.into()));
    }
    Identity::parse(text).ok().map(|_| Who::Identity(ExactGlob::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> String {
        let mistakes = Policy::parse(text, "p.yaml").expect_err(text);
        assert!(mistakes.iter().all(|m| m.line > 0 && m.column > 0), "{mistakes:?}");
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_mistake_has_its_place_and_a_hint() {
        let rule =
            |more: &str| format!("version: 1\nrules:\n  - {{name: a, effect: allow, classes: [read], {more}}}\n");
        for (text, line, words) in [
            ("version: 1\nrulez: []\n".to_owned(), 2, "did you mean `rules`?"),
            ("version: 2\nrules: []\n".to_owned(), 1, "expected `1`"),
            (
                "version: 1\nrules:\n  - {name: a, effect: permit, who: ['*'], classes: [read]}\n".to_owned(),
                3,
                "permit",
            ),
            (rule("who: []"), 3, "about nobody"),
            (rule("who: [alice]"), 3, "write `name:alice`"),
            (rule("who: ['nam:alice']"), 3, "did you mean `name:`?"),
            (rule("who: ['profile:']"), 3, "is nobody"),
            (rule("who: ['claim:groups']"), 3, "is nobody"),
            (rule("who: ['method:mtlss']"), 3, "is nobody"),
            (rule("who: ['group:team']"), 3, "no group of this document"),
            (rule("who: ['*'], max_tokens: 0"), 3, "expected at least 1"),
            (rule("who: ['*'], max_tokens: many"), 3, "a whole number is expected"),
            (rule("who: ['*'], tools: none"), 3, "`deny` or"),
            (rule("who: ['*'], tools: {allow: []}"), 3, "tools: deny"),
            (rule("who: ['*'], limits: {requests: 600}"), 3, "600"),
            (rule("who: ['*'], limits: {requests: 0/m}"), 3, "is not a rate"),
            (rule("who: ['*'], limits: {concurrent: 0}"), 3, "expected at least 1"),
            (rule("who: ['*'], when: {hours: '8-18'}"), 3, "expected such as `08:00-18:00`"),
            (rule("who: ['*'], when: {days: [monday]}"), 3, "mon..fri"),
            (rule("who: ['*'], when: {days: []}"), 3, "never holds"),
            (rule("who: ['*'], when: {until: tomorrow}"), 3, "2026-12-24"),
            (rule("who: ['*'], when: {timezone: Mars/Phobos}"), 3, "Europe/Berlin"),
            (rule("who: ['*'], when: {hour: '1'}"), 3, "did you mean `hours`?"),
            (rule("who: ['*'], mode: off"), 3, "expected one of enforce"),
            (rule("who: ['*']").replace("[read]", "[inferense]"), 3, "inferense"),
            (rule("who: ['*']").replace("[read]", "[]"), 3, "covers nothing"),
            (rule("who: ['*'], tools: deny").replace("allow", "deny"), 3, "nothing to bound"),
            (
                format!("{0}{1}", rule("who: ['*']"), "  - {name: a, effect: deny, who: ['*'], classes: [read]}\n"),
                4,
                "used by another rule",
            ),
            ("version: 1\ngroups: {team: ['*']}\nrules: []\n".to_owned(), 2, "cannot be a member"),
            ("version: 1\ngroups: {team: []}\nrules: []\n".to_owned(), 2, "no members"),
            ("version: 1\nrules: []\nlimits: {num_ctx: {max: 0}}\n".to_owned(), 3, "at least 1"),
            ("version: 1\nrules: []\nfirewall: {block_at: L9}\n".to_owned(), 3, "L9"),
            ("version: 1\nrules: []\nfirewall: {blok_at: L2}\n".to_owned(), 3, "did you mean `block_at`?"),
            ("version: 1\nrules: []\nfirewall: {pii: drop}\n".to_owned(), 3, "drop"),
            ("version: 1\nrules: [\n".to_owned(), 2, ""),
        ] {
            let said = mistakes(&text);
            assert!(said.contains(words), "{text}\n{said}");
            assert!(said.contains(&format!("p.yaml:{line}:")) || words.is_empty(), "{text}\n{said}");
        }
    }

    #[test]
    fn all_mistakes_come_at_once() {
        let text = "version: 3\nrules:\n  - {name: '', effect: allow, who: [x], classes: []}\n";
        assert_eq!(Policy::parse(text, "p.yaml").unwrap_err().len(), 4);
    }

    #[test]
    fn groups_are_bounded() {
        let members = vec!["'name:x'"; 1_000].join(", ");
        let rules: String = (0..201)
            .map(|n| format!("  - {{name: r{n}, effect: allow, who: ['group:g'], classes: [read]}}\n"))
            .collect();
        let text = format!("version: 1\ngroups: {{g: [{members}]}}\nrules:\n{rules}");
        assert!(mistakes(&text).contains("callers stand in the rules"));
    }
}
