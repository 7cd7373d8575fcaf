//! Why a credential did not let somebody in, and which command makes one that does.

use portcullis_certs::trust::{Entry, State};
use portcullis_filters::identity::TokenError;
use portcullis_policies::CertificateProblem;

use super::Explained;
use crate::decisions::Decision;

/// Explains a refusal of the `identity` filter, with the caller's entry in the trust store.
pub(super) fn explain(decision: &Decision, peer: Option<&Entry>, explained: &mut Explained) {
    (explained.rule, explained.needed) = advice(decision, peer);
    if !decision.detail.is_empty() {
        explained.reason = format!("{} ({})", explained.reason, decision.detail);
    }
}

/// What a credential that reaches not far enough is called, and what would reach further.
pub(super) fn too_narrow(decision: &Decision) -> (String, String) {
    match key_name(decision) {
        Some(name) => (
            format!("the scope of API key `{name}`"),
            "a key that reaches further (`portcullis keys add NAME`); the policy is not what refused it".to_owned(),
        ),
        None => {
            (decision.detail.clone(), "a credential that reaches further; the policy is not what refused it".to_owned())
        }
    }
}

/// What decided, and what is needed.
fn advice(decision: &Decision, peer: Option<&Entry>) -> (String, String) {
    match (decision.code, kind(decision)) {
        ("identity.required", _) => (
            "filters.identity.accept".to_owned(),
            "a client certificate, or another credential that `filters.identity.accept` lists".to_owned(),
        ),
        ("signature.replayed" | "signature.stale", _) => (
            "device signature".to_owned(),
            "a signature made anew: each is good once, and for 30 seconds; both clocks must be right".to_owned(),
        ),
        ("store.unavailable", _) => (
            "filters.signature.store".to_owned(),
            "a store that answers and remembers; after its memory was lost, one window has to pass".to_owned(),
        ),
        ("identity.internal", _) => ("credential".to_owned(), "a look into the gate's own log".to_owned()),
        (code, Kind::ApiKey) => api_key(code, decision),
        (_, Kind::Token) => token(decision),
        (_, Kind::Invitation) => (
            "enrolment token".to_owned(),
            "a new invitation (`portcullis enroll`): each holds for a time and a number of callers".to_owned(),
        ),
        (_, Kind::Delegation) => (
            "delegated grant".to_owned(),
            "a new grant from whoever passed it on (`portcullis grants delegate`)".to_owned(),
        ),
        ("identity.pending", _) => (
            "trust store: pending".to_owned(),
            format!(
                "`portcullis peers approve {}`, or an invitation (`portcullis enroll`)",
                fingerprint(decision, peer)
            ),
        ),
        ("identity.revoked", _) => taken_back(decision, peer),
        ("identity.key_changed", _) => (
            "trust store: another key than the approved one".to_owned(),
            "make sure who it is; then revoke the old key and approve the new one".to_owned(),
        ),
        (_, Kind::Certificate) => (
            "client certificate".to_owned(),
            format!(
                "a certificate that holds, from an authority that this gate trusts, such as {}",
                issue(decision, peer)
            ),
        ),
        _ => ("credential".to_owned(), "a credential that holds, and no second one beside it".to_owned()),
    }
}

/// What was shown.
enum Kind {
    ApiKey,
    Certificate,
    Delegation,
    Invitation,
    Token,
    Other,
}

/// By how the caller was met; where a credential names nobody, by what its sender was told.
fn kind(decision: &Decision) -> Kind {
    let told = decision.message.as_str();
    let of_token = || TOKEN_ERRORS.iter().any(|error| error.to_string() == told);
    match decision.identity_method {
        _ if told.starts_with("the enrolment token") => Kind::Invitation,
        _ if told.starts_with("the delegated grant") => Kind::Delegation,
        "api_key" => Kind::ApiKey,
        "jwt" => Kind::Token,
        "" if told.contains("API key") => Kind::ApiKey,
        "" if of_token() => Kind::Token,
        "mtls" if told.contains("certificate") || told.contains("SPIFFE") => Kind::Certificate,
        _ => Kind::Other,
    }
}

/// Why a token is refused.
const TOKEN_ERRORS: [TokenError; 6] = [
    TokenError::Audience,
    TokenError::Expired,
    TokenError::Signature,
    TokenError::Issuer,
    TokenError::Malformed,
    TokenError::UnknownKey,
];

fn api_key(code: &str, decision: &Decision) -> (String, String) {
    let Some(name) = key_name(decision) else {
        return (
            "API keys: none of this gate's".to_owned(),
            "a key of this gate: `portcullis keys add NAME` makes one".to_owned(),
        );
    };
    let what = if code == "identity.revoked" { "was taken back" } else { "has ended" };
    (format!("API keys: `{name}` {what}"), format!("a new key: `portcullis keys add {name}`"))
}

fn key_name(decision: &Decision) -> Option<&str> {
    decision.node_id.strip_prefix("key:")
}

fn token(decision: &Decision) -> (String, String) {
    let issuer = decision.node_id.strip_prefix("jwt:").and_then(|id| id.rsplit_once('#')).map(|(issuer, _)| issuer);
    let needed = match issuer {
        Some(issuer) => format!("a new token from its issuer, `{issuer}`: the client signs in there again"),
        None => "a token that holds, from an issuer that `filters.identity.jwt` names, made out to this gate \
                 (`audience`)"
            .to_owned(),
    };
    ("filters.identity.jwt".to_owned(), needed)
}

