//! Where nonces, counters and grants are kept: in this gate, or in a Redis that several gates share.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::check::Check;
use super::{HIDDEN, Secret};

/// The longest time-out: a claim that takes longer holds up every signed request.
const MAX_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest: less is no time at all for a busy network.
const MIN_TIMEOUT: Duration = Duration::from_millis(10);
const USUAL_TIMEOUT: Duration = Duration::from_millis(250);
const USUAL_PREFIX: &str = "portcullis";
const EXAMPLE: &str = "write `embedded`, or `rediss://HOST:6379`";

/// Where nonces are kept, and what `shared` means elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Store {
    /// In this gate's state directory.
    #[default]
    Embedded,
    /// In a Redis or Valkey that the gates of one service share.
    Redis(RedisSettings),
}

/// How a Redis is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedisSettings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: u16,
    /// Who vouches for the server, in PEM; the system's authorities otherwise.
    pub(crate) ca: Option<PathBuf>,
    /// For a connection, and for an answer.
    pub(crate) timeout: Duration,
    /// What every key's name begins with.
    pub(crate) prefix: String,
}

/// `embedded`, the address of a Redis, or the address and more.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Written {
    /// `embedded`, or `redis://HOST:PORT`, or `rediss://HOST:PORT` with TLS; also `${ENV_NAME}` or `file:PATH`.
    Word(String),
    /// An address and more.
    More(Box<Shared>),
}

/// By hand, so that a mistake in one form is told as that: the derived one says that none fits.
impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`embedded`, the address of a Redis, or `{url: …}`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Written, E> {
                Ok(Written::Word(word.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Written, M::Error> {
                Shared::deserialize(MapAccessDeserializer::new(map)).map(|more| Written::More(Box::new(more)))
            }
        }
        from.deserialize_any(Either)
    }
}

/// A Redis or Valkey that the gates of one service share.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shared {
    /// `redis://HOST:PORT/DATABASE`, or `rediss://…` with TLS.
    url: String,
    /// The user, where the server has any.
    user: Option<String>,
    /// Its password: `${ENV_NAME}`, `file:PATH`, or the password.
    password: Option<String>,
    /// The authorities that vouch for the server, in PEM. Default: the system's.
    ca: Option<String>,
    /// How long a connection, or an answer, may take. Default: `250ms`.
    timeout: Option<String>,
    /// What the names of all keys begin with. Default: `portcullis`.
    prefix: Option<String>,
}

/// Whether something is kept in this gate or in the store that `filters.signature.store` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Counting {
    /// In this gate's memory.
    #[default]
    Memory,
    /// In the store that the gates share.
    Shared,
}

/// Whose grants hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Granting {
    /// Those in this gate's state directory.
    #[default]
    Local,
    /// Those in the store that the gates share.
    Shared,
}

impl Store {
    /// What is written under this key.
    pub(super) fn check(check: &mut Check<'_>, key: &str, w: Option<&Written>) -> Self {
        let usual = Shared::default();
        let (text, more) = match w {
            None => return Self::Embedded,
            Some(Written::Word(word)) if word == "embedded" => return Self::Embedded,
            Some(Written::Word(word)) => (word, &usual),
            Some(Written::More(more)) => (&more.url, &**more),
        };
        // An address may hold a password, so it may come from where secrets come from.
        let before = check.mistakes.len();
        let Some(text) = check.secret(key, text) else { return Self::Embedded };
        RedisSettings::check(check, key, text.expose(), more)
            .filter(|_| check.mistakes.len() == before)
            .map_or(Self::Embedded, Self::Redis)
    }

    /// What is to be shared needs a store that is.
    pub(super) fn check_sharers(&self, check: &mut Check<'_>, counting: Counting, granting: Granting) {
        let sharers = [
            ("filters.ratelimit.store", counting == Counting::Shared),
            ("filters.policy.grants", granting == Granting::Shared),
        ];
        for (key, _) in sharers.into_iter().filter(|(_, shared)| *shared && self.redis().is_none()) {
            check.wrong(
                key,
                "`shared` needs a store that gates share, and `filters.signature.store` names none".to_owned(),
                Some("write `store: rediss://HOST:6379` under `filters.signature`"),
            );
        }
    }

