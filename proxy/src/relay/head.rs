//! The head of an answer that was let through.

use http::{StatusCode, header};
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_http::ResponseHeader;

use super::Relay;
use super::flow::Flow;
use crate::refuse::{NODE, REQUEST_ID, VERDICT};

impl Relay<'_> {
    /// The head of the answer: built anew, with nothing of the upstream's but its status and type.
    pub(super) fn answer_head(
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
}
