//! Counters and histograms of one worker thread, merged at the end.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::stream::StreamRecord;

/// A histogram of nanoseconds, reported in microseconds.
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, 120_000_000_000, 3)?))
    }

    pub(crate) fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns.max(1));
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn report(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let us = |ns: f64| (ns / 10.0).round() / 100.0;
        let quantile = |q: f64| us(self.0.value_at_quantile(q) as f64);
        json!({
            "n": self.0.len(),
            "mean": us(self.0.mean()),
            "p50": quantile(0.5),
            "p90": quantile(0.9),
            "p99": quantile(0.99),
            "p999": quantile(0.999),
            "max": quantile(1.0),
        })
    }
}

/// What a thread has seen while the clock ran.
pub(crate) struct Stats {
    pub(crate) requests: u64,
    pub(crate) bytes_in: u64,
    pub(crate) tokens: u64,
    pub(crate) latency: Latencies,
    pub(crate) handshake: Latencies,
    pub(crate) first_token: Latencies,
    pub(crate) token_delivery: Latencies,
    pub(crate) token_gap: Latencies,
    pub(crate) status: BTreeMap<u16, u64>,
    pub(crate) errors: BTreeMap<&'static str, u64>,
    pub(crate) error_sample: Option<String>,
}

impl Stats {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            requests: 0,
            bytes_in: 0,
            tokens: 0,
            latency: Latencies::new()?,
            handshake: Latencies::new()?,
            first_token: Latencies::new()?,
            token_delivery: Latencies::new()?,
            token_gap: Latencies::new()?,
            status: BTreeMap::new(),
            errors: BTreeMap::new(),
            error_sample: None,
        })
    }

    pub(crate) fn error(&mut self, class: &'static str, error: impl ToString) {
        *self.errors.entry(class).or_default() += 1;
        self.error_sample.get_or_insert_with(|| error.to_string());
    }

    pub(crate) fn stream(&mut self, record: &StreamRecord) {
        let Some(first) = record.tokens.first() else {
            return;
        };
        self.first_token.record(first.arrived.saturating_sub(record.start));
        self.tokens += record.tokens.len() as u64;
        let mut previous = None;
        for token in &record.tokens {
            if let Some(sent) = token.sent {
                self.token_delivery.record(token.arrived.saturating_sub(sent));
            }
            if let Some(previous) = previous.replace(token.arrived) {
                self.token_gap.record(token.arrived.saturating_sub(previous));
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Self) -> anyhow::Result<()> {
        self.requests += other.requests;
        self.bytes_in += other.bytes_in;
        self.tokens += other.tokens;
        self.latency.0.add(other.latency.0)?;
        self.handshake.0.add(other.handshake.0)?;
        self.first_token.0.add(other.first_token.0)?;
        self.token_delivery.0.add(other.token_delivery.0)?;
        self.token_gap.0.add(other.token_gap.0)?;
        for (status, count) in other.status {
            *self.status.entry(status).or_default() += count;
        }
        for (class, count) in other.errors {
            *self.errors.entry(class).or_default() += count;
        }
        self.error_sample = self.error_sample.take().or(other.error_sample);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_stats_add_up() {
        let mut all = Stats::new().unwrap();
        for ns in [1_000, 3_000] {
            let mut one = Stats::new().unwrap();
            one.requests = 1;
            one.latency.record(ns);
            one.error("io", format!("lost after {ns}"));
            let mut stream = StreamRecord::new(0);
            stream.feed(b"tok@@ggggggggggggggwg\nplain\n", 2_000);
            one.stream(&stream);
            all.merge(one).unwrap();
        }
        assert_eq!((all.requests, all.tokens, all.latency.count()), (2, 4, 2));
        assert_eq!(all.errors["io"], 2);
        assert_eq!(all.error_sample.as_deref(), Some("lost after 1000"));
        assert_eq!(all.latency.report()["n"], 2);
        assert_eq!(all.token_gap.count(), 2);
    }
}
