//! The lexicon: cues by what they mean and in which language, and the signs that they make together.
//! As data in `policies/firewall/injection.toml`; how to read that file is said in it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde::Deserialize;

use super::fold::fold;
use super::link::Carries;
use super::place;
use crate::document::{Diagnostic, line_of};
use crate::rule::{Direction, Kind, Rule};

/// What a cue means: a number for each name in the file.
pub(super) type Concept = u8;

/// How many meanings there can be.
pub(super) const CONCEPTS: usize = 64;
/// How many kinds of signs there can be.
pub(super) const SIGNALS: usize = 32;

/// All cues and signs, ready to use.
pub(super) struct Lexicon {
    rules: Vec<Rule>,
    cues: Vec<Known>,
    automaton: AhoCorasick,
    triggers: Vec<Border>,
    trigger_automaton: AhoCorasick,
    signs: Vec<Sign>,
    /// Of each meaning: the signs that it can complete.
    by_concept: Vec<Vec<usize>>,
    leads: Vec<Vec<u8>>,
    not_before: Vec<Vec<u8>>,
    not_after: Vec<Vec<u8>>,
    conversation_link: Concept,
    slot_link: Concept,
    prose_link: Concept,
    /// A chat template's token that opens no turn.
    pub(super) quoted_token: Concept,
    /// Words of who speaks about injections.
    pub(super) about: Concept,
}

/// One way in which a cue is written.
pub(super) struct Known {
    pub(super) concept: Concept,
    pub(super) special: Option<Special>,
    /// An order only where an order can stand.
    pub(super) verb: bool,
    /// Takes back its meaning when it is negated.
    negated: bool,
    /// How many bytes of its script say as much as one of ASCII.
    pub(super) wide: u8,
    border: Border,
}

/// What else is looked at before a cue counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// Followed by the name of a tool or by code.
    Call,
    /// At the beginning of a line.
    Line,
    /// An image or a link: by what its address carries.
    Link,
    /// A token of a chat template: not in code.
    Token,
}

/// Where a cue must not touch another word.
#[derive(Clone, Copy)]
struct Border {
    before: bool,
    after: bool,
}

/// Cues that are a sign when they stand near each other.
pub(super) struct Sign {
    pub(super) rule: usize,
    pub(super) signal: usize,
    pub(super) concepts: Vec<Concept>,
    pub(super) within: usize,
    pub(super) points: u8,
    /// Where its verb is not an order.
    pub(super) unled: u8,
    /// In what a tool says.
    pub(super) tool: u8,
    /// Counts in an answer as well.
    pub(super) answer: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    lead: String,
    negated: Vec<String>,
    orders: Vec<String>,
    not: Not,
    rules: BTreeMap<String, String>,
    cues: BTreeMap<String, BTreeMap<String, String>>,
    signs: Vec<toml::Spanned<WrittenSign>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Not {
    before: String,
    after: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSign {
    rule: String,
    signal: Option<String>,
    of: Vec<String>,
    within: usize,
    points: u8,
    unled: Option<u8>,
    tool: Option<u8>,
    #[serde(default)]
    answer: bool,
}

impl Lexicon {
    /// Reads a lexicon. Signs of rules that are not in force count no more.
    pub(super) fn read(name: &str, text: &str, disabled: &[String]) -> Result<Self, Diagnostic> {
        let wrong = |at: usize, message: String| Diagnostic {
            file: name.to_owned(),
            line: line_of(text, at),
            rule: None,
            message,
        };
        let file: File = toml::from_str(text)
            .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let names: Vec<&str> = file.cues.keys().map(String::as_str).collect();
        if names.len() > CONCEPTS {
            return Err(wrong(0, format!("there are more than {CONCEPTS} kinds of cues")));
        }
        let concept = |wanted: &str| {
            let place = names.iter().position(|name| *name == wanted).and_then(|place| u8::try_from(place).ok());
            place.ok_or_else(|| wrong(0, format!("there is no cue `{wanted}`")))
        };
        let rules: Vec<Rule> = file.rules.iter().filter(|(id, _)| !disabled.contains(id)).map(rule).collect();
        let (signs, by_concept) = signs(&file, &rules, &names, &wrong)?;
        let mut gathered = Gathered::default();
        for (number, name) in names.iter().enumerate() {
            let kind = Meaning {
                concept: u8::try_from(number).unwrap_or(u8::MAX),
                special: special(name),
                verb: file.orders.iter().any(|order| order == name),
                negated: file.negated.iter().any(|negated| negated == name),
            };
            for (language, written) in file.cues.get(*name).into_iter().flatten() {
                for cue in list(written) {
                    gathered.add(cue, &kind, language == "en");
                }
            }
        }
        let broken = |error: aho_corasick::BuildError| wrong(0, format!("its cues do not compile: {error}"));
        Ok(Self {
            automaton: automaton(&gathered.folded).map_err(broken)?,
            trigger_automaton: automaton(&gathered.triggers).map_err(broken)?,
            cues: gathered.cues,
            triggers: gathered.borders,
            leads: list(&file.lead).map(fold).collect(),
            not_before: list(&file.not.before).map(fold).collect(),
            not_after: list(&file.not.after).map(fold).collect(),
            conversation_link: concept("link-conversation")?,
            slot_link: concept("link-slot")?,
            prose_link: concept("link-prose")?,
            quoted_token: concept("token")?,
            about: concept("about")?,
            rules,
            signs,
            by_concept,
        })
    }

    /// Every rule.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    pub(super) fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    /// The signs that a cue of this meaning can complete.
    pub(super) fn signs(&self, concept: Concept) -> impl Iterator<Item = &Sign> {
        self.by_concept.get(usize::from(concept)).into_iter().flatten().filter_map(|number| self.signs.get(*number))
    }

    /// Where a text as it stands has one of the rarer cues.
    pub(super) fn triggers<'t>(&'t self, text: &'t str) -> impl Iterator<Item = usize> + 't {
        self.trigger_automaton.find_iter(text).filter_map(|hit| {
            let border = self.triggers.get(hit.pattern().as_usize())?;
            border.fits(text.as_bytes(), &hit.range()).then_some(hit.start())
        })
    }

    /// Every cue in a folded text.
    pub(super) fn find<'t>(&'t self, folded: &'t [u8]) -> impl Iterator<Item = (&'t Known, Range<usize>)> + 't {
        self.automaton.find_overlapping_iter(folded).filter_map(|hit| {
            let known = self.cues.get(hit.pattern().as_usize())?;
            let at = hit.range();
            let counts = known.border.fits(folded, &at) && !(known.negated && self.is_negated(folded, &at));
            counts.then_some((known, at))
        })
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
        match before.last() {
            None => true,
            Some(byte) if !is_word(*byte) => true,
            Some(_) => place::after_line_end(text, place) || self.leads.iter().any(|lead| ends_with(before, lead)),
        }
    }

