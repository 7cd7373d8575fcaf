//! The throw-away PKI of a benchmark: one CA with a server and a client below it, and self-signed
//! clients for servers that trust keys instead of a CA. All P-256, but for the `node`, whose Ed25519
//! key can sign requests, too.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ED25519,
};
use serde_json::{Value, json};

/// Writes `ca`, `server`, `client` and the self-signed `peer` and `node` as `.crt` and `.key` into `dir`.
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
        ("node", ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let params = leaf(name, usage)?;
        let key = if name == "node" { KeyPair::generate_for(&PKCS_ED25519)? } else { KeyPair::generate()? };
        let cert = match name {
            "peer" | "node" => params.self_signed(&key)?,
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
        let node = fs::read_to_string(dir.join("node.key")).unwrap();
        portcullis_signatures::SecretKey::from_pem(&node).unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }
}
