//! The floor of a Pingora product: TLS, mTLS or plain HTTP in front, plain HTTP/1.1 behind, the
//! stock proxy path and not one filter. Whatever the gate costs above this is its own doing.

use std::sync::Arc;

use anyhow::{Context, bail};
use async_trait::async_trait;
use pingora_core::apps::HttpServerOptions;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const USAGE: &str = "usage: perf-floor --listen ADDR --upstream ADDR [--cert FILE --key FILE \
                     [--ca FILE]] [--threads N] [--no-steal] [--h2]";

struct Options {
    listen: String,
    upstream: String,
    cert: Option<String>,
    key: Option<String>,
    ca: Option<String>,
    threads: usize,
    work_stealing: bool,
    http2: bool,
}

struct Floor {
    peer: Box<HttpPeer>,
}

#[async_trait]
impl ProxyHttp for Floor {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut Self::CTX) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(self.peer.clone())
    }
}

fn main() -> anyhow::Result<()> {
    let options = parse(std::env::args().skip(1))?;
    let conf = ServerConf {
        threads: options.threads,
        work_stealing: options.work_stealing,
        upstream_keepalive_pool_size: 1024,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let peer = Box::new(HttpPeer::new(options.upstream.as_str(), false, String::new()));
    let mut service = http_proxy_service(&server.configuration, Floor { peer });
    if let Some(app) = service.app_logic_mut() {
        let mut http = HttpServerOptions::default();
        http.keepalive_request_limit = None;
        app.server_options = Some(http);
    }
    match tls_settings(&options)? {
        Some(tls) => service.add_tls_with_settings(&options.listen, None, tls),
        None => service.add_tcp(&options.listen),
    }
    server.add_service(service);
    server.run_forever()
}

fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let mut options = Options {
        listen: "127.0.0.1:8080".to_owned(),
        upstream: "127.0.0.1:11434".to_owned(),
        cert: None,
        key: None,
        ca: None,
        threads: 1,
        work_stealing: true,
        http2: false,
    };
    while let Some(name) = args.next() {
        let mut value = || args.next().with_context(|| format!("`{name}` needs a value\n{USAGE}"));
        match name.as_str() {
            "--listen" => options.listen = value()?,
            "--upstream" => options.upstream = value()?,
            "--cert" => options.cert = Some(value()?),
            "--key" => options.key = Some(value()?),
            "--ca" => options.ca = Some(value()?),
            "--threads" => options.threads = value()?.parse().context("bad `--threads`")?,
            "--no-steal" => options.work_stealing = false,
            "--h2" => options.http2 = true,
            _ => bail!("unknown option `{name}`\n{USAGE}"),
        }
    }
    Ok(options)
}

/// TLS in front when a certificate is given, mTLS when a CA is given as well.
fn tls_settings(options: &Options) -> anyhow::Result<Option<TlsSettings>> {
    let (Some(cert), Some(key)) = (&options.cert, &options.key) else {
        return Ok(None);
    };
    // An error means that another provider was installed before, which cannot be here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut tls = TlsSettings::intermediate(cert, key).context("unusable certificate or key")?;
    if options.http2 {
        tls.enable_h2();
    }
    if let Some(ca) = &options.ca {
        let mut roots = rustls::RootCertStore::empty();
        for der in CertificateDer::pem_file_iter(ca).with_context(|| format!("cannot read {ca}"))? {
            roots.add(der?)?;
        }
        tls.set_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build()?);
    }
    Ok(Some(tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read() {
        let args = ["--listen", "127.0.0.1:1", "--threads", "2", "--no-steal", "--h2"];
        let options = parse(args.into_iter().map(str::to_owned)).unwrap();
        assert_eq!((options.listen.as_str(), options.threads), ("127.0.0.1:1", 2));
        assert!(!options.work_stealing && options.http2);
        assert!(parse(["--chain".to_owned()].into_iter()).is_err());
    }
}
