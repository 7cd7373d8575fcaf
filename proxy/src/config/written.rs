//! The config as it is written. The comments here are the schema's descriptions.

use std::collections::BTreeMap;

use portcullis_filters::Mode;
use portcullis_filters::identity::Trust;
use portcullis_filters::signature::Require;
use portcullis_policies::{RouteClass, UpstreamKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::firewall::Firewall;
use super::limits::{Amount, RateLimit};
use super::queue::Queue;
use super::sca::Sca;
use super::schema::SchemaFilter;
use super::{Tls, audit, store};

/// The config of a gate.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// This installation.
    #[serde(default)]
    pub(crate) node: Node,
    /// The listener that others reach.
    #[serde(default)]
    pub(crate) gate: Gate,
    /// The operator's own listener: metrics, health, status. Loopback only.
    #[serde(default)]
    pub(crate) admin: Admin,
    /// The model servers behind the gate, by name.
    pub(crate) upstreams: BTreeMap<String, Upstream>,
    /// Which classes of routes go where; the first that fits wins. Without any, everything goes to the
    /// only upstream.
    #[serde(default)]
    pub(crate) routes: Vec<Route>,
    /// The filters, in order.
    #[serde(default)]
    pub(crate) chain: Option<Vec<String>>,
    /// What the filters are set to.
    #[serde(default)]
    pub(crate) filters: Filters,
    /// Reload when this file changes.
    #[serde(default)]
    pub(crate) watch: bool,
}

/// This installation.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    /// What it is called.
    pub(crate) name: Option<String>,
    /// Where keys, trust and the audit log are kept; relative to this file.
    pub(crate) state: Option<String>,
}

/// The listener that others reach.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gate {
    /// Address and port.
    pub(crate) listen: Option<String>,
    /// Who must show a certificate. `off` is refused unless the address is loopback.
    pub(crate) tls: Option<Tls>,
    /// How long running answers may take to finish when the gate is stopped.
    pub(crate) drain: Option<String>,
    /// Bounds.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Names under which clients address this gate, beside `localhost`, the node's name and addresses.
    #[serde(default)]
    pub(crate) server_names: Vec<String>,
    /// With `trust: ca`: the authorities of client certificates. Default: the node's own.
    #[serde(default)]
    pub(crate) client_ca: Vec<String>,
    /// The server certificate, in PEM. Default: the one that `init` made.
    pub(crate) certificate: Option<String>,
    /// Its key, in PEM.
    pub(crate) key: Option<String>,
    /// How long a server certificate holds that the gate renews itself, at two thirds of it. Default: `90d`.
    pub(crate) certificate_lifetime: Option<String>,
    /// Worker threads. Default: one for each processor.
    pub(crate) threads: Option<usize>,
    /// How long one filter may take for one call.
    pub(crate) filter_timeout: Option<String>,
}

/// Bounds.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Connections at once.
    pub(crate) connections: Option<usize>,
    /// The headers of a request.
    pub(crate) header_bytes: Option<Size>,
    /// The body of a request.
    pub(crate) body_bytes: Option<Size>,
    /// A whole answer, or one frame of a stream.
    pub(crate) answer_bytes: Option<Size>,
    /// What of one stream may be held undecided.
    pub(crate) held_bytes: Option<Size>,
    /// Request bodies that are in memory at once, over all connections.
    pub(crate) buffered_bytes: Option<Size>,
    /// How long the head of a connection's first request may take.
    pub(crate) header_timeout: Option<String>,
    /// How long a body may take.
    pub(crate) body_timeout: Option<String>,
    /// How long a connection may be idle.
    pub(crate) idle_timeout: Option<String>,
    /// HTTP/2 streams at once on one connection.
    pub(crate) h2_streams: Option<u32>,
}

/// A size such as `16MiB`, or a number of bytes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Size {
    /// Bytes.
    Bytes(u64),
    /// With a unit.
    Text(String),
}

/// The operator's own listener.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    /// Address and port; loopback only.
    pub(crate) listen: Option<String>,
}

/// A model server.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// Such as `http://127.0.0.1:11434`.
    pub(crate) url: String,
    /// What kind of server it is.
    pub(crate) kind: UpstreamKind,
    /// How long a connection may take.
    pub(crate) connect_timeout: Option<String>,
    /// How long the first byte of an answer may take: cold loads are slow.
    pub(crate) first_byte_timeout: Option<String>,
    /// How long an answer may pause.
    pub(crate) idle_timeout: Option<String>,
    /// The key that the server itself asks for: `${ENV_NAME}`, `file:PATH`, or the key.
    pub(crate) api_key: Option<String>,
    /// How many requests it works on at once: a number, `auto` for what it says itself, `off` for as many
    /// as come. Default: `auto`.
    pub(crate) slots: Option<Amount>,
    /// Who waits for a slot.
    #[serde(default)]
    pub(crate) queue: Queue,
}

/// Which requests go where.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// Which ones; without it, all.
    #[serde(default, rename = "match")]
    pub(crate) matches: Match,
    /// The upstream, by name.
    pub(crate) to: Vec<String>,
}

