//! A request for a certificate (PKCS#10): somebody else's key, to be signed here.

use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;

use super::CaError;
use crate::peer::{KeyKind, MAX_CERTIFICATE, printable, printable_uri};

/// The most names of a request that are shown.
const MAX_NAMES: usize = 32;

/// A request whose signature holds: who sent it has the key.
pub struct Request {
    /// The public-key info in DER.
    pub(super) key: Vec<u8>,
    /// The common name that it asks for, safe to show.
    pub common_name: Option<String>,
    /// The names that it asks for, safe to show. None is given unless the operator says so.
    pub names: Vec<String>,
}

impl Request {
    /// Reads a request in PEM.
    ///
    /// # Errors
    /// When it is none, its signature does not hold, or its key cannot be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CaError> {
        let refuse = CaError::Request;
        if pem.len() > 2 * MAX_CERTIFICATE {
            return Err(refuse("it is too large"));
        }
        let der = CertificateSigningRequestDer::from_pem_slice(pem).map_err(|_| refuse("it cannot be read"))?;
        let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| refuse("it cannot be read"))?;
        if !rest.is_empty() {
            return Err(refuse("something stands behind it"));
        }
        let info = &request.certification_request_info;
        if matches!(KeyKind::of(&info.subject_pki), Err(_) | Ok(KeyKind::Other)) {
            return Err(refuse("its key is too short, or none of P-256, P-384, RSA and Ed25519"));
        }
        request
            .verify_signature()
            .map_err(|_| refuse("its signature does not hold, so who sent it does not have the key"))?;
        let common_name = info.subject.iter_common_name().next().and_then(|cn| cn.as_str().ok()).map(printable);
        let mut names = Vec::new();
        for extension in request.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(all) = extension {
                names.extend(all.general_names.iter().take(MAX_NAMES).map(|name| match name {
                    GeneralName::DNSName(dns) => printable(dns),
                    GeneralName::URI(uri) => printable_uri(uri),
                    GeneralName::IPAddress(bytes) => {
                        crate::peer::address(bytes).map_or("?".to_owned(), |a| a.to_string())
                    }
                    _ => "a name of another kind".to_owned(),
                }));
            }
        }
        Ok(Self { key: info.subject_pki.raw.to_vec(), common_name: common_name.filter(|n| !n.is_empty()), names })
    }
}
