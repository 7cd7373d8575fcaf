//! Where the log of decisions is passed on to: syslog over TLS, a directory, a bucket.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::check::Check;
use super::units::span;
use super::written::Size;
use super::{HIDDEN, Secret};
use crate::web::is_safe;

/// The list's key.
const KEY: &str = "filters.audit.export";
/// The most sinks: each is a thread, a batch in memory, and a place that retention waits for.
const MAX_SINKS: usize = 8;
/// The longest name: it is a file's name and a metric's label.
const MAX_NAME: usize = 32;
/// The smallest batch in bytes: an entry must fit.
const MIN_BYTES: usize = 64 << 10;
/// The largest batch: it is held in memory until it is acknowledged.
const MAX_BYTES: usize = 64 << 20;
/// The most lines of a batch.
const MAX_LINES: usize = 100_000;
/// The most time between two batches: beyond it, what the log could not keep could be lost for long.
const MAX_EVERY: Duration = Duration::from_secs(86_400);
/// Each kind has its own pace: messages go out one by one, objects should not be many and small.
const MESSAGES: Pace = Pace { every: Duration::from_secs(1), lines: 1_000, bytes: 1 << 20 };
const OBJECTS: Pace = Pace { every: Duration::from_secs(60), lines: 10_000, bytes: 8 << 20 };

/// What a sink does unless it is told otherwise.
#[derive(Clone, Copy)]
struct Pace {
    every: Duration,
    lines: usize,
    bytes: usize,
}

/// One place that the log is passed on to.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// What it is called, in metrics, in `status` and in the state directory: small letters, digits and `-`.
    name: Option<String>,
    /// `syslog`, `directory` or `s3`.
    to: Option<Kind>,
    /// syslog: the receiver, as `HOST:PORT`.
    address: Option<String>,
    /// syslog: `{ca: FILE}`, or `off` on loopback. Default: TLS, with the system's authorities.
    tls: Option<WrittenTls>,
    /// syslog: `rfc5424-json`, whose message is the entry as it stands, or `cef`. Default: `rfc5424-json`.
    format: Option<Format>,
    /// directory: where it is; relative to this file.
    path: Option<String>,
    /// s3: the bucket's name.
    bucket: Option<String>,
    /// s3: what the names of all objects begin with. Default: nothing.
    prefix: Option<String>,
    /// s3: the server, such as `https://minio.internal:9000`. Default: Amazon's, in this region.
    endpoint: Option<String>,
    /// s3: the region. Default: `us-east-1`.
    region: Option<String>,
    /// s3: who signs: `${ENV_NAME}`, `file:PATH`, or the id of the key.
    access_key: Option<String>,
    /// s3: what is signed with: `${ENV_NAME}`, `file:PATH`, or the key.
    secret_key: Option<String>,
    /// s3: the authorities that vouch for the server, in PEM. Default: the system's.
    ca: Option<String>,
    /// How many entries go out at once, at most. Default: 1000 to syslog, 10000 in an object.
    batch_lines: Option<usize>,
    /// How large they may be together, before compression. Default: `1MiB` to syslog, `8MiB` in an object.
    batch_bytes: Option<Size>,
    /// How long an entry waits, at most, before it goes out. Default: `1s` to syslog, `60s` in an object.
    every: Option<String>,
}

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// A folder of compressed files.
    Directory,
    /// A bucket of compressed objects, on a server that speaks Amazon's S3.
    S3,
    /// A receiver of syslog messages (RFC 5424) over TLS (RFC 5425).
    Syslog,
}

/// How an entry is written as a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Format {
    /// ArcSight's Common Event Format.
    #[serde(rename = "cef")]
    Cef,
    /// As it stands in the log.
    #[default]
    #[serde(rename = "rfc5424-json")]
    Json,
}

/// `off`, or who vouches for the receiver.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum WrittenTls {
    /// `off`.
    Word(String),
    /// An authority.
    With(Authority),
}

/// Who vouches for the receiver.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Authority {
    /// The authorities that vouch for the receiver, in PEM. Default: the system's.
    ca: Option<String>,
}

