//! The lexicon: cues by what they mean and in which language, and the signs that they make together.
//! As data in `policies/firewall/injection.toml`; how to read that file is said in it.

mod cue;
mod file;
mod sign;
mod trigger;

use std::convert::Infallible;
use std::ops::Range;

use super::fold::fold;
use super::link::Carries;
use super::place;
use crate::document::Diagnostic;
use crate::engine::{Cue as Literal, CueHit};
use crate::keywords::{Keyword, Keywords, Looked};
use crate::rule::Rule;
use cue::{Beginnings, Endings, Gathered, Meaning, ends_in_word, is_word, list};
use file::{File, Wrong};
use trigger::Triggers;

pub(super) use cue::{Known, Special};
pub(super) use sign::Sign;

/// What a cue means: a number for each name in the file.
pub(super) type Concept = u8;

/// How many meanings there can be.
pub(super) const CONCEPTS: usize = 64;
/// How many kinds of signs there can be.
pub(super) const SIGNALS: usize = 32;

/// Where a cue stands in a folded text, and its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    end: usize,
    start: usize,
    number: u32,
}

/// Cues that were found, and what that took. Reused from text to text.
#[derive(Default)]
pub(super) struct Found {
    hits: Vec<Hit>,
    /// All that was looked at, and found, since that was asked last.
    looked: Looked,
    cues: usize,
}

impl Found {
    /// What finding keywords took since this was asked last, and how many cues were found.
    pub(super) fn work(&mut self) -> (Looked, usize) {
        (std::mem::take(&mut self.looked), std::mem::take(&mut self.cues))
    }
}

/// All cues and signs, ready to use.
pub(super) struct Lexicon {
    rules: Vec<Rule>,
    /// The names of all rules, of those too that are not in force.
    names: Vec<String>,
    cues: Vec<Known>,
    keywords: Keywords,
    /// Those of the marked cues alone: most triggers lead to none.
    marked: Keywords,
    /// Of each of these, its cue.
    marked_cues: Vec<u32>,
    triggers: Triggers,
    signs: Vec<Sign>,
    /// Of each meaning: the signs that it can complete.
    by_concept: Vec<Vec<usize>>,
    leads: Endings,
    not_before: Endings,
    not_after: Beginnings,
    mine: Beginnings,
    /// Whose rules are the model's: `your operator's`.
    owners: Endings,
    conversation_link: Concept,
    slot_link: Concept,
    prose_link: Concept,
    /// A chat template's token that opens no turn.
    pub(super) quoted_token: Concept,
    /// Words of who speaks about injections.
    pub(super) about: Concept,
    /// Words of who asks about the words of a text.
    pub(super) wording: Concept,
}

