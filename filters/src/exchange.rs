//! One exchange as the filters see it: the head, the body, the caller, and the facts that filters establish.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use portcullis_policies::routes::Route;
use portcullis_policies::{CertificateProblem, Claims, Identity, IdentityMethod, Rate, Scope, UpstreamKind};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::json::Json;
use crate::signature::Signature;

mod facts;

pub use facts::{Facts, Lease, Noted, Shadow};

/// A request before its body has been read.
#[derive(Debug)]
pub struct Head {
    /// The method, as the caller wrote it.
    pub method: Method,
    /// The path: percent-decoded once, without dot segments, doubled slashes or control bytes.
    pub path: String,
    /// The query, decoded once into names and values, in order.
    pub query: Vec<(String, String)>,
    /// The headers that may influence a filter; never those that claim an identity.
    pub headers: HeaderMap,
    /// What the route table says of it.
    pub route: Arc<Route>,
    /// What kind of server it goes to.
    pub upstream: UpstreamKind,
    /// What the operator calls that server.
    pub server: Arc<str>,
    /// Who is on the other end of the connection.
    pub presented: Presented,
    /// What the request itself brings along to say who calls.
    pub credentials: Credentials,
    /// The SHA-256 of the body as it came, where it had to be read before anybody could be judged.
    pub content: Option<[u8; 32]>,
}

/// Credentials that stand in a request. They are never forwarded, and never shown.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// `Authorization: Bearer`, the password of `Authorization: Basic`, `X-Api-Key` or `Api-Key`.
    pub bearer: Option<Credential>,
    /// Why what stands in those headers is no one credential: more than one, or not readable.
    pub broken: Option<&'static str>,
    /// The stock Ollama command line's device signature.
    pub device: Option<DeviceSignature>,
    /// `Portcullis-Enroll`: a one-time token that an operator made.
    pub enroll: Option<Credential>,
    /// `Portcullis-Grant`: a delegated grant.
    pub grant: Option<Credential>,
    /// What stands where a signature belongs.
    pub signature: Option<Signature>,
    /// A header names a node as the caller, which only a signature can show.
    pub claims_node: bool,
}

/// A text that proves something. Zeroed when dropped, and not printed.
#[derive(Clone)]
pub struct Credential(Zeroizing<String>);

impl Credential {
    /// Takes a text in.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the stock Ollama command line sends with `OLLAMA_AUTH=1`: `<key>:<signature>`, both in base64,
/// over `METHOD,path?ts=SECONDS`.
#[derive(Clone, Debug)]
pub struct DeviceSignature {
    /// The key and the signature, as they came.
    pub proof: Credential,
    /// What the client calls the time, in Unix seconds.
    pub ts: i64,
    /// The text that was signed.
    pub signed: String,
}

/// What the connection itself proves about the caller.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The address the connection came from.
    pub address: IpAddr,
    /// The client certificate's key, when there was one; shared by all requests of a connection.
    pub certificate: Option<Arc<Certificate>>,
    /// The client's own word for itself: its `User-Agent`, unchecked.
    pub client: Option<String>,
}

/// A client certificate whose handshake signature was verified; what else is wrong with it is noted.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The identity that its key proves.
    pub identity: Identity,
    /// What a person compares: 16 bytes in hex pairs, joined by colons.
    pub fingerprint: String,
    /// The name it claims; proves nothing.
    pub common_name: Option<String>,
    /// Whether a trusted CA vouches for it.
    pub ca_validated: bool,
    /// When it begins, in Unix seconds.
    pub not_before: i64,
    /// When it, or the first one above it, ends, in Unix seconds: a connection may outlive both.
    pub not_after: i64,
    /// Why it proves nothing, where that is so: every request is refused with it.
    pub problem: Option<CertificateProblem>,
    /// Its serial number: the bytes of the integer, without leading zeros.
    pub serial: Box<[u8]>,
    /// The SHA-256 of its issuer's name in DER.
    pub issuer: [u8; 32],
}

/// A body that was read whole.
#[derive(Clone, Debug)]
pub struct Content {
    /// It, decoded from its content encoding.
    pub bytes: Bytes,
    /// The SHA-256 of the bytes that came, before they were decoded (RFC 9530: `Content-Digest`).
    pub digest: [u8; 32],
}

impl Content {
    /// A body that came as it is.
    #[must_use]
    pub fn plain(bytes: Bytes) -> Self {
        let digest = Sha256::digest(&bytes).into();
        Self { bytes, digest }
    }
}

/// A whole request: nothing of it has left for an upstream yet.
pub struct Request<'a> {
    /// The head that was admitted.
    pub head: &'a Head,
    /// The body, decoded from its content encoding.
    pub body: &'a Bytes,
    /// The body as JSON, where the route takes JSON; parsed once and strictly.
    pub json: Option<&'a Json<'a>>,
}

/// Who the caller is, as the `identity` filter established it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The identity.
    pub identity: Identity,
    /// The operator's label for it.
    pub name: Option<Arc<str>>,
    /// What proved it.
    pub method: IdentityMethod,
    /// The profile that it was enrolled with: such a caller is nobody's `*`.
    pub profile: Option<Arc<str>>,
    /// What its identity provider says of it.
    pub claims: Option<Arc<Claims>>,
    /// What its credentials allow at most; every one of them must agree.
    pub scopes: Vec<Arc<Scope>>,
    /// Whose rights it uses, where a part of them was passed on to it.
    pub delegator: Option<Arc<Caller>>,
}

impl Caller {
    /// A caller with this identity and nothing else to say of it.
    #[must_use]
    pub fn new(identity: Identity, method: IdentityMethod) -> Self {
        Self { identity, name: None, method, profile: None, claims: None, scopes: Vec::new(), delegator: None }
    }

    /// The caller whose rights are used in the end: this one, or the first that passed them on.
    #[must_use]
    pub fn owner(&self) -> &Self {
        let mut owner = self;
        while let Some(delegator) = &owner.delegator {
            owner = delegator;
        }
        owner
    }
}

/// How much one credential, rule or grant allows, and under which name that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What shares the count, such as `key:ci` or `rule:night peer:…`.
    pub key: String,
    /// Requests in a span of time.
    pub requests: Option<Rate>,
    /// Tokens in a span of time.
    pub tokens: Option<Rate>,
    /// Requests at once.
    pub concurrent: Option<u32>,
    /// Tokens in all, ever.
    pub budget: Option<u64>,
}
