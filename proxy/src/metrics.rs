//! What the gate counts, under the names that dashboards and alerts rely on.
//!
//! Every label comes from a closed set: route classes, filters, codes, configured names. Nothing a
//! client sends becomes a label. Sets that alerts watch start at 0, or the first event would be
//! missed.

use std::sync::Arc;
use std::time::Duration;

use portcullis_filters::chain::Observer;
use portcullis_filters::{Code, Phase};
use portcullis_policies::RouteClass;
use prometheus::{
    Encoder as _, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};

mod audit;
mod findings;
mod series;
mod upstreams;

use audit::Audit;
use findings::Findings;
use series::{COARSE, FINE, counter, counters, histograms, int_gauge, int_gauges};
use upstreams::Upstreams;

/// The filters that exist, for label sets that start at 0.
const FILTERS: [&str; 9] =
    ["audit", "firewall", "identity", "policy", "ratelimit", "sca", "schema", "signature", "test_fault"];

/// All counters of one process.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    shadow_refusals: IntCounterVec,
    request_duration: HistogramVec,
    overhead: [Histogram; 2],
    /// By filter, then by phase.
    filter_duration: Vec<(&'static str, [Histogram; 4])>,
    filter_panics: IntCounterVec,
    responses: IntCounterVec,
    store_up: IntGaugeVec,
    store_duration: HistogramVec,
    handshakes: IntCounterVec,
    connections: IntGaugeVec,
    peers: IntGaugeVec,
    certificate_expiry: IntGaugeVec,
    reloads: IntCounterVec,
    pub(crate) requests_in_flight: IntGauge,
    pub(crate) streams_active: IntGauge,
    pub(crate) last_reload_successful: IntGauge,
    clock_steps: IntCounterVec,
    pub(crate) replay_nonces: IntGauge,
    pub(crate) replays: IntCounter,
    pub(crate) audit: Audit,
    findings: Findings,
    upstreams: Upstreams,
}