impl Lexicon {
    /// Reads a lexicon. Signs of rules that are not in force count no more.
    pub(super) fn read(name: &str, text: &str, disabled: &[String]) -> Result<Self, Diagnostic> {
        let wrong = Wrong { name, text };
        let file = File::read(&wrong)?;
        let names: Vec<&str> = file.cues.keys().map(String::as_str).collect();
        if names.len() > CONCEPTS {
            return Err(wrong.at(0, format!("there are more than {CONCEPTS} kinds of cues")));
        }
        let concept = |wanted: &str| {
            let place = names.iter().position(|name| *name == wanted).and_then(|place| u8::try_from(place).ok());
            place.ok_or_else(|| wrong.at(0, format!("there is no cue `{wanted}`")))
        };
        let rules = file.rules(disabled);
        let (signs, by_concept) = sign::read(&file, &rules, &names, &wrong)?;
        let mut gathered = Gathered::default();
        for (number, name) in names.iter().enumerate() {
            let meaning = Meaning::new(number, name, &file);
            for (language, written) in file.cues.get(*name).into_iter().flatten() {
                list(written).for_each(|cue| gathered.add(cue, &meaning, language == "en"));
            }
        }
        let folded: Vec<Keyword> = gathered.folded.into_iter().map(|text| Keyword { text, any_case: false }).collect();
        let marked = (0u32..).zip(&gathered.cues).zip(&folded).filter(|((_, cue), _)| cue.marked);
        let (marked_cues, marked): (Vec<u32>, Vec<Keyword>) =
            marked.map(|((number, _), keyword)| (number, keyword.clone())).unzip();
        Ok(Self {
            keywords: Keywords::new(&folded),
            marked: Keywords::new(&marked),
            marked_cues,
            triggers: Triggers::new(&file, marked.iter().map(|cue| cue.text.as_slice())),
            cues: gathered.cues,
            leads: Endings::new(list(&file.lead).map(fold)),
            not_before: Endings::new(list(&file.not.before).map(fold)),
            not_after: Beginnings::new(list(&file.not.after).map(fold)),
            mine: Beginnings::new(list(&file.not.mine).map(fold)),
            owners: Endings::new(list(&file.not.owners).map(fold)),
            conversation_link: concept("link-conversation")?,
            slot_link: concept("link-slot")?,
            prose_link: concept("link-prose")?,
            quoted_token: concept("token")?,
            about: concept("about")?,
            wording: concept("wording")?,
            names: file.rules.keys().cloned().collect(),
            rules,
            signs,
            by_concept,
        })
    }

