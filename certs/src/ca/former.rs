//! A certificate that was issued before, to be issued once more.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{CaError, San, Use};

/// What of it goes into the new one.
pub(super) struct Former {
    der: CertificateDer<'static>,
    /// The public-key info in DER.
    pub(super) key: Vec<u8>,
    pub(super) name: String,
    pub(super) names: Vec<San>,
    pub(super) usage: Use,
}

impl Former {
    /// Reads the first certificate of a PEM text.
    pub(super) fn read(pem: &str) -> Result<Self, CaError> {
        let refuse = || CaError::Name("the old certificate".to_owned());
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| refuse())?;
        let (_, old) = X509Certificate::from_der(&der).map_err(|_| refuse())?;
        let common_name = old.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok());
        let mut names = Vec::new();
        if let Some(extension) = old.subject_alternative_name().map_err(|_| refuse())? {
            for name in &extension.value.general_names {
                names.push(match name {
                    GeneralName::DNSName(dns) => San::Dns((*dns).to_owned()),
                    GeneralName::URI(uri) => San::Uri((*uri).to_owned()),
                    GeneralName::IPAddress(bytes) => San::Ip(crate::peer::address(bytes).ok_or_else(refuse)?),
                    _ => return Err(refuse()),
                });
            }
        }
        let uses = old.extended_key_usage().map_err(|_| refuse())?.ok_or_else(refuse)?.value;
        let (name, key) = (common_name.ok_or_else(refuse)?.to_owned(), old.public_key().raw.to_vec());
        let usage = if uses.server_auth { Use::Server } else { Use::Client };
        Ok(Self { key, name, names, usage, der })
    }

    /// Whether this authority signed it.
    pub(super) fn is_of(&self, authority: &str) -> Result<bool, CaError> {
        let refuse = || CaError::NotAnAuthority("ca.crt".to_owned());
        let ca = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|_| refuse())?;
        let (_, ca) = X509Certificate::from_der(&ca).map_err(|_| refuse())?;
        let Ok((_, own)) = X509Certificate::from_der(&self.der) else { return Ok(false) };
        Ok(own.issuer().as_raw() == ca.subject().as_raw() && own.verify_signature(Some(ca.public_key())).is_ok())
    }
}
