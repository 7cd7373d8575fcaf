//! From what is written to what is meant, with every mistake told at once.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_filters::Mode;
use portcullis_filters::signature::Require;
use portcullis_policies::diagnostic::{Entry, from_yaml};
use portcullis_policies::policy::{self, FirewallFloor, Policy};
use portcullis_policies::{Diagnostic, IdentityMethod, nearest};
use serde_json::Value;

use super::check::Check;
use super::places::ADMIN;
use super::sca::Sca;
use super::{
    Admin, AuditSettings, Config, ConfigError, Filters, FirewallConfig, Gate, IdentitySettings, Limits, Link, Node,
    QueueSettings, RateLimits, RouteRule, ScaConfig, SchemaConfig, SignatureSettings, Tls, Upstream, schema, written,
};

/// The filters that this release has.
pub(crate) const KNOWN_FILTERS: [&str; 8] =
    ["identity", "signature", "ratelimit", "policy", "firewall", "schema", "sca", "audit"];
/// The source of the policy where no file is named.
pub(crate) const BUILT_IN: &str = "built in";
/// Those that the interface names and later releases bring.
const LATER_FILTERS: [&str; 1] = ["mcp"];

/// Reads and checks a config file and the files it names.
///
/// # Errors
/// Every mistake, each with its place.
pub(crate) fn load(file: &Path) -> Result<Config, ConfigError> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| {
        ConfigError(vec![
            Diagnostic::at(&shown, 0, 0, "", format!("the config cannot be read: {e}"))
                .with_hint("`portcullis init` makes one, `--config FILE` names another"),
        ])
    })?;
    parse(&text, file)
}

/// Checks a config's text as if it stood in this file.
pub(super) fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
    let shown = file.display().to_string();
    let written: written::Config =
        serde_saphyr::from_str(text).map_err(|e| ConfigError(vec![exemplified(text, from_yaml(&shown, text, &e))]))?;
    let base = std::path::absolute(file).ok().and_then(|p| p.parent().map(Path::to_owned)).unwrap_or_default();
    let mut check = Check::new(text, shown, base);
    check.valueless(text);
    let config = check.config(&written, file);
    if check.mistakes.is_empty() {
        Ok(Config { warnings: check.warnings, ..config })
    } else {
        Err(ConfigError(check.mistakes))
    }
}

/// The same with an example where a word stands in the place of one of our lists or maps.
fn exemplified(text: &str, mistake: Diagnostic) -> Diagnostic {
    let Some(entry) = Entry::at(text, mistake.line, mistake.column) else { return mistake };
    if mistake.message.ends_with("a list is expected") && entry.key == "rules" && !entry.value.is_empty() {
        return mistake.with_hint(format!("write `rules: [builtin, {}]`", entry.value));
    }
    if !mistake.message.ends_with("a map is expected") {
        return mistake;
    }
    let word = |usual| if entry.value.is_empty() { usual } else { entry.value };
    let example = match entry.key {
        "injection" => format!("{{action: {}}}", word("block")),
        "actions" => format!("{{RULE: {}}}", word("redact")),
        "upstreams" => "{local: {url: http://127.0.0.1:11434, kind: ollama}}".to_owned(),
        "gate" | "admin" => "{listen: 127.0.0.1:8443}".to_owned(),
        "node" => format!("{{name: {}}}", word("portcullis")),
        "identity" | "signature" | "ratelimit" | "policy" | "firewall" | "audit" => {
            format!("{{mode: {}}}", word("enforce"))
        }
        _ => return mistake,
    };
    let hint = format!("write `{}: {example}`", entry.key);
    mistake.with_hint(hint)
}

