//! What a filter may say, and why an exchange was refused.

use std::borrow::Cow;
use std::fmt;

use portcullis_policies::DataLevel;

/// What a filter decided about the thing it was shown.
#[derive(Debug)]
#[must_use = "a verdict that nobody reads is a hole in the wall"]
pub enum Verdict<T> {
    /// Refuse the exchange, for this reason.
    Block(Refusal),
    /// Let it through as it is.
    Pass,
    /// Let this through in its place.
    Replace(T),
}

/// What a filter hands back. An `Err` is not a third opinion: the chain reads it as a refusal.
pub type Outcome<T> = Result<Verdict<T>, FilterError>;

/// Something broke inside a filter. The exchange is refused with `<filter>.internal`.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Something went wrong; the text is for the operator and holds nothing of the exchange.
    #[error("{0}")]
    Failed(String),
    /// The filter lists a phase that it does not implement.
    #[error("the filter lists a phase that it does not implement")]
    NotImplemented,
}

/// Why an exchange was refused. `code` and `message` are public; `detail` goes to the operator's
/// log only and must hold nothing of a prompt, an answer, a token or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The filter that refused, or `request`, `upstream` for the gate itself.
    pub filter: &'static str,
    /// The stable public code.
    pub code: Code,
    /// One sentence for the caller: lower case, no full stop, nothing that was matched.
    pub message: Cow<'static, str>,
    /// For the operator: which rule, which field.
    pub detail: String,
    /// Seconds after which another try may work, for `Retry-After`.
    pub retry_after: Option<u32>,
    /// How sensitive the filter holds the exchange.
    pub level: DataLevel,
    /// Whether another answer to the same request would be refused for the same reason.
    pub lasting: bool,
}

impl Refusal {
    /// A refusal with its public sentence and nothing else.
    #[must_use]
    pub fn new(filter: &'static str, code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            filter,
            code,
            message: message.into(),
            detail: String::new(),
            retry_after: None,
            level: DataLevel::L0,
            lasting: false,
        }
    }

    /// Adds what only the operator may read.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds the level of what was found.
    #[must_use]
    pub fn with_level(mut self, level: DataLevel) -> Self {
        self.level = level;
        self
    }

    /// Adds after how many seconds another try may work.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Says that asking the server again would not help.
    #[must_use]
    pub fn lasts(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// The answer to a filter that broke: fail closed.
    #[must_use]
    pub fn internal(filter: &'static str, detail: impl Into<String>) -> Self {
        Self::new(filter, Code::Internal(filter), "the gate could not judge this request")
            .with_detail(detail)
            .with_level(DataLevel::L4)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// Why an exchange was refused: stable, public, and the same word in the answer's body, in
        /// its `Portcullis-Verdict` header, in the audit log and in the metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
            /// At a door: the `Host` is not the door's own. A web page may be behind it.
            DoorHost,
            /// At a door: a web page asks, and nobody allowed it to.
            DoorOrigin,
            /// A filter erred, panicked or ran out of time: `<filter>.internal`.
            Internal(&'static str),
        }

        impl Code {
            /// Every code of a gate, except those of broken filters.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                    Self::DoorHost => 421,
                    Self::DoorOrigin => 403,
                    Self::Internal(_) => 503,
                }
            }

            /// The code as it is written everywhere.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::DoorHost => "door.host",
                    Self::DoorOrigin => "door.origin",
                    Self::Internal(filter) => internal(filter),
                }
            }
        }
    };
}

