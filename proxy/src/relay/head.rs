//! The head of an answer that was let through.

use http::{StatusCode, Version, header};
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_http::ResponseHeader;
use portcullis_policies::StreamFormat;

use super::Relay;
use crate::answering::Unsealed;
use crate::refuse::{NODE, REDACTED, REQUEST_ID, VERDICT};

impl Relay<'_> {
    /// The head of an answer that leaves whole, with this many bytes, signed where the request was. Made before the
    /// answer's entry is written.
    pub(super) fn whole_head(
        &self,
        answer: &HttpSession,
        stream: Option<StreamFormat>,
        length: usize,
    ) -> pingora_error::Result<ResponseHeader> {
        let mut head = self.answer_head(answer, stream)?;
        head.insert_header(header::CONTENT_LENGTH, length)?;
        if let Some(answering) = self.answering {
            answering.whole(&mut head, &self.record.output())?;
        }
        Ok(head)
    }

    /// The head of an answer that leaves frame by frame, signed where the request was, and what is to be signed at
    /// its end.
    pub(super) fn stream_head(
        &self,
        answer: &HttpSession,
        format: StreamFormat,
    ) -> pingora_error::Result<(ResponseHeader, Option<Unsealed>)> {
        let mut head = self.answer_head(answer, Some(format))?;
        if self.session.req_header().version == Version::HTTP_11 {
            head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        let unsealed = match self.answering {
            Some(answering) => answering.stream(&mut head, format)?,
            None => None,
        };
        Ok((head, unsealed))
    }

    /// Built anew, with nothing of the upstream's but its status and type.
    fn answer_head(&self, answer: &HttpSession, stream: Option<StreamFormat>) -> pingora_error::Result<ResponseHeader> {
        let status = answer.get_status().unwrap_or(StatusCode::BAD_GATEWAY);
        let mut head = ResponseHeader::build(status, Some(9))?;
        if let Some(media) = answer.get_header(header::CONTENT_TYPE) {
            head.insert_header(header::CONTENT_TYPE, media.clone())?;
        }
        if let Some(after) = answer.get_header(header::RETRY_AFTER) {
            head.insert_header(header::RETRY_AFTER, after.clone())?;
        }
        if stream.is_some() {
            // Proxies in between must not gather frames either.
            head.insert_header(header::CACHE_CONTROL, "no-cache")?;
            head.insert_header("X-Accel-Buffering", "no")?;
        }
        head.insert_header(REQUEST_ID, self.record.id.as_str())?;
        head.insert_header(NODE, self.generation.node.clone())?;
        head.insert_header(VERDICT, "allow")?;
        if self.record.redactions() > 0 {
            head.insert_header(REDACTED, self.record.redactions())?;
        }
        Ok(head)
    }
}
