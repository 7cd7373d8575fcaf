//! An entry: what is told of one decision, and its canonical form as far as it is known when it is made.

use crate::canonical::{Fields, MAX_TEXT};

/// One entry, without what the chain adds (`seq_no`, `timestamp`, `entry_hmac`). Texts from outside
/// are cut to a bound and cleaned when they are written; an absent value is an empty text or 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry<'a> {
    /// What kind of entry it is: `request`, or an event of the log itself.
    pub event_type: &'a str,
    /// The request's id.
    pub request_id: &'a str,
    /// Who called.
    pub node_id: &'a str,
    /// What proved it.
    pub identity_method: &'a str,
    /// Which listener.
    pub listener: &'a str,
    /// The class of the route.
    pub route_class: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path, decoded, without the query.
    pub path: &'a str,
    /// The model, in canonical form.
    pub model: &'a str,
    /// Which upstream.
    pub upstream: &'a str,
    /// `ALLOW` or `BLOCK`.
    pub policy_decision: &'a str,
    /// The filter that decided.
    pub filter: &'a str,
    /// The code it gave.
    pub code: &'a str,
    /// `L0` to `L4`.
    pub data_level: &'a str,
    /// The digest of the body that was judged, in hex.
    pub prompt_sha256: &'a str,
    /// The digest of the answer that left, in hex.
    pub output_sha256: &'a str,
    /// The size of the body, in bytes.
    pub request_bytes: u64,
    /// The size of the answer that left, in bytes.
    pub response_bytes: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// The task, for calls that have one.
    pub task_id: &'a str,
    /// What speaks against dependencies that the answer brings in: identifiers of advisories, with commas between.
    pub advisory_ids: &'a str,
    /// How often the server was asked once more, because its answer did not fit a schema.
    pub repairs: u64,
    /// Whether `filter` and `code` tell of a refusal that was not obeyed: the filter or the rule is in `shadow` mode.
    pub shadow: bool,
    /// From which address the caller came, where the entry tells of it.
    pub client_address: &'a str,
    /// In the first entry of a segment: the last seal of the one before, in hex.
    pub previous_hmac: &'a str,
    /// In the first entry of a segment: its number. Written where `previous_hmac` is, and never for segment 0.
    pub segment: u64,
}

/// An entry in canonical form that waits for its number, its time and its seal. Can be kept and sent elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The line without the three fields that are missing.
    bytes: Vec<u8>,
    /// Where they go, in bytes from the start.
    seal: usize,
    seq_no: usize,
    timestamp: usize,
}

/// What a draft takes beside its texts, in bytes: names, quotes, and numbers at their longest.
const FRAME: usize = 700;

impl Entry<'_> {
    /// The entry in canonical form, ready to be sealed. Takes one allocation.
    #[must_use]
    pub fn draft(&self) -> Draft {
        let mut bytes = Vec::with_capacity(self.capacity());
        let mut fields = Fields::open(&mut bytes);
        // Keys that few entries have are left out of all others.
        if !self.advisory_ids.is_empty() {
            fields.text("advisory_ids", self.advisory_ids);
        }
        if !self.client_address.is_empty() {
            fields.text("client_address", self.client_address);
        }
        fields.text("code", self.code);
        fields.text("data_level", self.data_level);
        fields.number("duration_us", self.duration_us);
        let seal = fields.here();
        fields.text("event_type", self.event_type);
        fields.text("filter", self.filter);
        fields.text("identity_method", self.identity_method);
        fields.text("listener", self.listener);
        fields.text("method", self.method);
        fields.text("model", self.model);
        fields.text("node_id", self.node_id);
        fields.text("output_sha256", self.output_sha256);
        fields.text("path", self.path);
        fields.text("policy_decision", self.policy_decision);
        if !self.previous_hmac.is_empty() {
            fields.text("previous_hmac", self.previous_hmac);
        }
        fields.text("prompt_sha256", self.prompt_sha256);
        if self.repairs > 0 {
            fields.number("repairs", self.repairs);
        }
        fields.number("request_bytes", self.request_bytes);
        fields.text("request_id", self.request_id);
        fields.number("response_bytes", self.response_bytes);
        fields.text("route_class", self.route_class);
        if !self.previous_hmac.is_empty() && self.segment > 0 {
            fields.number("segment", self.segment);
        }
        let seq_no = fields.here();
        if self.shadow {
            fields.truth("shadow");
        }
        fields.text("task_id", self.task_id);
        let timestamp = fields.here();
        fields.text("upstream", self.upstream);
        fields.close();
        Draft { bytes, seal, seq_no, timestamp }
    }

    /// What the draft takes at most, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        let texts = [
            self.advisory_ids,
            self.client_address,
            self.code,
            self.data_level,
            self.event_type,
            self.filter,
            self.identity_method,
            self.listener,
            self.method,
            self.model,
            self.node_id,
            self.output_sha256,
            self.path,
            self.policy_decision,
            self.previous_hmac,
            self.prompt_sha256,
            self.request_id,
            self.route_class,
            self.task_id,
            self.upstream,
        ];
        FRAME + texts.iter().map(|text| escaped_length(text)).sum::<usize>()
    }
}

/// What a text takes at most, in bytes: quotes and backslashes take two.
fn escaped_length(text: &str) -> usize {
    let text = text.as_bytes().get(..MAX_TEXT).unwrap_or(text.as_bytes());
    text.len() + text.iter().filter(|b| matches!(b, b'"' | b'\\')).count()
}

impl Draft {
    /// Its size in bytes, without the number, the time and the seal.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The four pieces between which the seal, the number and the time go, in this order.
    pub(crate) fn pieces(&self) -> [&[u8]; 4] {
        let piece = |from, to| self.bytes.get(from..to).unwrap_or_default();
        [
            piece(0, self.seal),
            piece(self.seal, self.seq_no),
            piece(self.seq_no, self.timestamp),
            piece(self.timestamp, self.bytes.len()),
        ]
    }
}
