//! What the gate counts, under the names that dashboards and alerts rely on.
//!
//! Every label comes from a closed set: route classes, filters, codes, configured names. Nothing a
//! client sends becomes a label. Sets that alerts watch start at 0, or the first event would be
//! missed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_filters::chain::Observer;
use portcullis_filters::{Code, Phase};
use portcullis_osv::Ecosystem;
use portcullis_policies::{DataLevel, RouteClass};
use prometheus::{
    Encoder as _, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::queue::Standing;
use crate::witness;

/// The filters that exist, for label sets that start at 0.
const FILTERS: [&str; 9] =
    ["audit", "firewall", "identity", "policy", "ratelimit", "sca", "schema", "signature", "test_fault"];

/// How bad a dependency is.
const SCA_SEVERITIES: [&str; 7] = ["critical", "high", "low", "malicious", "medium", "suspect", "unrated"];

/// The ecosystem and the severity of what nobody names before it is installed.
const UNNAMED: [&str; 2] = ["unnamed", "suspect"];

/// What the firewall does about a finding.
const ACTIONS: [&str; 3] = ["block", "flag", "redact"];

/// Seconds: from 10 µs, which a judgement takes, to 10 s.
const FINE: &[f64] =
    &[0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1.0, 10.0];
/// Seconds: from 1 ms to 15 minutes, which a cold load may take.
const COARSE: &[f64] =
    &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];

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
    firewall_findings: IntCounterVec,
    sca_findings: IntCounterVec,
    advisories_imported: IntGauge,
    /// The firewall's rules that have label sets, with their levels.
    firewall_rules: Mutex<HashSet<(String, DataLevel)>>,
    schema_repairs: IntCounterVec,
    responses: IntCounterVec,
    upstream_up: IntGaugeVec,
    upstream_exposed: IntGaugeVec,
    upstream_duration: HistogramVec,
    queue_depth: IntGaugeVec,
    queue_wait: HistogramVec,
    slots: IntGaugeVec,
    store_up: IntGaugeVec,
    store_duration: HistogramVec,
    first_token: HistogramVec,
    per_token: HistogramVec,
    tokens: IntCounterVec,
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
    audit_export_lines: IntCounterVec,
    audit_export_failures: IntCounterVec,
    audit_export_gaps: IntCounterVec,
    audit_export_behind: IntGaugeVec,
    pub(crate) audit_entries: IntCounter,
    pub(crate) audit_failures: IntCounter,
    pub(crate) audit_write: Histogram,
    pub(crate) audit_chain_ok: IntGauge,
    pub(crate) audit_sequence: Gauge,
    pub(crate) audit_witnessed: IntGauge,
    pub(crate) audit_witness_conflicts: IntCounter,
    witness_requests: IntCounterVec,
    pub(crate) replays: IntCounter,
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
            firewall_findings: counters(
                r,
                "portcullis_firewall_findings_total",
                "What the firewall found.",
                &["rule", "level", "action"],
            )?,
            firewall_rules: Mutex::default(),
            advisories_imported: int_gauge(
                r,
                "portcullis_advisories_imported_timestamp_seconds",
                "When advisories were imported; 0 where there are none that can be used.",
            )?,
            sca_findings: counters(
                r,
                "portcullis_sca_findings_total",
                "What speaks against dependencies that answers bring in.",
                &["ecosystem", "severity"],
            )?,
            schema_repairs: counters(
                r,
                "portcullis_schema_repairs_total",
                "Times that an upstream was asked once more, by whether its answer fits then.",
                &["outcome"],
            )?,
            responses: counters(
                r,
                "portcullis_responses_total",
                "Answers, by class of status.",
                &["class", "code_class"],
            )?,
            upstream_up: int_gauges(r, "portcullis_upstream_up", "Whether the upstream answers.", &["upstream"])?,
            upstream_exposed: int_gauges(
                r,
                "portcullis_upstream_exposed",
                "Whether the upstream was found reachable past the gate.",
                &["upstream"],
            )?,
            upstream_duration: histograms(
                r,
                "portcullis_upstream_duration_seconds",
                "From the request sent to the answer's end.",
                COARSE,
                &["upstream"],
            )?,
            queue_depth: int_gauges(
                r,
                "portcullis_queue_depth",
                "Requests that wait for a slot of the upstream.",
                &["upstream"],
            )?,
            queue_wait: histograms(
                r,
                "portcullis_queue_wait_seconds",
                "Time that a request waited for a slot.",
                COARSE,
                &["upstream"],
            )?,
            slots: int_gauges(
                r,
                "portcullis_slots",
                "Slots of the upstream: busy with requests of this gate, and in all (0: not known).",
                &["upstream", "state"],
            )?,
            store_up: int_gauges(r, "portcullis_store_up", "Whether the store answers.", &["store"])?,
            store_duration: histograms(
                r,
                "portcullis_store_duration_seconds",
                "Time that the store took for one question.",
                FINE,
                &["store"],
            )?,
            first_token: histograms(
                r,
                "portcullis_time_to_first_token_seconds",
                "From the request sent to the first frame.",
                COARSE,
                &["upstream"],
            )?,
            per_token: histograms(
                r,
                "portcullis_time_per_output_token_seconds",
                "Time per token after the first.",
                COARSE,
                &["upstream"],
            )?,
            tokens: counters(
                r,
                "portcullis_tokens_total",
                "Tokens, as the upstream counts them.",
                &["upstream", "model", "direction"],
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
            audit_export_lines: counters(
                r,
                "portcullis_audit_export_lines_total",
                "Entries that were passed on and arrived.",
                &["sink"],
            )?,
            audit_export_failures: counters(
                r,
                "portcullis_audit_export_failures_total",
                "Attempts to pass entries on that failed.",
                &["sink"],
            )?,
            audit_export_gaps: counters(
                r,
                "portcullis_audit_export_gaps_total",
                "Times that what was to be passed on next was not in the log any more.",
                &["sink"],
            )?,
            audit_export_behind: int_gauges(
                r,
                "portcullis_audit_export_behind",
                "Entries that were not passed on yet.",
                &["sink"],
            )?,
            audit_entries: counter(r, "portcullis_audit_entries_total", "Entries written to the audit log.")?,
            audit_failures: counter(r, "portcullis_audit_failures_total", "Entries that could not be written.")?,
            audit_write: histogram(
                r,
                "portcullis_audit_write_seconds",
                "Time to write the entries that came together.",
                FINE,
            )?,
            audit_chain_ok: int_gauge(
                r,
                "portcullis_audit_chain_ok",
                "Whether the chain held when it was last checked.",
            )?,
            clock_steps: counters(
                r,
                "portcullis_clock_steps_total",
                "Times that the machine's clock was set by more than a second.",
                &["direction"],
            )?,
            replay_nonces: int_gauge(r, "portcullis_replay_nonces", "Used nonces that are remembered.")?,
            replays: counter(r, "portcullis_replays_total", "Requests refused as replays.")?,
            audit_sequence: gauge(r, "portcullis_audit_sequence", "Sequence number of the newest entry.")?,
            audit_witnessed: int_gauge(
                r,
                "portcullis_audit_witnessed",
                "Entries under a checkpoint that a witness countersigned.",
            )?,
            audit_witness_conflicts: counter(
                r,
                "portcullis_audit_witness_conflicts_total",
                "Times that a witness had seen another log than this one.",
            )?,
            witness_requests: counters(
                r,
                "portcullis_witness_requests_total",
                "Checkpoints of other nodes' logs that were to be countersigned.",
                &["result"],
            )?,
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
        for (ecosystem, severity) in Ecosystem::ALL.iter().flat_map(|e| SCA_SEVERITIES.map(|s| (e, s))) {
            self.sca_findings.with_label_values(&[ecosystem.as_str(), severity]);
        }
        self.sca_findings.with_label_values(&UNNAMED);
        for outcome in ["fails", "fits"] {
            self.schema_repairs.with_label_values(&[outcome]);
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
        for result in witness::RESULTS {
            self.witness_requests.with_label_values(&[result]);
        }
        self.connections.with_label_values(&[LISTENER]);
        self.last_reload_successful.set(1);
        self.audit_chain_ok.set(1);
    }

    /// Gives an upstream its label sets.
    pub(crate) fn know_upstream(&self, upstream: &str) {
        self.upstream_up.with_label_values(&[upstream]);
        self.upstream_exposed.with_label_values(&[upstream]);
        self.upstream_duration.with_label_values(&[upstream]);
        self.queue_depth.with_label_values(&[upstream]);
        self.queue_wait.with_label_values(&[upstream]);
        for state in ["busy", "total"] {
            self.slots.with_label_values(&[upstream, state]);
        }
        self.first_token.with_label_values(&[upstream]);
        self.per_token.with_label_values(&[upstream]);
        for direction in ["input", "output"] {
            self.tokens.with_label_values(&[upstream, "other", direction]);
        }
    }

    /// Gives the firewall's rules in force their label sets, and takes those of others away: reloads must not
    /// add up.
    pub(crate) fn know_rules<'r>(&self, rules: impl Iterator<Item = (&'r str, DataLevel)>) {
        let new: HashSet<_> = rules.map(|(rule, level)| (rule.to_owned(), level)).collect();
        let mut known = self.firewall_rules.lock().unwrap_or_else(PoisonError::into_inner);
        for action in ACTIONS {
            for (rule, level) in known.difference(&new) {
                let _ = self.firewall_findings.remove_label_values(&[rule, level.as_str(), action]);
            }
            for (rule, level) in &new {
                self.firewall_findings.with_label_values(&[rule, level.as_str(), action]);
            }
        }
        *known = new;
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

    pub(crate) fn witness_request(&self, result: &'static str) {
        self.witness_requests.with_label_values(&[result]).inc();
    }

    pub(crate) fn overhead_request(&self, took: Duration) {
        let [request, _] = &self.overhead;
        request.observe(took.as_secs_f64());
    }

    pub(crate) fn overhead_response(&self, took: Duration) {
        let [_, response] = &self.overhead;
        response.observe(took.as_secs_f64());
    }

    pub(crate) fn upstream_answered(&self, upstream: &str, took: Duration) {
        self.upstream_duration.with_label_values(&[upstream]).observe(took.as_secs_f64());
    }

    pub(crate) fn queue_waited(&self, upstream: &str, wait: Duration) {
        self.queue_wait.with_label_values(&[upstream]).observe(wait.as_secs_f64());
    }

    pub(crate) fn queue(&self, upstream: &str, standing: &Standing) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.queue_depth.with_label_values(&[upstream]).set(number(standing.waiting));
        self.slots.with_label_values(&[upstream, "busy"]).set(number(standing.busy));
        self.slots.with_label_values(&[upstream, "total"]).set(number(standing.total.unwrap_or_default()));
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

    pub(crate) fn first_token(&self, upstream: &str, after: Duration) {
        self.first_token.with_label_values(&[upstream]).observe(after.as_secs_f64());
    }

    pub(crate) fn per_token(&self, upstream: &str, each: Duration) {
        self.per_token.with_label_values(&[upstream]).observe(each.as_secs_f64());
    }

    pub(crate) fn tokens(&self, upstream: &str, model: &str, input: u64, output: u64) {
        self.tokens.with_label_values(&[upstream, model, "input"]).inc_by(input);
        self.tokens.with_label_values(&[upstream, model, "output"]).inc_by(output);
    }

    pub(crate) fn upstream_up(&self, upstream: &str, up: bool) {
        self.upstream_up.with_label_values(&[upstream]).set(i64::from(up));
    }

    pub(crate) fn upstream_exposed(&self, upstream: &str, exposed: bool) {
        self.upstream_exposed.with_label_values(&[upstream]).set(i64::from(exposed));
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

    /// Gives a sink of the audit log its label sets.
    pub(crate) fn know_export(&self, sink: &str) {
        self.audit_export_lines.with_label_values(&[sink]);
        self.audit_export_failures.with_label_values(&[sink]);
        self.audit_export_gaps.with_label_values(&[sink]);
        self.audit_export_behind.with_label_values(&[sink]);
    }

    pub(crate) fn export_lines(&self, sink: &str, lines: u64) {
        self.audit_export_lines.with_label_values(&[sink]).inc_by(lines);
    }

    pub(crate) fn export_failed(&self, sink: &str) {
        self.audit_export_failures.with_label_values(&[sink]).inc();
    }

    pub(crate) fn export_gaps(&self, sink: &str, gaps: u64) {
        self.audit_export_gaps.with_label_values(&[sink]).inc_by(gaps);
    }

    pub(crate) fn export_behind(&self, sink: &str, entries: u64) {
        self.audit_export_behind.with_label_values(&[sink]).set(i64::try_from(entries).unwrap_or(i64::MAX));
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

fn counters(r: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    let made = IntCounterVec::new(Opts::new(name, help), labels)?;
    r.register(Box::new(made.clone()))?;
    Ok(made)
}

fn counter(r: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    let made = IntCounter::new(name, help)?;
    r.register(Box::new(made.clone()))?;
    Ok(made)
}

fn int_gauges(r: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    let made = IntGaugeVec::new(Opts::new(name, help), labels)?;
    r.register(Box::new(made.clone()))?;
    Ok(made)
}

fn int_gauge(r: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let made = IntGauge::new(name, help)?;
    r.register(Box::new(made.clone()))?;
    Ok(made)
}

fn gauge(r: &Registry, name: &str, help: &str) -> prometheus::Result<Gauge> {
    let made = Gauge::new(name, help)?;
    r.register(Box::new(made.clone()))?;
    Ok(made)
}

fn histograms(
    r: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
    labels: &[&str],
) -> prometheus::Result<HistogramVec> {
    let made = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
    r.register(Box::new(made.clone()))?;
    Ok(made)
}

fn histogram(r: &Registry, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
    let made = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
    r.register(Box::new(made.clone()))?;
    Ok(made)
}

impl Metrics {
    /// An upstream was asked once more, and its answer fits now or not.
    pub(crate) fn repaired(&self, fits: bool) {
        self.schema_repairs.with_label_values(&[if fits { "fits" } else { "fails" }]).inc();
    }

    /// When advisories were imported, in Unix seconds.
    pub(crate) fn advisories(&self, imported: i64) {
        self.advisories_imported.set(imported);
    }
}

impl portcullis_filters::sca::ScaObserver for Metrics {
    fn found(&self, ecosystem: Ecosystem, severity: &'static str) {
        self.sca_findings.with_label_values(&[ecosystem.as_str(), severity]).inc();
    }

    fn unnamed(&self) {
        self.sca_findings.with_label_values(&UNNAMED).inc();
    }
}

impl portcullis_filters::firewall::FindingObserver for Metrics {
    fn found(&self, rule: &str, level: DataLevel, action: &'static str) {
        self.firewall_findings.with_label_values(&[rule, level.as_str(), action]).inc();
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

    #[test]
    fn what_only_a_run_will_name_is_counted() {
        let metrics = Metrics::new().unwrap();
        let line = |count: u32| {
            format!("portcullis_sca_findings_total{{ecosystem=\"unnamed\",severity=\"suspect\"}} {count}\n")
        };
        let shown = || String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(shown().contains(&line(0)), "{}", shown());
        portcullis_filters::sca::ScaObserver::unnamed(&*metrics);
        assert!(shown().contains(&line(1)), "{}", shown());
    }
}