/// Calls with each key that stands in a document without a value, as `gate.limits` is called.
fn valueless(written: &Value, key: &str, tell: &mut dyn FnMut(&str)) {
    match written {
        Value::Null => tell(key),
        Value::Array(items) => items.iter().for_each(|item| valueless(item, key, tell)),
        Value::Object(entries) => entries.iter().for_each(|(name, value)| {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            valueless(value, &key, tell);
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Check<'_> {
    /// Refuses keys without a value: they would count as not written, and with them what they were meant to turn on.
    fn valueless(&mut self, text: &str) {
        // A text that is a config is a document.
        let Ok(written) = serde_saphyr::from_str::<Value>(text) else { return };
        valueless(&written, "", &mut |key| {
            let name = key.rsplit('.').next().unwrap_or_default();
            let hint = match name {
                "sca" => "write `sca: {}` for the defaults, or leave it out".to_owned(),
                _ => "give it one, or leave it out".to_owned(),
            };
            self.wrong(key, format!("`{name}` has no value, and would count as not written"), Some(&hint));
        });
    }

    fn config(&mut self, w: &written::Config, file: &Path) -> Config {
        let gate = self.gate(&w.gate);
        let admin = Admin { listen: self.address("admin.listen", w.admin.listen.as_deref(), ADMIN.into()) };
        if !admin.listen.ip().is_loopback() {
            self.wrong(
                "admin.listen",
                format!("`{}` is not a loopback address, and this listener has no TLS yet", admin.listen),
                Some("write `127.0.0.1:9901`"),
            );
        }
        if admin.listen == gate.listen && gate.listen.port() != 0 {
            self.wrong("admin.listen", "it is the gate's own address, expected another port".to_owned(), None);
        }
        let upstreams: Vec<Upstream> = w.upstreams.iter().map(|(name, u)| self.upstream(name, u, &gate)).collect();
        if upstreams.is_empty() {
            self.wrong(
                "upstreams",
                "there is none, expected at least one model server".to_owned(),
                Some("write `local: {url: http://127.0.0.1:11434, kind: ollama}`"),
            );
        }
        let routes = self.routes(&w.routes, &upstreams);
        let chain = self.chain(w, &gate);
        let name = w.node.name.clone().filter(|n| !n.trim().is_empty()).unwrap_or_else(|| "portcullis".to_owned());
        let state = self.path(w.node.state.as_deref().unwrap_or("./state"));
        let (policy, policy_source) = self.policy(&w.filters.policy);
        let mode = |name: &str| chain.iter().find(|link| link.name == name).map_or(Mode::Off, |link| link.mode);
        let floor = policy.firewall();
        let mut filters = self.filters(&w.filters, gate.tls, mode("identity") != Mode::Off, mode("signature"), floor);
        filters.sca = ScaConfig::check(self, w.filters.sca.as_ref().unwrap_or(&Sca::default()), &state);
        let kinds: Vec<_> = upstreams.iter().map(|upstream| upstream.kind).collect();
        filters.schema = schema::check(self, &w.filters.schema, &kinds);
        if let Some(model) = &filters.schema.settings.tools_model
            && mode("schema") != Mode::Enforce
        {
            self.warn(format!(
                "`filters.schema.tools.model` is `{model}`, and `schema` is not enforced: no tools are served"
            ));
        }
        Config {
            file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
            node: Node { name, state },
            gate,
            admin,
            upstreams,
            routes,
            chain,
            filters,
            policy,
            policy_source,
            watch: w.watch,
            warnings: Vec::new(),
        }
    }

    fn gate(&mut self, w: &written::Gate) -> Gate {
        let listen = self.address("gate.listen", w.listen.as_deref(), ([0, 0, 0, 0], 8443).into());
        let tls = w.tls.unwrap_or_default();
        if tls == Tls::Off && !listen.ip().is_loopback() {
            self.wrong(
                "gate.tls",
                format!("`off` would let everything pass {listen} in the clear, expected `mutual`"),
                Some("`off` is for loopback addresses"),
            );
        }
        if w.certificate.is_some() != w.key.is_some() {
            self.wrong(
                "gate.certificate",
                "`gate.certificate` and `gate.key` go together, and one is missing".to_owned(),
                None,
            );
        }
        let l = &w.limits;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let limits = Limits {
            connections: self.count("gate.limits.connections", l.connections, 10_000),
            header_bytes: self.size("gate.limits.header_bytes", l.header_bytes.as_ref(), 32 << 10),
            body_bytes: self.size("gate.limits.body_bytes", l.body_bytes.as_ref(), 16 << 20),
            answer_bytes: self.size("gate.limits.answer_bytes", l.answer_bytes.as_ref(), 64 << 20),
            held_bytes: self.size("gate.limits.held_bytes", l.held_bytes.as_ref(), 1 << 20),
            buffered_bytes: self.size("gate.limits.buffered_bytes", l.buffered_bytes.as_ref(), 256 << 20),
            header_timeout: self.duration("gate.limits.header_timeout", l.header_timeout.as_deref(), 10),
            body_timeout: self.duration("gate.limits.body_timeout", l.body_timeout.as_deref(), 60),
            idle_timeout: self.duration("gate.limits.idle_timeout", l.idle_timeout.as_deref(), 75),
            h2_streams: l.h2_streams.unwrap_or(100).max(1),
        };
        if limits.buffered_bytes < limits.body_bytes {
            self.wrong(
                "gate.limits.buffered_bytes",
                "it is less than `body_bytes`, so that no large body could ever be read".to_owned(),
                None,
            );
        }
        let client_ca: Vec<_> = w.client_ca.iter().map(|p| self.bundle("gate.client_ca", p)).collect();
        Gate {
            listen,
            tls,
            drain: self.duration("gate.drain", w.drain.as_deref(), 30),
            limits,
            server_names: w.server_names.clone(),
            client_ca,
            certificate: w.certificate.as_deref().map(|p| self.existing("gate.certificate", p)),
            key: w.key.as_deref().map(|p| self.existing("gate.key", p)),
            certificate_lifetime: self.lifetime(w.certificate_lifetime.as_deref()),
            threads: self.count("gate.threads", w.threads, threads).min(256),
            filter_timeout: self.duration("gate.filter_timeout", w.filter_timeout.as_deref(), 5),
        }
    }

    fn lifetime(&mut self, w: Option<&str>) -> Duration {
        let key = "gate.certificate_lifetime";
        let usual = portcullis_certs::ca::SERVER_LIFETIME;
        let lifetime = self.duration(key, w, usual.as_secs());
        if (Duration::from_secs(5)..=portcullis_certs::ca::CA_LIFETIME).contains(&lifetime) {
            return lifetime;
        }
        self.wrong(key, "expected between 5 seconds and 10 years".to_owned(), Some("write `90d`"));
        usual
    }

    fn upstream(&mut self, name: &str, w: &written::Upstream, gate: &Gate) -> Upstream {
        let key = format!("upstreams.{name}.url");
        let rest = w.url.strip_prefix("http://").map(|r| r.strip_suffix('/').unwrap_or(r));
        let (host, port) = match rest.map(|r| r.rsplit_once(':').unwrap_or((r, "80"))) {
            Some((host, port)) if !host.is_empty() && !rest.unwrap_or_default().contains(['/', '?', '#', '@']) => {
                (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port.parse().unwrap_or(0))
            }
            _ => (String::new(), 0),
        };
        if host.is_empty() || port == 0 {
            let hint = if w.url.starts_with("https://") {
                "TLS to upstreams comes with a later release"
            } else {
                "write `http://127.0.0.1:11434`"
            };
            self.wrong(
                &key,
                format!("`{}` is not the address of a model server, expected `http://HOST:PORT`", w.url),
                Some(hint),
            );
        }
        let itself = port == gate.listen.port()
            && host.parse::<IpAddr>().map_or(host == "localhost", |ip| ip.is_loopback() || ip == gate.listen.ip());
        if itself {
            self.wrong(
                &key,
                "it is the gate's own address: every request would come back to the gate".to_owned(),
                None,
            );
        }
        if !host.is_empty() && host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            self.warnings.push(format!("upstream `{name}` is not on loopback: others may reach it past the gate, and what goes there is not encrypted; bind it to loopback, beside the gate"));
        }
        let api_key = w.api_key.as_deref().and_then(|text| self.secret(&format!("upstreams.{name}.api_key"), text));
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        Upstream {
            name: name.to_owned(),
            url: w.url.clone(),
            addr_text: format!("{bracketed}:{port}"),
            host,
            port,
            kind: w.kind,
            connect_timeout: self.duration("connect_timeout", w.connect_timeout.as_deref(), 5),
            first_byte_timeout: self.duration("first_byte_timeout", w.first_byte_timeout.as_deref(), 900),
            idle_timeout: self.duration("idle_timeout", w.idle_timeout.as_deref(), 600),
            queue: QueueSettings::check(self, name, w.slots.as_ref(), &w.queue),
            api_key,
        }
    }

    fn routes(&mut self, w: &[written::Route], upstreams: &[Upstream]) -> Vec<RouteRule> {
        if w.is_empty() {
            if upstreams.len() > 1 {
                self.wrong(
                    "routes",
                    "there are several upstreams and no routes, expected rules that say what goes where".to_owned(),
                    None,
                );
            }
            return vec![RouteRule { class: Vec::new(), to: 0 }];
        }
        let mut routes = Vec::new();
        for route in w {
            let [to] = route.to.as_slice() else {
                self.wrong(
                    "routes.to",
                    format!("`{}` is not one upstream, expected a list of one name", route.to.join(", ")),
                    Some("balancing over several comes with a later release"),
                );
                continue;
            };
            match upstreams.iter().position(|u| u.name == *to) {
                Some(position) => routes.push(RouteRule { class: route.matches.class.clone(), to: position }),
                None => {
                    let near =
                        nearest(to, upstreams.iter().map(|u| u.name.as_str())).map(|n| format!("did you mean `{n}`?"));
                    self.wrong("routes.to", format!("`{to}` is none of the upstreams"), near.as_deref());
                }
            }
        }
        routes
    }

    fn chain(&mut self, w: &written::Config, gate: &Gate) -> Vec<Link> {
        // It needs advisories, which nobody but the operator can bring.
        let meant = |filter: &&&str| **filter != "sca" || w.filters.sca.is_some();
        let usual: Vec<String> = KNOWN_FILTERS.iter().filter(meant).map(|f| (*f).to_owned()).collect();
        let names = w.chain.as_ref().unwrap_or(&usual);
        let mut chain: Vec<Link> = Vec::new();
        for name in names {
            let Some(known) = known_filter(name) else {
                let (message, hint) = if LATER_FILTERS.contains(&name.as_str()) {
                    (format!("the filter `{name}` comes with a later release"), None)
                } else {
                    (
                        format!("`{name}` is no filter, expected one of {}", KNOWN_FILTERS.join(", ")),
                        nearest(name, KNOWN_FILTERS),
                    )
                };
                self.wrong("chain", message, hint.map(|h| format!("did you mean `{h}`?")).as_deref());
                continue;
            };
            if chain.iter().any(|link| link.name == known) {
                self.wrong("chain", format!("`{name}` stands twice"), None);
            }
            let mode = match known {
                "identity" => w.filters.identity.mode,
                "signature" => w.filters.signature.mode,
                "ratelimit" => w.filters.ratelimit.mode,
                "policy" => w.filters.policy.mode,
                "firewall" => w.filters.firewall.mode,
                "schema" => w.filters.schema.mode,
                "sca" => w.filters.sca.as_ref().and_then(|sca| sca.mode),
                "audit" => w.filters.audit.mode,
                _ => None,
            };
            chain.push(Link { name: known, mode: mode.map_or(Mode::Enforce, Mode::from) });
        }
        let enforced = |name: &str| chain.iter().any(|link| link.name == name && link.mode == Mode::Enforce);
        if !gate.listen.ip().is_loopback() {
            for name in ["identity", "audit"] {
                if !enforced(name) {
                    self.wrong("chain", format!("`{name}` is missing, `off` or in `shadow`, and the gate is not on loopback: anybody could call, or nobody would know"), Some("add it, with `mode: enforce`"));
                }
            }
        }
        let place = |name: &str| chain.iter().position(|link| link.name == name && link.mode != Mode::Off);
        if let Some(policy) = place("policy")
            && place("identity").is_none_or(|identity| identity > policy)
        {
            self.wrong("chain", "`policy` asks who calls, so `identity` must stand before it".to_owned(), None);
        }
        if let Some(signature) = place("signature")
            && (place("identity").is_some_and(|identity| identity > signature)
                || ["ratelimit", "policy"].iter().any(|name| place(name).is_some_and(|later| later < signature)))
        {
            self.wrong(
                "chain",
                "`signature` must stand after `identity`, or strangers could fill its memory, and before whatever \
                 counts or allows, or a replay would count for its victim"
                    .to_owned(),
                Some("write `[identity, signature, ratelimit, policy, firewall, schema, audit]`"),
            );
        }
        if let Some(limits) = place("ratelimit")
            && place("identity").is_some_and(|identity| identity > limits)
        {
            self.wrong("chain", "`ratelimit` counts by caller, so `identity` must stand before it".to_owned(), None);
        }
        let named = |name: &str| chain.iter().any(|link| link.name == name);
        let written = [
            ("firewall", w.filters.firewall.is_written()),
            ("schema", w.filters.schema.is_written()),
            ("sca", w.filters.sca.is_some()),
        ];
        for (name, _) in written.into_iter().filter(|(name, written)| *written && !named(name)) {
            self.warn(format!(
                "`filters.{name}` is written, and `chain` does not name `{name}`: it judges nothing; add it before `audit`, \
                 or leave `chain` out"
            ));
        }
        if !enforced("ratelimit") {
            self.warnings.push("`ratelimit` is not enforced: nothing bounds how much one caller may ask, and limits that rules, grants or keys state do not hold".to_owned());
        }
        chain
    }

    fn filters(
        &mut self,
        w: &written::Filters,
        tls: Tls,
        identified: bool,
        signatures: Mode,
        floor: FirewallFloor,
    ) -> Filters {
        let signature = SignatureSettings::check(self, &w.signature);
        let ratelimit = RateLimits::check(self, &w.ratelimit);
        let grants = w.policy.grants.unwrap_or_default();
        signature.store.check_sharers(self, ratelimit.store, grants);
        let identity = IdentitySettings::check(self, &w.identity, tls, identified, signatures);
        if signatures == Mode::Enforce && signature.require == Require::Always {
            let unable = [IdentityMethod::ApiKey, IdentityMethod::Jwt, IdentityMethod::OllamaKey];
            for method in unable.into_iter().filter(|method| identity.accept.contains(method)) {
                self.warn(format!(
                    "`filters.signature.require` is `always`, and a signature is by a node's key: nobody comes in by `{}`",
                    method.as_str()
                ));
            }
        }
        Filters {
            identity,
            signature,
            ratelimit,
            grants,
            firewall: FirewallConfig::check(self, &w.firewall, floor),
            schema: SchemaConfig::default(),
            sca: ScaConfig::default(),
            audit: AuditSettings::check(self, &w.audit),
        }
    }

    fn policy(&mut self, w: &written::Policy) -> (Arc<Policy>, String) {
        let (text, source) = match &w.file {
            None => (policy::DEFAULT.to_owned(), BUILT_IN.to_owned()),
            Some(file) => {
                let path = self.path(file);
                match std::fs::read_to_string(&path) {
                    Ok(text) => (text, path.display().to_string()),
                    Err(error) => {
                        self.wrong(
                            "filters.policy.file",
                            format!("`{}` cannot be read: {error}", path.display()),
                            Some("leave it out for the built-in policy"),
                        );
                        (policy::DEFAULT.to_owned(), String::new())
                    }
                }
            }
        };
        match Policy::parse(&text, &source) {
            Ok(policy) => (Arc::new(policy), source),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                (Arc::new(Policy::nothing()), source)
            }
        }
    }
}

fn known_filter(name: &str) -> Option<&'static str> {
    let known = KNOWN_FILTERS.into_iter().find(|known| *known == name);
    let faulty = name == "test_fault" && cfg!(debug_assertions) && std::env::var_os("PORTCULLIS_TEST_FAULT").is_some();
    known.or(faulty.then_some("test_fault"))
}
