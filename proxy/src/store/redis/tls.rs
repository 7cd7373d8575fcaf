//! TLS to the store: the operator's authorities, or the system's.

use std::sync::Arc;

use anyhow::Context as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;

use crate::config::RedisSettings;

/// What begins TLS with the store.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) tls: TlsConnector,
    pub(super) name: ServerName<'static>,
}

/// `None` where the address asks for no TLS.
///
/// # Errors
/// When there is no authority that could vouch for the server.
pub(super) fn connector(settings: &RedisSettings) -> anyhow::Result<Option<Connector>> {
    if !settings.tls {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(path) => {
            let file = || format!("the store's authorities in `{}` cannot be read", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(file)? {
                roots.add(certificate.with_context(file)?).with_context(file)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    anyhow::ensure!(!roots.is_empty(), "there is no authority that could vouch for the store; name one under `ca`");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(settings.host.clone()).context("the store's host is no name that TLS knows")?;
    Ok(Some(Connector { tls: TlsConnector::from(Arc::new(config)), name }))
}