    /// The Redis, if it is one.
    pub(crate) fn redis(&self) -> Option<&RedisSettings> {
        match self {
            Self::Embedded => None,
            Self::Redis(settings) => Some(settings),
        }
    }

    /// As `config show` tells it.
    pub(crate) fn to_json(&self) -> Value {
        let Self::Redis(redis) = self else { return json!("embedded") };
        json!({
            "url": redis.address(), "user": redis.user, "password": redis.password.as_ref().map(|_| HIDDEN),
            "ca": redis.ca, "timeout": format!("{}ms", redis.timeout.as_millis()), "prefix": redis.prefix,
        })
    }
}

impl RedisSettings {
    /// Where it is, without user and password.
    pub(crate) fn address(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{scheme}://{host}:{}/{}", self.port, self.database)
    }

    fn check(check: &mut Check<'_>, key: &str, url: &str, more: &Shared) -> Option<Self> {
        let place = |check: &mut Check<'_>| {
            // What stands there may hold a password: it is not repeated.
            let message = "it is no address of a store, expected `redis://HOST:PORT/DATABASE` or `rediss://…`";
            check.wrong(key, message.to_owned(), Some(EXAMPLE));
        };
        let Ok(url) = Url::parse(url) else {
            place(check);
            return None;
        };
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => {
                place(check);
                return None;
            }
        };
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let database = match url.path().trim_start_matches('/') {
            "" => Some(0),
            number => number.parse().ok(),
        };
        let Some(database) = database
            .filter(|_| !host.is_empty() && url.port() != Some(0) && url.query().is_none() && url.fragment().is_none())
        else {
            place(check);
            return None;
        };
        let at = |part: &str| format!("{key}.{part}");
        let both = |of_url: bool, of_key: bool| of_url && of_key;
        if both(!url.username().is_empty(), more.user.is_some())
            || both(url.password().is_some(), more.password.is_some())
        {
            check.wrong(&at("url"), "user or password stand in the address and beside it".to_owned(), None);
        }
        let decoded = |text: &str| percent(text);
        let user = more.user.clone().or_else(|| decoded(url.username())).filter(|user| !user.is_empty());
        let password = match &more.password {
            Some(text) => check.secret(&at("password"), text),
            None => url.password().and_then(decoded).map(Secret::new),
        };
        if user.is_some() && password.is_none() {
            check.wrong(
                &at("password"),
                "there is a user and no password".to_owned(),
                Some("write `password: ${ENV_NAME}` or `password: file:PATH`"),
            );
        }
        if more.ca.is_some() && !tls {
            check.wrong(
                &at("ca"),
                "an authority vouches for a server over TLS, and this address has none".to_owned(),
                Some("write `rediss://` in the address"),
            );
        }
        let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !tls && !local {
            check.warn(format!(
                "`{key}`: the way to the store at {host} is not encrypted: who can write there can let a replay in; write `rediss://`"
            ));
        }
        Some(Self {
            port: url.port().unwrap_or(6379),
            tls,
            user,
            password,
            database,
            ca: more.ca.as_deref().map(|path| check.existing(&at("ca"), path)),
            timeout: timeout(check, &at("timeout"), more.timeout.as_deref()),
            prefix: prefix(check, &at("prefix"), more.prefix.as_deref()),
            host,
        })
    }
}

fn timeout(check: &mut Check<'_>, key: &str, w: Option<&str>) -> Duration {
    let Some(text) = w else { return USUAL_TIMEOUT };
    let meant = super::duration(text).filter(|meant| (MIN_TIMEOUT..=MAX_TIMEOUT).contains(meant));
    meant.unwrap_or_else(|| {
        let message = format!("`{text}` does not fit, expected a duration from 10ms to 5s");
        check.wrong(key, message, Some("write `250ms`"));
        USUAL_TIMEOUT
    })
}

