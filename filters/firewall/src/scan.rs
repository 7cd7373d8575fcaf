//! Scanning the texts of one request: each as it stands, as it looks, and as it reads when decoded,
//! and all of them as the model reads them, one after the other.

mod injected;
mod layer;
mod place;
mod reported;
mod seen;
mod sure;
mod told;

use crate::decode::{Budget, Runs};
use crate::engine::Hits;
use crate::finding::Finding;
use crate::injection::InjectionScratch;
use crate::join::{self, Border};
use crate::planes::Planes;
use crate::rule::Direction;
use crate::rules::Rules;

use layer::{Depth, Layers};
use reported::Reported;
use seen::Seen;
#[cfg(test)]
pub(crate) use sure::is_sure;
pub(crate) use sure::{can_be_sure, marks};

/// One text of a request or an answer.
#[derive(Clone, Copy, Debug)]
pub struct Text<'t> {
    /// What it says, decoded from the format it came in.
    pub text: &'t str,
    /// Who says it.
    pub origin: Origin,
    /// Whether the model reads it as the continuation of the one before it.
    pub flows: bool,
}

/// Who says a text. An order in a web page weighs more than one by the person who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The model, now or in an earlier turn.
    Answer,
    /// Whoever wrote the application: a system prompt, a tool's description.
    System,
    /// What a tool, a page or a document says.
    Tool,
    /// Nobody knows.
    #[default]
    Unknown,
    /// The person who asks.
    User,
}

/// What is reused from scan to scan, so that clean texts cost no allocation.
#[derive(Default)]
pub struct Scratch {
    hits: Hits,
    reported: Reported,
    border: Border,
    joining: join::Room,
    seen: Seen<Depth>,
    injection: InjectionScratch,
    /// For one more view of a text, while one is looked at that it is a part of.
    spare: Planes,
    runs: Runs,
}

impl Scratch {
    /// For who can wait: 256 times the work before a text is not judged. What decoding may take stays the same.
    #[must_use]
    pub fn patient() -> Self {
        let mut scratch = Self::default();
        scratch.hits.patient = true;
        scratch
    }

    /// Says from which file the texts of the next scans are, for rules about certain files; from none, at first.
    pub fn set_path(&mut self, path: Option<&str>) {
        self.hits.path = path.map(ToOwned::to_owned);
    }
}

/// How the verdict on a request stands after a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Whatever else there is may change it.
    Open,
    /// Nothing changes it any more: what else there is, is looked for only as long as that takes little.
    Settled,
}

/// The texts take more work than texts of their size may take. They are not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text takes more work to judge than a text of its size may take")]
pub struct Exhausted;

impl Rules {
    /// Scans texts that go `way`, in the order in which they are read.
    ///
    /// # Errors
    /// [`Exhausted`]: the texts are not judged, and must not pass.
    pub fn scan<'r>(
        &'r self,
        texts: &[Text<'_>],
        way: Direction,
        scratch: &mut Scratch,
        found: &mut dyn FnMut(Finding<'r>),
    ) -> Result<(), Exhausted> {
        self.scan_until_settled(texts, way, scratch, &mut |finding| {
            found(finding);
            Standing::Open
        })
    }

    /// The same for who only needs to know whether the texts may pass, and says after each finding whether that
    /// is known: a text of a thousand secrets is refused by the first few.
    ///
    /// # Errors
    /// [`Exhausted`]: not all of the texts was judged. Unless that was settled before, they must not pass.
    pub fn scan_until_settled<'r>(
        &'r self,
        texts: &[Text<'_>],
        way: Direction,
        scratch: &mut Scratch,
        found: &mut dyn FnMut(Finding<'r>) -> Standing,
    ) -> Result<(), Exhausted> {
        let size = texts.iter().map(|text| text.text.len()).sum();
        // Places in views are kept in 32 bits.
        u32::try_from(size).map_err(|_| Exhausted)?;
        let budget = Budget::of(size).in_room(std::mem::take(&mut scratch.runs));
        scratch.reported.clear();
        // On an answer nobody waits for so long: it took seconds to write.
        scratch.hits.begin(if way == Direction::Request { size } else { usize::MAX });
        scratch.border.clear();
        let done = Layers::new(self, texts, way, &budget, scratch, found).all();
        scratch.runs = budget.into_room();
        done
    }
}

#[cfg(test)]
mod tests;
