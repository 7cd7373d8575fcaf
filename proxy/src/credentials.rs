//! Takes the credentials out of a request: they are judged, and never forwarded.
//!
//! Clients of model servers send what they have in four places, and most of them something even where
//! nothing is asked: `Authorization: Bearer`, `Authorization: Basic`, `X-Api-Key`, `Api-Key`. Two that
//! differ are nobody's credential.

use data_encoding::BASE64;
use http::header::{self, HeaderMap, HeaderName};
use pingora_http::RequestHeader;
use portcullis_filters::exchange::{Credential, Credentials, DeviceSignature};
use portcullis_filters::signature::Signature;

use crate::route::Target;

const API_KEY: HeaderName = HeaderName::from_static("api-key");
const ENROLL: HeaderName = HeaderName::from_static("portcullis-enroll");
const GRANT: HeaderName = HeaderName::from_static("portcullis-grant");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The longest credential that is looked at, in bytes: a token with a few dozen groups fits.
const MAX_CREDENTIAL: usize = 16 * 1024;

/// Headers by which a request says that a node sends it. Nothing is proven by them.
const CLAIMS: [HeaderName; 5] = [
    HeaderName::from_static("portcullis-node"),
    HeaderName::from_static("x-llmesh-node-id"),
    HeaderName::from_static("x-llmesh-signature"),
    HeaderName::from_static("x-llmesh-timestamp"),
    HeaderName::from_static("x-node-id"),
];

/// Reads what stands where a signature belongs, over the target as it came.
pub(crate) fn read_signature(request: &RequestHeader, authority: &str, https: bool, into: &mut Credentials) {
    into.claims_node = CLAIMS.iter().any(|name| request.headers.contains_key(name));
    let raw = std::str::from_utf8(request.raw_path()).unwrap_or_default();
    let (path, query) = raw.split_once('?').map_or((raw, None), |(path, query)| (path, Some(query)));
    let target = portcullis_signatures::Target { method: request.method.as_str(), https, authority, path, query };
    into.signature = Signature::read(&target, &request.headers);
}

/// Reads the credentials of a request. The `ts` that belongs to a device signature is taken out of the
/// query: it is no parameter of the route.
pub(crate) fn read(request: &RequestHeader, target: &mut Target) -> Credentials {
    let mut found = Credentials {
        enroll: single(&request.headers, &ENROLL),
        grant: single(&request.headers, &GRANT),
        ..Credentials::default()
    };
    for name in [&header::AUTHORIZATION, &X_API_KEY, &API_KEY] {
        for value in request.headers.get_all(name) {
            let Some(text) = value.to_str().ok().filter(|t| t.len() <= MAX_CREDENTIAL) else {
                found.broken = Some("a credential is not text, or longer than any of ours");
                continue;
            };
            if name != header::AUTHORIZATION {
                note(&mut found, text.trim());
            } else if let Some((scheme, rest)) = text.trim().split_once(' ') {
                let rest = rest.trim();
                if scheme.eq_ignore_ascii_case("bearer") {
                    note(&mut found, rest);
                } else if scheme.eq_ignore_ascii_case("basic") {
                    basic(&mut found, rest);
                }
            } else if let Some(device) = device(request, target, text.trim()) {
                found.device = Some(device);
            }
        }
    }
    if found.device.is_some() {
        target.query.retain(|(name, _)| name != "ts");
    }
    found
}

fn single(headers: &HeaderMap, name: &HeaderName) -> Option<Credential> {
    let mut all = headers.get_all(name).iter();
    let text = all.next()?.to_str().ok().filter(|t| t.len() <= MAX_CREDENTIAL)?;
    all.next().is_none().then(|| Credential::new(text.trim().to_owned()))
}

fn note(found: &mut Credentials, text: &str) {
    if text.is_empty() {
        return;
    }
    match &found.bearer {
        Some(other) if other.expose() != text => {
            found.broken = Some("the request carries two credentials that differ");
        }
        Some(_) => {}
        None => found.bearer = Some(Credential::new(text.to_owned())),
    }
}

/// The password counts, whatever the user is called (RFC 7617).
fn basic(found: &mut Credentials, text: &str) {
    let plain = BASE64.decode(text.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match plain.as_deref().and_then(|plain| plain.split_once(':')) {
        Some((_, password)) => note(found, password),
        None => found.broken = Some("the Basic credential is not one"),
    }
}

/// `<base64 key>:<base64 signature>`, without a scheme, and the time in the query.
fn device(request: &RequestHeader, target: &Target, text: &str) -> Option<DeviceSignature> {
    text.split_once(':')?;
    let raw = std::str::from_utf8(request.raw_path()).ok()?;
    let path = raw.split('?').next().unwrap_or_default();
    let ts = target.query.iter().find(|(name, _)| name == "ts").and_then(|(_, value)| value.parse().ok())?;
    Some(DeviceSignature {
        proof: Credential::new(text.to_owned()),
        ts,
        signed: format!("{},{path}?ts={ts}", request.method.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)], target: &str) -> (Credentials, Target) {
        let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
        for (name, value) in headers {
            request.append_header((*name).to_owned(), *value).unwrap();
        }
        let mut target = crate::route::target(&request).unwrap();
        let found = read(&request, &mut target);
        (found, target)
    }

    #[test]
    fn reads_what_clients_send() {
        for (name, value) in [
            ("Authorization", "Bearer secret"),
            ("authorization", "bearer  secret "),
            ("X-Api-Key", "secret"),
            ("Api-Key", "secret"),
            ("Authorization", "Basic dXNlcjpzZWNyZXQ="),
        ] {
            let (found, _) = of(&[(name, value)], "/api/tags");
            assert_eq!(found.bearer.unwrap().expose(), "secret", "{name}: {value}");
            assert_eq!(found.broken, None);
        }
        let (found, _) = of(&[("Authorization", "Bearer a"), ("X-Api-Key", "a")], "/api/tags");
        assert!(found.bearer.is_some() && found.broken.is_none(), "said twice is said once");
        for headers in [
            &[("Authorization", "Bearer a"), ("X-Api-Key", "b")][..],
            &[("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
            &[("Authorization", "Basic !!")],
        ] {
            assert!(of(headers, "/api/tags").0.broken.is_some(), "{headers:?}");
        }
    }

    #[test]
    fn takes_the_time_of_a_device_signature_out_of_the_query() {
        let (found, target) = of(&[("Authorization", "AAAA:BBBB")], "/api/tags?x=1&ts=17");
        let device = found.device.unwrap();
        assert_eq!((device.ts, device.signed.as_str()), (17, "GET,/api/tags?ts=17"));
        assert_eq!(target.query, [("x".to_owned(), "1".to_owned())]);
        assert!(found.bearer.is_none());
        let (found, target) = of(&[], "/api/tags?ts=17");
        assert!(found.device.is_none() && target.query.len() == 1);
        assert!(!format!("{:?}", of(&[("Authorization", "Bearer secret")], "/").0).contains("secret"));
    }
}
