//! Making the rules ready for growing texts, and how much of a secret they let go.

use super::class;
use super::live::Live;
use super::run::Word;
use crate::rules::Rules;
use crate::scan::Exhausted;

impl Rules {
    /// The rules as growing texts see them, made when the first text begins to grow.
    ///
    /// # Errors
    /// [`Exhausted`]: a rule cannot be followed, and no text can be judged while it grows.
    pub(super) fn live(&self) -> Result<&Live, Exhausted> {
        self.live.get_or_init(|| Live::new(self.engine.rules())).as_ref().ok_or(Exhausted)
    }

    /// Makes ready for growing texts, so that the first one need not wait for it. Returns whether texts can
    /// be judged while they grow.
    pub fn prepare_streams(&self) -> bool {
        self.live().is_ok()
    }

    /// How much of a secret that this rule finds counts as its prefix, and may leave while it is undecided.
    /// `None` where it is not watched for in growing texts.
    #[must_use]
    pub fn prefix_of(&self, rule: &str, secret: &str) -> Option<usize> {
        let compiled = self.engine.rules();
        let mut live = self.live().ok()?.rules().iter();
        let live = live.find(|live| compiled.get(live.number).is_some_and(|known| *known.rule.id == *rule))?;
        let class = live.class;
        if class.words && class.everywhere {
            let mut word = Word::default();
            let usual = (0..).zip(secret.bytes()).take_while(|(at, byte)| word.take(*at, *byte).is_none());
            return Some(usual.count());
        }
        if class.back.is_none() || live.stem.is_some() {
            return Some(class.prefix as usize);
        }
        let lower = secret.to_ascii_lowercase();
        let lead = live.leads.iter().filter(|lead| lower.starts_with(lead.as_str())).map(String::len).max();
        let keywords = compiled.get(live.number)?.keywords().iter();
        let ends = keywords.filter_map(|keyword| Some((lower.find(keyword.as_str())?, keyword.len())));
        let marker = ends.filter(|(at, _)| *at <= class::PREFIX).map(|(at, length)| at + length).max();
        Some(marker.max(lead).unwrap_or(0).max(class.prefix as usize))
    }
}
