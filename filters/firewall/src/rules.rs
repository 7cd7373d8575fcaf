//! All rules in force, compiled once.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use portcullis_policies::DataLevel;

use crate::allow::Allow;
use crate::check;
use crate::document::{self, Diagnostic, Document, Extra, Placed, Source, Written};
use crate::engine::{Compiled, Engine, Statement};
use crate::injection::Injection;
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
    /// Names among those to be disabled that no rule has.
    pub unknown: Vec<String>,
    /// Keys of rule files that neither we nor gitleaks know: what they were meant to say is not done.
    pub unknown_keys: Vec<Diagnostic>,
}

/// All rules in force. Immutable, and shared by everybody who scans.
pub struct Rules {
    pub(crate) engine: Engine,
    pub(crate) live: OnceLock<Option<Live>>,
    pub(crate) structure: Structure,
    pub(crate) injection: Option<Injection>,
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
        let mut loading = Loading::of(selection);
        let own = if builtin { BUILTIN } else { &[] };
        own.iter().for_each(|source| loading.file(source));
        // Those of the program are run by its tests.
        loading.samples.clear();
        files.iter().for_each(|source| loading.file(source));
        loading.finish(builtin)
    }

    /// The samples of the rules in the program: for tests and benchmarks.
    #[must_use]
    pub fn builtin_samples() -> Vec<Samples> {
        let of = |source| samples_of(&document::read(source, &mut Vec::new()), source);
        BUILTIN.iter().flat_map(of).collect()
    }

    /// What became of the rules.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Every rule in force.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.engine
            .rules()
            .iter()
            .map(|compiled| &compiled.rule)
            .chain(self.structure.rules())
            .chain(self.injection.iter().flat_map(Injection::rules))
    }
}

/// Rules on their way into force, file by file.
struct Loading<'s> {
    selection: &'s Selection,
    rules: Vec<Compiled>,
    /// Structural rules that no expression states.
    traits: Vec<Rule>,
    /// Names of rules that a file puts out of force.
    gone: Vec<String>,
    /// Names of all rules, in force or not.
    known: BTreeSet<String>,
    report: Report,
    samples: Vec<Samples>,
    wrong: Vec<Diagnostic>,
}

impl<'s> Loading<'s> {
    fn of(selection: &'s Selection) -> Self {
        Self {
            selection,
            rules: Vec::new(),
            traits: Vec::new(),
            gone: selection.disabled.clone(),
            known: BTreeSet::new(),
            report: Report::default(),
            samples: Vec::new(),
            wrong: Vec::new(),
        }
    }

    fn file(&mut self, source: &Source<'_>) {
        let known = self.wrong.len();
        let mut document = document::read(source, &mut self.wrong);
        let unknown = std::mem::take(&mut document.unknown);
        // Cut off, or misspelt: what was in force before must not go for it.
        if document.says_nothing() && self.wrong.len() == known {
            self.wrong.push(Diagnostic {
                file: source.name.to_owned(),
                line: 1,
                rule: None,
                message: "it has no `[[rules]]`, no allow list and no `disabledRules`, expected at least one of them"
                    .to_owned(),
            });
            self.wrong.extend(unknown);
        } else {
            self.report.unknown_keys.extend(unknown);
        }
        self.samples.extend(samples_of(&document, source));
        self.extend(&document, source);
        let mut names = BTreeSet::new();
        for rule in &document.rules {
            if !names.insert(rule.it.id.clone()) {
                self.say(source, rule, "there is a rule of this name in the file already");
            }
            self.rule(rule, source);
        }
        self.known.extend(names.iter().cloned());
        self.allow(&document, source, &names);
    }

    /// Does what a file says about the rules before it.
    fn extend(&mut self, document: &Document, source: &Source<'_>) {
        let extend = &document.extend.it;
        if extend.path.is_some() || extend.url.is_some() {
            self.wrong.push(Diagnostic {
                file: source.name.to_owned(),
                line: document.extend.line,
                rule: None,
                message: "`[extend]` must not name other files: name them beside this one".to_owned(),
            });
        }
        let disabled = |rule: &Rule| extend.disabled_rules.iter().any(|disabled| **disabled == *rule.id);
        self.rules.retain(|compiled| !disabled(&compiled.rule));
        self.traits.retain(|rule| !disabled(rule));
        self.gone.extend(extend.disabled_rules.iter().cloned());
    }