/// By hand, so that a mistake in one form is told as that: the derived one says that none fits.
impl<'de> Deserialize<'de> for WrittenTls {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = WrittenTls;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`off`, or `{ca: FILE}`")
            }

            // What `off` and `on` mean in older YAML.
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<WrittenTls, E> {
                self.visit_str(if on { "on" } else { "off" })
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<WrittenTls, E> {
                Ok(WrittenTls::Word(word.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<WrittenTls, M::Error> {
                Authority::deserialize(MapAccessDeserializer::new(map)).map(WrittenTls::With)
            }
        }
        from.deserialize_any(Either)
    }
}

/// A place that the log is passed on to, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExportSettings {
    pub(crate) name: String,
    pub(crate) to: Destination,
    pub(crate) batch_lines: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) every: Duration,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A folder.
    Directory(PathBuf),
    /// A bucket.
    S3(Bucket),
    /// A receiver of messages.
    Syslog(Receiver),
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    /// Ends in `/` unless it is empty.
    pub(crate) prefix: String,
    /// The server, where it is not Amazon's.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) access_key: Secret,
    pub(crate) secret_key: Secret,
    pub(crate) ca: Option<PathBuf>,
}

/// A receiver of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receiver {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// Who vouches for it; the system's authorities otherwise.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) format: Format,
}

impl ExportSettings {
    /// What is written, with every mistake noted.
    pub(super) fn check_all(check: &mut Check<'_>, written: &[Written]) -> Vec<Self> {
        if written.len() > MAX_SINKS {
            let message =
                format!("{} sinks are more than the {MAX_SINKS} that a gate passes its log on to", written.len());
            check.wrong(KEY, message, None);
            return Vec::new();
        }
        let mut sinks: Vec<Self> = Vec::new();
        for (number, w) in written.iter().enumerate() {
            let mut item = Item { check, written, number };
            let Some(sink) = item.sink(w) else { continue };
            if sinks.iter().any(|other| other.name == sink.name) {
                let message = format!("two sinks are called `{}`, and each keeps its place under its name", sink.name);
                item.wrong("name", message, None);
            }
            sinks.push(sink);
        }
        sinks
    }

    /// As it would be written.
    pub(super) fn shown(&self) -> Written {
        let mut shown = Written {
            name: Some(self.name.clone()),
            batch_lines: Some(self.batch_lines),
            batch_bytes: Some(Size::Bytes(self.batch_bytes as u64)),
            every: Some(span(self.every)),
            ..Written::default()
        };
        let text = |path: &PathBuf| path.display().to_string();
        match &self.to {
            Destination::Directory(path) => (shown.to, shown.path) = (Some(Kind::Directory), Some(text(path))),
            Destination::S3(bucket) => {
                shown.to = Some(Kind::S3);
                shown.bucket = Some(bucket.name.clone());
                shown.prefix = Some(bucket.prefix.clone()).filter(|prefix| !prefix.is_empty());
                shown.endpoint.clone_from(&bucket.endpoint);
                shown.region = Some(bucket.region.clone());
                (shown.access_key, shown.secret_key) = (Some(HIDDEN.to_owned()), Some(HIDDEN.to_owned()));
                shown.ca = bucket.ca.as_ref().map(text);
            }
            Destination::Syslog(receiver) => {
                shown.to = Some(Kind::Syslog);
                shown.address = Some(receiver.address());
                shown.tls = match (receiver.tls, &receiver.ca) {
                    (false, _) => Some(WrittenTls::Word("off".to_owned())),
                    (true, None) => None,
                    (true, Some(ca)) => Some(WrittenTls::With(Authority { ca: Some(text(ca)) })),
                };
                shown.format = Some(receiver.format);
            }
        }
        shown
    }
}

impl Destination {
    /// The word for it, and where it is: nothing secret.
    pub(crate) fn place(&self) -> (&'static str, String) {
        match self {
            Self::Directory(path) => ("directory", path.display().to_string()),
            Self::S3(bucket) => {
                let server = bucket.endpoint.as_deref().map(|at| format!(" at {at}")).unwrap_or_default();
                ("s3", format!("{}/{}{server}", bucket.name, bucket.prefix))
            }
            Self::Syslog(receiver) => ("syslog", receiver.address()),
        }
    }
}

impl Receiver {
    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// One item of the list, under check.
struct Item<'c, 't, 'w> {
    check: &'c mut Check<'t>,
    written: &'w [Written],
    number: usize,
}