codes! {
    /// The audit log cannot be written.
    AuditUnavailable = "audit.unavailable", 503;
    /// The text is above the level that may pass.
    FirewallLevel = "firewall.level", 403;
    /// A prompt injection.
    FirewallInjection = "firewall.injection", 403;
    /// A secret in an answer.
    FirewallOutputSecret = "firewall.output_secret", 502;
    /// Personal data.
    FirewallPii = "firewall.pii", 403;
    /// A secret in a prompt.
    FirewallSecret = "firewall.secret", 403;
    /// A shape that is not let through.
    FirewallStructural = "firewall.structural", 403;
    /// Credentials that do not hold.
    IdentityInvalid = "identity.invalid", 401;
    /// A known name with another key.
    IdentityKeyChanged = "identity.key_changed", 403;
    /// A caller that nobody approved yet.
    IdentityPending = "identity.pending", 403;
    /// No credentials.
    IdentityRequired = "identity.required", 401;
    /// A caller whose trust was taken back.
    IdentityRevoked = "identity.revoked", 403;
    /// Leaves the machine, and no grant names it.
    PolicyEgressDenied = "policy.egress_denied", 403;
    /// The grant has ended.
    PolicyExpired = "policy.expired", 403;
    /// A request field that is not let through.
    PolicyFieldDenied = "policy.field_denied", 403;
    /// The model is not granted.
    PolicyModelDenied = "policy.model_denied", 403;
    /// No route leads to an upstream.
    PolicyNoRoute = "policy.no_route", 403;
    /// The route's class is not granted.
    PolicyRouteDenied = "policy.route_denied", 403;
    /// A route that no table lists.
    PolicyUnknownRoute = "policy.unknown_route", 403;
    /// Too much at once.
    RateLimitConcurrent = "ratelimit.concurrent", 429;
    /// Too many requests.
    RateLimitRequests = "ratelimit.requests", 429;
    /// Too many tokens.
    RateLimitTokens = "ratelimit.tokens", 429;
    /// Not a well-formed request.
    RequestMalformed = "request.malformed", 400;
    /// Larger than the gate's limits.
    RequestTooLarge = "request.too_large", 413;
    /// Not the media type or content encoding that the route takes.
    RequestUnsupportedMedia = "request.unsupported_media", 415;
    /// Malicious software among what an answer brings in.
    ScaMalicious = "sca.malicious", 502;
    /// Whether what an answer brings in is vulnerable cannot be told.
    ScaUnavailable = "sca.unavailable", 503;
    /// What an answer brings in is vulnerable.
    ScaVulnerable = "sca.vulnerable", 502;
    /// An answer that echoes another nonce.
    SchemaNonceMismatch = "schema.nonce_mismatch", 502;
    /// An answer that is no JSON.
    SchemaNotJson = "schema.not_json", 502;
    /// An answer to a nonce that was answered before.
    SchemaReplayed = "schema.replayed", 409;
    /// The request does not fit its schema.
    SchemaRequest = "schema.request", 422;
    /// An answer that does not fit its schema.
    SchemaResponse = "schema.response", 502;
    /// An answer to another task.
    SchemaTaskId = "schema.task_id", 502;
    /// An answer that is larger than may be.
    SchemaTooLarge = "schema.too_large", 502;
    /// A signature that does not hold.
    SignatureInvalid = "signature.invalid", 403;
    /// What stands where a signature belongs is none of the gate's form.
    SignatureMalformed = "signature.malformed", 401;
    /// No signature where one is asked for.
    SignatureMissing = "signature.missing", 401;
    /// A signature that was used before.
    SignatureReplayed = "signature.replayed", 409;
    /// A signature whose time is outside the window.
    SignatureStale = "signature.stale", 403;
    /// A shared store is away.
    StoreUnavailable = "store.unavailable", 503;
    /// The upstream answered what the gate cannot read.
    UpstreamInvalid = "upstream.invalid", 502;
    /// The upstream was too slow.
    UpstreamTimeout = "upstream.timeout", 504;
    /// The upstream cannot be reached.
    UpstreamUnavailable = "upstream.unavailable", 503;
    /// A checkpoint that contradicts what this gate countersigned of the log: smaller, or of the same size with
    /// another root.
    WitnessConflict = "witness.conflict", 409;
    /// The gate is witness to as many logs as it can be.
    WitnessFull = "witness.full", 503;
    /// A checkpoint that does not continue what this gate countersigned of the log.
    WitnessInconsistent = "witness.inconsistent", 422;
    /// The old size is not that of the checkpoint that this gate countersigned last.
    WitnessOldSize = "witness.old_size", 409;
    /// A checkpoint that its log did not sign.
    WitnessSignature = "witness.signature", 403;
    /// A log that is not the caller's own.
    WitnessUnknownLog = "witness.unknown_log", 404;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `<filter>.internal` for every filter there is, so that the label set stays closed.
fn internal(filter: &str) -> &'static str {
    match filter {
        "audit" => "audit.internal",
        "firewall" => "firewall.internal",
        "identity" => "identity.internal",
        "mcp" => "mcp.internal",
        "policy" => "policy.internal",
        "ratelimit" => "ratelimit.internal",
        "request" => "request.internal",
        "sca" => "sca.internal",
        "schema" => "schema.internal",
        "signature" => "signature.internal",
        "upstream" => "upstream.internal",
        "witness" => "witness.internal",
        "test_fault" => "test_fault.internal",
        _ => "gate.internal",
    }
}
