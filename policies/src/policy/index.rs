//! Finds the rules that may be about a caller, without looking at all of them.
//!
//! For each class of routes and each effect, rules lie under the words that they name callers by:
//! whole texts, and the beginnings of patterns. Rules about everybody lie under the beginnings of the
//! models that they name. What is found is then checked whole, so an index only ever saves work.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::Ask;
use super::rule::{Rule, Who};
use crate::class::RouteClass;
use crate::glob::beginning;

/// The rules of one policy that have an effect, or those that are only tried.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    by_class: [Sides; RouteClass::ALL.len()],
}

/// The rules of one class.
#[derive(Clone, Debug, Default)]
pub(super) struct Sides {
    pub(super) allow: Table,
    pub(super) deny: Table,
}

/// The rules of one class and one effect, by position in the document.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    identities: Words,
    names: Words,
    profiles: Words,
    claims: Vec<(Box<str>, Words)>,
    general: General,
}

/// Rules about everybody.
#[derive(Clone, Debug, Default)]
struct General {
    all: Vec<u32>,
    /// Those of every model.
    always: Vec<u32>,
    /// Those of some models.
    models: Words,
}

/// Positions by text: whole texts, and beginnings by their length.
#[derive(Clone, Debug, Default)]
struct Words {
    whole: Entries,
    beginnings: Vec<(usize, Entries)>,
}

/// In order of their texts.
type Entries = Vec<(Box<[u8]>, Vec<u32>)>;

impl Index {
    /// An index of the rules with this `shadow`.
    pub(super) fn of(rules: &[Rule], shadow: bool) -> Self {
        let by_class = RouteClass::ALL.map(|class| {
            let side = |allows: bool| {
                let chosen = rules.iter().zip(0u32..);
                Table::of(
                    chosen.filter(|(r, _)| r.shadow == shadow && r.allows == allows && r.classes.contains(&class)),
                )
            };
            Sides { allow: side(true), deny: side(false) }
        });
        Self { by_class }
    }

    pub(super) fn class(&self, class: RouteClass) -> Option<&Sides> {
        let position = RouteClass::ALL.iter().position(|known| *known == class)?;
        self.by_class.get(position)
    }
}

impl Table {
    fn of<'r>(rules: impl Iterator<Item = (&'r Rule, u32)>) -> Self {
        let (mut identities, mut names, mut profiles, mut models) = <(Draft, Draft, Draft, Draft)>::default();
        let mut claims: BTreeMap<Box<str>, Draft> = BTreeMap::new();
        let mut general = General::default();
        for (rule, n) in rules {
            for who in &rule.who {
                match who {
                    Who::Claim(claim, glob) => claims.entry(claim.clone()).or_default().add(glob.as_str(), n),
                    Who::Identity(glob) if !who.is_general() => identities.add(glob.as_str(), n),
                    Who::Name(glob) if !who.is_general() => names.add(glob.as_str(), n),
                    Who::Profile(glob) => profiles.add(glob.as_str(), n),
                    Who::Anyone | Who::Identity(_) | Who::Method(_) | Who::Name(_) => {
                        if general.all.last() != Some(&n) {
                            general.all.push(n);
                        }
                    }
                }
            }
            if general.all.last() == Some(&n) {
                if rule.models.iter().any(|model| beginning(model.as_str()).0.is_empty()) {
                    general.always.push(n);
                }
                // A name without its tag fits every tag, so even a whole one is a beginning here.
                rule.models.iter().for_each(|model| models.add_beginning(beginning(model.as_str()).0, n));
            }
        }
        general.models = models.finish();
        Self {
            identities: identities.finish(),
            names: names.finish(),
            profiles: profiles.finish(),
            claims: claims.into_iter().map(|(claim, draft)| (claim, draft.finish())).collect(),
            general,
        }
    }

    /// Visits every rule that names this caller; some are visited twice, and some in vain.
    pub(super) fn named(&self, ask: &Ask<'_>, visit: &mut impl FnMut(u32)) {
        self.identities.visit(ask.identity.as_str(), Case::Own, visit);
        if let Some(name) = ask.name {
            self.names.visit(name, Case::Folded, visit);
        }
        if let Some(profile) = ask.profile {
            self.profiles.visit(profile, Case::Folded, visit);
        }
        if let Some(claims) = ask.claims {
            for (claim, words) in &self.claims {
                claims.get(claim).iter().for_each(|value| words.visit(value, Case::Folded, visit));
            }
        }
    }

    /// Visits every rule about everybody that may fit the model; with `sparing`, those of some models
    /// are left out where none is asked for.
    pub(super) fn general(&self, ask: &Ask<'_>, sparing: bool, visit: &mut impl FnMut(u32)) {
        match ask.model {
            Some(model) => {
                self.general.models.visit(model.as_str(), Case::Folded, visit);
                self.general.always.iter().for_each(|n| visit(*n));
            }
            None if sparing && !ask.any_model => self.general.always.iter().for_each(|n| visit(*n)),
            None => self.everybody().iter().for_each(|n| visit(*n)),
        }
    }

    /// Every rule about everybody, in order.
    pub(super) fn everybody(&self) -> &[u32] {
        &self.general.all
    }
}

/// How texts are compared.
#[derive(Clone, Copy)]
enum Case {
    /// Letters count in either case; what is kept is in lower case.
    Folded,
    /// As they stand.
    Own,
}

impl Words {
    fn visit(&self, text: &str, case: Case, visit: &mut impl FnMut(u32)) {
        let text = text.as_bytes();
        let mut found = |entries: &Entries, text: &[u8]| {
            if let Ok(at) = entries.binary_search_by(|(kept, _)| compare(kept, text, case))
                && let Some((_, positions)) = entries.get(at)
            {
                positions.iter().for_each(|n| visit(*n));
            }
        };
        found(&self.whole, text);
        for (length, entries) in &self.beginnings {
            if let Some(beginning) = text.get(..*length) {
                found(entries, beginning);
            }
        }
    }
}

fn compare(kept: &[u8], text: &[u8], case: Case) -> Ordering {
    match case {
        Case::Own => kept.cmp(text),
        Case::Folded => kept.iter().copied().cmp(text.iter().map(u8::to_ascii_lowercase)),
    }
}

/// Words while they are gathered.
#[derive(Default)]
struct Draft {
    whole: BTreeMap<Box<[u8]>, Vec<u32>>,
    beginnings: BTreeMap<usize, BTreeMap<Box<[u8]>, Vec<u32>>>,
}

impl Draft {
    fn add(&mut self, pattern: &str, n: u32) {
        match beginning(pattern) {
            (text, true) => note(&mut self.whole, text, n),
            (text, false) => self.add_beginning(text, n),
        }
    }

    fn add_beginning(&mut self, text: &str, n: u32) {
        note(self.beginnings.entry(text.len()).or_default(), text, n);
    }

    fn finish(self) -> Words {
        Words {
            whole: self.whole.into_iter().collect(),
            beginnings: self.beginnings.into_iter().map(|(n, texts)| (n, texts.into_iter().collect())).collect(),
        }
    }
}

fn note(texts: &mut BTreeMap<Box<[u8]>, Vec<u32>>, text: &str, n: u32) {
    let positions = texts.entry(text.as_bytes().into()).or_default();
    if positions.last() != Some(&n) {
        positions.push(n);
    }
}
