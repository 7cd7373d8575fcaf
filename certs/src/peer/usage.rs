//! What a certificate says it may be used for, read from its extensions.

use portcullis_policies::CertificateProblem;
use x509_parser::prelude::{GeneralName, ParsedExtension, X509Certificate};

/// The uses of a certificate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// An extension cannot be read, or stands twice.
    pub(crate) unreadable: bool,
    /// A critical extension is none that is understood here.
    pub(crate) unknown_critical: bool,
    /// It lists extended uses, and being a client is not among them.
    pub(crate) not_for_clients: bool,
    /// It is an authority's.
    pub(crate) is_ca: bool,
    /// It lists uses of its key, and signing is not among them.
    pub(crate) may_not_sign: bool,
    /// Its key may sign certificates or revocation lists.
    pub(crate) signs_certificates: bool,
    /// The extended uses, as people call them.
    pub(crate) extended: Vec<&'static str>,
}

impl Usage {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        // Two extensions of one kind: two readers could look at different ones.
        let mut usage = Self { unreadable: certificate.extensions_map().is_err(), ..Self::default() };
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::ParseError { .. } => usage.unreadable = true,
                ParsedExtension::BasicConstraints(basic) => usage.is_ca = basic.ca,
                ParsedExtension::KeyUsage(key) => {
                    usage.may_not_sign = !key.digital_signature();
                    usage.signs_certificates = key.key_cert_sign() || key.crl_sign();
                }
                ParsedExtension::ExtendedKeyUsage(extended) => {
                    usage.not_for_clients = !extended.client_auth;
                    let named = [
                        (extended.client_auth, "clientAuth"),
                        (extended.server_auth, "serverAuth"),
                        (extended.any, "any"),
                        (extended.code_signing, "codeSigning"),
                        (extended.email_protection, "emailProtection"),
                        (extended.time_stamping, "timeStamping"),
                        (extended.ocsp_signing, "OCSPSigning"),
                        (!extended.other.is_empty(), "other"),
                    ];
                    usage.extended = named.into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
                }
                ParsedExtension::SubjectAlternativeName(names) => {
                    // A name that one parser skips is one that another may count.
                    let skipped = |name: &GeneralName<'_>| matches!(name, GeneralName::Invalid(..));
                    usage.unreadable |= names.general_names.iter().any(skipped);
                }
                ParsedExtension::NameConstraints(_) => {}
                _ => usage.unknown_critical |= extension.critical,
            }
        }
        usage
    }

    /// What of it forbids a client to show the certificate at all.
    pub(super) fn problem(&self) -> Option<CertificateProblem> {
        if self.unreadable {
            Some(CertificateProblem::Unreadable)
        } else if self.unknown_critical {
            Some(CertificateProblem::UnknownExtension)
        } else if self.not_for_clients {
            Some(CertificateProblem::ExtendedKeyUsage)
        } else {
            None
        }
    }
}