/// A key that nobody trusts any more, or a certificate that its authority took back.
fn taken_back(decision: &Decision, peer: Option<&Entry>) -> (String, String) {
    let called = peer.and_then(|p| p.name.as_deref()).unwrap_or(&decision.node_id);
    // What the trust store does not refuse, a list of revoked certificates does.
    let trusted = match peer.map(|p| p.state) {
        Some(State::Approved) => true,
        Some(State::Revoked | State::Blocked) => false,
        // Nobody decided about the key: a SPIFFE ID needs no entry, and the audit log keeps no sentence.
        Some(State::Pending) | None => decision.node_id.starts_with("spiffe://") || decision.message.is_empty(),
    };
    let by_authority = decision.message == CertificateProblem::Revoked.to_string();
    if by_authority || (trusted && decision.identity_method == "mtls") {
        return (
            "revoked certificates (`portcullis cert revoke`, or its authority's list)".to_owned(),
            format!("a new certificate, if `{called}` is trusted again: {}", issue(decision, peer)),
        );
    }
    let state = peer.map_or("revoked", |p| p.state.as_str());
    (
        format!("trust store: {state}"),
        format!("`portcullis peers approve {}`, if `{called}` is trusted again", fingerprint(decision, peer)),
    )
}

fn fingerprint<'d>(decision: &'d Decision, peer: Option<&'d Entry>) -> &'d str {
    peer.map_or(decision.node_id.as_str(), |p| p.fingerprint.as_str())
}

fn issue(decision: &Decision, peer: Option<&Entry>) -> String {
    issue_command(peer.and_then(|p| p.name.as_deref()).unwrap_or("NAME"), &decision.node_id)
}

/// The command that makes a certificate for a caller of this name and identity.
pub(crate) fn issue_command(name: &str, identity: &str) -> String {
    if identity.starts_with("spiffe://") {
        format!("`portcullis cert issue {name} --spiffe {identity}`")
    } else {
        format!("`portcullis cert issue {name}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(code: &'static str, method: &'static str, node: &str, message: &str) -> Decision {
        Decision {
            code,
            identity_method: method,
            node_id: node.to_owned(),
            message: message.to_owned(),
            ..Decision::default()
        }
    }

    #[test]
    fn every_credential_has_its_own_way_back_in() {
        let peer: Entry = serde_json::from_value(serde_json::json!({
            "id": "peer:a", "name": "alice", "fingerprint": "aa:bb", "state": "revoked", "first_seen": "",
        }))
        .unwrap();
        let approved = Entry { state: State::Approved, ..peer.clone() };
        let certificate = CertificateProblem::Revoked.to_string();
        let audience = TokenError::Audience.to_string();
        let back = "the trust in this caller was taken back";
        for (code, method, node, message, peer, needed) in [
            ("identity.revoked", "api_key", "key:ci", "this API key was taken back", None, "`portcullis keys add ci`"),
            ("identity.revoked", "api_key", "key:ci", "", None, "`portcullis keys add ci`"),
            ("identity.invalid", "api_key", "key:ci", "this API key has ended", None, "`portcullis keys add ci`"),
            ("identity.invalid", "", "", "this is no API key of this gate", None, "`portcullis keys add NAME`"),
            ("identity.invalid", "", "", audience.as_str(), None, "`filters.identity.jwt`"),
            ("identity.invalid", "jwt", "jwt:https://id.example#bob", "", None, "`https://id.example`"),
            ("identity.revoked", "mtls", "peer:a", back, Some(&peer), "`portcullis peers approve aa:bb`"),
            ("identity.revoked", "mtls", "peer:a", "", Some(&peer), "`portcullis peers approve aa:bb`"),
            ("identity.revoked", "mtls", "peer:a", &certificate, Some(&approved), "`portcullis cert issue alice`"),
            ("identity.revoked", "mtls", "peer:a", "", Some(&approved), "`portcullis cert issue alice`"),
            ("identity.revoked", "mtls", "peer:a", back, Some(&approved), "`portcullis cert issue alice`"),
            ("identity.revoked", "mtls", "peer:a", back, None, "`portcullis peers approve peer:a`"),
            (
                "identity.revoked",
                "mtls",
                "spiffe://example.org/web",
                back,
                None,
                "`portcullis cert issue NAME --spiffe spiffe://example.org/web`",
            ),
            ("identity.revoked", "ollama_key", "ollama:SHA256:x", back, None, "`portcullis peers approve ollama:"),
            ("identity.pending", "mtls", "peer:a", "", None, "`portcullis peers approve peer:a`"),
            ("signature.replayed", "ollama_key", "ollama:SHA256:x", "", None, "a signature made anew"),
            (
                "identity.invalid",
                "mtls",
                "peer:a",
                "the enrolment token is not valid: over",
                None,
                "`portcullis enroll`",
            ),
        ] {
            let (rule, said) = advice(&decision(code, method, node, message), peer);
            assert!(said.contains(needed) && !rule.is_empty(), "{code} {method} {node}: {rule}, {said}");
        }
    }
}
