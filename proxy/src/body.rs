//! Reading a request's body: with the chain's leave, under a cap and a clock, digested as it comes, decoded.
//!
//! A body is read whole before anything of it is judged, so its memory is bounded three times: by
//! `gate.limits.body_bytes` for one, by `gate.limits.buffered_bytes` for all that are being read at
//! once, and by the same cap on what a compressed one unpacks to.

use std::io::Read as _;
use std::time::Duration;

use crate::generation::Limits;
use crate::memory::{Granted, Purse};
use bytes::{Bytes, BytesMut};
use http::header;
use pingora_core::protocols::http::ServerSession;
use portcullis_filters::chain::Readable;
use portcullis_filters::exchange::Content;
use portcullis_filters::{Code, Refusal};
use portcullis_policies::routes::BodyKind;
use sha2::{Digest as _, Sha256};

/// What is taken of the shared memory before any of a body has come.
const FIRST: usize = 16 * 1024;

/// A body as it came, and the memory it was granted: given back when this is dropped.
pub(crate) struct Received {
    bytes: Bytes,
    /// The SHA-256 of it.
    pub(crate) digest: [u8; 32],
    packing: Packing,
    memory: Vec<Granted>,
}

/// A body, unpacked.
pub(crate) struct Body {
    pub(crate) content: Content,
    /// Whether it came as it is, so that the digest of what came is its own.
    pub(crate) plain: bool,
    pub(crate) memory: Vec<Granted>,
}

/// How a body is packed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    None,
    Zstd,
}

/// Reads the body of a request as it comes, with the chain's leave.
///
/// # Errors
/// 413 above the cap, 415 for a type or packing that the route does not take, 400 for a body that is
/// cut off, too slow or not what its packing says.
pub(crate) async fn read(
    session: &mut ServerSession,
    readable: Readable<'_>,
    limits: &Limits,
    memory: &Purse<'_>,
) -> Result<Received, Refusal> {
    let expected = length(session, limits)?;
    let kind = readable.head().route.body;
    let packing = check_media(session, kind)?;
    if session.is_body_empty() {
        let Content { bytes, digest } = Content::plain(Bytes::new());
        return Ok(Received { bytes, digest, packing, memory: Vec::new() });
    }
    if kind == BodyKind::None {
        return Err(Refusal::new("request", Code::RequestMalformed, "this route takes no body"));
    }
    let mut granted = vec![memory.take(expected.map_or(FIRST, |expected| expected.min(FIRST)))?];
    if session
        .req_header()
        .headers
        .get(header::EXPECT)
        .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        session.write_continue_response().await.map_err(|_| gone())?;
    }
    let collected = collect(session, expected, limits, memory, &mut granted);
    let (bytes, digest) = match pingora_timeout::timeout(limits.body_timeout, collected).await {
        Ok(read) => read?,
        Err(_) => {
            return Err(Refusal::new("request", Code::RequestMalformed, "the body did not arrive in time"));
        }
    };
    Ok(Received { bytes, digest, packing, memory: granted })
}

impl Received {
    /// Unpacks the body, in the memory of whoever sent it.
    ///
    /// # Errors
    /// 413 above the cap, 400 for a body that is not what its packing says, 429 where there is no room.
    pub(crate) fn unpack(self, limits: &Limits, memory: &Purse<'_>) -> Result<Body, Refusal> {
        let Self { bytes, digest, packing, memory: granted } = self;
        let plain = packing == Packing::None;
        let (bytes, memory) = if plain && !granted.iter().any(Granted::is_strangers) {
            (bytes, granted)
        } else if plain {
            // Who sent it is known now: it takes up nothing of the strangers' any more.
            let own = memory.take(bytes.len())?;
            (bytes, vec![own])
        } else {
            // As much as it may become, until it is known how much it is.
            let most = memory.take(limits.body_bytes)?;
            let unpacked = unpack(&bytes, packing, limits.body_bytes)?;
            drop((most, granted));
            let own = memory.take(unpacked.len())?;
            (unpacked, vec![own])
        };
        Ok(Body { content: Content { bytes, digest }, plain, memory })
    }
}

async fn collect(
    session: &mut ServerSession,
    expected: Option<usize>,
    limits: &Limits,
    memory: &Purse<'_>,
    granted: &mut Vec<Granted>,
) -> Result<(Bytes, [u8; 32]), Refusal> {
    let mut digest = Sha256::new();
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut room = expected.map_or(FIRST, |expected| expected.min(FIRST));
    let mut total = 0usize;
    while let Some(chunk) = session.read_request_body().await.map_err(|_| gone())? {
        total = total.saturating_add(chunk.len());
        if total > limits.body_bytes {
            return Err(too_large());
        }
        digest.update(&chunk);
        // What is announced takes up nothing; what has come does.
        while total > room {
            let more = room.max(1).min(limits.body_bytes.saturating_sub(room).max(1));
            granted.push(memory.take(more)?);
            room = room.saturating_add(more);
        }
        match first.take() {
            // A body that comes in one piece is never copied.
            None if rest.is_empty() => first = Some(chunk),
            None => rest.extend_from_slice(&chunk),
            Some(before) => {
                rest.reserve(expected.unwrap_or(before.len() + chunk.len()));
                rest.extend_from_slice(&before);
                rest.extend_from_slice(&chunk);
            }
        }
    }
    if expected.is_some_and(|expected| expected != total) {
        return Err(gone());
    }
    Ok((first.unwrap_or_else(|| rest.freeze()), digest.finalize().into()))
}

