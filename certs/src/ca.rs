//! The node's own small authority.
//!
//! It signs the gate's server certificate and, for callers that want one, client certificates. P-256
//! throughout: the one curve that every client library speaks.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, RevokedCertParams, SerialNumber,
    SubjectPublicKeyInfo,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::files::{self, FileError};
use crate::peer::printable;

mod former;
mod request;
mod san;

use former::Former;
pub use request::Request;
pub use san::San;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Proving who calls.
    Client,
    /// Proving who answers.
    Server,
}

/// Seconds in a year.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long a server certificate holds where nobody says otherwise.
pub const SERVER_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long a client certificate holds where nobody says otherwise.
pub const CLIENT_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long the authority holds; nothing that it signs holds longer.
pub const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How far a certificate's beginning lies back at most: clocks differ. Never more than a tenth of its
/// life, so that one third of even a short one is left when it is renewed.
const SKEW: Duration = Duration::from_secs(300);
/// The longest common name, in characters (RFC 5280, `ub-common-name`).
const MAX_COMMON_NAME: usize = 64;

/// A certificate authority: its certificate and its key. The key is zeroed when dropped.
pub struct Ca {
    certificate: String,
    key: Zeroizing<String>,
    /// When the authority itself ends.
    ends: SystemTime,
}

/// A certificate that was issued, with its key, both in PEM. The chain ends with the authority.
pub struct Issued {
    /// Leaf first, then the authority.
    pub chain: String,
    /// PKCS#8, version 1.
    pub key: Zeroizing<String>,
}

