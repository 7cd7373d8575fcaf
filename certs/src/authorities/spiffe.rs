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

/// Whether a pattern fits a SPIFFE ID: `*` stands for any text. Case counts, as it does in paths.
pub(super) fn fits(pattern: &str, id: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == id };
    let Some(mut left) = id.strip_prefix(first) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.ends_with(piece);
        }
        let Some((_, behind)) = left.split_once(piece) else { return false };
        left = behind;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_fits_what_it_says() {
        let id = "spiffe://example.org/ns/prod/sa/web";
        for pattern in [
            id,
            "spiffe://example.org/*",
            "spiffe://example.org/ns/*/sa/web",
            "spiffe://example.org/*prod*web",
            "spiffe://example.org/ns/prod/sa/web*",
        ] {
            assert!(fits(pattern, id), "{pattern}");
        }
        for pattern in [
            "",
            "spiffe://example.org/ns/prod",
            "spiffe://example.org/NS/*",
            "spiffe://example.org/*/sa/we",
            "spiffe://example.org/*web*web",
            "spiffe://example.org/*/sa/web/*",
        ] {
            assert!(!fits(pattern, id), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_agrees_with_a_slow_matcher(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, _) => text.is_empty(),
                    (Some((b'*', rest)), None) => slow(rest, text),
                    (Some((b'*', rest)), Some((_, behind))) => slow(rest, text) || slow(pattern, behind),
                    (Some((wanted, rest)), Some((byte, behind))) => wanted == byte && slow(rest, behind),
                    (Some(_), None) => false,
                }
            }
            prop_assert_eq!(fits(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
