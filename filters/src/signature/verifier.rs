//! Whether a signature holds: asked by the `identity` filter and by the `signature` filter, found out once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use portcullis_signatures::{Malformed, Scheme, Signed, Target};

use super::refuse;
use crate::exchange::Head;
use crate::store::WallClock;
use crate::verdict::{Code, Refusal};

/// What stands in a request where a signature belongs: read, and judged at most once.
#[derive(Clone, Debug)]
pub struct Signature {
    read: Result<Arc<Signed>, Malformed>,
    judged: OnceLock<Result<(), Refusal>>,
}

impl Signature {
    /// Reads it. `None` when the request has none of its headers.
    #[must_use]
    pub fn read(target: &Target<'_>, headers: &HeaderMap) -> Option<Self> {
        let read = Signed::read(target, headers).transpose()?.map(Arc::new);
        Some(Self { read, judged: OnceLock::new() })
    }

    /// The signature, verified or not; `None` when it cannot be read.
    #[must_use]
    pub fn signed(&self) -> Option<&Signed> {
        self.read.as_deref().ok()
    }

    /// Whether it covers a digest that no header carries: the body must be read before it can be judged.
    #[must_use]
    pub fn awaits_content(&self) -> bool {
        self.signed().is_some_and(|signed| signed.scheme() == Scheme::Llmesh)
    }
}

/// What a signature must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureSettings {
    /// The schemes that are taken.
    pub schemes: Vec<Scheme>,
    /// How far the signer's clock may be off, either way.
    pub window: Duration,
    /// Whether a signature must name this gate (`Portcullis-Audience`). One that names another never holds.
    pub audience_required: bool,
}

/// Judges signatures.
pub struct Verifier {
    settings: SignatureSettings,
    /// This gate's node id.
    node: String,
    clock: Arc<dyn WallClock>,
}

impl Verifier {
    /// A verifier for the gate with this node id.
    #[must_use]
    pub fn new(settings: SignatureSettings, node: String, clock: Arc<dyn WallClock>) -> Self {
        Self { settings, node, clock }
    }

    /// The request's signature, which holds. `None` when there is none.
    ///
    /// # Errors
    /// When there is one and it does not.
    pub fn verified<'h>(&self, head: &'h Head) -> Result<Option<&'h Signed>, Refusal> {
        let Some(signature) = &head.credentials.signature else { return Ok(None) };
        let judged = signature.judged.get_or_init(|| {
            let Some(signed) = self.timely(head)? else { return Ok(()) };
            signed.verify(head.content.as_ref()).map_err(|_| {
                refuse(Code::SignatureInvalid, "the signature does not hold for this request as it came".to_owned())
            })
        });
        judged.clone().map(|()| signature.signed())
    }

    /// The request's signature as far as it can be judged for next to nothing: its form, its scheme, whom it is
    /// for, and its time. Nothing is proven by that.
    ///
    /// # Errors
    /// When it cannot hold.
    pub fn timely<'h>(&self, head: &'h Head) -> Result<Option<&'h Signed>, Refusal> {
        let Some(signature) = &head.credentials.signature else { return Ok(None) };
        let signed = match &signature.read {
            Ok(signed) => &**signed,
            Err(malformed) => return Err(refuse(Code::SignatureMalformed, malformed.to_string())),
        };
        if !self.settings.schemes.contains(&signed.scheme()) {
            let taken: Vec<_> = self.settings.schemes.iter().map(|scheme| scheme.as_str()).collect();
            let message =
                format!("this gate does not take `{}` signatures, but {}", signed.scheme().as_str(), taken.join(", "));
            return Err(refuse(Code::SignatureMalformed, message));
        }
        self.meant(signed)?;
        self.fresh(signed)?;
        Ok(Some(signed))
    }

    /// How far the signer's clock may be off.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.settings.window
    }

    /// The time that signatures are judged by, in Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A signature that was made for another gate is of no use here.
    fn meant(&self, signed: &Signed) -> Result<(), Refusal> {
        match signed.audience() {
            Some(node) if node != self.node => {
                Err(refuse(Code::SignatureInvalid, "the signature was made for another gate".to_owned()))
            }
            None if self.settings.audience_required => Err(refuse(
                Code::SignatureMalformed,
                "the signature must say for which gate it was made: send `Portcullis-Audience` with the gate's node id, \
                 and cover it"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }

    fn fresh(&self, signed: &Signed) -> Result<(), Refusal> {
        let now = self.now_ms();
        let off = now.saturating_sub(signed.created_ms());
        let window = i64::try_from(self.settings.window.as_millis()).unwrap_or(i64::MAX);
        let seconds = |ms: i64| ms.unsigned_abs().div_ceil(1000);
        let why = if off > window {
            format!("it was made {} s ago by the gate's clock", seconds(off))
        } else if off < -window {
            format!("it was made {} s in the future by the gate's clock", seconds(off))
        } else if signed.expires_ms().is_some_and(|end| end < now) {
            "it has expired".to_owned()
        } else {
            return Ok(());
        };
        let message = format!("the signature is not of now: {why}, and {} s are allowed", seconds(window));
        Err(refuse(Code::SignatureStale, format!("{message}; look at the clocks, and sign anew")))
    }
}
