//! Running the samples of rules: each positive one must be found by its rule, and no negative one.

use std::ops::Range;

use crate::document::{Diagnostic, Placed, Source, Templates, Written};
use crate::engine::{Engine, Hits};
use crate::sample::draw;

/// The samples of one rule, as templates for [`draw`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// The file that they are in.
    pub file: String,
    /// Where the rule begins in it, from 1.
    pub line: usize,
    /// The rule.
    pub rule: String,
    /// What the rule must find.
    pub positive: Vec<String>,
    /// What it must not find.
    pub negative: Vec<String>,
}

impl Samples {
    /// Those of a rule as it is written, if it has any.
    pub(crate) fn of(rule: &Placed<Written>, source: &Source<'_>) -> Option<Self> {
        let Templates { positive, negative } = &rule.it.fw.as_ref()?.samples;
        (!positive.is_empty() || !negative.is_empty()).then(|| Self {
            file: source.name.to_owned(),
            line: rule.line,
            rule: rule.it.id.clone(),
            positive: positive.clone(),
            negative: negative.clone(),
        })
    }

    fn wrong(&self, message: String) -> Diagnostic {
        Diagnostic { file: self.file.clone(), line: self.line, rule: Some(self.rule.clone()), message }
    }
}

/// Draws every sample of the rules in force with each of the seeds. Returns what is wrong, once for each template.
pub(crate) fn run(engine: &Engine, samples: &[Samples], seeds: Range<u64>) -> Vec<Diagnostic> {
    let mut hits = Hits::default();
    let mut wrong = Vec::new();
    for sample in samples.iter().filter(|sample| engine.has(&sample.rule)) {
        let expected = sample.positive.iter().map(|t| (t, true)).chain(sample.negative.iter().map(|t| (t, false)));
        for (template, positive) in expected {
            let mistake = seeds.clone().find_map(|seed| match draw(template, seed) {
                Err(reason) => Some(format!("sample `{template}`: {reason}")),
                Ok(text) => match engine.finds(&sample.rule, &text, &mut hits) {
                    Ok(found) if found == positive => None,
                    Ok(false) => Some(format!("it does not find its sample `{template}` (drawn with seed {seed})")),
                    Ok(true) => Some(format!("it finds `{template}` (drawn with seed {seed}), which it must not")),
                    Err(reason) => Some(format!("sample `{template}` (drawn with seed {seed}): {reason}")),
                },
            });
            wrong.extend(mistake.map(|message| sample.wrong(message)));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use crate::{Rules, Selection, Source};

    fn load(samples: &str) -> Vec<String> {
        let rule = "[[rules]]\nid = \"one\"\nregex = '''\\bab_([a-z0-9]{12})\\b'''\nkeywords = [\"ab_\"]\n";
        let text = format!("{rule}[rules.fw.samples]\n{samples}");
        let wrong = Rules::load(false, &[Source { name: "x.toml", text: &text }], &Selection::default()).err();
        wrong.unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_whose_samples_fail_is_refused() {
        assert_eq!(load("positive = ['x ab_{lownum:12} y']\nnegative = ['ab_{lownum:11}']"), [""; 0]);
        assert_eq!(
            load("positive = ['ab_{lownum:13}', '{b99:2}']\nnegative = ['ab_{lownum:12}']"),
            [
                "x.toml:1: rule `one`: it does not find its sample `ab_{lownum:13}` (drawn with seed 0)",
                "x.toml:1: rule `one`: sample `{b99:2}`: `{b99:2}` cannot be drawn",
                "x.toml:1: rule `one`: it finds `ab_{lownum:12}` (drawn with seed 0), which it must not",
            ]
        );
    }

    #[test]
    fn every_rule_finds_its_samples() {
        let rules =
            Rules::load(true, &[], &Selection { pii: true, ..Selection::default() }).map_err(|w| format!("{w:?}"));
        let wrong = super::run(&rules.unwrap().engine, &Rules::builtin_samples(), 0..12);
        assert!(wrong.is_empty(), "{}", wrong.iter().map(|w| format!("{w}\n")).collect::<String>());
    }
}
