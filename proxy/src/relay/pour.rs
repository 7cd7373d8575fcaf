//! Pours an answer through the gate to the client.

use std::time::Instant;

use bytes::Bytes;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_timeout::timeout;
use portcullis_filters::chain::Cleared;
use portcullis_filters::dialect;
use portcullis_filters::gate::{ClearedFrame, Gate};
use portcullis_filters::{Code, Refusal};

use super::flow::Flow;
use super::{Relay, Relayed, Revoked};
use crate::answering::Sealed;
use crate::record::Ending;

/// More bytes than this are judged off the event loop's threads: others' answers wait there.
const OFFLOAD: usize = 256 * 1024;

impl Relay<'_> {
    /// Pours the answer through the gate to the client.
    pub(super) async fn pour(
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
                Ok(Ok(Some(chunk))) => match push(flow, chunk, &mut out).await {
                    Ok(()) => (flow.gate.settle(&mut out).await, false),
                    refused => (refused, false),
                },
                Ok(Ok(None)) => (finish(flow, &mut out).await, true),
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
                        let _ = self.record.close(Ending::Refused(&refusal)).await;
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
        self.record.watched(&flow.gate);
        for shadow in flow.gate.shadows() {
            self.record.shadow(shadow.clone());
        }
        let bytes = flow.to_the_end(join(out));
        self.record.answer(&bytes);
        self.record.status = answer.get_status().map_or(502, |s| s.as_u16());
        // Before the last byte leaves: the client's next request must not find its own place taken.
        flow.settle(cleared, true);
        let began = Instant::now();
        let head = (!flow.head_written).then(|| self.whole_head(answer, flow.shape.stream, bytes.len()));
        flow.judging += began.elapsed();
        if let Err(error) = self.record.close(Ending::Allowed).await {
            tracing::error!(%error, request = self.record.id, "The audit log cannot be written.");
            return self.cut(&mut Vec::new(), cleared, flow, audit_unavailable()).await;
        }
        let written = async {
            let Some(head) = head.transpose()? else { return self.write_end(bytes, flow).await };
            self.session.write_response_header(Box::new(head)).await?;
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
        self.record.watched(&flow.gate);
        let Some(format) = flow.shape.stream.filter(|_| flow.head_written) else {
            return Relayed::Refused(refusal);
        };
        let mut last = join(out).to_vec();
        self.record.answer(&last);
        tracing::warn!(
            request = self.record.id,
            filter = refusal.filter,
            code = refusal.code.as_str(),
            detail = refusal.detail,
            "An answer was cut off."
        );
        let refusal = match self.record.close(Ending::Refused(&refusal)).await {
            Ok(()) => refusal,
            Err(_) => audit_unavailable(),
        };
        last.extend_from_slice(&dialect::midstream(cleared.head().route.dialect, format, &refusal, &self.record.id));
        match self.write_end(last.into(), flow).await {
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
        if let Some(format) = flow.shape.stream.filter(|_| !flow.head_written) {
            let began = Instant::now();
            let (head, unsealed) = self.stream_head(answer, format)?;
            flow.unsealed = unsealed;
            flow.judging += began.elapsed();
            self.record.status = head.status.as_u16();
            self.session.write_response_header(Box::new(head)).await?;
            flow.head_written = true;
        }
        let bytes = join(out);
        self.record.answer(&bytes);
        flow.leaves(&bytes);
        self.session.write_response_body(bytes, false).await
    }

    /// Ends a stream with these bytes, and with what proves it where that was asked for. The proof is no part of
    /// the answer: no filter sees it, and the log does not count it.
    async fn write_end(&mut self, bytes: Bytes, flow: &mut Flow) -> pingora_error::Result<()> {
        flow.leaves(&bytes);
        let began = Instant::now();
        let sealed = flow.unsealed.take().zip(self.answering).map(|(stream, answering)| answering.seal(stream));
        flow.judging += began.elapsed();
        match sealed.transpose()? {
            None => self.session.write_response_body(bytes, true).await,
            Some(Sealed::Frame(frame)) => self.session.write_response_body([bytes, frame].concat().into(), true).await,
            Some(Sealed::Trailers(trailers)) => {
                self.session.write_response_body(bytes, false).await?;
                self.session.write_response_trailers(trailers).await
            }
        }
    }
}

/// Shows a chunk to the gate, off this thread when there is much to judge at once.
async fn push(flow: &mut Flow, chunk: &[u8], out: &mut Vec<ClearedFrame>) -> Result<(), Refusal> {
    if flow.gate.at_once(chunk.len()) <= OFFLOAD {
        return flow.gate.push(chunk, out);
    }
    let chunk = Bytes::copy_from_slice(chunk);
    elsewhere(flow, out, move |gate, out| gate.push(&chunk, out)).await
}

/// Ends the answer at the gate, off this thread when there is much to judge. What is asked is asked from here.
async fn finish(flow: &mut Flow, out: &mut Vec<ClearedFrame>) -> Result<(), Refusal> {
    if flow.gate.at_end() <= OFFLOAD {
        return flow.gate.finish(out).await;
    }
    elsewhere(flow, out, |gate, _| gate.end()).await?;
    flow.gate.rest(out).await
}

/// Lends the gate to a thread that may take its time. A gate that does not come back has let nothing through.
async fn elsewhere(
    flow: &mut Flow,
    out: &mut Vec<ClearedFrame>,
    judge: impl FnOnce(&mut Gate, &mut Vec<ClearedFrame>) -> Result<(), Refusal> + Send + 'static,
) -> Result<(), Refusal> {
    let (mut gate, mut cleared) = (flow.gate.lend(), std::mem::take(out));
    let judged = tokio::task::spawn_blocking(move || {
        let said = judge(&mut gate, &mut cleared);
        (gate, cleared, said)
    });
    let Ok((gate, cleared, said)) = judged.await else {
        return Err(Refusal::internal("gate", "the judgement was cut off"));
    };
    (flow.gate, *out) = (gate, cleared);
    said
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
