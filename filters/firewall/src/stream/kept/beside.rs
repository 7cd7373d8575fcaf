//! What is kept of a growing text as it stands, beside how a reader sees it, where the two differ.

use super::{BESIDE, Joint, Kept, Said, is_plain};
use crate::view::{self, Made};

impl Kept {
    /// Whether a piece may be seen as something else than it is, or make something else of what stands before it.
    pub(in crate::stream) fn may_differ(&self, piece: &str) -> bool {
        if self.foreign.is_some() {
            return true;
        }
        let mut escapes = self.escapes.clone();
        let differs = |c: char| {
            // What disturbs depends on what it stands behind.
            let made = || view::instead(c, Some('q'));
            view::may_look_alike(c) || matches!(made(), Some(Made::Nothing | Made::Char(_) | Made::Text(_)))
        };
        match &mut escapes {
            None => piece.chars().any(|c| !u8::try_from(c).is_ok_and(is_plain) && differs(c)),
            Some(escapes) => piece.chars().any(|c| match escapes.take(c) {
                Said::More => false,
                Said::Itself => differs(c),
                Said::Char(c) => differs(c),
            }),
        }
    }

    /// Whether what was added last is seen as something else than it is, or makes something else of what stood before.
    pub(in crate::stream) fn differs(&self) -> bool {
        self.differs
    }

    /// From here on all is seen as it stands.
    pub(in crate::stream) fn same(&self) -> u64 {
        self.same
    }

    /// The end of the text as it stands, to be kept so; from as far as both are known to be the same.
    pub(in crate::stream) fn as_it_stands(&self) -> Self {
        let from = self.same.max(self.base).max(self.end().saturating_sub(BESIDE as u64));
        let from = self.boundary(from);
        let later = self.joints.partition_point(|near| self.far(*near).seen <= from);
        let before = later.checked_sub(1).and_then(|last| self.joint(last));
        Self {
            text: self.text.get(self.index(from)..).unwrap_or_default().to_owned(),
            base: from,
            joints: self.joints.iter().skip(later).copied().collect(),
            vague: self.vague.max(from),
            // What is invisible right before it is none of it.
            first: before.map(|joint| Joint { stands: true, ..joint }).or(self.first),
            came: self.came,
            escapes: self.escapes.clone(),
            whole: self.whole,
            stands: true,
            ..Self::default()
        }
    }
}