/// Braces would make another hash tag of it.
fn prefix(check: &mut Check<'_>, key: &str, w: Option<&str>) -> String {
    let text = w.unwrap_or(USUAL_PREFIX);
    let fine =
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    if !fine {
        let message = "expected 1 to 64 letters, digits, `-`, `_`, `.` or `:`";
        check.wrong(key, message.to_owned(), Some("write `portcullis`"));
    }
    text.to_owned()
}

/// The text behind its percent-encoding; `None` where it is no UTF-8 or there is none.
fn percent(text: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
    (!decoded.is_empty()).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::load::parse;
    use super::super::{Config, ConfigError};
    use super::*;

    fn config(filters: &str) -> Result<Config, ConfigError> {
        let text = format!("upstreams: {{local: {{url: http://127.0.0.1:11434, kind: ollama}}}}\nfilters:\n{filters}");
        parse(&text, Path::new("./portcullis.yaml"))
    }

    fn redis(store: &str) -> RedisSettings {
        let config = config(&format!("  signature: {{store: {store}}}\n"));
        config.unwrap_or_else(|e| panic!("{e}")).filters.signature.store.redis().expect("a Redis").clone()
    }

    #[test]
    fn a_store_is_an_address_or_more() {
        assert_eq!(config("  signature: {store: embedded}\n").unwrap().filters.signature.store, Store::Embedded);
        let short = redis("redis://localhost");
        assert_eq!((short.host.as_str(), short.port, short.tls, short.database), ("localhost", 6379, false, 0));
        assert_eq!((short.timeout, short.prefix.as_str()), (USUAL_TIMEOUT, USUAL_PREFIX));
        let long = redis("{url: 'rediss://[::1]:7000/3', user: gate, password: p@ss, timeout: 1s, prefix: a.b}");
        assert_eq!(long.address(), "rediss://[::1]:7000/3");
        assert_eq!((long.user.as_deref(), long.password.as_ref().map(Secret::expose)), (Some("gate"), Some("p@ss")));
        let inside = redis("rediss://gate:p%40ss@redis.internal");
        assert_eq!((inside.user, inside.password), (long.user, long.password));
    }

    #[test]
    fn passwords_are_never_shown() {
        let filters = "  signature: {store: 'redis://gate:hunter2@localhost'}\n";
        let settings = config(filters).unwrap().filters.signature;
        assert!(!format!("{settings:?} {}", settings.to_json()).contains("hunter2"));
        for wrong in ["redis://gate:hunter2@localhost/x", "http://gate:hunter2@localhost", "gate:hunter2"] {
            let error = config(&format!("  signature: {{store: '{wrong}'}}\n")).map(drop).unwrap_err().to_string();
            assert!(error.contains("filters.signature.store") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (filters, said) in [
            ("  signature: {store: redis}\n", "no address of a store"),
            ("  signature: {store: {url: 'redis://localhost', user: gate}}\n", "a user and no password"),
            ("  signature: {store: {url: 'redis://localhost', ca: ca.pem}}\n", "`rediss://`"),
            ("  signature: {store: {url: 'redis://localhost', timeout: 1m}}\n", "from 10ms to 5s"),
            ("  signature: {store: {url: 'redis://localhost', prefix: 'a{b}'}}\n", "1 to 64 letters"),
            ("  signature: {store: {url: 'redis://a:b@localhost', password: c}}\n", "and beside it"),
            ("  signature: {store: '${NO_SUCH_VARIABLE}'}\n", "is not set"),
            ("  ratelimit: {store: shared}\n", "`filters.signature.store` names none"),
            ("  policy: {grants: shared}\n", "`filters.signature.store` names none"),
        ] {
            let error = config(filters).map(drop).unwrap_err().to_string();
            assert!(error.contains(said), "{filters}{error}");
        }
        let far = config("  signature: {store: 'redis://redis.internal'}\n").unwrap();
        assert!(far.warnings.iter().any(|warning| warning.contains("not encrypted")), "{:?}", far.warnings);
    }
}
