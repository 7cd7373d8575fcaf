//! Evidence that the disk did not take: held until it does, and told meanwhile.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use portcullis_audit::Note;

use super::origin;
use crate::witness::judge::Evidence;

/// The most that is held: a note is at most 64 KiB, and has another beside it.
const MOST: usize = 16;

/// What waits for a disk that takes it.
#[derive(Default)]
pub(crate) struct Unkept {
    waiting: Mutex<Vec<(Evidence, Note, Option<Note>)>>,
}

impl Unkept {
    /// Holds it; the first ones stay, as on the disk.
    pub(super) fn add(&self, evidence: Evidence, note: &Note, countersigned: Option<&Note>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let known = waiting.iter().any(|(kind, waits, _)| *kind == evidence && waits.text == note.text);
        if !known && waiting.len() < MOST {
            waiting.push((evidence, note.clone(), countersigned.cloned()));
        }
    }

    /// Lets go of what is kept now.
    pub(super) fn retry(&self, mut keep: impl FnMut(Evidence, &Note, Option<&Note>) -> bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|(evidence, note, countersigned)| !keep(*evidence, note, countersigned.as_ref()));
    }

    /// The logs that it is of.
    pub(crate) fn logs(&self) -> BTreeSet<String> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().map(|(_, note, _)| origin(note).to_owned()).collect()
    }
}
