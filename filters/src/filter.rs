//! The one trait: a rule about exchanges, and its eye on one answer.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

use crate::exchange::{Facts, Head, Noted, Request};
use crate::frame::{Frame, Piece};
use crate::gate::{AnswerShape, Unread};
use crate::verdict::{FilterError, Outcome, Refusal, Verdict};

/// The parts of an exchange that a filter looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The whole request as it will be sent, when every filter has let it through: what it may cost is
    /// set aside.
    Account,
    /// The whole request body, before any upstream is touched.
    Body,
    /// The request head, before the body is read.
    Head,
    /// The answer, frame by frame.
    Reply,
}

impl Phase {
    /// The word for it in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Body => "body",
            Self::Head => "head",
            Self::Reply => "reply",
        }
    }
}

/// A rule about exchanges, shared by all of them. State about one answer lives in its [`Watch`].
///
/// A filter lists its phases and is called for those alone. The default methods refuse, so a phase
/// that is listed and forgotten blocks in the first test and never passes in production.
///
/// A filter holds no sockets and does no I/O of its own; what it needs from the world is handed to
/// it as a trait object when it is built. It must not keep a prompt, and must not put one into an
/// error, a log line or a refusal.
#[async_trait]
pub trait Filter: Send + Sync + 'static {
    /// Its name in config, audit and metrics.
    fn name(&self) -> &'static str;

    /// The phases it is called for.
    fn phases(&self) -> &'static [Phase];

    /// Judges the head: cheap refusals, before the body is read.
    async fn head(&self, _head: &Head, _facts: &mut Facts) -> Outcome<()> {
        Err(FilterError::NotImplemented)
    }

    /// Judges the whole request. Nothing has been sent to an upstream yet. A replacement is what
    /// later filters see and what the upstream receives.
    async fn body(&self, _request: &Request<'_>, _facts: &mut Facts) -> Outcome<Bytes> {
        Err(FilterError::NotImplemented)
    }

    /// Sets aside what the request may cost. It is final: every filter has let it through.
    async fn account(&self, _request: &Request<'_>, _facts: &mut Facts) -> Outcome<()> {
        Err(FilterError::NotImplemented)
    }

    /// Whether the body may be read before anybody is judged, because the proof of who calls covers it:
    /// only what could be let in then. No I/O; the default has nothing against it.
    ///
    /// # Errors
    /// The refusal that saves reading it.
    fn may_read(&self, _head: &Head) -> Result<(), Refusal> {
        Ok(())
    }

    /// Judges the SHA-256 of the body as it came, before anything of it is parsed. The default has nothing
    /// against it.
    ///
    /// # Errors
    /// The refusal.
    fn content(&self, _head: &Head, _digest: &[u8; 32]) -> Result<(), Refusal> {
        Ok(())
    }

    /// Whether what was decided still holds, asked again and again while the upstream works: a grant
    /// ends, trust is taken back. No I/O; the default is a yes.
    ///
    /// # Errors
    /// The refusal that ends the exchange.
    fn still(&self, _head: &Head, _facts: &Facts) -> Result<(), Refusal> {
        Ok(())
    }

    /// An eye on the answer, whose head has come; `None` costs nothing.
    ///
    /// # Errors
    /// An error refuses the exchange before anything of the answer is read.
    fn watch(&self, _head: &Head, _facts: &Facts, _shape: &AnswerShape) -> Result<Option<Box<dyn Watch>>, FilterError> {
        Err(FilterError::NotImplemented)
    }
}

/// One filter's eye on one answer: plain, synchronous, with its own state.
pub trait Watch: Send + Sync {
    /// Judges frame number `number` (from 0, without gaps). A replacement is what later watches see
    /// and what the client receives; only a watch that [`Watch::replaces`] may say one.
    ///
    /// # Errors
    /// An error ends the answer.
    fn frame(&mut self, number: u64, frame: &Frame<'_>) -> Outcome<Bytes>;

    /// Whether it replaces frames. Then it is shown them before those that do not, whatever the chain's order, and only
    /// then a replacement of its is taken: what the others find, and take out, must be in what leaves.
    fn replaces(&self) -> bool {
        false
    }

    /// Whether the frame that it was shown last may stand for others that differ from it in what their growing texts say,
    /// and in the parts of a second of their time, and in nothing else: whatever else is in them it judges as it did.
    /// Where all watches say so, such frames are not read: each is asked to [`Watch::glance`] at them.
    fn likens(&self) -> bool {
        false
    }

    /// Judges frame number `number` by its growing texts, each with which text of the frame it is (from 0). The frame is
    /// like one of which the watch said so ([`Watch::likens`]).
    ///
    /// # Errors
    /// An error ends the answer.
    fn glance(&mut self, _number: u64, _texts: &[(usize, Piece<'_>)]) -> Result<Option<Refusal>, FilterError> {
        Err(FilterError::NotImplemented)
    }

    /// The largest frame that it lets through, in bytes, where it is stricter than the gate.
    fn most_bytes(&self) -> Option<usize> {
        None
    }

    /// How it refuses an answer that cannot be read, where that is for it to say.
    fn unread(&self, _what: Unread) -> Option<Refusal> {
        None
    }

    /// Something that must be asked outside before what it holds is decided. Called after every chunk, until there is
    /// nothing more; [`Watch::told`] is called when the answer is there.
    fn asks(&mut self) -> Option<BoxFuture<'static, ()>> {
        None
    }

    /// What was asked for is there.
    ///
    /// # Errors
    /// An error ends the answer.
    fn told(&mut self) -> Result<Option<Refusal>, FilterError> {
        Ok(None)
    }

    /// The first frame that must not leave yet, because what began in it is not decided.
    /// `None` when everything that was shown may leave.
    fn holds(&self) -> Option<u64> {
        None
    }

    /// Whether frame `number`, which may leave now, must say something else than it did: [`Watch::amend`]
    /// is asked what.
    fn amends(&self, _number: u64) -> bool {
        false
    }

    /// Says what a frame must say instead, as it is when it leaves: other watches may have changed it.
    ///
    /// # Errors
    /// An error ends the answer, and the frame does not leave.
    fn amend(&mut self, _number: u64, _frame: &Frame<'_>) -> Outcome<Bytes> {
        Ok(crate::verdict::Verdict::Pass)
    }

    /// The answer has ended. Whatever is still held leaves only if this does not refuse.
    ///
    /// # Errors
    /// An error ends the answer without the held frames.
    fn end(&mut self) -> Result<Option<Refusal>, FilterError> {
        Ok(None)
    }

    /// Everything was judged and asked, and nobody refused: what is still held leaves now, unless this refuses.
    ///
    /// # Errors
    /// An error ends the answer without the held frames.
    fn leaves(&mut self) -> Result<Option<Refusal>, FilterError> {
        Ok(None)
    }

    /// Findings worth knowing though they did not block, raised by what was seen so far.
    fn level(&self) -> portcullis_policies::DataLevel {
        portcullis_policies::DataLevel::L0
    }

    /// What was found so far, for the record; the first few.
    fn findings(&self) -> &[Noted] {
        &[]
    }

    /// How many parts of the answer were taken out so far.
    fn redactions(&self) -> u32 {
        0
    }
}

/// What becomes of a filter's verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They count.
    #[default]
    Enforce,
    /// The filter is not called.
    Off,
    /// It decides, counts and is audited, but everything passes: how a rule is tried.
    Shadow,
}

/// Shorthand for a block.
///
/// # Errors
/// Never: the `Result` is what filters return.
pub fn block<T>(refusal: Refusal) -> Outcome<T> {
    Ok(Verdict::Block(refusal))
}
