//! Whether an answer is the gate's, and answers this request: what its signature says, and the content that
//! it covers.
//!
//! The connection proves the gate's key already, and so an answer without a signature is taken as it is: from
//! a gate that does not judge signatures, or one that refused before it had. A signature that is there has to
//! hold.

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Frame;
use portcullis_certs::NodePublic;
use portcullis_signatures::{Asked, Seal, Unverified, verify_answer};
use sha2::{Digest as _, Sha256};

/// What an answer is measured by.
pub(super) struct Expected {
    /// The gate.
    pub(super) gate: NodePublic,
    /// The request, as the answer is to name it.
    pub(super) asked: Asked,
}

/// What the head of an answer proves.
pub(super) struct Proven {
    /// How its content is to be checked.
    pub(super) check: Check,
    /// When the gate signed it, by its own clock: Unix seconds.
    pub(super) created: Option<i64>,
}

/// The content of an answer, checked while it passes.
pub(super) enum Check {
    /// Nobody signed it.
    Unsigned,
    /// It is signed by its head.
    Whole {
        digest: [u8; 32],
        hasher: Sha256,
        /// The newest piece: without it, a content that proves false is never whole.
        held: Bytes,
    },
    /// It is signed by its trailers.
    Stream(Box<Stream>),
}

/// A stream whose end is to prove it.
pub(super) struct Stream {
    expected: Expected,
    status: u16,
    hasher: Sha256,
    trailers: HeaderMap,
}

/// Reads what the head of an answer proves.
///
/// # Errors
/// When it is signed, and the signature is not this gate's, for this request.
pub(super) fn read(expected: Expected, status: u16, headers: &HeaderMap) -> Result<Proven, Unverified> {
    let answered = match verify_answer(&expected.gate, status, headers, &expected.asked) {
        Ok(answered) => answered,
        Err(Unverified::Missing) => return Ok(Proven { check: Check::Unsigned, created: None }),
        Err(error) => return Err(error),
    };
    let hasher = Sha256::new();
    let check = match answered.digest {
        Some(digest) => Check::Whole { digest, hasher, held: Bytes::new() },
        None => Check::Stream(Box::new(Stream { expected, status, hasher, trailers: HeaderMap::new() })),
    };
    Ok(Proven { check, created: Some(answered.created) })
}

impl Check {
    /// Takes a frame in, and gives out what may pass already. Trailers end here.
    pub(super) fn pass(&mut self, frame: Frame<Bytes>) -> Bytes {
        let piece = match frame.into_data() {
            Ok(piece) => piece,
            Err(frame) => {
                if let (Self::Stream(stream), Ok(trailers)) = (self, frame.into_trailers()) {
                    stream.trailers = trailers;
                }
                return Bytes::new();
            }
        };
        match self {
            Self::Unsigned => piece,
            Self::Whole { hasher, held, .. } => {
                hasher.update(&piece);
                std::mem::replace(held, piece)
            }
            Self::Stream(stream) => {
                stream.hasher.update(&piece);
                piece
            }
        }
    }

    /// What is left once all of it came.
    ///
    /// # Errors
    /// When it is not what the gate signed.
    pub(super) fn end(&mut self) -> Result<Bytes, Unverified> {
        match self {
            Self::Unsigned => Ok(Bytes::new()),
            Self::Whole { digest, hasher, held } => {
                let came: [u8; 32] = std::mem::take(hasher).finalize().into();
                if came == *digest { Ok(std::mem::take(held)) } else { Err(Unverified::OtherContent) }
            }
            Self::Stream(stream) => {
                let Stream { expected, status, hasher, trailers } = &mut **stream;
                let digest = std::mem::take(hasher).finalize().into();
                let seal = Seal::from_trailers(trailers)?.ok_or(Unverified::Missing)?;
                seal.verify(&expected.gate, *status, &digest, &expected.asked).map(|_| Bytes::new())
            }
        }
    }
}
