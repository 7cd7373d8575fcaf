//! The `firewall` filter: what must not leave does not leave, what must not come in does not come in.
//!
//! 1. Every text of a request is scanned, in the order in which the model reads them.
//! 2. What is found is weighed: it is told, taken out, or the request is refused.
//! 3. A request that was rewritten is judged once more, as it will be sent.
//! 4. Of an answer, a piece of text leaves once nothing that began in it can still become a finding.
//!
//! What the rules find, and how a text is seen, is the engine's: `portcullis_firewall`.

use std::cell::Cell;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use portcullis_firewall::{Rules, Scratch};

use crate::exchange::{Facts, Head, Request};
use crate::filter::{Filter, Phase, Watch, block};
use crate::gate::AnswerShape;
use crate::json::Json;
use crate::verdict::{FilterError, Outcome, Verdict};

mod findings;
mod hidden;
mod judge;
mod redact;
mod settings;
mod spans;
mod speaker;
mod stance;
mod texts;
mod watch;

pub use judge::{FindingObserver, Fingerprints};
pub use settings::{FirewallSettings, InjectionSettings, RuleAction, Watchfulness};

use findings::{Findings, refuse};
use judge::Judge;
use texts::Texts;

/// Texts of this size leave no room behind that the next one would not use.
const USUAL: usize = 1 << 20;

/// The filter.
pub struct Firewall {
    judge: Arc<Judge>,
}

impl Firewall {
    /// A filter with these settings and rules.
    ///
    /// # Errors
    /// When no rule is in force: a firewall without rules is a mistake. When a rule cannot be followed in a
    /// growing text: no answer could leave.
    pub fn new(
        settings: FirewallSettings,
        rules: Arc<Rules>,
        prints: Fingerprints,
        observer: Arc<dyn FindingObserver>,
    ) -> Result<Self, FilterError> {
        if rules.iter().next().is_none() {
            return Err(FilterError::Failed("the firewall has no rules, expected `rules: [builtin]`".to_owned()));
        }
        // Now, and not when the first answer waits for it.
        if !rules.prepare_streams() {
            return Err(failed("a rule of the firewall cannot be followed in answers"));
        }
        let stance = stance::Stance::new(settings);
        Ok(Self { judge: Arc::new(Judge::new(rules, stance, prints, observer)) })
    }

    fn judge(&self, request: &Request<'_>, facts: &mut Facts) -> Outcome<Bytes> {
        let judge = &*self.judge;
        let hidden = texts::hidden(request).map_err(|_| failed("what an image holds takes too much to unpack"))?;
        let texts = Texts::of(request, &hidden);
        let size = request.body.len();
        let mut findings = scan(size, |scratch| Findings::of(judge, &texts, scratch))?;
        findings.tell(facts);
        if let Some(refusal) = findings.refusal(facts) {
            return block(refusal);
        }
        if findings.cuts.is_empty() {
            return Ok(Verdict::Pass);
        }
        let Some(json) = request.json else { return Err(failed("a cut in what is not JSON")) };
        let Ok((rewritten, marks)) = findings.cuts.apply(json) else {
            return block(findings.uncut());
        };
        if let Some(rule) = self.again(&rewritten, request.head)? {
            return block(refuse(rule));
        }
        facts.note_redactions(marks);
        Ok(Verdict::Replace(rewritten.into()))
    }

    /// Judges a request that was rewritten: the rule that still finds something that must not pass.
    fn again(&self, rewritten: &[u8], head: &Head) -> Result<Option<&portcullis_firewall::Rule>, FilterError> {
        let json = Json::parse(rewritten).map_err(|_| failed("the rewritten request is no JSON"))?;
        let outside = texts::outermost(&head.route);
        let mut hidden = hidden::Hidden::default();
        hidden.json(&json, outside).map_err(|_| failed("what an image holds takes too much to unpack"))?;
        let texts = Texts::of_json(&json, &head.route, &hidden.made);
        scan(rewritten.len(), |scratch| Findings::remaining(&self.judge, &texts, scratch))
    }
}

#[async_trait]
impl Filter for Firewall {
    fn name(&self) -> &'static str {
        "firewall"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Body, Phase::Reply]
    }

    async fn body(&self, request: &Request<'_>, facts: &mut Facts) -> Outcome<Bytes> {
        self.judge(request, facts)
    }

    fn watch(&self, _: &Head, _: &Facts, shape: &AnswerShape) -> Result<Option<Box<dyn Watch>>, FilterError> {
        let judge = Arc::clone(&self.judge);
        Ok(Some(Box::new(match shape.stream {
            Some(_) => watch::AnswerWatch::new(judge),
            None => watch::AnswerWatch::whole(judge),
        })))
    }
}

/// Scans with what the thread keeps for it. What a panic leaves behind is not used again, and neither is what a
/// large text has made large.
fn scan<T>(
    size: usize,
    scan: impl FnOnce(&mut Scratch) -> Result<T, portcullis_firewall::Exhausted>,
) -> Result<T, FilterError> {
    thread_local! {
        static KEPT: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
    }
    let mut scratch = KEPT.take().unwrap_or_default();
    let found = scan(&mut scratch).map_err(|exhausted| failed(&exhausted.to_string()));
    if size <= USUAL {
        KEPT.set(Some(scratch));
    }
    found
}

fn failed(why: &str) -> FilterError {
    FilterError::Failed(why.to_owned())
}

/// A JSON value, for the files below.
type Value<'a> = Json<'a>;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod overlaps;
#[cfg(test)]
mod tests;