impl Item<'_, '_, '_> {
    fn sink(&mut self, w: &Written) -> Option<ExportSettings> {
        let before = self.check.mistakes.len();
        let name = self.name(w.name.as_deref());
        let Some(kind) = w.to else {
            self.wrong(
                "to",
                "it does not say what it passes the log on to".to_owned(),
                Some("write `to: syslog`, `to: directory` or `to: s3`"),
            );
            return None;
        };
        self.foreign(w, kind);
        let (to, pace) = match kind {
            Kind::Directory => (self.directory(w).map(Destination::Directory), OBJECTS),
            Kind::S3 => (self.bucket(w).map(Destination::S3), OBJECTS),
            Kind::Syslog => (self.receiver(w).map(Destination::Syslog), MESSAGES),
        };
        let batch_lines = w.batch_lines.unwrap_or(pace.lines);
        if !(1..=MAX_LINES).contains(&batch_lines) {
            let message = format!("`{batch_lines}` entries are no batch, expected 1 to {MAX_LINES}");
            self.wrong("batch_lines", message, Some("write `1000`"));
        }
        let batch_bytes = self.check.size(&format!("{KEY}.batch_bytes"), w.batch_bytes.as_ref(), pace.bytes);
        if !(MIN_BYTES..=MAX_BYTES).contains(&batch_bytes) {
            let message = format!("a batch of {batch_bytes} bytes does not fit, expected `64KiB` to `64MiB`");
            self.wrong("batch_bytes", message, Some("write `1MiB`"));
        }
        let every = self.check.duration(&format!("{KEY}.every"), w.every.as_deref(), pace.every.as_secs());
        if every.is_zero() || every > MAX_EVERY {
            self.wrong(
                "every",
                "it is how long entries wait, expected more than nothing and at most `24h`".to_owned(),
                Some("write `1s`"),
            );
        }
        let to = to.filter(|_| self.check.mistakes.len() == before)?;
        Some(ExportSettings { name, to, batch_lines, batch_bytes, every })
    }

    fn name(&mut self, name: Option<&str>) -> String {
        let Some(name) = name else {
            self.wrong(
                "name",
                "it has no name, under which it keeps its place in the log".to_owned(),
                Some("write `name: siem`"),
            );
            return String::new();
        };
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let begins = name.bytes().next().is_some_and(|b| b != b'-');
        if !begins || name.len() > MAX_NAME || !name.bytes().all(fits) {
            let message =
                format!("`{name}` is no name of a sink, expected 1 to {MAX_NAME} small letters, digits and `-`");
            self.wrong("name", message, Some("write `name: siem`"));
        }
        name.to_owned()
    }

    /// Keys that say nothing about this kind.
    fn foreign(&mut self, w: &Written, kind: Kind) {
        let keys = [
            ("address", w.address.is_some(), Kind::Syslog),
            ("tls", w.tls.is_some(), Kind::Syslog),
            ("format", w.format.is_some(), Kind::Syslog),
            ("path", w.path.is_some(), Kind::Directory),
            ("bucket", w.bucket.is_some(), Kind::S3),
            ("prefix", w.prefix.is_some(), Kind::S3),
            ("endpoint", w.endpoint.is_some(), Kind::S3),
            ("region", w.region.is_some(), Kind::S3),
            ("access_key", w.access_key.is_some(), Kind::S3),
            ("secret_key", w.secret_key.is_some(), Kind::S3),
            ("ca", w.ca.is_some(), Kind::S3),
        ];
        for (key, _, of) in keys.into_iter().filter(|(_, written, of)| *written && *of != kind) {
            let hint = ("ca", Kind::Syslog) == (key, kind);
            let message = format!("`{key}` says nothing about `to: {}`, only about `to: {}`", kind.word(), of.word());
            self.wrong(key, message, if hint { Some("write `tls: {ca: FILE}`") } else { None });
        }
    }

    fn directory(&mut self, w: &Written) -> Option<PathBuf> {
        let Some(path) = w.path.as_deref().filter(|path| !path.is_empty()) else {
            self.wrong("path", "there is no directory".to_owned(), Some("write `path: /var/lib/portcullis-archive`"));
            return None;
        };
        Some(self.check.path(path))
    }

    fn receiver(&mut self, w: &Written) -> Option<Receiver> {
        let Some(address) = w.address.as_deref() else {
            self.wrong("address", "there is no receiver".to_owned(), Some("write `address: siem.example:6514`"));
            return None;
        };
        let split = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let host = split.map(|(host, _)| host.trim_start_matches('[').trim_end_matches(']'));
        let named = |host: &&str| rustls_pki_types::ServerName::try_from(*host).is_ok();
        let (Some(host), Some((_, port @ 1..))) = (host.filter(named), split) else {
            let message = format!("`{address}` is not the address of a receiver, expected `HOST:PORT`");
            self.wrong("address", message, Some("write `address: siem.example:6514`"));
            return None;
        };
        let (tls, ca) = match &w.tls {
            None => (true, None),
            Some(WrittenTls::With(authority)) => (true, authority.ca.clone()),
            Some(WrittenTls::Word(word)) if word == "off" => (false, None),
            Some(WrittenTls::Word(word)) => {
                self.wrong("tls", format!("`{word}` is not a word for TLS, expected `off` or `{{ca: FILE}}`"), None);
                return None;
            }
        };
        let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !tls && !local {
            let message = format!("`tls: off` would send the log to `{host}` for everybody on the way to read");
            self.wrong("tls", message, Some("leave it out, or write `tls: {ca: FILE}`"));
        }
        let ca = ca.map(|ca| self.check.bundle(&format!("{KEY}.ca"), &ca));
        Some(Receiver { host: host.to_owned(), port, tls, ca, format: w.format.unwrap_or_default() })
    }

    fn bucket(&mut self, w: &Written) -> Option<Bucket> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let named =
            |text: &str| text.len() <= 255 && !text.contains("..") && text.bytes().all(fits) && !text.starts_with('.');
        let name = w.bucket.as_deref().filter(|name| (3..=63).contains(&name.len()) && named(name));
        if name.is_none() {
            let message = "there is no bucket, or its name is none: expected 3 to 63 letters, digits, `-` and `.`";
            self.wrong("bucket", message.to_owned(), Some("write `bucket: audit-logs`"));
        }
        let prefix = w.prefix.as_deref().unwrap_or_default().trim_end_matches('/');
        if !prefix.is_empty() && !prefix.split('/').all(|part| !part.is_empty() && named(part)) {
            let message =
                format!("`{prefix}` does not fit, expected letters, digits, `-`, `_`, `.`, and `/` between them");
            self.wrong("prefix", message, Some("write `prefix: gates/berlin`"));
        }
        let region = w.region.as_deref().unwrap_or("us-east-1");
        if region.is_empty() || !named(region) {
            self.wrong("region", format!("`{region}` is no region"), Some("write `region: eu-central-1`"));
        }
        let endpoint = w.endpoint.as_deref().map(|text| text.trim_end_matches('/'));
        let plain = |url: url::Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if endpoint.is_some_and(|at| !is_safe(at) || !at.parse::<url::Url>().is_ok_and(plain)) {
            // What stands there may hold a password: it is not repeated.
            let message = "it is no address of a server, expected `https://HOST:PORT`, or `http://` on loopback";
            self.wrong("endpoint", message.to_owned(), Some("write `endpoint: https://minio.internal:9000`"));
        }
        let access_key = self.secret("access_key", w.access_key.as_deref());
        let secret_key = self.secret("secret_key", w.secret_key.as_deref());
        Some(Bucket {
            name: name?.to_owned(),
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            endpoint: endpoint.map(str::to_owned),
            region: region.to_owned(),
            access_key: access_key?,
            secret_key: secret_key?,
            ca: w.ca.as_deref().map(|ca| self.check.bundle(&format!("{KEY}.ca"), ca)),
        })
    }

    fn secret(&mut self, key: &str, text: Option<&str>) -> Option<Secret> {
        let Some(text) = text else {
            self.wrong(
                key,
                "the server wants to know who writes there".to_owned(),
                Some("write `${ENV_NAME}` or `file:PATH`"),
            );
            return None;
        };
        self.check.secret(&format!("{KEY}.{key}"), text)
    }

    /// Notes a mistake at the key of this item: those before it may have the same one.
    fn wrong(&mut self, key: &str, message: String, hint: Option<&str>) {
        let has = |w: &&Written| match key {
            "address" => w.address.is_some(),
            "batch_bytes" => w.batch_bytes.is_some(),
            "batch_lines" => w.batch_lines.is_some(),
            "bucket" => w.bucket.is_some(),
            "endpoint" => w.endpoint.is_some(),
            "every" => w.every.is_some(),
            "name" => w.name.is_some(),
            "path" => w.path.is_some(),
            "prefix" => w.prefix.is_some(),
            "region" => w.region.is_some(),
            "tls" => w.tls.is_some(),
            "to" => w.to.is_some(),
            _ => false,
        };
        let (at, before) = self.written.split_at(self.number.min(self.written.len()));
        let written = before.first().filter(has).is_some();
        // A key that is missing is told where the item says what it is.
        let is_kind = |w: &&Written| w.to.is_some();
        let (place, nth) =
            if written { (key, at.iter().filter(has).count()) } else { ("to", at.iter().filter(is_kind).count()) };
        self.check.wrong_nth(KEY, place, nth, key, message, hint);
    }
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::S3 => "s3",
            Self::Syslog => "syslog",
        }
    }
}

#[cfg(test)]
mod tests;
