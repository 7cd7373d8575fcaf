//! The audit log: one line for every decision, each sealed with the one before.
//!
//! A line is a JSON object in the canonical form of Python's `json.dumps(sort_keys=True,
//! ensure_ascii=False)`, so that LLMesh's verifier accepts the file as it is. Its `entry_hmac` is the
//! HMAC-SHA256 over the previous line's `entry_hmac` (64 zeros at first) and the line without its own.
//! A line that is changed, removed, moved or added breaks the chain.
//!
//! This module makes and checks lines; who writes them to disk is an [`AuditSink`].

use std::sync::Arc;

use async_trait::async_trait;

use crate::exchange::{Facts, Head};
use crate::filter::{Filter, Phase, block};
use crate::verdict::{Code, Outcome, Refusal, Verdict};

mod canonical;
mod chain;
mod verify;

pub use chain::{Chain, GENESIS, SealKey, Sealed};
pub use portcullis_audit::Entry;
pub use verify::{BadLine, Summary, Verifier, read_tail};

/// An entry could not be written. Says what the disk said, nothing of the entry.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AuditError(pub String);

/// Where entries go.
pub trait AuditSink: Send + Sync + 'static {
    /// Writes one entry before it returns.
    ///
    /// # Errors
    /// When it cannot: the exchange must then be refused.
    fn append(&self, entry: &Entry<'_>) -> Result<(), AuditError>;

    /// Whether an entry could be written now, as far as is known.
    fn ready(&self) -> bool;
}

/// The `audit` filter: while entries cannot be written, nothing is let in. The entries themselves are
/// written when an exchange ends.
pub struct AuditFilter {
    sink: Arc<dyn AuditSink>,
}

impl AuditFilter {
    /// A filter that watches this sink.
    #[must_use]
    pub fn new(sink: Arc<dyn AuditSink>) -> Self {
        Self { sink }
    }
}

#[async_trait]
impl Filter for AuditFilter {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Head]
    }

    async fn head(&self, _: &Head, _: &mut Facts) -> Outcome<()> {
        if self.sink.ready() {
            return Ok(Verdict::Pass);
        }
        block(Refusal::new("audit", Code::AuditUnavailable, "the audit log cannot be written"))
    }
}