    /// Every rule.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// Whether there is a rule of this name, in force or not.
    pub(super) fn has_rule(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    pub(super) fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    /// The signs that a cue of this meaning can complete.
    pub(super) fn signs(&self, concept: Concept) -> impl Iterator<Item = &Sign> {
        self.by_concept.get(usize::from(concept)).into_iter().flatten().filter_map(|number| self.signs.get(*number))
    }

    /// What is looked for in the whole text.
    pub(super) fn triggers(&self) -> &[Literal] {
        &self.triggers.literals
    }

    /// Whether a trigger is the beginning of a link.
    pub(super) fn is_link(&self, hit: &CueHit) -> bool {
        self.triggers.is_link(hit)
    }

    /// Where a cue stands around a trigger of which there is one in every sign, or that one may stand there: whatever is
    /// beside it is not known.
    pub(super) fn each_reason(&self, text: &str, hit: &CueHit, found: &mut impl FnMut(Option<usize>)) {
        let bytes = text.as_bytes();
        self.triggers.each_cue(bytes, hit, &mut |cue, at| {
            let number = self.marked_cues.get(cue as usize).copied().unwrap_or(u32::MAX);
            let (Some(known), Some(at)) = (self.cues.get(number as usize), at) else { return found(None) };
            let is_ascii = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_none_or(u8::is_ascii);
            let begins_in_space = bytes.get(at.start).is_none_or(|byte| trigger::SPACES.contains(byte));
            if !(is_ascii(at.start.checked_sub(1)) && is_ascii(Some(at.end)) && !begins_in_space) {
                return found(None);
            }
            let stands = known.special != Some(Special::Line) || place::begins_line(text, at.start);
            if stands && known.fits(bytes, &at) {
                found(Some(at.start));
            }
        });
    }

    /// Every cue in a folded text, in the order in which they end; `found` is reused.
    pub(super) fn find<'t>(
        &'t self,
        folded: &'t [u8],
        found: &'t mut Found,
    ) -> impl Iterator<Item = (&'t Known, Range<usize>)> + 't {
        self.hits(&self.keywords, &|number| number, folded, found);
        found.hits.sort_unstable();
        found.hits.iter().filter_map(|hit| {
            let (known, at) = self.known(hit)?;
            let counts = !(known.negated && self.is_negated(known, folded, &at));
            counts.then_some((known, at))
        })
    }

    /// Calls `found` with every cue in a folded text of which there is one in every sign.
    pub(super) fn each_marked(&self, folded: &[u8], hits: &mut Found, found: &mut dyn FnMut(&Known, usize)) {
        let number = |number: u32| self.marked_cues.get(number as usize).copied().unwrap_or(u32::MAX);
        self.hits(&self.marked, &number, folded, hits);
        hits.hits.iter().filter_map(|hit| self.known(hit)).for_each(|(known, at)| found(known, at.start));
    }

    /// The same, and with those that `accented` says are written with accents, by their places: no trigger may be
    /// written so.
    pub(super) fn each_accented(
        &self,
        folded: &[u8],
        hits: &mut Found,
        accented: &dyn Fn(&Range<usize>) -> bool,
        found: &mut dyn FnMut(&Known, usize),
    ) {
        self.hits(&self.keywords, &|number| number, folded, hits);
        for (known, at) in hits.hits.iter().filter_map(|hit| self.known(hit)) {
            if known.marked || accented(&at) {
                found(known, at.start);
            }
        }
    }

    /// Where keywords stand that are words by themselves, as their cues ask, and of which cue each is.
    fn hits(&self, keywords: &Keywords, number: &dyn Fn(u32) -> u32, folded: &[u8], found: &mut Found) {
        let Found { hits, looked, cues } = found;
        hits.clear();
        let each = keywords.each(folded, &mut |start, keyword| {
            let number = number(keyword);
            if let Some(known) = self.cues.get(number as usize) {
                let end = start + known.size;
                // Most are a part of another word.
                if known.fits(folded, &(start..end)) {
                    hits.push(Hit { end, start, number });
                }
            }
            Ok::<_, Infallible>(())
        });
        let Ok(Looked { places, pairs }) = each;
        looked.places += places;
        looked.pairs += pairs;
        *cues += hits.len();
    }

    fn known(&self, hit: &Hit) -> Option<(&Known, Range<usize>)> {
        Some((self.cues.get(hit.number as usize)?, hit.start..hit.end))
    }

    /// What a link means by what it carries.
    pub(super) fn link(&self, carries: Option<Carries>) -> Option<Concept> {
        carries.map(|carries| match carries {
            Carries::Conversation => self.conversation_link,
            Carries::Slot => self.slot_link,
            Carries::Prose => self.prose_link,
        })
    }

    /// Whether a verb stands where an order begins: `please ignore`, not `they ignore`.
    pub(super) fn leads(&self, text: &str, folded: &[u8], at: usize, place: usize) -> bool {
        let before = folded.get(..at).unwrap_or_default().trim_ascii_end();
        !ends_in_word(before) || place::after_line_end(text, place) || self.leads.any(before)
    }

    /// Whether the word before, the one before that, or what follows says `not`, or whose it is.
    fn is_negated(&self, known: &Known, folded: &[u8], at: &Range<usize>) -> bool {
        let before = folded.get(..at.start).unwrap_or_default().trim_ascii_end();
        let word = before.iter().rev().take_while(|byte| is_word(**byte) || **byte == b'\'').count();
        let earlier = before.get(..before.len() - word).unwrap_or_default().trim_ascii_end();
        let rest = folded.get(at.end..).unwrap_or_default();
        // A stem's word ends first: `oublie pas`.
        let ending = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let after = rest.get(ending..).unwrap_or_default().trim_ascii_start();
        let owner = before.strip_suffix(b"'s").or(before.strip_suffix("’s".as_bytes()));
        self.not_before.any(before)
            || !known.verb && (owner.is_some_and(|owner| !self.owners.any(owner)) || self.is_of_another(after))
            || word < 12 && self.not_before.any(earlier)
            || self.mine.any(after)
            || known.negated_after && self.not_after.any(after)
    }

    /// Whether it says whose it is, and that is nobody from whom a model has rules: `of the game`.
    fn is_of_another(&self, after: &[u8]) -> bool {
        let Some(owner) = after.strip_prefix(b"of the ") else { return false };
        let word = owner.iter().take_while(|byte| is_word(**byte)).count();
        !self.owners.any(owner.get(..word).unwrap_or_default())
    }
}
