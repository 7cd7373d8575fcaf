//! The log of decisions: when entries are durable, how it is cut into segments, signed, kept and passed on.

use std::time::Duration;

use portcullis_certs::fingerprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::export::{self, ExportSettings};
use super::units::span;
use super::written::{ModeWord, Size};
use crate::door::address::GateAddress;

/// How long an entry may stay in the system's memory before it is on the medium.
const BATCH: Duration = Duration::from_millis(100);
/// The longest that `batch` may be: beyond it, a power cut would take minutes of decisions.
const MAX_BATCH: Duration = Duration::from_secs(60);
/// The size after which a new segment begins.
const SEGMENT: usize = 256 << 20;
/// The smallest segment: room for the entry that links it, and some more.
const MIN_SEGMENT: usize = 4 << 10;
/// How many entries lie between two checkpoints.
const CHECKPOINT_EVERY: u64 = 1_000;
/// How old the newest entry without a checkpoint may be, in seconds.
const CHECKPOINT_AFTER: u64 = 60;

/// The most witnesses: each has a line on every checkpoint, and a note has room for 64.
const MAX_WITNESSES: usize = 16;

/// The log of decisions.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    /// `enforce`, `shadow` or `off`.
    pub(crate) mode: Option<ModeWord>,
    /// When entries are brought to the medium: `always`, before their exchange goes on; `batch`, several at once, a
    /// moment later; `off`, when the system finds time. Default: `batch`.
    fsync: Option<Fsync>,
    /// How long, at most, an entry waits for its batch to be synced. Default: `100ms`.
    batch: Option<String>,
    /// The size after which a new segment begins. Default: `256MiB`.
    segment_bytes: Option<Size>,
    /// The age after which a new segment begins. Default: none.
    segment_age: Option<String>,
    /// Whether ended segments are compressed. Default: `true`.
    compress: Option<bool>,
    /// How many entries lie between two checkpoints, which are signed at most once a second. Default: 1000.
    checkpoint_every: Option<u64>,
    /// How old the newest entry without a checkpoint may be. Default: `60s`.
    checkpoint_after: Option<String>,
    /// Ended segments older than this are deleted, once they are exported. Default: none are.
    keep: Option<String>,
    /// While the segments take more than this, the oldest that ended are deleted, once they are exported. Default: no
    /// bound.
    keep_bytes: Option<Size>,
    /// The digests of prompts and answers: `plain` SHA-256, or `keyed`, so that nobody without the gate's key can
    /// guess what was said. Default: `plain`.
    digests: Option<Digests>,
    /// The address that a client came from: `off`, not written; `truncated`, its /24 or /48; `full`. Default:
    /// `truncated`.
    client_address: Option<Addresses>,
    /// Where the log is passed on to. Default: nowhere.
    export: Option<Vec<export::Written>>,
    /// Other gates that countersign this one's checkpoints, once their operators approved it. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    witnesses: Vec<Witness>,
}

/// A gate that countersigns.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Witness {
    /// Where it is: `https://HOST[:PORT]`.
    url: String,
    /// The fingerprint of its key, as `portcullis id` shows it there.
    fingerprint: String,
}

/// When entries are brought from the system's memory to the medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fsync {
    /// Before their exchange goes on: safest. Exchanges that end together share one sync.
    Always,
    /// Several at once, at most `batch` after they were written.
    #[default]
    Batch,
    /// When the system finds time.
    #[serde(alias = "never")]
    Off,
}

/// What the digests of prompts and answers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Digests {
    /// HMAC-SHA256 with a key of the gate's own.
    Keyed,
    /// SHA-256, which everybody can compute of a guess.
    #[default]
    Plain,
}

/// What is written of a client's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Addresses {
    /// All of it.
    Full,
    /// Nothing.
    Off,
    /// The network that it is in: /24 or /48.
    #[default]
    Truncated,
}

/// The log of decisions, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditSettings {
    pub(crate) fsync: Fsync,
    pub(crate) batch: Duration,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_age: Option<Duration>,
    pub(crate) compress: bool,
    pub(crate) checkpoint_every: u64,
    pub(crate) checkpoint_after: Duration,
    pub(crate) keep: Option<Duration>,
    pub(crate) keep_bytes: Option<u64>,
    pub(crate) digests: Digests,
    pub(crate) client_address: Addresses,
    pub(crate) export: Vec<ExportSettings>,
    pub(crate) witnesses: Vec<WitnessSettings>,
}

/// A gate that countersigns, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WitnessSettings {
    pub(crate) gate: GateAddress,
    /// In its one spelling.
    pub(crate) fingerprint: String,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            fsync: Fsync::default(),
            batch: BATCH,
            segment_bytes: SEGMENT as u64,
            segment_age: None,
            compress: true,
            checkpoint_every: CHECKPOINT_EVERY,
            checkpoint_after: Duration::from_secs(CHECKPOINT_AFTER),
            keep: None,
            keep_bytes: None,
            digests: Digests::default(),
            client_address: Addresses::default(),
            export: Vec::new(),
            witnesses: Vec::new(),
        }
    }
}

