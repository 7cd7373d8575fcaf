//! The gate while it runs: what the admin listener, the signals and the timers act upon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::{Value, json};

use crate::audit_log::AuditLog;
use crate::audit_log::export::Exports;
use crate::certificates::{Certificates, Files, Loaded};
use crate::config::{self, Config};
use crate::decisions::Decisions;
use crate::generation::{Generation, Surroundings};
use crate::metrics::Metrics;
use crate::store::Stores;
use crate::trust::Trust;
use crate::witness::shelf::Unkept;
use crate::witnessed::Witnesses;

/// How often upstreams are asked whether they live.
const PROBE: Duration = Duration::from_secs(5);

/// Everything that one running gate consists of.
pub(crate) struct Running {
    pub(crate) current: Arc<ArcSwap<Generation>>,
    pub(crate) surroundings: Surroundings,
    pub(crate) audit: Arc<AuditLog>,
    pub(crate) exports: Arc<Exports>,
    pub(crate) witnesses: Arc<Witnesses>,
    pub(crate) unkept: Arc<Unkept>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) stores: Arc<Stores>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) listening: AtomicBool,
    pub(crate) began: Instant,
}

impl Running {
    /// Why the gate has not started; empty when it has. Does not look at the upstream: a sidecar that
    /// waits for the server it starts before would wait for ever.
    pub(crate) fn started(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.listening.load(Ordering::Acquire) {
            reasons.push("the gate does not listen yet".to_owned());
        }
        if let Some(why) = self.audit.trouble() {
            reasons.push(format!("the audit log cannot be written: {why}"));
        }
        reasons
    }

    /// Why the gate cannot serve; empty when it can.
    pub(crate) fn ready(&self) -> Vec<String> {
        let mut reasons = self.started();
        let generation = self.current.load();
        if generation.takes_signatures || self.stores.shared.is_some() {
            reasons.extend(self.stores.away());
        }
        let down: Vec<_> = generation.upstreams.iter().filter_map(|u| u.down_because().map(|why| (u, why))).collect();
        if down.len() == generation.upstreams.len() {
            reasons.extend(down.iter().map(|(u, why)| format!("upstream `{}`: {why}", u.name)));
        }
        reasons
    }

    /// The metrics as Prometheus reads them.
    pub(crate) fn exposition(&self) -> prometheus::Result<Vec<u8>> {
        self.audit.report(&self.metrics);
        self.exports.report(&self.metrics);
        self.metrics.advisories(self.surroundings.packages.imported().unwrap_or(0));
        for upstream in &self.current.load().upstreams {
            self.metrics.queue(&upstream.name, &upstream.queue.standing());
        }
        self.metrics.render()
    }

