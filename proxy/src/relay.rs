//! Carries a cleared request to its upstream, and the answer, frame by frame, to the client.
//!
//! The upstream's request is put together anew from judged parts, so that smuggling has nothing to
//! ride on. The answer's head waits for the first frame that may leave: until then a refusal is a
//! clean status. A client that leaves ends the upstream's work at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_timeout::timeout;
use portcullis_filters::chain::Cleared;
use portcullis_filters::dialect::{self, Usage};
use portcullis_filters::frame::Reading;
use portcullis_filters::gate::{AnswerShape, ClearedFrame, Gate};
use portcullis_filters::{Code, Refusal};
use portcullis_policies::routes::BodyKind;
use portcullis_policies::{RouteClass, StreamFormat};

use crate::generation::Generation;
use crate::metrics::Metrics;
use crate::queue::Slot;
use crate::record::{Ending, Record};
use crate::refuse::{NODE, REQUEST_ID, VERDICT};
use crate::upstream::Upstream;

/// How often it is asked, while the upstream works, whether what was decided still holds.
const RECHECK: Duration = Duration::from_millis(250);

/// How a relayed exchange ended.
pub(crate) enum Relayed {
    /// The client has its answer, or as much of it as was let through.
    Answered,
    /// The client left.
    ClientLeft,
    /// Refused before anything was written to the client.
    Refused(Refusal),
}

/// One exchange on its way.
pub(crate) struct Relay<'x> {
    pub(crate) session: &'x mut ServerSession,
    pub(crate) generation: &'x Generation,
    /// The generation in force: what was decided by an older one is asked of it, too.
    pub(crate) current: &'x Arc<ArcSwap<Generation>>,
    pub(crate) upstream: &'x Upstream,
    pub(crate) metrics: &'x Metrics,
    pub(crate) record: &'x mut Record,
}

