//! What the gate answers itself: liveness, to anybody; checkpoints of other nodes' logs, to those nodes.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use portcullis_audit::submission::{SIZE_TYPE, write_size};
use portcullis_certs::NodePublic;
use portcullis_filters::chain::Cleared;
use portcullis_filters::exchange::Caller;
use portcullis_filters::{Code, Refusal};
use portcullis_policies::{Dialect, IdentityMethod, RouteClass};
use portcullis_signatures::content_digest;

use super::{Service, Stop};
use crate::record::{Ending, Record};
use crate::refuse::{NODE, REQUEST_ID, VERDICT, unless_head, verdict};
use crate::witness::Answer;

/// The media type of cosignatures.
const LINES: &str = "text/plain; charset=utf-8";

impl Service {
    /// Liveness: it says nothing of what is behind.
    pub(super) async fn public(&self, session: &mut ServerSession, record: &mut Record) -> Stop {
        let body = Bytes::from_static(b"{\"status\":\"ok\"}");
        self.say(session, record, (None, "application/json"), body).await
    }

    /// A request that every filter has let through, to a route of the gate's own.
    pub(super) async fn own(&self, session: &mut ServerSession, record: &mut Record, cleared: &Cleared) -> Stop {
        match cleared.head().route.class {
            RouteClass::Witness => self.add_checkpoint(session, record, cleared).await,
            _ => Stop::Refused(Dialect::Plain, Refusal::internal("request", "nobody answers this route")),
        }
    }

    /// Countersigns a checkpoint of the caller's own log.
    async fn add_checkpoint(&self, session: &mut ServerSession, record: &mut Record, cleared: &Cleared) -> Stop {
        let Some(node) = cleared.facts().caller().and_then(node) else {
            let message = "a checkpoint is countersigned for the node whose log it is of: call with the node's own key, by \
                           a client certificate or a signature";
            return Stop::Refused(Dialect::Plain, Refusal::new("witness", Code::PolicyRouteDenied, message));
        };
        let (answer, result) = self.witness.add_checkpoint(&node, cleared.body().clone()).await;
        self.metrics.witness_request(result);
        match answer {
            Answer::Cosigned(lines) => {
                record.answer(lines.as_bytes());
                self.say(session, record, (None, LINES), lines.into()).await
            }
            Answer::Refused(refusal, None) => Stop::Refused(Dialect::Plain, refusal),
            Answer::Refused(refusal, Some(size)) => {
                tracing::info!(
                    request = record.id,
                    filter = refusal.filter,
                    code = refusal.code.as_str(),
                    detail = %refusal.message,
                    "A request was refused."
                );
                self.say(session, record, (Some(&refusal), SIZE_TYPE), write_size(size).into()).await
            }
        }
    }

    /// Writes the entry, then the answer; whole, and signed where the request was.
    async fn say(
        &self,
        session: &mut ServerSession,
        record: &mut Record,
        (refusal, media): (Option<&Refusal>, &'static str),
        body: Bytes,
    ) -> Stop {
        record.status = refusal.map_or(200, |refusal| refusal.code.status());
        if record.close(refusal.map_or(Ending::Allowed, Ending::Refused)).await.is_err() {
            return Stop::Refused(
                Dialect::Plain,
                Refusal::new("audit", Code::AuditUnavailable, "the audit log cannot be written"),
            );
        }
        let written = async {
            let mut head = ResponseHeader::build(record.status, Some(8))?;
            head.insert_header(header::CONTENT_TYPE, HeaderValue::from_static(media))?;
            head.insert_header(header::CONTENT_LENGTH, body.len())?;
            head.insert_header(REQUEST_ID, record.id.as_str())?;
            head.insert_header(NODE, self.current.load().node.clone())?;
            head.insert_header(VERDICT, refusal.map_or_else(|| "allow".to_owned(), verdict))?;
            let body = unless_head(session, body);
            if let Some(answering) = self.answering(session, record) {
                answering.whole(&mut head, &content_digest(&body))?;
            }
            session.write_response_header(Box::new(head)).await?;
            session.write_response_body(body, true).await
        };
        let _: pingora_error::Result<()> = written.await;
        Stop::Done
    }
}

/// The node that calls, where it proved its own key, and acts for itself.
fn node(caller: &Caller) -> Option<NodePublic> {
    let proven = matches!(caller.method, IdentityMethod::Mtls | IdentityMethod::Signature);
    let itself = caller.delegator.is_none();
    NodePublic::from_node_id(caller.identity.as_str()).ok().filter(|_| proven && itself)
}
