//! Says no, in the dialect of the route that was called.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use portcullis_filters::{Refusal, dialect};
use portcullis_policies::Dialect;
use portcullis_signatures::content_digest;

use crate::answering::Answering;
use crate::body::DRAIN;

/// The name of the header that carries the request's id.
pub(crate) const REQUEST_ID: &str = "Portcullis-Request-Id";
/// The name of the header that says which gate answered: its node id.
pub(crate) const NODE: &str = "Portcullis-Node";
/// The name of the header that carries the verdict.
pub(crate) const VERDICT: &str = "Portcullis-Verdict";
/// The name of the header that says how many parts of the request were taken out.
pub(crate) const REDACTED: &str = "Portcullis-Redacted";

/// The most of an unread body that is thrown away so that the client gets to read its refusal.
const MAX_DISCARD: usize = 64 * 1024 * 1024;

/// The same before an answer over HTTP/2: what a window or two hold.
const MAX_ON_THE_WAY: usize = 256 * 1024;

/// Answers with a refusal. A client that is gone already is no error.
/// `parsed` says whether the request's head could be read at all; `answering` is there where it was signed.
pub(crate) async fn answer(
    session: &mut ServerSession,
    node: &HeaderValue,
    kind: Dialect,
    refusal: &Refusal,
    id: &str,
    parsed: bool,
    answering: Option<&Answering<'_>>,
) {
    let body = dialect::whole(kind, refusal, id);
    let Ok(mut head) = head(node, refusal, id, body.len()) else { return };
    // Without a head there is no method to ask for.
    let body = if parsed { unless_head(session, body) } else { body };
    if answering.is_some_and(|answering| answering.whole(&mut head, &content_digest(&body)).is_err()) {
        return;
    }
    let unread = parsed && !session.is_body_done();
    // A stream that is answered whole while its body is still on the way is reset, and there are clients
    // that lose the answer by that: what is on the way is read first.
    if unread && session.is_http2() {
        discard(session, MAX_ON_THE_WAY, DRAIN).await;
    }
    if session.write_response_header(Box::new(head)).await.is_err() {
        return;
    }
    if session.write_response_body(body, true).await.is_err() {
        return;
    }
    if unread {
        discard(session, MAX_DISCARD, DRAIN * 4).await;
    }
}

/// The body, unless the request was a HEAD: its answer has none, though it says how long one would be
/// (RFC 9110, section 9.3.2). HTTP/2 would send what it is given.
pub(crate) fn unless_head(session: &ServerSession, body: Bytes) -> Bytes {
    if session.req_header().method == http::Method::HEAD { Bytes::new() } else { body }
}

/// The verdict header's text for a refusal.
pub(crate) fn verdict(refusal: &Refusal) -> String {
    format!("block; filter={}; code={}", refusal.filter, refusal.code)
}

fn head(node: &HeaderValue, refusal: &Refusal, id: &str, length: usize) -> pingora_error::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(refusal.code.status(), Some(8))?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::CONTENT_LENGTH, length)?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    head.insert_header(REQUEST_ID, id)?;
    head.insert_header(NODE, node.clone())?;
    head.insert_header(VERDICT, verdict(refusal))?;
    if let Some(seconds) = refusal.retry_after {
        head.insert_header(header::RETRY_AFTER, seconds)?;
    }
    Ok(head)
}

/// Throws the rest of a body away, for a bounded time and size. Closing a socket with unread bytes
/// resets it, and the client would lose the refusal that it is about to read.
async fn discard(session: &mut ServerSession, most: usize, patience: Duration) {
    let read = async {
        let mut left = most;
        while let Ok(Some(chunk)) = session.read_request_body().await {
            let Some(less) = left.checked_sub(Bytes::len(&chunk)) else { return };
            left = less;
        }
    };
    let _ = pingora_timeout::timeout(patience, read).await;
}
