//! Asks the upstream, with a request that is put together anew from judged parts.

use http::{Method, StatusCode, header};
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_http::RequestHeader;
use pingora_timeout::timeout;
use portcullis_filters::chain::Cleared;
use portcullis_filters::frame::Reading;
use portcullis_filters::gate::AnswerShape;
use portcullis_filters::{Code, Refusal};
use portcullis_policies::StreamFormat;
use portcullis_policies::routes::BodyKind;

use super::{Relay, Revoked, target};
use crate::upstream::Upstream;

impl Relay<'_> {
    /// Sends the request and waits for the answer's head; `None` when the client left meanwhile.
    pub(super) async fn fetch(
        &mut self,
        cleared: &Cleared,
        revoked: &mut Revoked<'_>,
    ) -> Result<Option<HttpSession>, Refusal> {
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
    pub(super) fn shape(&self, answer: &HttpSession, cleared: &Cleared) -> Result<AnswerShape, Refusal> {
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
        let media = match head.headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) {
            None => "",
            Some(Ok(media)) => media,
            Some(Err(_)) => return Err(invalid("a media type that is no text".to_owned())),
        };
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
            success: status.is_success(),
        })
    }
}

/// The upstream's request: method, judged target, known length, and no header that a client chose.
fn request_head(cleared: &Cleared, upstream: &Upstream) -> Result<RequestHeader, Refusal> {
    let build = || -> pingora_error::Result<RequestHeader> {
        let head = cleared.head();
        let target = match cleared.facts().target() {
            Some(target) => target::encode(target, &head.query),
            None => target::encode(&head.path, &head.query),
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
