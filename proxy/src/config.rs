//! The config, as it is meant: checked whole, with every path absolute and every default filled in.
//!
//! How it is written is in `config/written.rs`; the way from there to here, with every mistake told at
//! once, is `config/load.rs`; what single values mean, `config/check.rs`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_filters::Mode;
use portcullis_policies::policy::Policy;
use portcullis_policies::{Diagnostic, RouteClass, UpstreamKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

mod audit;
mod check;
mod export;
mod firewall;
mod identity;
mod limits;
mod load;
mod places;
mod queue;
mod sca;
mod schema;
mod signature;
mod spiffe;
mod store;
mod units;
pub(crate) mod written;

pub(crate) use audit::{Addresses, AuditSettings, Digests, Fsync, WitnessSettings};
pub(crate) use export::{Bucket, Destination, ExportSettings, Format, Receiver};
pub(crate) use firewall::FirewallConfig;
pub(crate) use identity::{IdentitySettings, Issuer, KeySource};
pub(crate) use limits::RateLimits;
#[cfg(test)]
pub(crate) use load::KNOWN_FILTERS;
pub(crate) use load::{BUILT_IN, load};
pub(crate) use places::{Running, find, grants_are_local, state_of};
pub(crate) use queue::{QueueSettings, Slots};
pub(crate) use sca::{ApiConfig, ScaConfig, SourceWord};
pub(crate) use schema::SchemaConfig;
pub(crate) use signature::SignatureSettings;
pub(crate) use spiffe::Spiffe;
pub(crate) use store::{Counting, Granting, RedisSettings, Store};
pub(crate) use units::{duration, size, span};

/// A config that was checked.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) file: PathBuf,
    pub(crate) node: Node,
    pub(crate) gate: Gate,
    pub(crate) admin: Admin,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) routes: Vec<RouteRule>,
    pub(crate) chain: Vec<Link>,
    pub(crate) filters: Filters,
    pub(crate) policy: Arc<Policy>,
    /// Where the policy came from: a path, or a word for the built-in one.
    pub(crate) policy_source: String,
    pub(crate) watch: bool,
    /// What is legal but probably not meant.
    pub(crate) warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) state: PathBuf,
}

#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Tls,
    pub(crate) drain: Duration,
    pub(crate) limits: Limits,
    pub(crate) server_names: Vec<String>,
    pub(crate) client_ca: Vec<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// How long the server certificate holds that the gate renews itself.
    pub(crate) certificate_lifetime: Duration,
    pub(crate) threads: usize,
    pub(crate) filter_timeout: Duration,
}

/// Who must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    /// Both sides.
    #[default]
    Mutual,
    /// Nobody: plain HTTP. Only on loopback.
    Off,
    /// The gate alone.
    Server,
}

impl Tls {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Mutual => "mutual",
            Self::Off => "off",
            Self::Server => "server",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) header_bytes: usize,
    pub(crate) body_bytes: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) held_bytes: usize,
    pub(crate) buffered_bytes: usize,
    pub(crate) header_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) h2_streams: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) listen: SocketAddr,
}

#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `host:port`, for the `Host` header.
    pub(crate) addr_text: String,
    pub(crate) kind: UpstreamKind,
    pub(crate) connect_timeout: Duration,
    pub(crate) first_byte_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    /// Who waits for it, and how many it works for at once.
    pub(crate) queue: QueueSettings,
    pub(crate) api_key: Option<Secret>,
}

#[derive(Clone, Debug)]
pub(crate) struct RouteRule {
    /// Empty means every class.
    pub(crate) class: Vec<RouteClass>,
    /// A position in `upstreams`.
    pub(crate) to: usize,
}

/// A filter's place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
}

#[derive(Clone, Default)]
pub(crate) struct Filters {
    pub(crate) identity: IdentitySettings,
    pub(crate) signature: SignatureSettings,
    pub(crate) ratelimit: RateLimits,
    pub(crate) firewall: FirewallConfig,
    pub(crate) schema: SchemaConfig,
    pub(crate) sca: ScaConfig,
    pub(crate) audit: AuditSettings,
    /// Whose grants hold.
    pub(crate) grants: Granting,
}

/// What is shown in the place of a secret.
pub(crate) const HIDDEN: &str = "***";

/// A secret from the config, its environment or a file. Never printed.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        bool::from(subtle::ConstantTimeEq::ct_eq(self.0.as_bytes(), other.0.as_bytes()))
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Why a config is not one.
#[derive(Clone, Debug)]
pub(crate) struct ConfigError(pub(crate) Vec<Diagnostic>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, mistake) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