fn length(session: &ServerSession, limits: &Limits) -> Result<Option<usize>, Refusal> {
    let Some(value) = session.req_header().headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let length = value
        .to_str()
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| Refusal::new("request", Code::RequestMalformed, "Content-Length is not a number"))?
        .parse::<usize>()
        .map_err(|_| too_large())?;
    if length > limits.body_bytes { Err(too_large()) } else { Ok(Some(length)) }
}

/// A JSON route takes JSON by that name only: a browser's "simple" POST of `text/plain` is how a web
/// page would reach a model server. Codings other than these could hide what the upstream sees.
fn check_media(session: &mut ServerSession, kind: BodyKind) -> Result<Packing, Refusal> {
    let unsupported = |message| Refusal::new("request", Code::RequestUnsupportedMedia, message);
    let empty = session.is_body_empty();
    let headers = &session.req_header().headers;
    let packing = match headers.get(header::CONTENT_ENCODING).map(|v| v.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"identity") => Packing::None,
        Some(b"gzip") => Packing::Gzip,
        Some(b"zstd") => Packing::Zstd,
        Some(_) => return Err(unsupported("the body's Content-Encoding must be identity, gzip or zstd")),
    };
    if empty && kind != BodyKind::Json {
        return Ok(packing);
    }
    let media = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut parts = media.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    match kind {
        BodyKind::Json => {
            let utf8 = parts.all(|p| {
                p.is_empty() || p.eq_ignore_ascii_case("charset=utf-8") || p.eq_ignore_ascii_case("charset=\"utf-8\"")
            });
            if !essence.eq_ignore_ascii_case("application/json") || !utf8 {
                return Err(unsupported("this route takes JSON: send the header Content-Type: application/json"));
            }
        }
        BodyKind::Multipart if !essence.eq_ignore_ascii_case("multipart/form-data") => {
            return Err(unsupported("this route takes multipart/form-data"));
        }
        BodyKind::Blob | BodyKind::Multipart | BodyKind::None => {}
    }
    Ok(packing)
}

/// Unpacks a body, reading at most one byte past the cap.
fn unpack(packed: &[u8], packing: Packing, cap: usize) -> Result<Bytes, Refusal> {
    let broken = || Refusal::new("request", Code::RequestMalformed, "the body is not what its Content-Encoding says");
    let limit = u64::try_from(cap).unwrap_or(u64::MAX).saturating_add(1);
    let mut plain = Vec::new();
    match packing {
        Packing::None => return Ok(Bytes::copy_from_slice(packed)),
        Packing::Gzip => {
            // One member only, and nothing after it: what follows would be seen by one reader alone.
            let mut reader = flate2::bufread::GzDecoder::new(packed);
            reader.by_ref().take(limit).read_to_end(&mut plain).map_err(|_| broken())?;
            if plain.len() <= cap && !reader.into_inner().is_empty() {
                return Err(broken());
            }
        }
        Packing::Zstd => {
            let mut reader = zstd::stream::read::Decoder::with_buffer(packed).map_err(|_| broken())?.single_frame();
            // 8 MiB: what Ollama's own reader takes.
            reader.window_log_max(23).map_err(|_| broken())?;
            reader.by_ref().take(limit).read_to_end(&mut plain).map_err(|_| broken())?;
            if plain.len() <= cap && !reader.finish().is_empty() {
                return Err(broken());
            }
        }
    }
    if plain.len() > cap { Err(too_large()) } else { Ok(plain.into()) }
}

fn too_large() -> Refusal {
    Refusal::new("request", Code::RequestTooLarge, "the body is larger than the gate takes")
}

fn gone() -> Refusal {
    Refusal::new("request", Code::RequestMalformed, "the body was cut off or badly framed")
}

/// How long a refused request's remaining body may be read to keep its connection.
pub(crate) const DRAIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(plain).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn unpacks_up_to_the_cap_and_no_further() {
        let plain = vec![b'a'; 100_000];
        for (packed, packing) in
            [(gzip(&plain), Packing::Gzip), (zstd::encode_all(&plain[..], 0).unwrap(), Packing::Zstd)]
        {
            assert_eq!(unpack(&packed, packing, 100_000).unwrap(), plain);
            assert_eq!(unpack(&packed, packing, 99_999).unwrap_err().code, Code::RequestTooLarge);
        }
    }

    #[test]
    fn refuses_what_is_not_what_it_says() {
        let mut trailing = gzip(b"{}");
        trailing.extend_from_slice(b"x");
        let mut two = zstd::encode_all(&b"{}"[..], 0).unwrap();
        two.extend(zstd::encode_all(&b"{}"[..], 0).unwrap());
        for (packed, packing) in [
            (b"{}".to_vec(), Packing::Gzip),
            (b"{}".to_vec(), Packing::Zstd),
            (trailing, Packing::Gzip),
            (two, Packing::Zstd),
            (gzip(b"{}")[..10].to_vec(), Packing::Gzip),
        ] {
            assert_eq!(unpack(&packed, packing, 1000).unwrap_err().code, Code::RequestMalformed);
        }
    }
}