/// Why an authority cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The certificate library said no.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The authority has ended.
    #[error("the authority's certificate has expired; move `ca.crt` and `ca.key` away and run `portcullis init`")]
    Expired,
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The certificate and the key are not a pair.
    #[error("the key `{key}` does not belong to the authority `{certificate}`; restore the pair from one backup")]
    Mismatch {
        /// The certificate file.
        certificate: String,
        /// The key file.
        key: String,
    },
    /// It cannot stand in a certificate.
    #[error(
        "`{0}` cannot stand in a certificate, expected a name of 1 to {MAX_COMMON_NAME} printable \
         characters, a host name, an address, or a URI such as `spiffe://domain/workload`"
    )]
    Name(String),
    /// The file holds no authority.
    #[error(
        "`{0}` holds no certificate of an authority, expected one `BEGIN CERTIFICATE` block of a CA; restore it from a backup"
    )]
    NotAnAuthority(String),
    /// The certificate is of another authority.
    #[error("the certificate was not issued by this node's authority, so it cannot be renewed here")]
    NotOurs,
    /// The request cannot be used.
    #[error(
        "the request cannot be used: {0}; expected one `BEGIN CERTIFICATE REQUEST` block (PKCS#10) in PEM, as `openssl req -new` writes it"
    )]
    Request(&'static str),
    /// The certificate file cannot be read.
    #[error("cannot read `{path}`: {source}; `portcullis init` makes the authority")]
    Read {
        /// The file.
        path: String,
        /// What came of it.
        source: std::io::Error,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Ca {
    /// A new authority for this node, for ten years.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn create(node: &str) -> Result<Self, CaError> {
        let key = Zeroizing::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?);
        check_name(node)?;
        let name: String = format!("Portcullis CA of {node}").chars().take(MAX_COMMON_NAME).collect();
        let mut params = params(&name, CA_LIFETIME)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&*key)?.pem();
        Ok(Self { certificate, key: key.serialize_pem().into(), ends: params.not_after.into() })
    }

    /// Reads an authority.
    ///
    /// # Errors
    /// When a file is missing, too open, or does not hold what it should, or the two are not a pair.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CaError> {
        let shown = certificate.display().to_string();
        let text = files::open_regular(certificate).and_then(std::io::read_to_string);
        let text = text.map_err(|source| CaError::Read { path: shown.clone(), source })?;
        let refuse = || CaError::NotAnAuthority(shown.clone());
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| refuse())?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| refuse())?;
        if !parsed.is_ca() {
            return Err(refuse());
        }
        let mismatch = || CaError::Mismatch { certificate: shown.clone(), key: key.display().to_string() };
        let secret = files::read_private(key)?;
        let pair = Zeroizing::new(KeyPair::from_pem(&secret).map_err(|_| mismatch())?);
        if pair.der_bytes() != parsed.public_key().subject_public_key.data.as_ref() {
            return Err(mismatch());
        }
        let ends = u64::try_from(parsed.validity().not_after.timestamp()).map_err(|_| CaError::Expired)?;
        let ends = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(ends)).ok_or_else(refuse)?;
        Ok(Self { certificate: text, key: secret, ends })
    }

    /// Writes the authority to new files; never over others.
    ///
    /// # Errors
    /// When a file exists or cannot be written.
    pub fn save_new(&self, certificate: &Path, key: &Path) -> Result<(), CaError> {
        for path in [certificate, key] {
            if path.exists() {
                return Err(FileError::Exists(path.to_owned()).into());
            }
        }
        files::write_new_private(key, self.key.as_bytes())?;
        Ok(files::write_new_private(certificate, self.certificate.as_bytes())?)
    }

    /// The authority's certificate, in PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Issues a server certificate for these names, the first of which is also its common name. It
    /// ends with the authority at the latest.
    ///
    /// # Errors
    /// When there is no name, one cannot stand in a certificate, or the authority has expired.
    pub fn issue_server(&self, names: &[San], lifetime: Duration) -> Result<Issued, CaError> {
        let first = names.first().map(San::text).unwrap_or_default();
        // A host name may be longer than a common name; clients look at the full ones alone.
        let name: String = first.chars().take(MAX_COMMON_NAME).collect();
        self.issue(&name, names, lifetime, Use::Server)
    }

    /// Issues a client certificate; a SPIFFE ID among its names becomes the caller's identity. It
    /// ends with the authority at the latest.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate, or the authority has expired.
    pub fn issue_client(&self, name: &str, names: &[San], lifetime: Duration) -> Result<Issued, CaError> {
        self.issue(name, names, lifetime, Use::Client)
    }

    /// Issues a certificate for a key that is made for it.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate, or the authority has expired.
    pub fn issue(&self, name: &str, names: &[San], lifetime: Duration, usage: Use) -> Result<Issued, CaError> {
        let key = Zeroizing::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?);
        let chain = self.sign(&*key, name, names, lifetime, usage)?;
        Ok(Issued { chain, key: key.serialize_pem().into() })
    }

    /// Issues a certificate for the key of a request. Of what the request asks for, nothing else is
    /// taken. Returns the chain in PEM.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate, or the authority has expired.
    pub fn issue_for(
        &self,
        request: &Request,
        name: &str,
        names: &[San],
        lifetime: Duration,
        usage: Use,
    ) -> Result<String, CaError> {
        self.sign(&SubjectPublicKeyInfo::from_der(&request.key)?, name, names, lifetime, usage)
    }

    /// Issues a certificate that this authority issued once more, for the same key, names and uses, from
    /// now on. Returns the chain in PEM.
    ///
    /// # Errors
    /// When it is not of this authority, holds a name that cannot be issued, or the authority has
    /// expired.
    pub fn renew(&self, certificate: &str, lifetime: Duration) -> Result<String, CaError> {
        let old = Former::read(certificate)?;
        if !old.is_of(&self.certificate)? {
            return Err(CaError::NotOurs);
        }
        self.sign(&SubjectPublicKeyInfo::from_der(&old.key)?, &old.name, &old.names, lifetime, old.usage)
    }

    fn sign(
        &self,
        key: &impl PublicKeyData,
        name: &str,
        names: &[San],
        lifetime: Duration,
        usage: Use,
    ) -> Result<String, CaError> {
        let left = self.ends.duration_since(SystemTime::now()).map_err(|_| CaError::Expired)?;
        let mut params = params(name, lifetime.min(left))?;
        // Says that it is none, and with it brings the subject key identifier.
        params.is_ca = IsCa::ExplicitNoCa;
        params.subject_alt_names = names.iter().map(San::to_rcgen).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match usage {
            Use::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Use::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let own = self.own_key()?;
        let leaf = params.signed_by(key, &Issuer::from_ca_cert_pem(&self.certificate, &*own)?)?;
        Ok(format!("{}{}", leaf.pem(), self.certificate))
    }

    /// A revocation list of these serial numbers (RFC 5280, section 5), in PEM, for this long. `number`
    /// grows from list to list.
    ///
    /// # Errors
    /// The certificate library's own.
    pub fn revocation_list(
        &self,
        serials: &[(Box<[u8]>, SystemTime)],
        number: u64,
        lifetime: Duration,
    ) -> Result<String, CaError> {
        let now = SystemTime::now();
        let revoked = |(serial, when): &(Box<[u8]>, SystemTime)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: (*when).into(),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + lifetime.min(CA_LIFETIME)).into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let own = self.own_key()?;
        Ok(list.signed_by(&Issuer::from_ca_cert_pem(&self.certificate, &*own)?)?.pem()?)
    }

    fn own_key(&self) -> Result<Zeroizing<KeyPair>, CaError> {
        Ok(Zeroizing::new(KeyPair::from_pem(&self.key)?))
    }
}

/// What every certificate has: a common name, a random serial, and a time from a little before now.
pub(crate) fn params(name: &str, lifetime: Duration) -> Result<CertificateParams, CaError> {
    check_name(name)?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    let mut serial = [0u8; 16];
    getrandom::fill(&mut serial).map_err(CaError::Random)?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    // Bounded, so that no lifetime leads to a date that cannot be written.
    let now = SystemTime::now();
    let lifetime = lifetime.min(CA_LIFETIME);
    params.not_before = (now - SKEW.min(lifetime / 10)).into();
    params.not_after = (now + lifetime).into();
    Ok(params)
}

fn check_name(name: &str) -> Result<(), CaError> {
    let fine = (1..=MAX_COMMON_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(CaError::Name(printable(name))) }
}

#[cfg(test)]
mod tests;
