//! Authorities and certificates, good ones and every kind of bad one.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber, SigningKey as _,
};
use rustls_pki_types::CertificateDer;

use crate::der;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// An authority of a test's own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    params: CertificateParams,
    /// Its certificate, in DER.
    pub der: Vec<u8>,
    /// Those between it and the root, this one first; empty for a root.
    above: Vec<Vec<u8>>,
}

/// What a client presents: a chain, the leaf first, and the key that it signs with.
#[derive(Clone)]
pub struct Shown {
    /// In DER.
    pub chain: Vec<Vec<u8>>,
    /// In PEM.
    pub key: String,
}

impl Authority {
    /// A root.
    pub fn root(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    /// A root with something else about it.
    pub fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (authority(name, change), key());
        let der = params.self_signed(&key).expect("a root").der().to_vec();
        Self { issuer: Issuer::new(params.clone(), key), params, der, above: Vec::new() }
    }

    /// An authority below this one.
    pub fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (authority(name, change), key());
        let der = params.signed_by(&key, &self.issuer).expect("an intermediate").der().to_vec();
        let above = [vec![der.clone()], self.above.clone()].concat();
        Self { issuer: Issuer::new(params.clone(), key), params, der, above }
    }

    /// A client of this authority, with the whole chain to the root.
    pub fn client(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        self.client_with(&key(), name, change)
    }

    /// The same, with this key.
    pub fn client_with(&self, key: &KeyPair, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let leaf = client(name, change).signed_by(key, &self.issuer).expect("a leaf").der().to_vec();
        Shown { chain: [vec![leaf], self.above.clone()].concat(), key: key.serialize_pem() }
    }

    /// A client whose certificate is changed in its DER, and signed anew. The parts of the
    /// to-be-signed part are those of RFC 5280, section 4.1: version, serial, algorithm, issuer, validity,
    /// subject, key, extensions.
    pub fn patched(&self, name: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Shown {
        let mut shown = self.client(name, |_| {});
        let whole = der::parts(&shown.chain[0]);
        let mut signed = der::parts(&whole[0]);
        change(&mut signed);
        let algorithm = signed[if signed[0][0] == 0xa0 { 2 } else { 1 }].clone();
        let signed = der::sequence(&signed);
        let signature = self.issuer.key().sign(&signed).expect("a signature");
        let bits = der::tagged(0x03, &[vec![0], signature].concat());
        shown.chain[0] = der::sequence(&[signed, algorithm, bits]);
        shown
    }

    /// A revocation list of these certificates.
    pub fn crl(&self, revoked: &[&Shown]) -> String {
        self.crl_for(revoked, DAY)
    }

    /// The same, which ends so soon.
    pub fn crl_for(&self, revoked: &[&Shown], life: Duration) -> String {
        let now = SystemTime::now();
        let revoked = revoked.iter().map(|shown| RevokedCertParams {
            serial_number: SerialNumber::from(serial(&shown.chain[0])),
            revocation_time: (now - HOUR).into(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: (now - HOUR).into(),
            next_update: (now + life).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("a list").pem().expect("PEM")
    }

    /// Another of the same name with another key.
    pub fn impostor(&self) -> Self {
        let key = key();
        let der = self.params.self_signed(&key).expect("a root").der().to_vec();
        Self { issuer: Issuer::new(self.params.clone(), key), params: self.params.clone(), der, above: Vec::new() }
    }

    /// Writes its certificate into a folder.
    pub fn save(&self, folder: &Path, file: &str) -> PathBuf {
        let path = folder.join(file);
        std::fs::write(&path, pem("CERTIFICATE", &self.der)).expect("a file");
        path
    }
}

/// A certificate that nobody but its own key vouches for.
pub fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
    let key = key();
    let der = client(name, change).self_signed(&key).expect("a certificate").der().to_vec();
    Shown { chain: vec![der], key: key.serialize_pem() }
}

/// A fresh P-256 key.
pub fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key")
}

/// Sets the time: so many days from now.
pub fn days(from: i64, to: i64) -> impl Fn(&mut CertificateParams) {
    move |params| {
        let at = |days: i64| {
            let span = DAY * u32::try_from(days.unsigned_abs()).expect("days");
            if days < 0 { SystemTime::now() - span } else { SystemTime::now() + span }
        };
        params.not_before = at(from).into();
        params.not_after = at(to).into();
    }
}

/// Sets the extended uses.
pub fn uses(uses: &[ExtendedKeyUsagePurpose]) -> impl Fn(&mut CertificateParams) + use<> {
    let uses = uses.to_vec();
    move |params| params.extended_key_usages.clone_from(&uses)
}

/// Adds an extension that nobody knows.
pub fn extension(critical: bool, bytes: usize) -> impl Fn(&mut CertificateParams) {
    move |params| {
        let content = der::tagged(0x04, &vec![7; bytes]);
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], content);
        extension.set_criticality(critical);
        params.custom_extensions.push(extension);
    }
}

/// Adds URIs.
pub fn uris(uris: &[&str]) -> impl Fn(&mut CertificateParams) + use<> {
    let uris: Vec<_> = uris.iter().map(|uri| SanType::URI(Ia5String::try_from(*uri).expect("ASCII"))).collect();
    move |params| params.subject_alt_names.extend(uris.clone())
}

/// Adds host names.
pub fn hosts(names: &[&str]) -> impl Fn(&mut CertificateParams) + use<> {
    let names: Vec<_> = names.iter().map(|name| SanType::DnsName(Ia5String::try_from(*name).expect("ASCII"))).collect();
    move |params| params.subject_alt_names.extend(names.clone())
}

/// PEM of this DER.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl Shown {
    /// The chain as rustls takes it.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.chain.iter().cloned().map(CertificateDer::from).collect()
    }

    /// The chain in PEM.
    pub fn pem(&self) -> String {
        self.chain.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }

    /// With these certificates behind the leaf instead.
    #[must_use]
    pub fn followed_by(mut self, others: &[&[u8]]) -> Self {
        self.chain.truncate(1);
        self.chain.extend(others.iter().map(|der| der.to_vec()));
        self
    }
}

fn serial(leaf: &[u8]) -> Vec<u8> {
    der::content(&der::parts(&der::parts(leaf)[0])[1]).to_vec()
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (SystemTime::now() - HOUR).into();
    params.not_after = (SystemTime::now() + DAY).into();
    params
}

fn authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut params);
    params
}

fn client(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    change(&mut params);
    params
}