/// Which requests.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Match {
    /// Those of these classes.
    #[serde(default)]
    pub(crate) class: Vec<RouteClass>,
}

/// What the filters are set to.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filters {
    /// Who calls.
    #[serde(default)]
    pub(crate) identity: Identity,
    /// Which requests are signed, and how.
    #[serde(default)]
    pub(crate) signature: Signature,
    /// How much may be asked.
    #[serde(default)]
    pub(crate) ratelimit: RateLimit,
    /// Who may do what.
    #[serde(default)]
    pub(crate) policy: Policy,
    /// What must not leave or come in.
    #[serde(default)]
    pub(crate) firewall: Firewall,
    /// What requests and answers are held to.
    #[serde(default)]
    pub(crate) schema: SchemaFilter,
    /// Which dependencies an answer may bring in. Without it, `sca` is in no chain that does not name it.
    pub(crate) sca: Option<Sca>,
    /// The log of decisions.
    #[serde(default)]
    pub(crate) audit: audit::Audit,
}

/// Who calls.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// `enforce`, `shadow` or `off`.
    pub(crate) mode: Option<ModeWord>,
    /// What proves an identity: `mtls`, `signature`, `api_key`, `jwt`, `ollama_key`. Default: `[mtls]`.
    pub(crate) accept: Option<Vec<String>>,
    /// How a certificate becomes trusted.
    pub(crate) trust: Option<Trust>,
    /// The identity providers whose tokens are taken.
    #[serde(default)]
    pub(crate) jwt: Vec<Issuer>,
    /// Workloads with X.509-SVIDs, who are let in by their SPIFFE ID.
    pub(crate) spiffe: Option<Spiffe>,
    /// Revocation lists of the authorities above, in PEM; looked at again when they change.
    #[serde(default)]
    pub(crate) crl: Vec<String>,
}

/// Which requests are signed, and how.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signature {
    /// `enforce`, `shadow` or `off`.
    pub(crate) mode: Option<ModeWord>,
    /// Which requests must be signed: `never`, `peers` (those that claim to come from a node), `always`.
    /// Default: `peers`. What is signed is verified in any case.
    pub(crate) require: Option<Require>,
    /// The schemes that are taken: `rfc9421`, `llmesh`. Default: both.
    pub(crate) schemes: Option<Vec<String>>,
    /// How far a signer's clock may be off, either way. Default: `30s`.
    pub(crate) window: Option<String>,
    /// Whether a signature must name this gate in `Portcullis-Audience`: `optional` or `required`.
    pub(crate) audience: Option<AudienceWord>,
    /// Where used signatures are remembered: `embedded`, or a Redis that several gates share. Default: `embedded`.
    pub(crate) store: Option<store::Written>,
}

/// Whether a signature must name the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AudienceWord {
    /// It may.
    #[default]
    Optional,
    /// It must.
    Required,
}

/// Workloads with X.509-SVIDs.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spiffe {
    /// Each trust domain with the bundles of its own authorities, in PEM. They vouch for no other.
    pub(crate) trust_domains: BTreeMap<String, Vec<String>>,
    /// The SPIFFE IDs that are let in; `*` stands for any text.
    pub(crate) allow: Vec<String>,
}

/// An identity provider.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issuer {
    /// The `iss` of its tokens, exactly.
    pub(crate) issuer: String,
    /// What tokens must be meant for: one of these stands in `aud`.
    pub(crate) audience: Vec<String>,
    /// Where its keys are: `file:PATH`, or the address of a JWK set. Default: what the provider's
    /// `/.well-known/openid-configuration` names.
    pub(crate) jwks: Option<String>,
    /// The authorities that vouch for the provider's own server, in PEM. Default: the system's.
    pub(crate) ca: Option<String>,
    /// The algorithms that are taken. Default: RS256, PS256, ES256, EdDSA.
    pub(crate) algorithms: Option<Vec<String>>,
    /// How far clocks may differ. Default: `30s`.
    pub(crate) leeway: Option<String>,
    /// The claims that policy may look at (`claim:groups=admins`); dots lead into what is nested.
    #[serde(default)]
    pub(crate) claims: Vec<String>,
    /// The profile that everybody of this provider has.
    pub(crate) profile: Option<String>,
    /// How often its keys are fetched anew. Default: `1h`.
    pub(crate) refresh: Option<String>,
}

/// Who may do what.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// `enforce`, `shadow` or `off`.
    pub(crate) mode: Option<ModeWord>,
    /// The policy document; relative to this file. Default: the built-in one.
    pub(crate) file: Option<String>,
    /// Which grants hold: `local`, those of this gate, or `shared`, those in the store that
    /// `filters.signature.store` names. Default: `local`.
    pub(crate) grants: Option<store::Granting>,
}

/// What becomes of a filter's verdicts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModeWord {
    /// They count.
    Enforce,
    /// The filter is not called.
    Off,
    /// It decides, counts and is audited, but everything passes.
    Shadow,
}

impl From<ModeWord> for Mode {
    fn from(word: ModeWord) -> Self {
        match word {
            ModeWord::Enforce => Self::Enforce,
            ModeWord::Off => Self::Off,
            ModeWord::Shadow => Self::Shadow,
        }
    }
}