impl Relay<'_> {
    /// Runs the exchange to its end.
    pub(crate) async fn run(mut self, cleared: Cleared) -> Relayed {
        // One watch for the whole of it: what was decided may end in the queue, at the upstream, in the answer.
        let watch = std::pin::pin!(until_revoked(self.current, &cleared));
        let mut revoked: Revoked<'_> = watch;
        let slot = match self.slot(&cleared, &mut revoked).await {
            Ok(slot) => slot,
            Err(ended) => return ended,
        };
        let sent = Instant::now();
        let mut answer = match self.fetch(&cleared, &mut revoked).await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                // The upstream was at work; how far it came nobody knows.
                cleared.facts().settle(Usage::default());
                return Relayed::ClientLeft;
            }
            Err(refusal) => return Relayed::Refused(refusal),
        };
        let shape = match self.shape(&answer, &cleared) {
            Ok(shape) => shape,
            Err(refusal) => return Relayed::Refused(refusal),
        };
        let gate = match self.generation.chain.watch(&cleared, shape) {
            Ok(gate) => gate,
            Err(refusal) => return Relayed::Refused(refusal),
        };
        let streams = shape.stream.is_some();
        if streams {
            self.metrics.streams_active.inc();
        }
        let worked = answer.get_status().is_some_and(|status| status.is_success());
        let mut flow = Flow {
            gate,
            shape,
            judging: Duration::ZERO,
            first_frame: None,
            sent,
            head_written: false,
            slot,
            worked,
            settled: false,
        };
        let relayed = self.pour(&mut answer, &cleared, &mut flow, &mut revoked).await;
        if streams {
            self.metrics.streams_active.dec();
        }
        self.count(&cleared, &flow);
        if matches!(relayed, Relayed::Answered) && answer.is_body_done() {
            self.upstream.give_back(answer).await;
        } else {
            // Closed before its slot is free: the upstream is done with it then.
            drop(answer);
        }
        flow.settle(&cleared, false);
        relayed
    }

    /// Waits for a slot of the upstream, where a model is to run.
    async fn slot(&mut self, cleared: &Cleared, revoked: &mut Revoked<'_>) -> Result<Option<Slot>, Relayed> {
        if cleared.head().route.class != RouteClass::Inference {
            return Ok(None);
        }
        let began = Instant::now();
        let address;
        let caller = match cleared.facts().caller() {
            Some(caller) => caller.owner().identity.as_str(),
            None => {
                address = cleared.head().presented.address.to_string();
                &address
            }
        };
        let slot = tokio::select! {
            biased;
            slot = self.upstream.queue.slot(caller) => slot.map(Some).map_err(Relayed::Refused),
            _ = self.session.read_body_or_idle(true) => Err(Relayed::ClientLeft),
            refusal = &mut *revoked => Err(Relayed::Refused(refusal)),
        };
        self.metrics.queue_waited(&self.upstream.name, began.elapsed());
        slot
    }

    /// Sends the request and waits for the answer's head; `None` when the client left meanwhile.
    async fn fetch(&mut self, cleared: &Cleared, revoked: &mut Revoked<'_>) -> Result<Option<HttpSession>, Refusal> {
        let mut fresh = false;
        loop {
            let connection = self.upstream.connect(fresh).await?;
            let reused = connection.reused;
            let head = request_head(cleared, self.upstream)?;
            let asking = async {
                let answer: pingora_error::Result<HttpSession> = async {
                    let mut answer = connection.send(Box::new(head), cleared.body().clone()).await?;
                    loop {
                        answer.read_response().await?;
                        // 1xx say nothing that the client could use: the gate speaks for itself.
                        if !answer
                            .get_status()
                            .is_some_and(|s| s.is_informational() && s != StatusCode::SWITCHING_PROTOCOLS)
                        {
                            return Ok(answer);
                        }
                    }
                }
                .await;
                answer
            };
            let limit = self.upstream.first_byte_timeout;
            let answered = tokio::select! {
                biased;
                answered = timeout(limit, asking) => answered,
                _ = self.session.read_body_or_idle(true) => return Ok(None),
                refusal = &mut *revoked => return Err(refusal),
            };
            match answered {
                Ok(Ok(answer)) => return Ok(Some(answer)),
                // A kept connection may have died unnoticed; nothing was answered, so once more.
                Ok(Err(_)) if reused => fresh = true,
                Ok(Err(error)) => {
                    return Err(Refusal::new(
                        "upstream",
                        Code::UpstreamUnavailable,
                        "the model server closed the connection without an answer",
                    )
                    .with_detail(error.etype().as_str().to_owned())
                    .with_retry_after(5));
                }
                Err(_) => {
                    return Err(Refusal::new(
                        "upstream",
                        Code::UpstreamTimeout,
                        "the model server did not begin its answer in time",
                    ));
                }
            }
        }
    }

    /// How the answer is to be cut and read, from its status and media type.
    fn shape(&self, answer: &HttpSession, cleared: &Cleared) -> Result<AnswerShape, Refusal> {
        let invalid = |detail: String| {
            Refusal::new("upstream", Code::UpstreamInvalid, "the model server sent an answer that cannot be judged")
                .with_detail(detail)
        };
        let head = answer.resp_header().ok_or_else(|| invalid("no head".to_owned()))?;
        let status = head.status;
        if !(status.is_success() || status.is_client_error() || status.is_server_error()) {
            return Err(invalid(format!("status {}", status.as_u16())));
        }
        if head.headers.get(header::CONTENT_ENCODING).is_some_and(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(invalid("it is packed though nobody asked for that".to_owned()));
        }
        let media = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let (stream, reading) = match media.as_str() {
            "application/json" | "application/problem+json" => (None, Reading::Json),
            "application/x-ndjson" | "application/ndjson" => (Some(StreamFormat::Ndjson), Reading::Json),
            "text/event-stream" => (Some(StreamFormat::Sse), Reading::Event),
            "text/plain" => (None, Reading::Text),
            // No type is no problem where there is no body; a body would have to be text.
            "" => (None, Reading::Text),
            other => return Err(invalid(format!("media type `{}`", other.chars().take(64).collect::<String>()))),
        };
        if stream.is_some() && stream != cleared.head().route.stream.format() {
            return Err(invalid("a stream where the route has none, or one of another kind".to_owned()));
        }
        Ok(AnswerShape {
            stream,
            reading,
            frame_bytes: self.generation.limits.answer_bytes,
            held_bytes: self.generation.limits.held_bytes,
        })
    }

    /// Pours the answer through the gate to the client.
    async fn pour(
        &mut self,
        answer: &mut HttpSession,
        cleared: &Cleared,
        flow: &mut Flow,
        revoked: &mut Revoked<'_>,
    ) -> Relayed {
        let mut out: Vec<ClearedFrame> = Vec::new();
        loop {
            let read = tokio::select! {
                // What ends an exchange is seen even when the upstream never pauses.
                biased;
                refusal = &mut *revoked => return self.cut(&mut out, cleared, flow, refusal).await,
                read = timeout(self.upstream.idle_timeout, answer.read_body_ref()) => read,
                _ = self.session.read_body_or_idle(true) => return Relayed::ClientLeft,
            };
            let began = Instant::now();
            let (said, ended) = match read {
                Ok(Ok(Some(chunk))) => (flow.gate.push(chunk, &mut out), false),
                Ok(Ok(None)) => (flow.gate.finish(&mut out), true),
                Ok(Err(error)) => (
                    Err(Refusal::new("upstream", Code::UpstreamInvalid, "the model server broke its answer off")
                        .with_detail(error.etype().as_str().to_owned())),
                    true,
                ),
                Err(_) => (
                    Err(Refusal::new("upstream", Code::UpstreamTimeout, "the model server stopped in its answer")),
                    true,
                ),
            };
            flow.judging += began.elapsed();
            if let Err(refusal) = said {
                return self.cut(&mut out, cleared, flow, refusal).await;
            }
            if ended {
                return self.end(answer, &mut out, cleared, flow).await;
            }
            if flow.shape.stream.is_some() && !out.is_empty() {
                if flow.first_frame.is_none() {
                    flow.first_frame = Some(flow.sent.elapsed());
                }
                let written = tokio::select! {
                    biased;
                    written = self.write_frames(answer, &mut out, flow) => Some(written),
                    refusal = &mut *revoked => {
                        // It reads nothing, so there is nobody to tell; the log is told.
                        let _ = self.record.close(Ending::Refused(&refusal));
                        None
                    }
                };
                if !matches!(written, Some(Ok(()))) {
                    return Relayed::ClientLeft;
                }
            }
        }
    }

    /// The answer is complete and judged: its entry is written, then its last bytes leave.
    async fn end(
        &mut self,
        answer: &mut HttpSession,
        out: &mut Vec<ClearedFrame>,
        cleared: &Cleared,
        flow: &mut Flow,
    ) -> Relayed {
        self.record.level(flow.gate.level());
        for shadow in flow.gate.shadows() {
            self.record.shadow(shadow.clone());
        }
        let bytes = join(out);
        self.record.answer(&bytes);
        self.record.status = answer.get_status().map_or(502, |s| s.as_u16());
        // Before the last byte leaves: the client's next request must not find its own place taken.
        flow.settle(cleared, true);
        if let Err(error) = self.record.close(Ending::Allowed) {
            tracing::error!(%error, request = self.record.id, "The audit log cannot be written.");
            return self.cut(&mut Vec::new(), cleared, flow, audit_unavailable()).await;
        }
        let written = async {
            if !flow.head_written {
                let head = self.answer_head(answer, flow, Some(bytes.len()))?;
                self.session.write_response_header(Box::new(head)).await?;
            }
            self.session.write_response_body(bytes, true).await
        };
        match written.await {
            Ok(()) => Relayed::Answered,
            Err(_) => Relayed::ClientLeft,
        }
    }

    /// Ends an answer that was refused: as a status while nothing has left, else in its dialect.
    async fn cut(
        &mut self,
        out: &mut Vec<ClearedFrame>,
        cleared: &Cleared,
        flow: &mut Flow,
        refusal: Refusal,
    ) -> Relayed {
        let Some(format) = flow.shape.stream.filter(|_| flow.head_written) else {
            return Relayed::Refused(refusal);
        };
        let mut last = join(out).to_vec();
        self.record.answer(&last);
        self.record.level(flow.gate.level());
        tracing::warn!(
            request = self.record.id,
            filter = refusal.filter,
            code = refusal.code.as_str(),
            detail = refusal.detail,
            "An answer was cut off."
        );
        let refusal = match self.record.close(Ending::Refused(&refusal)) {
            Ok(()) => refusal,
            Err(_) => audit_unavailable(),
        };
        last.extend_from_slice(&dialect::midstream(cleared.head().route.dialect, format, &refusal, &self.record.id));
        match self.session.write_response_body(last.into(), true).await {
            Ok(()) => Relayed::Answered,
            Err(_) => Relayed::ClientLeft,
        }
    }

    /// Writes what may leave, in one piece and at once: a token that waits is a token too late.
    async fn write_frames(
        &mut self,
        answer: &HttpSession,
        out: &mut Vec<ClearedFrame>,
        flow: &mut Flow,
    ) -> pingora_error::Result<()> {
        if !flow.head_written {
            let head = self.answer_head(answer, flow, None)?;
            self.record.status = head.status.as_u16();
            self.session.write_response_header(Box::new(head)).await?;
            flow.head_written = true;
        }
        let bytes = join(out);
        self.record.answer(&bytes);
        self.session.write_response_body(bytes, false).await
    }

    /// The head of the answer: built anew, with nothing of the upstream's but its status and type.
    fn answer_head(
        &self,
        answer: &HttpSession,
        flow: &Flow,
        length: Option<usize>,
    ) -> pingora_error::Result<ResponseHeader> {
        let status = answer.get_status().unwrap_or(StatusCode::BAD_GATEWAY);
        let mut head = ResponseHeader::build(status, Some(8))?;
        if let Some(media) = answer.get_header(header::CONTENT_TYPE) {
            head.insert_header(header::CONTENT_TYPE, media.clone())?;
        }
        if let Some(after) = answer.get_header(header::RETRY_AFTER) {
            head.insert_header(header::RETRY_AFTER, after.clone())?;
        }
        match length {
            Some(length) => head.insert_header(header::CONTENT_LENGTH, length)?,
            None if self.session.req_header().version == http::Version::HTTP_11 => {
                head.insert_header(header::TRANSFER_ENCODING, "chunked")?
            }
            None => {}
        }
        if flow.shape.stream.is_some() {
            // Proxies in between must not gather frames either.
            head.insert_header(header::CACHE_CONTROL, "no-cache")?;
            head.insert_header("X-Accel-Buffering", "no")?;
        }
        head.insert_header(REQUEST_ID, self.record.id.as_str())?;
        head.insert_header(NODE, self.generation.node.clone())?;
        head.insert_header(VERDICT, "allow")?;
        Ok(head)
    }

    fn count(&self, cleared: &Cleared, flow: &Flow) {
        let name = &*self.upstream.name;
        let took = flow.sent.elapsed();
        self.metrics.upstream_answered(name, took);
        self.metrics.overhead_response(flow.judging);
        let usage = flow.gate.usage();
        if usage.input + usage.output > 0 {
            let model = cleared.facts().model().map_or("other", |m| self.generation.model_label(m.as_str()));
            self.metrics.tokens(name, model, usage.input, usage.output);
        }
        if let Some(first) = flow.first_frame {
            self.metrics.first_token(name, first);
            if let Some(others) = u32::try_from(usage.output).ok().and_then(|n| n.checked_sub(1)).filter(|n| *n > 0) {
                self.metrics.per_token(name, took.saturating_sub(first) / others);
            }
        }
    }
}