    /// Whether the word before, the one before that, or what follows says `not`.
    fn is_negated(&self, folded: &[u8], at: &Range<usize>) -> bool {
        let before = folded.get(..at.start).unwrap_or_default().trim_ascii_end();
        let word = before.iter().rev().take_while(|byte| is_word(**byte) || **byte == b'\'').count();
        let earlier = before.get(..before.len() - word).unwrap_or_default().trim_ascii_end();
        let after = folded.get(at.end..).unwrap_or_default().trim_ascii_start();
        self.not_before.iter().any(|not| ends_with(before, not) || (word < 12 && ends_with(earlier, not)))
            || self.not_after.iter().any(|not| after.starts_with(not))
    }
}

impl Known {
    /// Whether it says something by itself, or is part of another word.
    pub(super) fn fits(&self, folded: &[u8], at: &Range<usize>) -> bool {
        self.border.fits(folded, at)
    }
}

impl Border {
    fn fits(self, text: &[u8], at: &Range<usize>) -> bool {
        let touches = |byte: Option<&u8>| byte.is_some_and(|byte| is_word(*byte));
        let before = at.start.checked_sub(1).and_then(|before| text.get(before));
        !(self.before && touches(before) || self.after && touches(text.get(at.end)))
    }
}

/// What all cues of a kind have in common.
struct Meaning {
    concept: Concept,
    special: Option<Special>,
    verb: bool,
    negated: bool,
}

#[derive(Default)]
struct Gathered {
    cues: Vec<Known>,
    folded: Vec<Vec<u8>>,
    triggers: Vec<Vec<u8>>,
    borders: Vec<Border>,
}

