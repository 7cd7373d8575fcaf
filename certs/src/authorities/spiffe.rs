//! The rules of an X.509-SVID (SPIFFE X.509-SVID, sections 2 to 5).

use portcullis_policies::{CertificateProblem as Problem, Identity};

use super::Bundle;
use crate::peer::{PeerCert, is_spiffe_id};

/// A trust domain, and the authorities that vouch for it and for nothing else.
pub struct TrustDomain {
    /// Its name, in its one spelling.
    pub(super) name: String,
    pub(super) bundle: Bundle,
}

/// Whether this is a trust domain's name in its one spelling: lower-case letters, digits, `.`, `-`, `_`.
#[must_use]
pub fn valid_trust_domain(name: &str) -> bool {
    is_spiffe_id(&format!("spiffe://{name}/x"))
}

/// Whether a URI in a certificate is meant as a SPIFFE ID, rightly spelt or not: then the certificate
/// is an SVID, good or bad, and no other rule lets it in.
pub(super) fn is_meant(uri: &str) -> bool {
    uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
}

/// The SPIFFE ID and the trust domain of a leaf, where it is one that may be shown by a workload.
pub(super) fn check(peer: &PeerCert) -> Result<(&str, &str), Problem> {
    let [id] = peer.uris.as_slice() else { return Err(Problem::SpiffeId) };
    if !is_spiffe_id(id) || Identity::spiffe(id).is_err() {
        return Err(Problem::SpiffeId);
    }
    if peer.usage.is_ca {
        return Err(Problem::AuthorityAsLeaf);
    }
    // A leaf must be able to sign a handshake, and must not be able to sign another SVID.
    if peer.usage.may_not_sign || peer.usage.signs_certificates {
        return Err(Problem::KeyUsage);
    }
    let domain = id.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).map(|(domain, _)| domain);
    domain.map(|domain| (id.as_str(), domain)).ok_or(Problem::SpiffeId)
}