    fn rule(&mut self, placed: &Placed<Written>, source: &Source<'_>) {
        let written = &placed.it;
        let usual = Extra::default();
        let extra = written.fw.as_ref().unwrap_or(&usual);
        if self.selection.disabled.contains(&written.id) || (extra.kind == Kind::Pii && !self.selection.pii) {
            return;
        }
        let rule = Rule {
            id: Arc::from(written.id.as_str()),
            description: Arc::from(written.description.as_str()),
            kind: extra.kind,
            level: extra.level.unwrap_or(extra.kind.usual_level()),
            action: extra.action,
            direction: extra.direction,
        };
        let Some(expression) = &written.regex else {
            if structure::is_trait(&written.id) {
                self.traits.retain(|known| known.id != rule.id);
                return self.traits.push(rule);
            }
            let message = match written.path {
                Some(_) => "it has no `regex`: a rule about paths alone is not for texts",
                None => "it has no `regex`",
            };
            return self.report.inactive.push(diagnostic(source, placed, message));
        };
        let (mut checks, mut glances, mut named) = (Vec::new(), Vec::new(), Vec::new());
        let (mut behind, mut ends) = (Vec::new(), Vec::new());
        for name in &extra.checks {
            match check::by_name(name) {
                Some(check) => {
                    checks.push(check);
                    glances.extend(check::glance(name));
                    named.extend(check::named(name));
                    behind.extend(check::behind(name));
                    ends.extend(check::end(name));
                }
                None => self.say(source, placed, &format!("there is no check `{name}`")),
            }
        }
        if written.keywords.iter().any(|keyword| keyword.trim().is_empty()) {
            self.say(source, placed, "one of its `keywords` is empty");
        }
        let statement = Statement {
            expression: expression.clone(),
            keywords: written.keywords.iter().map(|keyword| keyword.to_ascii_lowercase()).collect(),
            secret_group: written.secret_group,
            entropy: written.entropy,
            checks,
            glances,
            named,
            behind,
            ends,
            proven: extra.checks.iter().any(|name| check::proves(name)),
            issued: extra.checks.iter().any(|name| check::is_issued(name)),
            needs_digit: extra.checks.iter().any(|name| check::needs_digit(name)),
            around: extra.checks.iter().filter_map(|name| check::looks_around(name)).max().unwrap_or(0),
            path: written.path.clone(),
            trigger: extra.trigger,
        };
        match Compiled::new(rule, statement) {
            Ok(mut compiled) => {
                // gitleaks knows no levels: what is set to any name is less sure to be live.
                if written.fw.is_none() && compiled.is_assignment() {
                    compiled.rule.level = DataLevel::L3;
                }
                for list in written.allowlists.iter().chain(&written.allowlist) {
                    match Allow::new(list) {
                        Ok(list) => list.into_iter().for_each(|list| compiled.allow(Arc::new(list))),
                        Err(reason) => self.say(source, placed, &reason),
                    }
                }
                self.rules.retain(|known| known.rule.id != compiled.rule.id);
                self.rules.push(compiled);
            }
            Err(reason) => self.say(source, placed, &reason),
        }
    }

    /// Puts a file's own allow lists in force: for the rules that they name, or else for its own; for all
    /// where it says that it goes with those of the program.
    fn allow(&mut self, document: &Document, source: &Source<'_>, names: &BTreeSet<String>) {
        for placed in &document.allowlists {
            let list = match Allow::new(&placed.it) {
                Ok(Some(list)) => Arc::new(list),
                Ok(None) => continue,
                Err(reason) => {
                    let (file, line) = (source.name.to_owned(), placed.line);
                    self.wrong.push(Diagnostic { file, line, rule: None, message: reason });
                    continue;
                }
            };
            let targets = &placed.it.target_rules;
            for rule in &mut self.rules {
                let meant = match targets.is_empty() {
                    true => document.extend.it.use_default || names.contains(&*rule.rule.id),
                    false => targets.iter().any(|target| **target == *rule.rule.id),
                };
                if meant {
                    rule.allow(Arc::clone(&list));
                }
            }
        }
    }

    fn say(&mut self, source: &Source<'_>, rule: &Placed<Written>, message: &str) {
        self.wrong.push(diagnostic(source, rule, message));
    }

    fn finish(self, builtin: bool) -> Result<Rules, Vec<Diagnostic>> {
        let Self { rules, mut traits, gone, known, mut report, samples, mut wrong, selection } = self;
        let injection = builtin.then(|| Injection::new(&gone, selection.injection_threshold));
        let injection = injection.transpose().unwrap_or_else(|broken| {
            wrong.push(broken);
            None
        });
        if !wrong.is_empty() {
            return Err(wrong);
        }
        traits.retain(|built_in| rules.iter().all(|written| written.rule.id != built_in.id));
        let is_known = |name: &&String| known.contains(*name) || injection.as_ref().is_some_and(|it| it.has_rule(name));
        report.unknown = selection.disabled.iter().filter(|name| !is_known(name)).cloned().collect();
        report.active = rules.len() + traits.len() + injection.iter().flat_map(Injection::rules).count();
        let structure = Structure::new(traits, selection.largest_text);
        let engine = Engine::new(rules, injection.as_ref().map_or(&[], Injection::cues));
        let wrong = samples::run(&engine, &samples, 0..DRAWS);
        let live = OnceLock::new();
        if wrong.is_empty() { Ok(Rules { engine, live, structure, injection, report }) } else { Err(wrong) }
    }
}

fn diagnostic(source: &Source<'_>, rule: &Placed<Written>, message: &str) -> Diagnostic {
    let (file, line) = (source.name.to_owned(), rule.line);
    Diagnostic { file, line, rule: Some(rule.it.id.clone()), message: message.to_owned() }
}

fn samples_of(document: &Document, source: &Source<'_>) -> Vec<Samples> {
    document.rules.iter().filter_map(|rule| Samples::of(rule, source)).collect()
}
