//! Asks a server once more whose answer does not fit a schema, where the operator wants that.
//!
//! Only whole answers of model servers are repaired, and only what the filter `schema` refused: what the firewall or
//! `sca` found would not become right by being said in another way. What is sent again is what was judged, to the
//! byte. Each try waits for its turn and counts against the caller's limits as a request of its own, and its answer passes
//! every stage from the start.

use std::sync::Arc;

use futures::FutureExt as _;
use portcullis_filters::chain::Cleared;
use portcullis_filters::{Code, Refusal};
use portcullis_policies::{RouteClass, UpstreamKind};

use super::{Asked, Relay, Relayed};

impl Relay<'_> {
    /// Whether another answer may take the place of the one that was refused.
    pub(super) fn is_repairable(&self, cleared: &Cleared, refusal: &Refusal) -> bool {
        let tries = self.generation.config.filters.schema.repair;
        let named = matches!(refusal.code, Code::SchemaResponse | Code::SchemaNotJson);
        // An answer that ended at its token limit ends there again.
        let unfit = refusal.filter == "schema" && named && !refusal.lasting;
        let head = cleared.head();
        // An LLMesh node answers a nonce once. What does more than run a model is not done twice.
        let again = head.route.class == RouteClass::Inference && head.upstream != UpstreamKind::LlMesh;
        self.record.repairs < u64::from(tries) && unfit && again
    }

    /// Makes ready for another try: the client still waits, what was decided still holds, and the caller has enough left.
    /// Otherwise the refusal stands.
    pub(super) async fn repair(&mut self, cleared: &mut Cleared, refusal: Refusal) -> Result<(), Relayed> {
        if self.session.read_body_or_idle(true).now_or_never().is_some() {
            return Err(Relayed::ClientLeft);
        }
        let chain = Arc::clone(&self.current.load().chain);
        chain.still(cleared).map_err(Relayed::Refused)?;
        if let Err(no) = self.generation.chain.again(cleared).await {
            tracing::info!(
                request = self.record.id,
                code = no.code.as_str(),
                "An answer that does not fit was not asked for again: the caller has no more.",
            );
            return Err(Relayed::Refused(refusal));
        }
        self.record.repairs += 1;
        tracing::info!(
            request = self.record.id,
            code = refusal.code.as_str(),
            detail = refusal.detail,
            "An answer does not fit, and the model server is asked once more."
        );
        Ok(())
    }

    /// Counts what came of another try. A client that left has seen neither.
    pub(super) fn count_repair(&self, asked: &Asked) {
        match asked {
            Asked::Ended(Relayed::Answered) => self.metrics.repaired(true),
            Asked::Unfit(_) | Asked::Ended(Relayed::Refused(_)) => self.metrics.repaired(false),
            Asked::Ended(Relayed::ClientLeft) => {}
        }
    }
}