impl Gathered {
    /// A cue as it is written: `!` before it makes a trigger, `^` binds it to a line's beginning, `*`
    /// where other letters may follow or precede.
    fn add(&mut self, written: &str, meaning: &Meaning, english: bool) {
        let trigger = written.starts_with('!');
        let written = written.trim_start_matches('!');
        let line = written.starts_with('^');
        let written = written.trim_start_matches('^');
        let word = written.trim_matches('*');
        let spaced = |end: Option<char>| end.is_some_and(|c| c.is_alphanumeric() && !is_unspaced(c));
        let border = Border {
            before: !written.starts_with('*') && spaced(word.chars().next()),
            after: !written.ends_with('*') && spaced(word.chars().next_back()),
        };
        let folded = fold(word);
        if folded.is_empty() {
            return;
        }
        // A form that two languages share is read as the English one, which is looked at closer.
        let same = |known: &(&Known, &Vec<u8>)| known.0.concept == meaning.concept && *known.1 == folded;
        if self.cues.iter().zip(&self.folded).any(|known| same(&known)) {
            return;
        }
        if trigger {
            let mut forms = vec![word.to_lowercase(), word.to_uppercase(), capitalised(word)];
            forms.extend(String::from_utf8(folded.clone()));
            forms.iter_mut().filter(|form| form.is_ascii()).for_each(|form| form.make_ascii_lowercase());
            forms.sort();
            forms.dedup();
            for form in forms {
                self.triggers.push(form.into_bytes());
                self.borders.push(border);
            }
        }
        self.cues.push(Known {
            concept: meaning.concept,
            special: if line { Some(Special::Line) } else { meaning.special },
            verb: meaning.verb && english,
            negated: meaning.negated,
            wide: wide(word),
            border,
        });
        self.folded.push(folded);
    }
}

type Signs = (Vec<Sign>, Vec<Vec<usize>>);

fn signs(
    file: &File,
    rules: &[Rule],
    names: &[&str],
    wrong: &dyn Fn(usize, String) -> Diagnostic,
) -> Result<Signs, Diagnostic> {
    let mut signs = Vec::new();
    let mut by_concept = vec![Vec::new(); names.len()];
    let mut signals: Vec<&str> = Vec::new();
    for spanned in &file.signs {
        let (at, sign) = (spanned.span().start, spanned.get_ref());
        if !file.rules.contains_key(&sign.rule) {
            return Err(wrong(at, format!("there is no rule `{}`", sign.rule)));
        }
        let Some(rule) = rules.iter().position(|rule| *rule.id == *sign.rule) else { continue };
        let signal = sign.signal.as_deref().unwrap_or(&sign.rule);
        let signal = signals.iter().position(|known| *known == signal).unwrap_or_else(|| {
            signals.push(signal);
            signals.len() - 1
        });
        let mut concepts = Vec::new();
        for name in &sign.of {
            let Some(place) = names.iter().position(|known| known == name) else {
                return Err(wrong(at, format!("there is no cue `{name}`")));
            };
            concepts.push(u8::try_from(place).unwrap_or(u8::MAX));
            by_concept.get_mut(place).into_iter().for_each(|of: &mut Vec<usize>| of.push(signs.len()));
        }
        let points = sign.points.min(100);
        signs.push(Sign {
            rule,
            signal,
            concepts,
            within: sign.within,
            points,
            unled: sign.unled.unwrap_or(points).min(points),
            tool: sign.tool.unwrap_or(points.saturating_add(points / 5)).min(100),
            answer: sign.answer,
        });
    }
    if signals.len() > SIGNALS {
        return Err(wrong(0, format!("there are more than {SIGNALS} kinds of signs")));
    }
    Ok((signs, by_concept))
}

fn rule((id, description): (&String, &String)) -> Rule {
    Rule {
        id: Arc::from(id.as_str()),
        description: Arc::from(description.as_str()),
        kind: Kind::Injection,
        level: Kind::Injection.usual_level(),
        action: None,
        direction: Direction::Both,
    }
}

fn special(name: &str) -> Option<Special> {
    match name {
        "call" => Some(Special::Call),
        "link" => Some(Special::Link),
        "turn" | "turn-end" => Some(Special::Token),
        _ => None,
    }
}

fn automaton(patterns: &[Vec<u8>]) -> Result<AhoCorasick, aho_corasick::BuildError> {
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .match_kind(MatchKind::Standard)
        .ascii_case_insensitive(true)
        .build(patterns)
}

/// The cues of a line in the file: commas between them.
fn list(written: &str) -> impl Iterator<Item = &str> {
    written.split([',', '\n']).map(str::trim).filter(|cue| !cue.is_empty())
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars.by_ref().flat_map(char::to_lowercase)).collect()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether a text ends with a word, and not with a longer one.
fn ends_with(text: &[u8], word: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(word) else { return false };
    let spaced = std::str::from_utf8(word).ok().and_then(|word| word.chars().next()).is_some_and(|c| !is_unspaced(c));
    !spaced || before.last().is_none_or(|byte| !is_word(*byte))
}

/// Characters of scripts that put no space between words, or join small words to the next one.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{6ff}' | '\u{e00}'..='\u{e7f}' | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

fn wide(word: &str) -> u8 {
    match word.chars().find(|c| !c.is_ascii()).unwrap_or('a') {
        '\u{370}'..='\u{6ff}' | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}' => 2,
        '\u{900}'..='\u{e7f}' => 3,
        _ => 1,
    }
}