/// Comes back when something that was decided holds no more.
type Revoked<'f> = std::pin::Pin<&'f mut (dyn Future<Output = Refusal> + Send + 'f)>;

/// Comes back with the refusal once something that was decided holds no more, by what is in force then.
async fn until_revoked(current: &ArcSwap<Generation>, cleared: &Cleared) -> Refusal {
    loop {
        tokio::time::sleep(RECHECK).await;
        let chain = Arc::clone(&current.load().chain);
        if let Err(refusal) = chain.still(cleared) {
            return refusal;
        }
    }
}

/// The state of one answer on its way.
struct Flow {
    gate: Gate,
    shape: AnswerShape,
    /// Time spent in the gate.
    judging: Duration,
    first_frame: Option<Duration>,
    sent: Instant,
    head_written: bool,
    /// The upstream's slot, until the upstream is done.
    slot: Option<Slot>,
    /// Whether the upstream did what it was asked.
    worked: bool,
    settled: bool,
}

impl Flow {
    /// The upstream is done: its slot is free, and what was used takes the place of what was reserved.
    /// One that broke off in the middle was counted by its upstream up to some frame before, or not at all:
    /// every frame that came is a token then.
    fn settle(&mut self, cleared: &Cleared, complete: bool) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let usage = self.gate.usage();
        if !self.worked && usage == Usage::default() {
            drop(self.slot.take());
            return cleared.facts().waive();
        }
        // A client that leaves before the upstream has counted does not get its tokens for nothing.
        let uncounted = self.shape.stream.is_some() && (!complete || usage.output == 0);
        let output = if uncounted { usage.output.max(self.gate.frames()) } else { usage.output };
        let used = Usage { output, ..usage };
        if let Some(slot) = self.slot.take() {
            slot.give_back(used);
        }
        cleared.facts().settle(used);
    }
}

