//! Signs answers back: those to requests whose signature was verified, and no others.
//!
//! A whole answer is signed in its head, over its status and the digest of its content. The head of a stream
//! is signed over its status; what came after it is signed at its end, where the client asked for that: by a
//! last frame, or by trailers over HTTP/2. The nonce of each is that of the request.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};
use pingora_error::{ErrorType, OrErr as _};
use pingora_http::ResponseHeader;
use portcullis_certs::NodeKey;
use portcullis_filters::store::WallClock;
use portcullis_policies::StreamFormat;
use portcullis_signatures::{Asked, Seal, Wanted, accept_signature, sign_answer};
use sha2::{Digest as _, Sha256};

/// Signs with this node's key, by the gate's clock.
pub(crate) struct Signatory {
    key: NodeKey,
    clock: Arc<dyn WallClock>,
}

impl Signatory {
    pub(crate) fn new(key: NodeKey, clock: Arc<dyn WallClock>) -> Self {
        Self { key, clock }
    }

    fn now(&self) -> i64 {
        self.clock.now_ms().div_euclid(1000)
    }
}

/// The answer to one request that came with a signature.
pub(crate) struct Answering<'s> {
    signatory: &'s Signatory,
    /// Whose request, and which.
    asked: Asked,
    /// How the end of a stream is to be proven.
    wanted: Option<Wanted>,
}

impl<'s> Answering<'s> {
    /// To a request with these headers, whose signature was verified and names it so. Trailers are for HTTP/2
    /// only: whoever asks for them over HTTP/1.1 has the head signed, and nothing that it did not ask for.
    pub(crate) fn new(signatory: &'s Signatory, asked: &Asked, request: &HeaderMap, http2: bool) -> Self {
        let wanted = accept_signature(request).filter(|wanted| http2 || !matches!(wanted, Wanted::Trailers));
        Self { signatory, asked: asked.clone(), wanted }
    }

    /// Signs the head of an answer whose whole content has this SHA-256.
    pub(crate) fn whole(&self, head: &mut ResponseHeader, content: &[u8; 32]) -> pingora_error::Result<()> {
        self.sign(head, Some(content))
    }

    /// Signs the head of a stream. What is to be signed at its end comes back, if anything is.
    pub(crate) fn stream(
        &self,
        head: &mut ResponseHeader,
        format: StreamFormat,
    ) -> pingora_error::Result<Option<Unsealed>> {
        if matches!(self.wanted, Some(Wanted::Trailers)) {
            head.insert_header(header::TRAILER, "Content-Digest, Signature-Input, Signature")?;
        }
        self.sign(head, None)?;
        let form = match self.wanted {
            None => return Ok(None),
            Some(Wanted::Frame) => Form::Frame(format),
            Some(Wanted::Trailers) => Form::Trailers,
        };
        Ok(Some(Unsealed { form, status: head.status.as_u16(), content: Sha256::new() }))
    }

    /// Signs what has left.
    pub(crate) fn seal(&self, stream: Unsealed) -> pingora_error::Result<Sealed> {
        let Unsealed { form, status, content } = stream;
        let (key, now) = (self.signatory.key.secret(), self.signatory.now());
        let seal = Seal::sign(key, status, &content.finalize().into(), &self.asked, now)
            .or_err(ErrorType::InternalError, "while signing the end of a stream")?;
        Ok(match form {
            Form::Frame(StreamFormat::Ndjson) => Sealed::Frame(seal.to_ndjson().into()),
            Form::Frame(StreamFormat::Sse) => Sealed::Frame(seal.to_sse().into()),
            Form::Trailers => Sealed::Trailers(
                seal.to_trailers().or_err(ErrorType::InternalError, "while signing the end of a stream")?,
            ),
        })
    }

    fn sign(&self, head: &mut ResponseHeader, content: Option<&[u8; 32]>) -> pingora_error::Result<()> {
        let mut signed = HeaderMap::with_capacity(3);
        let (key, status) = (self.signatory.key.secret(), head.status.as_u16());
        sign_answer(key, status, &mut signed, content, &self.asked, self.signatory.now())
            .or_err(ErrorType::InternalError, "while signing an answer")?;
        for (name, value) in &signed {
            head.insert_header(name.clone(), value.clone())?;
        }
        Ok(())
    }
}

/// A stream whose end is to be signed: what of it has left.
pub(crate) struct Unsealed {
    form: Form,
    status: u16,
    content: Sha256,
}

/// How the end is signed.
#[derive(Clone, Copy)]
enum Form {
    Frame(StreamFormat),
    Trailers,
}

impl Unsealed {
    /// Notes a piece that is about to leave.
    pub(crate) fn leaves(&mut self, piece: &[u8]) {
        self.content.update(piece);
    }

