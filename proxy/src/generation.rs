//! One immutable set of config, chain, routes and upstreams: built whole or not at all.
//!
//! A reload builds the next generation beside the running one and swaps it in; an exchange keeps the
//! one it began with.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderValue;
use portcullis_filters::chain::{Chain, Member, Observer};
use portcullis_filters::firewall::Fingerprints;
use portcullis_filters::identity::TrustView;
use portcullis_filters::ratelimit::Counters;
use portcullis_filters::signature::Verifier;
use portcullis_filters::store::{Nonces, WallClock};
use portcullis_filters::{Filter, Mode};
use portcullis_policies::routes::{self, RouteTable};
use portcullis_policies::{Rate, RouteClass};

pub(crate) use crate::config::Limits;
use crate::config::{self, Config};
use crate::grants::GrantBook;
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::packages::Packages;
use crate::queue::Queues;
use crate::rulebook::RuleBook;
use crate::upstream::Upstream;

/// What every exchange of one config shares.
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) limits: Limits,
    /// The same for routes that the gate answers itself, whose bodies are small.
    pub(crate) own_limits: Limits,
    pub(crate) hosts: Hosts,
    pub(crate) ways: Vec<Way>,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) chain: Arc<Chain>,
    /// Whether anything in the chain looks at signatures.
    pub(crate) takes_signatures: bool,
    /// Refusals for want of an identity, for each address, that have an audit entry of their own.
    pub(crate) strangers: Option<Rate>,
    /// This node's id, as answers carry it.
    pub(crate) node: HeaderValue,
    /// Models that may be a metric's label.
    labels: HashSet<String>,
}

/// A route rule: which classes of which table go to which upstream.
pub(crate) struct Way {
    /// Empty means every class.
    pub(crate) class: Vec<RouteClass>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) table: Arc<RouteTable>,
}

/// What the filters need from the world.
pub(crate) struct Surroundings {
    /// This node's id, as answers carry it.
    pub(crate) node: HeaderValue,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) trust: Arc<dyn TrustView>,
    pub(crate) keyring: Keyring,
    pub(crate) grants: Arc<GrantBook>,
    pub(crate) audit: Arc<dyn portcullis_filters::audit::AuditSink>,
    pub(crate) findings: Arc<dyn portcullis_filters::firewall::FindingObserver>,
    /// What findings are told apart by.
    pub(crate) fingerprints: Fingerprints,
    /// The firewall's rules. They outlive a reload that does not change them.
    pub(crate) rules: RuleBook,
    /// What is known of packages. It outlives a reload.
    pub(crate) packages: Packages,
    /// The schemas that requests brought, compiled.
    pub(crate) schemas: Arc<portcullis_filters::schema::Kept>,
    /// Which nonces were answered.
    pub(crate) answered: Arc<portcullis_filters::schema::Answered>,
    /// What was used so far. It outlives a reload, as the queues do.
    pub(crate) counters: Arc<dyn Counters>,
    /// Which signatures were used.
    pub(crate) nonces: Arc<dyn Nonces>,
    pub(crate) clock: Arc<dyn WallClock>,
    pub(crate) queues: Queues,
}

impl Generation {
    pub(crate) fn build(number: u64, config: Config, around: &Surroundings) -> anyhow::Result<Self> {
        let config = Arc::new(config);
        let made = |u: &config::Upstream| Upstream::new(u, config.gate.threads, around.queues.of(&u.name));
        let upstreams: Vec<_> = config.upstreams.iter().map(|u| Arc::new(made(u))).collect();
        for upstream in &upstreams {
            around.metrics.know_upstream(&upstream.name);
        }
        let mut ways = Vec::new();
        for rule in &config.routes {
            let upstream = upstreams
                .get(rule.to)
                .ok_or_else(|| anyhow::anyhow!("a route leads to an upstream that does not exist"))?;
            ways.push(Way {
                class: rule.class.clone(),
                upstream: Arc::clone(upstream),
                table: Arc::clone(routes::builtin(upstream.kind)),
            });
        }
        let node = around.node.to_str().unwrap_or_default().to_owned();
        let verifier = Verifier::new(config.filters.signature.filter.clone(), node, Arc::clone(&around.clock));
        let verifier = Arc::new(verifier);
        let mut members = Vec::new();
        for link in config.chain.iter().filter(|link| link.mode != Mode::Off) {
            members.push(Member { filter: make(link.name, &config, around, &verifier)?, mode: link.mode });
        }
        let observer: Arc<dyn Observer> = Arc::clone(&around.metrics) as _;
        let chain = Chain::new(members, config.gate.filter_timeout, observer)?;
        let limits = config.chain.iter().any(|link| link.name == "ratelimit" && link.mode == Mode::Enforce);
        // Last: a config that cannot be built changes nothing of what is in force.
        if chain.names().contains(&"firewall") {
            let rules = around.rules.rules(&config.filters.firewall)?;
            around.metrics.know_rules(rules.iter().map(|rule| (&*rule.id, rule.level)));
        }
        for (upstream, meant) in upstreams.iter().zip(&config.upstreams) {
            upstream.queue.set(meant.queue);
        }
        Ok(Self {
            number,
            limits: config.gate.limits.clone(),
            own_limits: Limits {
                body_bytes: config.gate.limits.body_bytes.min(portcullis_audit::MAX_SUBMISSION),
                ..config.gate.limits.clone()
            },
            hosts: Hosts::new(&config),
            ways,
            upstreams,
            takes_signatures: chain.names().contains(&"signature"),
            chain: Arc::new(chain),
            strangers: config.filters.ratelimit.strangers.filter(|_| limits),
            node: around.node.clone(),
            labels: config.policy.literal_models().into_iter().take(64).collect(),
            config,
        })
    }

