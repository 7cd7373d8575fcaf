//! Asking other servers: identity providers, OSV. Never a model server, and never for a caller.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;

/// A client with this much patience for one request. It follows no redirects, and uses no proxy.
///
/// # Errors
/// A sentence, when the authorities cannot be read.
pub(crate) fn agent(ca: Option<&Path>, patience: Duration) -> Result<ureq::Agent, String> {
    let roots = roots(ca)?;
    Ok(ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .max_redirects(0)
        .http_status_as_error(false)
        .proxy(None)
        .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .tls_config(ureq::tls::TlsConfig::builder().root_certs(roots).build())
        .build()
        .into())
}

/// The authorities that vouch for the other side: the operator's file, else the system's.
fn roots(ca: Option<&Path>) -> Result<ureq::tls::RootCerts, String> {
    let certificates: Vec<rustls_pki_types::CertificateDer<'static>> = match ca {
        Some(path) => rustls_pki_types::CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|e| format!("`{}`: {e}", path.display()))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let certificates: Vec<_> =
        certificates.iter().map(|der| ureq::tls::Certificate::from_der(der).to_owned()).collect();
    Ok(ureq::tls::RootCerts::Specific(Arc::new(certificates)))
}

/// Whether something may be fetched from there: encrypted, or from this very machine.
pub(crate) fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        _ => false,
    }
}