    pub(crate) fn status(&self) -> Value {
        let generation = self.current.load();
        let config = &generation.config;
        let upstreams: Vec<_> = generation
            .upstreams
            .iter()
            .map(|u| {
                let why = u.down_because();
                let queue = u.queue.standing();
                json!({
                    "waiting": queue.waiting, "busy": queue.busy, "slots": queue.total,
                    "name": &*u.name, "kind": u.kind.as_str(), "address": u.authority,
                    "up": why.is_none(), "why": why.as_deref(),
                })
            })
            .collect();
        let chain: Vec<_> = config.chain.iter().map(|link| json!({"filter": link.name, "mode": link.mode})).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "node": config.node.name,
            "config": config.file,
            "generation": generation.number,
            "uptime_s": self.began.elapsed().as_secs(),
            "gate": {"listen": config.gate.listen.to_string(), "tls": config.gate.tls.as_str()},
            "admin": {"listen": config.admin.listen.to_string()},
            "ready": self.ready().is_empty(),
            "reasons": self.ready(),
            "chain": chain,
            "upstreams": upstreams,
            "requests_in_flight": self.metrics.requests_in_flight.get(),
            "streams_active": self.metrics.streams_active.get(),
            "audit": self.audit_status(),
            "advisories": self.surroundings.packages.standing(config),
            "peers": self.trust.store().counts().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        })
    }

    pub(crate) fn audit_status(&self) -> Value {
        let mut status = self.audit.status_json();
        if let Some(status) = status.as_object_mut() {
            status.insert("export".to_owned(), self.exports.status());
            status.insert("witnesses".to_owned(), self.witnesses.status());
            status.insert("unkept_evidence".to_owned(), json!(self.unkept.logs()));
        }
        status
    }

    pub(crate) fn peers(&self) -> Value {
        serde_json::to_value(self.trust.store().list()).unwrap_or_default()
    }

    pub(crate) fn approve(&self, selector: &str) -> Result<Value, String> {
        let peer = self.trust.store().approve(selector, None, None).map_err(|e| e.to_string())?;
        serde_json::to_value(peer).map_err(|e| e.to_string())
    }

    pub(crate) fn revoke(&self, selector: &str) -> Result<Value, String> {
        let peer = self.trust.store().revoke(selector).map_err(|e| e.to_string())?;
        serde_json::to_value(peer).map_err(|e| e.to_string())
    }

    /// Builds the next generation from the files as they are now, and swaps it in; or leaves
    /// everything as it is. Returns the new generation's number.
    pub(crate) fn reload(&self) -> Result<u64, String> {
        let outcome = self.next_generation();
        self.metrics.reloaded(outcome.is_ok());
        match outcome {
            Ok((next, loaded)) => {
                let number = next.number;
                self.certificates.adopt(loaded);
                self.current.store(Arc::new(next));
                tracing::info!(generation = number, "The config was reloaded.");
                Ok(number)
            }
            Err(error) => {
                tracing::error!("The config was not reloaded, the running one stays in force: {error}");
                Err(error)
            }
        }
    }

    fn next_generation(&self) -> Result<(Generation, Loaded), String> {
        let running = self.current.load();
        let config = config::load(&running.config.file).map_err(|e| e.to_string())?;
        if let Some(key) = needs_restart(&running.config, &config) {
            return Err(format!("`{key}` was changed, which takes a restart"));
        }
        let loaded = Files::of(&config).load().map_err(|e| e.to_string())?;
        let next = Generation::build(running.number + 1, config, &self.surroundings).map_err(|e| format!("{e:#}"))?;
        Ok((next, loaded))
    }

    /// Asks every upstream whether it lives, for ever.
    pub(crate) async fn watch_upstreams(self: Arc<Self>) {
        loop {
            let generation = self.current.load_full();
            for upstream in &generation.upstreams {
                let up = upstream.probe().await;
                if up {
                    crate::slots::learn(upstream).await;
                }
                upstream.sweep();
                self.metrics.upstream_up(&upstream.name, up);
                let exposed = crate::exposure::beyond_loopback(upstream.port, generation.config.gate.listen.port());
                self.metrics.upstream_exposed(&upstream.name, upstream.is_local() && !exposed.is_empty());
            }
            let seen = generation.number;
            let until = tokio::time::Instant::now() + PROBE;
            // A new generation's upstreams are asked at once.
            while tokio::time::Instant::now() < until && self.current.load().number == seen {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// The first setting that was changed and cannot take effect while the gate runs.
fn needs_restart(old: &Config, new: &Config) -> Option<&'static str> {
    [
        (old.gate.listen != new.gate.listen, "gate.listen"),
        (old.gate.tls != new.gate.tls, "gate.tls"),
        (old.gate.threads != new.gate.threads, "gate.threads"),
        (old.admin.listen != new.admin.listen, "admin.listen"),
        (old.node.state != new.node.state, "node.state"),
        (old.node.name != new.node.name, "node.name"),
        (old.filters.audit != new.filters.audit, "filters.audit"),
        (old.filters.signature.store != new.filters.signature.store, "filters.signature.store"),
        (old.filters.ratelimit.store != new.filters.ratelimit.store, "filters.ratelimit.store"),
        (old.filters.grants != new.filters.grants, "filters.policy.grants"),
        (old.gate.limits.buffered_bytes != new.gate.limits.buffered_bytes, "gate.limits.buffered_bytes"),
    ]
    .into_iter()
    .find_map(|(changed, key)| changed.then_some(key))
}