/// The upstream's request: method, judged target, known length, and no header that a client chose.
fn request_head(cleared: &Cleared, upstream: &Upstream) -> Result<RequestHeader, Refusal> {
    let build = || -> pingora_error::Result<RequestHeader> {
        let head = cleared.head();
        let target = match cleared.facts().target() {
            Some(target) => encode_target(target, &head.query),
            None => encode_target(&head.path, &head.query),
        };
        let mut request = RequestHeader::build(head.method.clone(), target.as_bytes(), Some(8))?;
        request.insert_header(header::HOST, upstream.authority.as_str())?;
        request.insert_header(header::USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))?;
        request
            .insert_header(header::ACCEPT, "application/json, application/x-ndjson, text/event-stream, text/plain")?;
        match head.route.body {
            BodyKind::Json => request.insert_header(header::CONTENT_TYPE, "application/json")?,
            BodyKind::Blob => request.insert_header(header::CONTENT_TYPE, "application/octet-stream")?,
            BodyKind::Multipart => {
                if let Some(media) = head.headers.get(header::CONTENT_TYPE) {
                    request.insert_header(header::CONTENT_TYPE, media.clone())?;
                }
            }
            BodyKind::None => {}
        }
        if !cleared.body().is_empty() || !matches!(head.method, Method::GET | Method::HEAD) {
            request.insert_header(header::CONTENT_LENGTH, cleared.body().len())?;
        }
        if let Some(key) = &upstream.api_key {
            request.insert_header(header::AUTHORIZATION, format!("Bearer {}", key.expose()))?;
        }
        Ok(request)
    };
    build().map_err(|error| Refusal::internal("upstream", error.etype().as_str().to_owned()))
}

