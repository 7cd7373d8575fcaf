//! All rules in force, compiled once.

use std::sync::Arc;

use crate::check;
use crate::document::{self, Diagnostic, Source, Written, line_of};
use crate::engine::{Compiled, Engine};
use crate::rule::{Kind, Rule};
use crate::samples::{self, Samples};
use crate::stream::Live;
use crate::structure::{self, Structure};

/// Which of the rules are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Whether rules about persons are.
    pub pii: bool,
    /// Rules that are not, by name.
    pub disabled: Vec<String>,
    /// From which score on, 0 to 100, a text is held for an injection.
    pub injection_threshold: u8,
    /// How long a text may be, in bytes, before `structure-size` tells of it.
    pub largest_text: usize,
}

impl Default for Selection {
    fn default() -> Self {
        Self { pii: false, disabled: Vec::new(), injection_threshold: 50, largest_text: 256 << 10 }
    }
}

/// What became of the rules of some files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many are in force.
    pub active: usize,
    /// Rules that cannot be, each with the reason.
    pub inactive: Vec<Diagnostic>,
}

/// All rules in force. Immutable, and shared by everybody who scans.
pub struct Rules {
    pub(crate) engine: Engine,
    pub(crate) live: Live,
    pub(crate) structure: Structure,
    report: Report,
}

/// How often each sample of a file is drawn when the file is loaded.
const DRAWS: u64 = 4;

const BUILTIN: &[Source<'static>] = &[
    Source { name: "secrets.toml", text: include_str!("../../../policies/firewall/secrets.toml") },
    Source { name: "pii.toml", text: include_str!("../../../policies/firewall/pii.toml") },
    Source { name: "structure.toml", text: include_str!("../../../policies/firewall/structure.toml") },
];

impl Rules {
    /// The rules in the program, and those of these files. A later rule takes the place of an earlier one
    /// of the same name.
    ///
    /// # Errors
    /// Everything that is wrong with the files. No rule of a broken file is in force without the others.
    pub fn load(builtin: bool, files: &[Source<'_>], selection: &Selection) -> Result<Self, Vec<Diagnostic>> {
        let mut rules: Vec<Compiled> = Vec::new();
        let mut wrong = Vec::new();
        let mut report = Report::default();
        let mut samples = Vec::new();
        // Structural rules that no expression states.
        let mut traits: Vec<Rule> = Vec::new();
        let own = if builtin { BUILTIN } else { &[] };
        for source in own.iter().chain(files) {
            match document::read(source) {
                Err(diagnostic) => wrong.push(diagnostic),
                Ok(document) => {
                    samples.extend(samples_of(&document, source));
                    for written in document.rules {
                        let line = line_of(source.text, written.span().start);
                        if written.get_ref().regex.is_none() && structure::is_trait(&written.get_ref().id) {
                            let rule = metadata(written.get_ref());
                            traits.retain(|known| known.id != rule.id);
                            traits.extend((!selection.disabled.iter().any(|id| **id == *rule.id)).then_some(rule));
                            continue;
                        }
                        add(written.into_inner(), source, line, selection, &mut rules, &mut report, &mut wrong);
                    }
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        traits.retain(|built_in| rules.iter().all(|written| written.rule.id != built_in.id));
        report.active = rules.len() + traits.len();
        let structure = Structure::new(traits, selection.largest_text);
        let live = Live::new(&rules).map_err(|(rule, message)| vec![unfollowed(&rules, rule, message)])?;
        let engine = Engine::new(rules);
        // Those of the program are run by its tests.
        samples.retain(|sample| files.iter().any(|file| file.name == sample.file));
        let wrong = samples::run(&engine, &samples, 0..DRAWS);
        if wrong.is_empty() { Ok(Self { engine, live, structure, report }) } else { Err(wrong) }
    }

    /// The samples of the rules in the program: for tests and benchmarks.
    #[must_use]
    pub fn builtin_samples() -> Vec<Samples> {
        let documents = BUILTIN.iter().filter_map(|source| Some((document::read(source).ok()?, source)));
        documents.flat_map(|(document, source)| samples_of(&document, source)).collect()
    }

    /// What became of the rules.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Every rule in force.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.engine.rules().iter().map(|compiled| &compiled.rule).chain(self.structure.rules())
    }
}

/// That a rule can be matched, but not followed in a growing text.
fn unfollowed(rules: &[Compiled], rule: usize, message: String) -> Diagnostic {
    let rule = rules.get(rule).map(|compiled| compiled.rule.id.to_string());
    Diagnostic { file: String::new(), line: 0, rule, message }
}

fn samples_of(document: &document::Document, source: &Source<'_>) -> Vec<Samples> {
    document.rules.iter().filter_map(|rule| Samples::of(rule, source)).collect()
}

fn add(
    written: Written,
    source: &Source<'_>,
    line: usize,
    selection: &Selection,
    rules: &mut Vec<Compiled>,
    report: &mut Report,
    wrong: &mut Vec<Diagnostic>,
) {
    let say =
        |message: String| Diagnostic { file: source.name.to_owned(), line, rule: Some(written.id.clone()), message };
    if selection.disabled.contains(&written.id) || (written.fw.kind == Kind::Pii && !selection.pii) {
        return;
    }
    let Some(regex) = &written.regex else {
        report.inactive.push(say("it has no `regex`: rules about paths alone are not for texts".to_owned()));
        return;
    };
    let mut checks = Vec::new();
    for name in &written.fw.checks {
        match check::by_name(name) {
            Some(check) => checks.push(check),
            None => return wrong.push(say(format!("there is no check `{name}`"))),
        }
    }
    match Compiled::new(metadata(&written), regex, &written.keywords, written.secret_group, written.entropy, checks) {
        Ok(compiled) => {
            let compiled = compiled.looking_at(written.fw.trigger);
            rules.retain(|known| known.rule.id != compiled.rule.id);
            rules.push(compiled);
        }
        Err(reason) => wrong.push(say(reason)),
    }
}

/// What a rule says about itself.
fn metadata(written: &Written) -> Rule {
    Rule {
        id: Arc::from(written.id.as_str()),
        description: Arc::from(written.description.as_str()),
        kind: written.fw.kind,
        level: written.fw.level.unwrap_or(written.fw.kind.usual_level()),
        action: written.fw.action,
        direction: written.fw.direction,
    }
}
