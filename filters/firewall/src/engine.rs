//! Finding what the rules' expressions match: keywords first, then only the rules that can match.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use crate::check::{Candidate, Check, entropy, part};
use crate::rule::Rule;
use crate::trigger::{self, Trigger};

/// A rule, ready to match.
pub(crate) struct Compiled {
    pub(crate) rule: Rule,
    regex: Regex,
    expression: String,
    keywords: Vec<String>,
    secret_group: usize,
    entropy: Option<f32>,
    checks: Vec<Check>,
    trigger: Option<Trigger>,
}

/// All rules, ready to match.
pub(crate) struct Engine {
    rules: Vec<Compiled>,
    keywords: Option<AhoCorasick>,
    /// Of each keyword: its rule.
    owners: Vec<usize>,
    /// Rules without keywords: they look at every text.
    always: Vec<usize>,
}

/// What is reused from text to text.
#[derive(Default)]
pub(crate) struct Hits {
    seen: Vec<bool>,
    rules: Vec<usize>,
    places: Vec<Range<usize>>,
    runs: Vec<Range<usize>>,
}

/// A match in one view of a text.
#[derive(Clone, Debug)]
pub(crate) struct Match<'r> {
    pub(crate) rule: &'r Rule,
    pub(crate) span: Range<usize>,
    pub(crate) secret: Range<usize>,
}

impl Compiled {
    pub(crate) fn new(
        rule: Rule,
        regex_text: &str,
        keywords: &[String],
        secret_group: usize,
        entropy: Option<f32>,
        checks: Vec<Check>,
    ) -> Result<Self, String> {
        // The meaning that `\w`, `\d` and `\b` have in gitleaks: of ASCII.
        let syntax = syntax::Config::new().unicode(false).utf8(false);
        let config = Regex::config().nfa_size_limit(Some(16 << 20)).utf8_empty(false);
        let regex = Regex::builder()
            .syntax(syntax)
            .configure(config)
            .build(regex_text)
            .map_err(|error| format!("its `regex` does not compile: {error}"))?;
        let keywords = keywords.iter().map(|keyword| keyword.to_ascii_lowercase()).collect();
        let expression = regex_text.to_owned();
        Ok(Self { rule, regex, expression, keywords, secret_group, entropy, checks, trigger: None })
    }

    /// The same rule, where it looks only at places of one kind.
    pub(crate) fn looking_at(self, trigger: Option<Trigger>) -> Self {
        Self { trigger, ..self }
    }

    /// What the expression is written as.
    pub(crate) fn expression(&self) -> &str {
        &self.expression
    }

    /// Its keywords, in lower case.
    pub(crate) fn keywords(&self) -> &[String] {
        &self.keywords
    }

    /// Which group is the secret; 0 for the first that took part.
    pub(crate) fn secret_group(&self) -> usize {
        self.secret_group
    }

    /// Finds what matches within a range of a text.
    pub(crate) fn confirm<'r>(&'r self, text: &str, range: Range<usize>, found: &mut dyn FnMut(Match<'r>)) {
        let mut slots = self.regex.create_captures();
        let mut at = range.start;
        while at <= range.end {
            self.regex.search_captures(&regex_automata::Input::new(text).range(at..range.end), &mut slots);
            let Some(whole) = slots.get_match() else { return };
            let span = whole.range();
            at = span.end.max(span.start + 1);
            let group = match self.secret_group {
                0 => (1..slots.group_len()).find_map(|group| slots.get_group(group)),
                group => slots.get_group(group),
            };
            let secret = group.map_or(span.clone(), |group| group.range());
            let candidate = Candidate {
                secret: part(text, secret.clone()),
                matched: part(text, span.clone()),
                text,
                start: span.start,
            };
            let random = self.entropy.is_none_or(|least| entropy(candidate.secret.as_bytes()) >= least);
            if random && self.checks.iter().all(|check| check(&candidate)) {
                found(Match { rule: &self.rule, span, secret });
            }
        }
    }
}

impl Engine {
    pub(crate) fn new(rules: Vec<Compiled>) -> Self {
        let mut keywords = Vec::new();
        let mut owners = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            for keyword in &rule.keywords {
                keywords.push(keyword.as_str());
                owners.push(number);
            }
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&keywords)
            .ok();
        let always = (0..rules.len()).filter(|n| rules.get(*n).is_some_and(|r| r.keywords.is_empty())).collect();
        Self { keywords: automaton, owners, always, rules }
    }

    pub(crate) fn rules(&self) -> &[Compiled] {
        &self.rules
    }

    /// Whether there is a rule of this name.
    pub(crate) fn has(&self, rule: &str) -> bool {
        self.rules.iter().any(|known| *known.rule.id == *rule)
    }

    /// Whether the rule of this name finds anything in a text.
    pub(crate) fn finds(&self, rule: &str, text: &str, hits: &mut Hits) -> bool {
        let mut found = false;
        self.scan(text, hits, &mut |hit| found |= *hit.rule.id == *rule);
        found
    }

    /// Scans one view of a text.
    pub(crate) fn scan<'r>(&'r self, text: &str, hits: &mut Hits, found: &mut dyn FnMut(Match<'r>)) {
        hits.seen.clear();
        hits.seen.resize(self.rules.len(), false);
        hits.rules.clear();
        let looks_at = |trigger| {
            self.always.iter().filter_map(|number| self.rules.get(*number)).any(|rule| rule.trigger == Some(trigger))
        };
        if looks_at(Trigger::Digits) {
            trigger::places(text, &mut hits.places);
        }
        hits.runs.clear();
        if looks_at(Trigger::Run) {
            hits.runs.extend(crate::runs::runs(text));
        }
        for rule in self.always.iter().filter_map(|number| self.rules.get(*number)) {
            match rule.trigger {
                Some(Trigger::Digits) => hits.places.iter().for_each(|place| rule.confirm(text, place.clone(), found)),
                Some(Trigger::Run) => hits.runs.iter().for_each(|run| rule.confirm(text, run.clone(), found)),
                None => rule.confirm(text, 0..text.len(), found),
            }
        }
        for hit in self.keywords.iter().flat_map(|keywords| keywords.find_overlapping_iter(text)) {
            let Some(owner) = self.owners.get(hit.pattern().as_usize()) else { continue };
            if let Some(seen) = hits.seen.get_mut(*owner).filter(|seen| !**seen) {
                *seen = true;
                hits.rules.push(*owner);
            }
        }
        for rule in hits.rules.iter().filter_map(|number| self.rules.get(*number)) {
            rule.confirm(text, 0..text.len(), found);
        }
    }
}