/// What one finished request adds to the counters.
pub(crate) struct Finished {
    pub(crate) class: &'static str,
    pub(crate) blocked: bool,
    pub(crate) filter: &'static str,
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

/// The code of a request that came a second time.
const REPLAYED: &str = "signature.replayed";
/// The one listener that serves the gate.
pub(crate) const LISTENER: &str = "gate";

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Arc<Self>> {
        let registry = Registry::new();
        let r = &registry;
        let filter_duration = histograms(
            r,
            "portcullis_filter_duration_seconds",
            "Time a filter took for one call.",
            FINE,
            &["filter", "phase"],
        )?;
        let by_filter = FILTERS
            .iter()
            .map(|filter| {
                let of = |phase: Phase| filter_duration.with_label_values(&[*filter, phase.as_str()]);
                (*filter, [of(Phase::Head), of(Phase::Body), of(Phase::Account), of(Phase::Reply)])
            })
            .collect();
        let overhead =
            histograms(r, "portcullis_overhead_seconds", "Time spent in the gate itself.", FINE, &["phase"])?;
        let build = int_gauges(r, "portcullis_build_info", "The version that runs.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            requests: counters(
                r,
                "portcullis_requests_total",
                "Requests, by what was decided.",
                &["listener", "class", "decision", "filter", "code"],
            )?,
            shadow_refusals: counters(
                r,
                "portcullis_shadow_refusals_total",
                "Refusals that were not obeyed, because the filter or the rule is in shadow mode.",
                &["filter", "code"],
            )?,
            request_duration: histograms(
                r,
                "portcullis_request_duration_seconds",
                "From the request's head to the answer's end.",
                COARSE,
                &["listener", "class"],
            )?,
            overhead: [overhead.with_label_values(&["request"]), overhead.with_label_values(&["response"])],
            filter_duration: by_filter,
            filter_panics: counters(r, "portcullis_filter_panics_total", "Panics that became refusals.", &["filter"])?,
            responses: counters(
                r,
                "portcullis_responses_total",
                "Answers, by class of status.",
                &["class", "code_class"],
            )?,
            store_up: int_gauges(r, "portcullis_store_up", "Whether the store answers.", &["store"])?,
            store_duration: histograms(
                r,
                "portcullis_store_duration_seconds",
                "Time that the store took for one question.",
                FINE,
                &["store"],
            )?,
            handshakes: counters(r, "portcullis_handshakes_total", "TLS handshakes.", &["listener", "result"])?,
            connections: int_gauges(r, "portcullis_connections_active", "Open connections.", &["listener"])?,
            peers: int_gauges(r, "portcullis_peers", "Callers in the trust store.", &["state"])?,
            certificate_expiry: int_gauges(
                r,
                "portcullis_certificate_expiry_timestamp_seconds",
                "When a certificate ends.",
                &["name"],
            )?,
            reloads: counters(r, "portcullis_config_reloads_total", "Attempts to load a changed config.", &["result"])?,
            requests_in_flight: int_gauge(r, "portcullis_requests_in_flight", "Requests being handled.")?,
            streams_active: int_gauge(r, "portcullis_streams_active", "Answers being streamed.")?,
            last_reload_successful: int_gauge(
                r,
                "portcullis_config_last_reload_successful",
                "Whether the last reload took effect.",
            )?,
            clock_steps: counters(
                r,
                "portcullis_clock_steps_total",
                "Times that the machine's clock was set by more than a second.",
                &["direction"],
            )?,
            replay_nonces: int_gauge(r, "portcullis_replay_nonces", "Used nonces that are remembered.")?,
            replays: counter(r, "portcullis_replays_total", "Requests refused as replays.")?,
            audit: Audit::new(r)?,
            findings: Findings::new(r)?,
            upstreams: Upstreams::new(r)?,
            registry: registry.clone(),
        };
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        metrics.start_at_zero();
        Ok(Arc::new(metrics))
    }

    /// Gives every label set that an alert watches its 0.
    fn start_at_zero(&self) {
        for class in RouteClass::ALL.iter().map(|c| c.as_str()).chain(["unknown"]) {
            self.requests.with_label_values(&[LISTENER, class, "allow", "", ""]);
            for code in Code::ALL {
                let filter = code.as_str().split('.').next().unwrap_or_default();
                self.requests.with_label_values(&[LISTENER, class, "block", filter, code.as_str()]);
            }
            for code_class in ["2xx", "4xx", "5xx"] {
                self.responses.with_label_values(&[class, code_class]);
            }
            self.request_duration.with_label_values(&[LISTENER, class]);
        }
        for code in Code::ALL {
            let filter = code.as_str().split('.').next().unwrap_or_default();
            if FILTERS.contains(&filter) {
                self.shadow_refusals.with_label_values(&[filter, code.as_str()]);
            }
        }
        for filter in FILTERS {
            self.filter_panics.with_label_values(&[filter]);
        }
        for result in ["error", "ok", "refused", "timeout"] {
            self.handshakes.with_label_values(&[LISTENER, result]);
        }
        for state in ["approved", "blocked", "pending", "revoked"] {
            self.peers.with_label_values(&[state]);
        }
        for result in ["failure", "success"] {
            self.reloads.with_label_values(&[result]);
        }
        for direction in ["backward", "forward"] {
            self.clock_steps.with_label_values(&[direction]);
        }
        self.connections.with_label_values(&[LISTENER]);
        self.last_reload_successful.set(1);
        self.audit.start_at_zero();
        self.findings.start_at_zero();
    }

    pub(crate) fn finished(&self, f: &Finished) {
        let decision = if f.blocked { "block" } else { "allow" };
        self.requests.with_label_values(&[LISTENER, f.class, decision, f.filter, f.code]).inc();
        self.request_duration.with_label_values(&[LISTENER, f.class]).observe(f.took.as_secs_f64());
        let code_class = match f.status {
            200..300 => "2xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.responses.with_label_values(&[f.class, code_class]).inc();
        if f.code == REPLAYED {
            self.replays.inc();
        }
    }

    pub(crate) fn overhead_request(&self, took: Duration) {
        let [request, _] = &self.overhead;
        request.observe(took.as_secs_f64());
    }

    pub(crate) fn overhead_response(&self, took: Duration) {
        let [_, response] = &self.overhead;
        response.observe(took.as_secs_f64());
    }

    /// Gives a store its label sets; it is away until it answers.
    pub(crate) fn know_store(&self, store: &str) {
        self.store_up.with_label_values(&[store]);
        self.store_duration.with_label_values(&[store]);
    }

    pub(crate) fn store_up(&self, store: &str, up: bool) {
        self.store_up.with_label_values(&[store]).set(i64::from(up));
    }

    pub(crate) fn store_asked(&self, store: &str, took: Duration) {
        self.store_duration.with_label_values(&[store]).observe(took.as_secs_f64());
    }

    pub(crate) fn handshake(&self, result: &'static str) {
        self.handshakes.with_label_values(&[LISTENER, result]).inc();
    }

    pub(crate) fn connection(&self) -> IntGauge {
        self.connections.with_label_values(&[LISTENER])
    }

    pub(crate) fn peers(&self, state: &str, count: usize) {
        self.peers.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn certificate(&self, name: &str, not_after: i64) {
        self.certificate_expiry.with_label_values(&[name]).set(not_after);
    }

    pub(crate) fn clock_stepped(&self, forward: bool) {
        self.clock_steps.with_label_values(&[if forward { "forward" } else { "backward" }]).inc();
    }

    pub(crate) fn reloaded(&self, ok: bool) {
        self.reloads.with_label_values(&[if ok { "success" } else { "failure" }]).inc();
        self.last_reload_successful.set(i64::from(ok));
    }

    /// The exposition, in Prometheus's text format.
    pub(crate) fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(64 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Observer for Metrics {
    fn ran(&self, filter: &'static str, phase: Phase, took: Duration) {
        let Some((_, [head, body, account, reply])) = self.filter_duration.iter().find(|(name, _)| *name == filter)
        else {
            return;
        };
        let histogram = match phase {
            Phase::Head => head,
            Phase::Body => body,
            Phase::Account => account,
            Phase::Reply => reply,
        };
        histogram.observe(took.as_secs_f64());
    }

    fn panicked(&self, filter: &'static str) {
        self.filter_panics.with_label_values(&[filter]).inc();
    }

    fn shadowed(&self, filter: &'static str, code: Code) {
        self.shadow_refusals.with_label_values(&[filter, code.as_str()]).inc();
        tracing::info!(filter, code = code.as_str(), "A filter in shadow mode would have refused.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shadow_would_have_refused_has_a_counter_that_starts_at_0() {
        let metrics = Metrics::new().unwrap();
        let line = |count: u32| {
            format!("portcullis_shadow_refusals_total{{code=\"schema.response\",filter=\"schema\"}} {count}\n")
        };
        let shown = || String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(shown().contains(&line(0)), "{}", shown());
        metrics.shadowed("schema", Code::SchemaResponse);
        assert!(shown().contains(&line(1)), "{}", shown());
    }
}
