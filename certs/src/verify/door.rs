//! How a door shakes hands: TLS 1.3 alone, both sides with their node keys, every connection anew.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{VerifyError, provider};
use crate::node::NodeKey;

/// What a door offers a gate: HTTP/2, and `caller`'s own certificate under this name.
/// Nothing is resumed, so that each connection proves both keys.
///
/// # Errors
/// When no certificate can be made for the key and the name.
pub fn door_config(
    verifier: Arc<dyn ServerCertVerifier>,
    caller: Option<(&NodeKey, &str)>,
) -> Result<ClientConfig, VerifyError> {
    let refuse = |why: String| VerifyError::Node(why);
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| refuse(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match caller {
        None => builder.with_no_client_auth(),
        Some((node, name)) => {
            let (certificate, key) = node.self_signed_cert(name).map_err(|e| refuse(e.to_string()))?;
            let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|e| refuse(e.to_string()))?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| refuse(e.to_string()))?;
            builder.with_client_auth_cert(vec![chain], key).map_err(|e| refuse(e.to_string()))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}
