//! What a measurement sends and where to, worked out once before the clock starts.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use crate::options::Options;
use crate::sign::Signed;
use crate::tls;

/// Where the requests go.
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// The stages of a measurement, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Connect,
    WarmUp,
    Measure,
    Stop,
}

/// The plan, shared by all workers.
pub(crate) struct Plan {
    pub(crate) options: Options,
    pub(crate) target: Target,
    pub(crate) method: String,
    pub(crate) body: Bytes,
    pub(crate) signed: Option<Signed>,
    /// Workers that are connected, or have given up.
    ready: AtomicUsize,
    failed: AtomicUsize,
    phase: AtomicU8,
}

impl Plan {
    pub(crate) fn new(options: Options) -> anyhow::Result<Arc<Self>> {
        let target = target(&options)?;
        let default_method = if options.no_body { "GET" } else { "POST" };
        let method = options.method.clone().unwrap_or_else(|| default_method.to_owned());
        let body = if options.no_body { Bytes::new() } else { body(&options)?.into() };
        let signed = match &options.sign_key {
            Some(file) => Some(Signed::prepare(file, &options, &method, &target, &body)?),
            None => None,
        };
        Ok(Arc::new(Self {
            options,
            target,
            method,
            body,
            signed,
            ready: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            phase: AtomicU8::new(Phase::Connect as u8),
        }))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, SeqCst);
    }

    pub(crate) fn reached(&self, phase: Phase) -> bool {
        self.phase.load(SeqCst) >= phase as u8
    }

    pub(crate) fn measuring(&self) -> bool {
        self.phase.load(SeqCst) == Phase::Measure as u8
    }

    /// Called once by every worker when its connection stands or has failed for good.
    pub(crate) fn worker_ready(&self, connected: bool) {
        if !connected {
            self.failed.fetch_add(1, SeqCst);
        }
        self.ready.fetch_add(1, SeqCst);
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed.load(SeqCst)
    }

    /// Waits until every worker has reported, or a minute has passed.
    pub(crate) fn wait_until_ready(&self) {
        for _ in 0..30_000 {
            if self.ready.load(SeqCst) >= self.options.connections {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn target(options: &Options) -> anyhow::Result<Target> {
    let (is_tls, rest) = match options.url.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        _ => bail!("the URL must start with http:// or https://"),
    };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().context("bad port in the URL")?),
        None => (authority, if is_tls { 443 } else { 80 }),
    };
    let addr = (host, port)
        .to_socket_addrs()
        .with_context(|| format!("cannot resolve `{host}`"))?
        .next()
        .with_context(|| format!("`{host}` has no address"))?;
    let tls = if is_tls {
        let name = options.sni.clone().unwrap_or_else(|| host.to_owned());
        let name = ServerName::try_from(name).context("bad server name")?;
        Some((tls::client_config(options)?, name))
    } else {
        None
    };
    Ok(Target { addr, authority: authority.to_owned(), path, tls })
}

/// A JSON body of exactly `--body-size` bytes (or the shortest possible one), of plain words
/// without a digit.
fn body(options: &Options) -> anyhow::Result<Vec<u8>> {
    let (model, stream) = (&options.model, options.stream);
    let (before, after) = match options.api.as_str() {
        "generate" => (format!(r#"{{"model":"{model}","prompt":""#), format!(r#"","stream":{stream}}}"#)),
        "ollama" | "openai" => (
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":""#),
            format!(r#""}}],"stream":{stream}}}"#),
        ),
        other => bail!("`--api {other}` is none of ollama, generate, openai"),
    };
    ensure!(!model.contains(['"', '\\']), "the model's name must need no escapes");
    let words = b"please summarise the following passage about rivers and mountains in plain \
                  language for a reader ";
    let fill = options.body_size.saturating_sub(before.len() + after.len()).max(1);
    let mut body = before.into_bytes();
    body.extend(words.iter().cycle().take(fill));
    body.extend_from_slice(after.as_bytes());
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_the_size_asked_for() {
        for api in ["ollama", "generate", "openai"] {
            for body_size in [1024, 65536] {
                let options = Options { api: api.to_owned(), body_size, ..Options::default() };
                let body = body(&options).unwrap();
                assert_eq!(body.len(), body_size);
                let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(json["model"], "stub");
                assert_eq!(json["stream"], false);
            }
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let url = "http://127.0.0.1:8080/api/chat?a=b".to_owned();
        let target = target(&Options { url, ..Options::default() }).unwrap();
        assert_eq!(target.authority, "127.0.0.1:8080");
        assert_eq!(target.path, "/api/chat?a=b");
        assert!(target.tls.is_none());
        for url in ["ftp://a", "http://127.0.0.1:x/"] {
            assert!(super::target(&Options { url: url.to_owned(), ..Options::default() }).is_err());
        }
    }
}