    /// The label under which a model is counted: its name when the policy spells it out.
    pub(crate) fn model_label<'m>(&self, model: &'m str) -> &'m str {
        if self.labels.contains(model) { model } else { "other" }
    }
}

/// The one list of filters: name to filter.
fn make(
    name: &str,
    config: &Config,
    around: &Surroundings,
    verifier: &Arc<Verifier>,
) -> anyhow::Result<Arc<dyn Filter>> {
    use portcullis_filters::{audit, firewall, identity, policy, ratelimit, sca, schema, signature};
    Ok(match name {
        "identity" => {
            let meant = &config.filters.identity;
            let settings = identity::IdentitySettings { accept: meant.accept.clone(), trust: meant.trust };
            let keyring = Arc::new(around.keyring.with_issuers(&meant.issuers));
            let filter = identity::IdentityFilter::new(settings, Arc::clone(&around.trust), keyring);
            Arc::new(filter.with_signatures(Arc::clone(verifier)))
        }
        "signature" => {
            let require = config.filters.signature.require;
            Arc::new(signature::SignatureFilter::new(require, Arc::clone(verifier), Arc::clone(&around.nonces)))
        }
        "ratelimit" => {
            Arc::new(ratelimit::RateLimit::new(config.filters.ratelimit.filter, Arc::clone(&around.counters)))
        }
        "policy" => Arc::new(policy::PolicyFilter::new(Arc::clone(&config.policy), Arc::clone(&around.grants) as _)),
        "firewall" => {
            let settings = config.filters.firewall.settings.clone();
            let rules = around.rules.rules(&config.filters.firewall)?;
            let (prints, observer) = (around.fingerprints.clone(), Arc::clone(&around.findings));
            Arc::new(firewall::Firewall::new(settings, rules, prints, observer)?)
        }
        "schema" => {
            let (kept, answered) = (Arc::clone(&around.schemas), Arc::clone(&around.answered));
            Arc::new(schema::SchemaFilter::new(config.filters.schema.settings.clone(), kept, answered))
        }
        "sca" => {
            let meant = &config.filters.sca;
            let advisories = around.packages.source(meant)?;
            Arc::new(sca::Sca::new(meant.settings, advisories, Arc::clone(&around.metrics) as _))
        }
        "audit" => Arc::new(audit::AuditFilter::new(Arc::clone(&around.audit))),
        #[cfg(debug_assertions)]
        "test_fault" => Arc::new(crate::test_fault::TestFault),
        other => anyhow::bail!("`{other}` is not a filter of this build"),
    })
}

/// The names under which this gate may be addressed: a page that rebinds its name to this machine
/// is not among them.
pub(crate) struct Hosts {
    names: HashSet<String>,
    listen: SocketAddr,
}

impl Hosts {
    fn new(config: &Config) -> Self {
        let mut names: HashSet<String> = config.gate.server_names.iter().map(|n| n.to_ascii_lowercase()).collect();
        names.insert("localhost".to_owned());
        names.insert(config.node.name.to_ascii_lowercase());
        Self { names, listen: config.gate.listen }
    }

    /// Whether a `Host` or `:authority` is one of them. The port is not looked at: it may be mapped.
    pub(crate) fn allow(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else { return false };
        if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return self.listen.ip().is_unspecified() || address == self.listen.ip() || self.names.contains(name);
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        self.names.contains(&name.to_ascii_lowercase())
    }
}

/// The name in a `host[:port]`; `None` when it is not one.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let fine = !name.is_empty()
        && port.is_none_or(|p| !p.is_empty() && p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()))
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    fine.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str) -> Hosts {
        Hosts { names: ["localhost", "gpu-box"].map(str::to_owned).into(), listen: listen.parse().unwrap() }
    }

    #[test]
    fn knows_its_own_names_only() {
        let any = hosts("0.0.0.0:8443");
        for host in ["localhost", "LOCALHOST:8443", "gpu-box.:1", "127.0.0.1:8443", "[::1]:8443", "192.0.2.7"] {
            assert!(any.allow(host), "{host}");
        }
        for host in ["", "evil.example", "localhost:", "localhost:x", "localhost@evil", "a/b", "gpu-box:1:2"] {
            assert!(!any.allow(host), "{host}");
        }
        let one = hosts("127.0.0.1:8443");
        assert!(one.allow("127.0.0.1:8443"));
        assert!(!one.allow("192.0.2.7:8443"));
    }
}
