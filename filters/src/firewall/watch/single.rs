//! Texts that stand for themselves: ids, names, keys, and what a frame holds whole.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::ops::Range;

use portcullis_firewall::{Direction, Exhausted, Finding, Origin, Rule, Rules, Text};

use crate::firewall::judge::Judge;
use crate::frame::Piece;

/// A shorter text holds no finding, whatever its key.
const SHORTEST: usize = 6;
/// How many texts are remembered: the same keys and ids stand in every frame of an answer.
const REMEMBERED: usize = 64;

/// Texts in which nothing was found, by a keyed hash.
#[derive(Default)]
pub(super) struct Singles {
    keys: RandomState,
    clean: VecDeque<u64>,
}

impl Singles {
    /// Whether nothing is in it.
    pub(super) fn knows(&self, piece: &Piece<'_>) -> bool {
        piece.text.len() < SHORTEST || self.clean.contains(&self.hash(piece))
    }

    /// Notes that nothing was found.
    pub(super) fn remember(&mut self, piece: &Piece<'_>) {
        if self.clean.len() >= REMEMBERED {
            self.clean.pop_front();
        }
        let hash = self.hash(piece);
        self.clean.push_back(hash);
    }

    fn hash(&self, piece: &Piece<'_>) -> u64 {
        self.keys.hash_one((piece.text, piece.key, piece.is_key))
    }
}

/// Judges a text as it stands and as the value of its key. `false` where that takes too much work.
pub(super) fn scan<'r>(judge: &'r Judge, piece: &Piece<'_>, found: &mut dyn FnMut(&'r Rule, Range<usize>)) -> bool {
    let one = [Text { text: piece.text, origin: Origin::Answer, flows: false }];
    let mut any = false;
    let alone = whole(&judge.rules, &one, &mut |finding| {
        any = true;
        found(finding.rule, finding.secret);
    });
    if alone.is_err() || any || piece.is_key || piece.key.is_empty() {
        return alone.is_ok();
    }
    let lead = format!("{} = \"", piece.key);
    let assigned = format!("{lead}{}\"", piece.text);
    let one = [Text { text: &assigned, origin: Origin::Answer, flows: false }];
    let said = whole(&judge.rules, &one, &mut |finding| {
        // What is found in the key alone is found there.
        if let Some(start) = finding.secret.start.checked_sub(lead.len()) {
            found(finding.rule, start..finding.secret.end.saturating_sub(lead.len()).min(piece.text.len()));
        }
    });
    said.is_ok()
}

/// Judges texts as a whole.
pub(super) fn whole<'r>(
    rules: &'r Rules,
    texts: &[Text<'_>],
    found: &mut dyn FnMut(Finding<'r>),
) -> Result<(), Exhausted> {
    let size = texts.iter().map(|text| text.text.len()).sum();
    crate::firewall::scan(size, |scratch| rules.scan(texts, Direction::Response, scratch, found)).map_err(|_| Exhausted)
}
