//! The keys that a rule file may have: ours, and those that gitleaks knows. Others do nothing, and are told.

use portcullis_policies::nearest;
use toml::Spanned;
use toml::de::DeValue;

use super::{Diagnostic, Source, line_of};

/// Outermost. gitleaks also has a title, and the version of it that a file needs.
const OUTERMOST: &[&str] = &["allowlist", "allowlists", "description", "extend", "minVersion", "rules", "title"];
/// Of a rule. gitleaks also has tags, and rules that must be found nearby.
const RULE: &[&str] = &[
    "allowlist",
    "allowlists",
    "description",
    "entropy",
    "fw",
    "id",
    "keywords",
    "path",
    "regex",
    "required",
    "secretGroup",
    "skipReport",
    "tags",
];
/// Of an allow list.
const ALLOW: &[&str] =
    &["commits", "condition", "description", "paths", "regexTarget", "regexes", "stopwords", "targetRules"];
/// Of what a file says about others.
const EXTEND: &[&str] = &["disabledRules", "path", "url", "useDefault"];
/// The most that are told of one file: whoever made it knows by then.
const TOLD: usize = 64;

/// What is told of one file.
pub(super) struct Keys<'r, 't> {
    pub(super) source: &'r Source<'t>,
    pub(super) unknown: Vec<Diagnostic>,
}

impl Keys<'_, '_> {
    /// Looks at an outermost key, and below it.
    pub(super) fn outermost(&mut self, key: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue<'_>>) {
        self.one(key, OUTERMOST, None);
        match key.get_ref().as_ref() {
            "rules" => each(value, &mut |rule| self.rule(rule)),
            "allowlist" | "allowlists" => each(value, &mut |list| self.table(list, ALLOW, None)),
            "extend" => self.table(value, EXTEND, None),
            _ => {}
        }
    }

    fn rule(&mut self, rule: &Spanned<DeValue<'_>>) {
        let Some(table) = rule.get_ref().as_table() else { return };
        let name = table.get("id").and_then(|id| id.get_ref().as_str());
        self.table(rule, RULE, name);
        for lists in [table.get("allowlist"), table.get("allowlists")].into_iter().flatten() {
            each(lists, &mut |list| self.table(list, ALLOW, name));
        }
    }

    fn table(&mut self, table: &Spanned<DeValue<'_>>, known: &[&str], rule: Option<&str>) {
        for (key, _) in table.get_ref().as_table().into_iter().flat_map(|table| table.iter()) {
            self.one(key, known, rule);
        }
    }

    fn one(&mut self, key: &Spanned<impl AsRef<str>>, known: &[&str], rule: Option<&str>) {
        let word = key.get_ref().as_ref();
        if known.contains(&word) || self.unknown.len() >= TOLD {
            return;
        }
        let meant = nearest(word, known.iter().copied()).map(|near| format!(", did you mean `{near}`?"));
        let all = || format!(", expected one of `{}`", known.join("`, `"));
        // A key may be as long as its file.
        let shown: String = word.chars().take(64).flat_map(char::escape_debug).collect();
        self.unknown.push(Diagnostic {
            file: self.source.name.to_owned(),
            line: line_of(self.source.text, key.span().start),
            rule: rule.map(ToOwned::to_owned),
            message: format!("the key `{shown}` is unknown and does nothing{}", meant.unwrap_or_else(all)),
        });
    }
}

/// Each of a list, or the one that stands for itself.
fn each<'v>(value: &'v Spanned<DeValue<'v>>, see: &mut dyn FnMut(&'v Spanned<DeValue<'v>>)) {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().for_each(see),
        _ => see(value),
    }
}
