//! The throw-away PKI of a benchmark, all P-256: one CA with a server and a client below it, and a
//! self-signed client for servers that trust keys instead of a CA.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

/// Writes `ca`, `server`, `client` and the self-signed `peer` as `.crt` and `.key` into `dir`.
pub(crate) fn write_pki(dir: &Path) -> anyhow::Result<Value> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("perf ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    fs::write(dir.join("ca.crt"), ca.pem())?;
    fs::write(dir.join("ca.key"), ca.key().serialize_pem())?;

    for (name, usage) in [
        ("server", ExtendedKeyUsagePurpose::ServerAuth),
        ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ("peer", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let params = leaf(name, usage)?;
        let key = KeyPair::generate()?;
        let cert = match name {
            "peer" => params.self_signed(&key)?,
            _ => params.signed_by(&key, &ca)?,
        };
        fs::write(dir.join(format!("{name}.crt")), cert.pem())?;
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(json!({ "dir": dir }))
}

fn leaf(name: &str, usage: ExtendedKeyUsagePurpose) -> anyhow::Result<CertificateParams> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = common_name(name);
    params.extended_key_usages = vec![usage];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::tls::client_config;

    #[test]
    fn the_pki_is_usable_for_a_client() {
        let dir = std::env::temp_dir().join(format!("perf-pki-{}", std::process::id()));
        write_pki(&dir).unwrap();
        let file = |name: &str| Some(dir.join(name).to_string_lossy().into_owned());
        let options =
            Options { ca: file("ca.crt"), cert: file("client.crt"), key: file("client.key"), ..Options::default() };
        client_config(&options).unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }
}
