//! The audit log, as the gate's exchanges see it: somewhere to hand entries over to.
//!
//! What an entry, a chain and a log are is in `portcullis-audit`; who writes them to disk is an [`AuditSink`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
pub use portcullis_audit::{Draft, Entry};
use tokio::sync::oneshot;

use crate::exchange::{Facts, Head};
use crate::filter::{Filter, Phase, block};
use crate::verdict::{Code, Outcome, Refusal, Verdict};

/// How long an exchange waits to begin while entries come faster than they are written.
const PATIENCE: Duration = Duration::from_secs(5);

/// An entry could not be written. Says what the disk said, nothing of the entry.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AuditError(pub String);

/// Where entries go.
pub trait AuditSink: Send + Sync + 'static {
    /// Hands an entry over to be written, whoever waits for it. Does not wait itself.
    fn hand_over(&self, entry: Draft) -> Receipt;

    /// Waits until entries are written about as fast as they come.
    fn room(&self) -> BoxFuture<'_, ()>;

    /// Whether an entry could be written now, as far as is known.
    fn ready(&self) -> bool;
}

/// Tells whether an entry was written. It is written, or refused, whether or not anybody asks.
#[must_use = "an exchange goes on only when its entry is written"]
pub struct Receipt(Told);

enum Told {
    Settled(Option<Result<(), AuditError>>),
    Waiting(oneshot::Receiver<Result<(), AuditError>>),
}

impl Receipt {
    /// Of an entry of which it is known.
    pub fn settled(result: Result<(), AuditError>) -> Self {
        Self(Told::Settled(Some(result)))
    }

    /// Of an entry that waits to be written.
    pub fn waiting(told: oneshot::Receiver<Result<(), AuditError>>) -> Self {
        Self(Told::Waiting(told))
    }

    /// Waits on a thread of its own: never call it where other tasks run.
    ///
    /// # Errors
    /// When the entry was not written.
    pub fn wait(self) -> Result<(), AuditError> {
        match self.0 {
            Told::Settled(result) => result.unwrap_or_else(|| Err(gone())),
            Told::Waiting(told) => told.blocking_recv().unwrap_or_else(|_| Err(gone())),
        }
    }
}

impl Future for Receipt {
    type Output = Result<(), AuditError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Told::Settled(result) => Poll::Ready(result.take().unwrap_or_else(|| Err(gone()))),
            Told::Waiting(told) => Pin::new(told).poll(context).map(|told| told.unwrap_or_else(|_| Err(gone()))),
        }
    }
}

fn gone() -> AuditError {
    AuditError("the log was closed".to_owned())
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
        let unavailable = |why| block(Refusal::new("audit", Code::AuditUnavailable, why));
        if !self.sink.ready() {
            return unavailable("the audit log cannot be written");
        }
        match tokio::time::timeout(PATIENCE, self.sink.room()).await {
            Ok(()) => Ok(Verdict::Pass),
            Err(_) => unavailable("the audit log is written more slowly than requests come"),
        }
    }
}