impl AuditSettings {
    pub(super) fn check(check: &mut Check<'_>, w: &Audit) -> Self {
        let usual = Self::default();
        let segment = check.size("filters.audit.segment_bytes", w.segment_bytes.as_ref(), SEGMENT);
        if segment < MIN_SEGMENT {
            let message = format!("a segment of {segment} bytes would hold few entries or none");
            check.wrong("filters.audit.segment_bytes", message, Some("write at least `4KiB`"));
        }
        let batch = match &w.batch {
            Some(text) => check.duration("filters.audit.batch", Some(text), 1),
            None => BATCH,
        };
        if batch > MAX_BATCH {
            let message = "it is how long an entry may wait to be synced, expected `1ms` to `60s`".to_owned();
            check.wrong("filters.audit.batch", message, Some("write `100ms`, or `fsync: always` to wait for each"));
        }
        let fsync = w.fsync.unwrap_or_default();
        if fsync == Fsync::Off {
            check.warn("`filters.audit.fsync` is `off`: a power cut may take the newest entries of the log".to_owned());
        }
        Self {
            fsync,
            batch,
            segment_bytes: segment as u64,
            segment_age: age(check, "filters.audit.segment_age", w.segment_age.as_deref()),
            compress: w.compress.unwrap_or(usual.compress),
            checkpoint_every: match w.checkpoint_every {
                Some(0) => {
                    let message = "`0` would never sign the log, expected at least 1".to_owned();
                    check.wrong("filters.audit.checkpoint_every", message, Some("write `1000`"));
                    CHECKPOINT_EVERY
                }
                every => every.unwrap_or(CHECKPOINT_EVERY),
            },
            checkpoint_after: age(check, "filters.audit.checkpoint_after", w.checkpoint_after.as_deref())
                .unwrap_or(usual.checkpoint_after),
            keep: age(check, "filters.audit.keep", w.keep.as_deref()),
            keep_bytes: w
                .keep_bytes
                .as_ref()
                .map(|size| check.size("filters.audit.keep_bytes", Some(size), SEGMENT) as u64),
            digests: w.digests.unwrap_or_default(),
            client_address: w.client_address.unwrap_or_default(),
            export: ExportSettings::check_all(check, w.export.as_deref().unwrap_or_default()),
            witnesses: witnesses(check, &w.witnesses),
        }
    }

    /// As it would be written.
    pub(crate) fn shown(&self) -> Audit {
        Audit {
            mode: None,
            fsync: Some(self.fsync),
            batch: Some(span(self.batch)),
            segment_bytes: Some(Size::Bytes(self.segment_bytes)),
            segment_age: self.segment_age.map(span),
            compress: Some(self.compress),
            checkpoint_every: Some(self.checkpoint_every),
            checkpoint_after: Some(span(self.checkpoint_after)),
            keep: self.keep.map(span),
            keep_bytes: self.keep_bytes.map(Size::Bytes),
            digests: Some(self.digests),
            client_address: Some(self.client_address),
            export: Some(self.export.iter().map(ExportSettings::shown).collect())
                .filter(|all: &Vec<_>| !all.is_empty()),
            witnesses: self.witnesses.iter().map(WitnessSettings::shown).collect(),
        }
    }
}

/// A span of time that may be left out.
fn age(check: &mut Check<'_>, key: &str, text: Option<&str>) -> Option<Duration> {
    text.map(|text| check.duration(key, Some(text), 86_400))
}

impl WitnessSettings {
    fn shown(&self) -> Witness {
        Witness { url: format!("https://{}", self.gate), fingerprint: self.fingerprint.clone() }
    }
}

fn witnesses(check: &mut Check<'_>, written: &[Witness]) -> Vec<WitnessSettings> {
    const KEY: &str = "filters.audit.witnesses";
    let mut meant: Vec<WitnessSettings> = Vec::new();
    if written.len() > MAX_WITNESSES {
        check.wrong(KEY, format!("{} witnesses are written, expected at most {MAX_WITNESSES}", written.len()), None);
    }
    for (nth, witness) in written.iter().take(MAX_WITNESSES).enumerate() {
        // Each has a `url`, by which it is found.
        let mut wrong = |key: &str, message, hint| check.wrong_nth(KEY, "url", nth, key, message, hint);
        let gate =
            GateAddress::parse(&witness.url).map_err(|why| wrong("url", why, Some("write `https://other-gate:8443`")));
        let fingerprint = fingerprint::normalise(&witness.fingerprint).ok_or_else(|| {
            let shown: String = witness.fingerprint.chars().filter(|c| !c.is_control()).take(64).collect();
            let message = format!("`{shown}` is not a fingerprint, expected 16 bytes in hex");
            wrong("fingerprint", message, Some("copy it from `portcullis id` on the witness"));
        });
        let (Ok(gate), Ok(fingerprint)) = (gate, fingerprint) else { continue };
        if meant.iter().any(|known| known.gate == gate || known.fingerprint == fingerprint) {
            wrong("url", format!("the witness `{gate}` stands twice, by its address or its key"), None);
            continue;
        }
        meant.push(WitnessSettings { gate, fingerprint });
    }
    meant
}
