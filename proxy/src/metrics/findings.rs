//! What the filters that look into texts find, and what becomes of it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use portcullis_filters::firewall::FindingObserver;
use portcullis_filters::sca::ScaObserver;
use portcullis_osv::Ecosystem;
use portcullis_policies::DataLevel;
use prometheus::{IntCounterVec, IntGauge, Registry};

use super::Metrics;
use super::series::{counters, int_gauge};

/// How bad a dependency is.
const SCA_SEVERITIES: [&str; 7] = ["critical", "high", "low", "malicious", "medium", "suspect", "unrated"];

/// The ecosystem and the severity of what nobody names before it is installed.
const UNNAMED: [&str; 2] = ["unnamed", "suspect"];

/// What the firewall does about a finding.
const ACTIONS: [&str; 3] = ["block", "flag", "redact"];

/// The series of the firewall, of dependencies, and of answers that must fit a schema.
pub(super) struct Findings {
    firewall_findings: IntCounterVec,
    /// The firewall's rules that have label sets, with their levels.
    firewall_rules: Mutex<HashSet<(String, DataLevel)>>,
    sca_findings: IntCounterVec,
    advisories_imported: IntGauge,
    schema_repairs: IntCounterVec,
}

impl Findings {
    pub(super) fn new(r: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            firewall_findings: counters(
                r,
                "portcullis_firewall_findings_total",
                "What the firewall found.",
                &["rule", "level", "action"],
            )?,
            firewall_rules: Mutex::default(),
            sca_findings: counters(
                r,
                "portcullis_sca_findings_total",
                "What speaks against dependencies that answers bring in.",
                &["ecosystem", "severity"],
            )?,
            advisories_imported: int_gauge(
                r,
                "portcullis_advisories_imported_timestamp_seconds",
                "When advisories were imported; 0 where there are none that can be used.",
            )?,
            schema_repairs: counters(
                r,
                "portcullis_schema_repairs_total",
                "Times that an upstream was asked once more, by whether its answer fits then.",
                &["outcome"],
            )?,
        })
    }

    /// Gives every label set that an alert watches its 0.
    pub(super) fn start_at_zero(&self) {
        for (ecosystem, severity) in Ecosystem::ALL.iter().flat_map(|e| SCA_SEVERITIES.map(|s| (e, s))) {
            self.sca_findings.with_label_values(&[ecosystem.as_str(), severity]);
        }
        self.sca_findings.with_label_values(&UNNAMED);
        for outcome in ["fails", "fits"] {
            self.schema_repairs.with_label_values(&[outcome]);
        }
    }
}

impl Metrics {
    /// Gives the firewall's rules in force their label sets, and takes those of others away: reloads must not
    /// add up.
    pub(crate) fn know_rules<'r>(&self, rules: impl Iterator<Item = (&'r str, DataLevel)>) {
        let new: HashSet<_> = rules.map(|(rule, level)| (rule.to_owned(), level)).collect();
        let mut known = self.findings.firewall_rules.lock().unwrap_or_else(PoisonError::into_inner);
        for action in ACTIONS {
            for (rule, level) in known.difference(&new) {
                let _ = self.findings.firewall_findings.remove_label_values(&[rule, level.as_str(), action]);
            }
            for (rule, level) in &new {
                self.findings.firewall_findings.with_label_values(&[rule, level.as_str(), action]);
            }
        }
        *known = new;
    }

    /// An upstream was asked once more, and its answer fits now or not.
    pub(crate) fn repaired(&self, fits: bool) {
        self.findings.schema_repairs.with_label_values(&[if fits { "fits" } else { "fails" }]).inc();
    }

    /// When advisories were imported, in Unix seconds.
    pub(crate) fn advisories(&self, imported: i64) {
        self.findings.advisories_imported.set(imported);
    }
}

impl FindingObserver for Metrics {
    fn found(&self, rule: &str, level: DataLevel, action: &'static str) {
        self.findings.firewall_findings.with_label_values(&[rule, level.as_str(), action]).inc();
    }
}

impl ScaObserver for Metrics {
    fn found(&self, ecosystem: Ecosystem, severity: &'static str) {
        self.findings.sca_findings.with_label_values(&[ecosystem.as_str(), severity]).inc();
    }

    fn unnamed(&self) {
        self.findings.sca_findings.with_label_values(&UNNAMED).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_run_will_name_is_counted() {
        let metrics = Metrics::new().unwrap();
        let line = |count: u32| {
            format!("portcullis_sca_findings_total{{ecosystem=\"unnamed\",severity=\"suspect\"}} {count}\n")
        };
        let shown = || String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(shown().contains(&line(0)), "{}", shown());
        ScaObserver::unnamed(&*metrics);
        assert!(shown().contains(&line(1)), "{}", shown());
    }
}