    /// What a last frame must be parted by from a stream that ended with this piece: a stream may break off without
    /// the end of its last frame.
    pub(crate) fn missing(&self, last: &[u8]) -> &'static [u8] {
        match self.form {
            Form::Frame(StreamFormat::Ndjson) if !last.is_empty() && !last.ends_with(b"\n") => b"\n",
            // One blank line too many means nothing.
            Form::Frame(StreamFormat::Sse) if !last.is_empty() && !last.ends_with(b"\n\n") => b"\n\n",
            _ => b"",
        }
    }
}

/// What proves a stream that has ended.
pub(crate) enum Sealed {
    /// The last frame.
    Frame(Bytes),
    /// Trailers.
    Trailers(HeaderMap),
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use portcullis_signatures::{ACCEPT_SIGNATURE, Answered, Unverified, content_digest, verify_answer};

    fn asked() -> Asked {
        Asked { node_id: NodeKey::from_seed(&[8; 32]).public().node_id(), nonce: "AAECAwQFBgcICQoLDA0ODw".to_owned() }
    }

    struct Stopped;

    impl WallClock for Stopped {
        fn now_ms(&self) -> i64 {
            1_750_000_000_999
        }
    }

    fn signatory() -> Signatory {
        Signatory::new(NodeKey::from_seed(&[7; 32]), Arc::new(Stopped))
    }

    fn wanting(wanted: Option<Wanted>) -> HeaderMap {
        wanted.map(|wanted| (ACCEPT_SIGNATURE, HeaderValue::from_static(wanted.as_str()))).into_iter().collect()
    }

    fn head(status: u16) -> ResponseHeader {
        let mut head = ResponseHeader::build(status, None).unwrap();
        head.insert_header(header::CONTENT_TYPE, "application/json").unwrap();
        head
    }

    #[test]
    fn signs_a_whole_answer() {
        let signatory = signatory();
        let node = signatory.key.public();
        let answering = Answering::new(&signatory, &asked(), &wanting(None), false);
        for content in [&b"{}"[..], b""] {
            let mut head = head(403);
            answering.whole(&mut head, &content_digest(content)).unwrap();
            let said = verify_answer(&node, 403, &head.headers, &asked()).unwrap();
            assert_eq!(said, Answered { digest: Some(content_digest(content)), created: 1_750_000_000 });
            assert_eq!(verify_answer(&node, 200, &head.headers, &asked()), Err(Unverified::Signature));
            assert_eq!(head.headers.get_all(header::CONTENT_TYPE).iter().count(), 1);
        }
    }

    #[test]
    fn signs_a_stream_s_end_only_where_asked_for() {
        let signatory = signatory();
        let node = signatory.key.public();
        for (wanted, http2, format, ends) in [
            (None, true, StreamFormat::Sse, ""),
            (Some(Wanted::Frame), false, StreamFormat::Ndjson, "line"),
            (Some(Wanted::Frame), true, StreamFormat::Sse, "event"),
            (Some(Wanted::Trailers), true, StreamFormat::Sse, "trailers"),
            (Some(Wanted::Trailers), false, StreamFormat::Ndjson, ""),
        ] {
            let answering = Answering::new(&signatory, &asked(), &wanting(wanted), http2);
            let mut head = head(200);
            let unsealed = answering.stream(&mut head, format).unwrap();
            assert_eq!(verify_answer(&node, 200, &head.headers, &asked()).unwrap().digest, None);
            assert_eq!(head.headers.contains_key(header::TRAILER), ends == "trailers");
            let Some(mut unsealed) = unsealed else {
                assert_eq!(ends, "");
                continue;
            };
            unsealed.leaves(b"one");
            unsealed.leaves(b"two");
            let (seal, how) = match answering.seal(unsealed).unwrap() {
                Sealed::Trailers(trailers) => (Seal::from_trailers(&trailers).unwrap(), "trailers"),
                Sealed::Frame(frame) => match frame.strip_prefix(b"event: portcullis.signature\ndata: ") {
                    Some(event) => (Seal::from_sse(event), "event"),
                    None => (Seal::from_ndjson(&frame), "line"),
                },
            };
            assert_eq!(how, ends);
            let seal = seal.unwrap();
            assert_eq!(seal.verify(&node, 200, &content_digest(b"onetwo"), &asked()).unwrap(), 1_750_000_000);
            assert!(seal.verify(&node, 200, &content_digest(b"one"), &asked()).is_err());
        }
    }

    #[test]
    fn parts_the_last_frame_from_a_stream_that_broke_off() {
        let unsealed = |form| Unsealed { form, status: 200, content: Sha256::new() };
        let (line, event) = (Form::Frame(StreamFormat::Ndjson), Form::Frame(StreamFormat::Sse));
        for (form, last, missing) in [
            (line, "", ""),
            (line, "{}\n", ""),
            (line, "{}", "\n"),
            (event, "", ""),
            (event, "data: 1\n\n", ""),
            (event, "data: 1\r\n\r\n", "\n\n"),
            (event, "data: 1\n", "\n\n"),
            (event, "data: 1", "\n\n"),
            (Form::Trailers, "data: 1", ""),
        ] {
            assert_eq!(unsealed(form).missing(last.as_bytes()), missing.as_bytes(), "{last:?}");
        }
    }
}
