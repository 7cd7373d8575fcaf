//! A certificate, put into words for a person.

use data_encoding::HEXLOWER;
use serde::Serialize;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{PeerCert, PeerError, address, printable_uri};

/// The longest name that is shown, in characters.
const MAX_TEXT: usize = 256;
/// The most names that are shown.
const MAX_SHOWN: usize = 64;

/// What stands in a certificate, safe to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// Its subject, as `CN=…, O=…`.
    pub subject: String,
    /// Its issuer, the same way.
    pub issuer: String,
    /// In lower-case hex, without leading zeros.
    pub serial: String,
    /// Host names, addresses and URIs.
    pub names: Vec<String>,
    /// The kind of key.
    pub key: String,
    /// What a person compares.
    pub fingerprint: String,
    /// The SHA-256 of the public-key info, in hex.
    pub key_sha256: String,
    /// Whether it is one of an authority.
    pub authority: bool,
    /// The extended uses; empty for all.
    pub uses: Vec<String>,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
}

impl Described {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// When it is none, or its key cannot be used.
    pub fn parse(der: &[u8]) -> Result<Self, PeerError> {
        let peer = PeerCert::parse(der, false)?;
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::NotACertificate)?;
        let mut names = Vec::new();
        if let Ok(Some(extension)) = certificate.subject_alternative_name() {
            names.extend(extension.value.general_names.iter().take(MAX_SHOWN).map(|name| match name {
                GeneralName::DNSName(text) | GeneralName::RFC822Name(text) => visible(text),
                GeneralName::URI(uri) => printable_uri(uri),
                GeneralName::IPAddress(bytes) => address(bytes).map_or_else(|| "?".to_owned(), |ip| ip.to_string()),
                _ => "a name of another kind".to_owned(),
            }));
        }
        Ok(Self {
            subject: visible(&certificate.subject().to_string()),
            issuer: visible(&certificate.issuer().to_string()),
            serial: HEXLOWER.encode(&peer.serial),
            names,
            key: peer.key,
            fingerprint: peer.fingerprint,
            key_sha256: HEXLOWER.encode(&peer.spki_sha256),
            authority: peer.usage.is_ca,
            uses: peer.usage.extended.iter().map(|name| (*name).to_owned()).collect(),
            not_before: peer.not_before,
            not_after: peer.not_after,
        })
    }
}

/// What cannot be shown becomes a `?`: a name with control bytes must not look like one without.
fn visible(text: &str) -> String {
    let shown = text.chars().take(MAX_TEXT);
    shown
        .map(|c| {
            if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                '?'
            } else {
                c
            }
        })
        .collect()
}
