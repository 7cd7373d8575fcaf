//! What the audit log counts: entries, where they were passed on to, and who countersigned them.

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::Metrics;
use super::series::{FINE, counter, counters, gauge, histogram, int_gauge, int_gauges};
use crate::witness;

/// The series of the audit log, of its witnesses, and of being one.
pub(crate) struct Audit {
    pub(crate) entries: IntCounter,
    pub(crate) failures: IntCounter,
    pub(crate) write: Histogram,
    pub(crate) chain_ok: IntGauge,
    pub(crate) sequence: Gauge,
    pub(crate) signed: IntGauge,
    pub(crate) witnessed: IntGauge,
    pub(crate) witness_conflicts: IntCounter,
    export_lines: IntCounterVec,
    export_failures: IntCounterVec,
    export_gaps: IntCounterVec,
    export_behind: IntGaugeVec,
    witness_requests: IntCounterVec,
}

impl Audit {
    pub(super) fn new(r: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            entries: counter(r, "portcullis_audit_entries_total", "Entries written to the audit log.")?,
            failures: counter(r, "portcullis_audit_failures_total", "Entries that could not be written.")?,
            write: histogram(
                r,
                "portcullis_audit_write_seconds",
                "Time to write the entries that came together.",
                FINE,
            )?,
            chain_ok: int_gauge(r, "portcullis_audit_chain_ok", "Whether the chain held when it was last checked.")?,
            sequence: gauge(r, "portcullis_audit_sequence", "Sequence number of the newest entry.")?,
            signed: int_gauge(r, "portcullis_audit_signed", "Entries under the newest checkpoint.")?,
            witnessed: int_gauge(
                r,
                "portcullis_audit_witnessed",
                "Entries under a checkpoint that a witness countersigned.",
            )?,
            witness_conflicts: counter(
                r,
                "portcullis_audit_witness_conflicts_total",
                "Times that a witness had seen another log than this one.",
            )?,
            export_lines: counters(
                r,
                "portcullis_audit_export_lines_total",
                "Entries that were passed on and arrived.",
                &["sink"],
            )?,
            export_failures: counters(
                r,
                "portcullis_audit_export_failures_total",
                "Attempts to pass entries on that failed.",
                &["sink"],
            )?,
            export_gaps: counters(
                r,
                "portcullis_audit_export_gaps_total",
                "Times that what was to be passed on next was not in the log any more.",
                &["sink"],
            )?,
            export_behind: int_gauges(
                r,
                "portcullis_audit_export_behind",
                "Entries that were not passed on yet.",
                &["sink"],
            )?,
            witness_requests: counters(
                r,
                "portcullis_witness_requests_total",
                "Checkpoints of other nodes' logs that were to be countersigned.",
                &["result"],
            )?,
        })
    }

    /// Gives every label set that an alert watches its 0.
    pub(super) fn start_at_zero(&self) {
        for result in witness::RESULTS {
            self.witness_requests.with_label_values(&[result]);
        }
        self.chain_ok.set(1);
    }
}

impl Metrics {
    pub(crate) fn witness_request(&self, result: &'static str) {
        self.audit.witness_requests.with_label_values(&[result]).inc();
    }

    /// Gives a sink of the audit log its label sets.
    pub(crate) fn know_export(&self, sink: &str) {
        self.audit.export_lines.with_label_values(&[sink]);
        self.audit.export_failures.with_label_values(&[sink]);
        self.audit.export_gaps.with_label_values(&[sink]);
        self.audit.export_behind.with_label_values(&[sink]);
    }

    pub(crate) fn export_lines(&self, sink: &str, lines: u64) {
        self.audit.export_lines.with_label_values(&[sink]).inc_by(lines);
    }

    pub(crate) fn export_failed(&self, sink: &str) {
        self.audit.export_failures.with_label_values(&[sink]).inc();
    }

    pub(crate) fn export_gaps(&self, sink: &str, gaps: u64) {
        self.audit.export_gaps.with_label_values(&[sink]).inc_by(gaps);
    }

    pub(crate) fn export_behind(&self, sink: &str, entries: u64) {
        self.audit.export_behind.with_label_values(&[sink]).set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}