/// Encodes a judged path and query again, so that the upstream decodes what was judged.
fn encode_target(path: &str, query: &[(String, String)]) -> String {
    let mut target = String::with_capacity(path.len() + 16);
    encode(path, b"/-._~:@!$&'()*+,=", &mut target);
    for (position, (name, value)) in query.iter().enumerate() {
        target.push(if position == 0 { '?' } else { '&' });
        encode(name, b"-._~", &mut target);
        target.push('=');
        encode(value, b"-._~:", &mut target);
    }
    target
}

fn encode(text: &str, kept: &[u8], to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push('%');
            for digit in [byte >> 4, byte & 15] {
                to.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
}

/// The frames as one piece; a single one is not copied.
fn join(frames: &mut Vec<ClearedFrame>) -> Bytes {
    match frames.len() {
        0 => Bytes::new(),
        1 => frames.pop().map(ClearedFrame::into_bytes).unwrap_or_default(),
        _ => {
            let mut all = Vec::with_capacity(frames.iter().map(|f| f.bytes().len()).sum());
            frames.drain(..).for_each(|f| all.extend_from_slice(f.bytes()));
            all.into()
        }
    }
}

fn audit_unavailable() -> Refusal {
    Refusal::new("audit", Code::AuditUnavailable, "the audit log cannot be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_was_decoded() {
        let query = [("model".to_owned(), "a b&c=d".to_owned())];
        assert_eq!(encode_target("/v1/models/tiny:latest", &[]), "/v1/models/tiny:latest");
        assert_eq!(encode_target("/v1/models/ä?", &query), "/v1/models/%C3%A4%3F?model=a%20b%26c%3Dd");
    }
}
