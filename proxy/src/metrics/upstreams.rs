//! What the model servers behind the gate do, and who waits for them.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Registry};

use super::Metrics;
use super::series::{COARSE, counters, histograms, int_gauges};
use crate::queue::Standing;

/// The series of each upstream.
pub(super) struct Upstreams {
    up: IntGaugeVec,
    exposed: IntGaugeVec,
    duration: HistogramVec,
    queue_depth: IntGaugeVec,
    queue_wait: HistogramVec,
    slots: IntGaugeVec,
    first_token: HistogramVec,
    per_token: HistogramVec,
    tokens: IntCounterVec,
}

impl Upstreams {
    pub(super) fn new(r: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            up: int_gauges(r, "portcullis_upstream_up", "Whether the upstream answers.", &["upstream"])?,
            exposed: int_gauges(
                r,
                "portcullis_upstream_exposed",
                "Whether the upstream was found reachable past the gate.",
                &["upstream"],
            )?,
            duration: histograms(
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
        })
    }
}

impl Metrics {
    /// Gives an upstream its label sets.
    pub(crate) fn know_upstream(&self, upstream: &str) {
        self.upstreams.up.with_label_values(&[upstream]);
        self.upstreams.exposed.with_label_values(&[upstream]);
        self.upstreams.duration.with_label_values(&[upstream]);
        self.upstreams.queue_depth.with_label_values(&[upstream]);
        self.upstreams.queue_wait.with_label_values(&[upstream]);
        for state in ["busy", "total"] {
            self.upstreams.slots.with_label_values(&[upstream, state]);
        }
        self.upstreams.first_token.with_label_values(&[upstream]);
        self.upstreams.per_token.with_label_values(&[upstream]);
        for direction in ["input", "output"] {
            self.upstreams.tokens.with_label_values(&[upstream, "other", direction]);
        }
    }

    pub(crate) fn upstream_answered(&self, upstream: &str, took: Duration) {
        self.upstreams.duration.with_label_values(&[upstream]).observe(took.as_secs_f64());
    }

    pub(crate) fn queue_waited(&self, upstream: &str, wait: Duration) {
        self.upstreams.queue_wait.with_label_values(&[upstream]).observe(wait.as_secs_f64());
    }

    pub(crate) fn queue(&self, upstream: &str, standing: &Standing) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.upstreams.queue_depth.with_label_values(&[upstream]).set(number(standing.waiting));
        self.upstreams.slots.with_label_values(&[upstream, "busy"]).set(number(standing.busy));
        self.upstreams.slots.with_label_values(&[upstream, "total"]).set(number(standing.total.unwrap_or_default()));
    }

    pub(crate) fn first_token(&self, upstream: &str, after: Duration) {
        self.upstreams.first_token.with_label_values(&[upstream]).observe(after.as_secs_f64());
    }

    pub(crate) fn per_token(&self, upstream: &str, each: Duration) {
        self.upstreams.per_token.with_label_values(&[upstream]).observe(each.as_secs_f64());
    }

    pub(crate) fn tokens(&self, upstream: &str, model: &str, input: u64, output: u64) {
        self.upstreams.tokens.with_label_values(&[upstream, model, "input"]).inc_by(input);
        self.upstreams.tokens.with_label_values(&[upstream, model, "output"]).inc_by(output);
    }

    pub(crate) fn upstream_up(&self, upstream: &str, up: bool) {
        self.upstreams.up.with_label_values(&[upstream]).set(i64::from(up));
    }

    pub(crate) fn upstream_exposed(&self, upstream: &str, exposed: bool) {
        self.upstreams.exposed.with_label_values(&[upstream]).set(i64::from(exposed));
    }
}
