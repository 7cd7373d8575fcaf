use std::path::Path;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::ca::{Ca, SERVER_LIFETIME, San};
use crate::node::{NodeIdentity as _, NodeKey};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

fn key(pem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    crate::files::write_private(&path, text.as_bytes()).unwrap();
    path
}

/// A gate with its authority, in memory.
struct Gate {
    dir: tempfile::TempDir,
    ca: Ca,
    resolver: Arc<ServerCertResolver>,
}

impl Gate {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::create("test").unwrap();
        write(dir.path(), "ca.crt", ca.certificate());
        let resolver = Arc::new(ServerCertResolver::new(Self::certified(dir.path(), &ca)));
        Self { dir, ca, resolver }
    }

    fn certified(dir: &Path, ca: &Ca) -> Arc<rustls::sign::CertifiedKey> {
        let issued = ca.issue_server(&[San::Dns("localhost".to_owned())], SERVER_LIFETIME).unwrap();
        let certificate = write(dir, "server.crt", &issued.chain);
        load_certified_key(&certificate, &write(dir, "server.key", &issued.key)).unwrap()
    }

    fn fingerprint(&self) -> String {
        PeerCert::parse(&self.resolver.current().cert[0], false).unwrap().fingerprint
    }

    /// One handshake: what the server knows of its client, or why it failed and on which side.
    fn meet(
        &self,
        version: &'static SupportedProtocolVersion,
        verifier: &Arc<dyn ClientCertVerifier>,
        server_verifier: Arc<dyn rustls::client::danger::ServerCertVerifier>,
        client: Option<(&str, &str)>,
    ) -> Result<Option<PeerCert>, Error> {
        let server = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(Arc::clone(verifier))
            .with_cert_resolver(Arc::clone(&self.resolver) as _);
        let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(server_verifier);
        let config = match client {
            Some((pem, secret)) => builder.with_client_auth_cert(chain(pem), key(secret)).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        let name = ServerName::try_from("any.name").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        for _ in 0..8 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut bytes = &wire[..];
            while !bytes.is_empty() {
                server.read_tls(&mut bytes).unwrap();
                server.process_new_packets()?;
            }
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut bytes = &wire[..];
            while !bytes.is_empty() {
                client.read_tls(&mut bytes).unwrap();
                client.process_new_packets()?;
            }
        }
        assert!(!server.is_handshaking() && !client.is_handshaking());
        Ok(server.peer_certificates().map(|c| PeerCert::parse(&c[0], false).unwrap()))
    }

    fn pin(&self) -> Arc<dyn rustls::client::danger::ServerCertVerifier> {
        pinned_server(&self.fingerprint()).unwrap()
    }
}

#[test]
fn any_key_is_taken_when_it_is_proven() {
    let gate = Gate::new();
    let node = NodeKey::generate().unwrap();
    let (pem, secret) = node.self_signed_cert("alice").unwrap();
    let issued = Ca::create("foreign").unwrap().issue_client("bob", &[], SERVER_LIFETIME).unwrap();
    for version in VERSIONS {
        let peer = gate.meet(version, &possession(), gate.pin(), Some((&pem, &secret))).unwrap().unwrap();
        assert_eq!(peer.identity, node.public().identity());
        let peer = gate.meet(version, &possession(), gate.pin(), Some((&issued.chain, &issued.key))).unwrap().unwrap();
        assert!(peer.identity.as_str().starts_with("cert:"));
        assert!(gate.meet(version, &possession(), gate.pin(), None).unwrap().is_none(), "refused later, readably");
    }
}

/// Signs with its own key under somebody else's certificate, as a thief without the key would.
#[test]
fn a_certificate_without_its_key_is_refused() {
    #[derive(Debug)]
    struct Stolen(Arc<rustls::sign::CertifiedKey>);
    impl rustls::client::ResolvesClientCert for Stolen {
        fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
        fn has_certs(&self) -> bool {
            true
        }
    }
    let gate = Gate::new();
    let (alice, _) = NodeKey::generate().unwrap().self_signed_cert("alice").unwrap();
    let thief = NodeKey::generate().unwrap().to_pem().unwrap();
    let signing = provider().key_provider.load_private_key(key(&thief)).unwrap();
    let stolen = Stolen(Arc::new(rustls::sign::CertifiedKey::new(chain(&alice), signing)));
    for version in VERSIONS {
        let config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(gate.pin())
            .with_client_cert_resolver(Arc::new(Stolen(Arc::clone(&stolen.0))));
        let server = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(possession())
            .with_cert_resolver(Arc::clone(&gate.resolver) as _);
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from("any.name").unwrap()).unwrap();
        let mut outcome = Ok(());
        for _ in 0..4 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut bytes = &wire[..];
            while !bytes.is_empty() && outcome.is_ok() {
                server.read_tls(&mut bytes).unwrap();
                outcome = server.process_new_packets().map(|_| ());
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut bytes = &wire[..];
            while !bytes.is_empty() && client.read_tls(&mut bytes).is_ok() {
                let _ = client.process_new_packets();
            }
        }
        assert_eq!(outcome, Err(CertificateError::BadSignature.into()));
    }
}

#[test]
fn a_server_is_known_by_its_key() {
    let gate = Gate::new();
    let first = gate.fingerprint();
    for version in VERSIONS {
        let error = gate.meet(version, &possession(), first_contact(), None).unwrap_err();
        let seen = PinMismatch::of(&error).unwrap();
        assert_eq!((&seen.expected, &seen.presented), (&None, &gate.fingerprint()));
        let wrong = pinned_server(&"00".repeat(16)).unwrap();
        assert!(
            PinMismatch::of(&gate.meet(version, &possession(), wrong, None).unwrap_err()).unwrap().expected.is_some()
        );
    }
    let pin = pinned_server(&first.replace(':', "").to_uppercase()).unwrap();
    assert!(gate.meet(VERSIONS[0], &possession(), Arc::clone(&pin), None).is_ok());
    gate.resolver.swap(Gate::certified(gate.dir.path(), &gate.ca));
    let error = gate.meet(VERSIONS[0], &possession(), pin, None).unwrap_err();
    assert!(PinMismatch::of(&error).is_some(), "the new certificate is shown at once");
    assert!(matches!(pinned_server("56:47"), Err(VerifyError::Fingerprint(_))));
}

#[test]
fn a_door_takes_the_node_s_own_key_and_nothing_else() {
    let mut gate = Gate::new();
    let (node, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let certified = gate.resolver.current();
    let version = VERSIONS[0];
    assert!(
        gate.meet(version, &possession(), first_contact_node(), None).is_err_and(|e| PinMismatch::of(&e).is_none()),
        "a server without a node key has nothing to show"
    );
    gate.resolver = Arc::new(ServerCertResolver::new(certified).with_node(&node, "gate").unwrap());
    let seen = gate.meet(version, &possession(), first_contact_node(), None).unwrap_err();
    let seen = PinMismatch::of(&seen).unwrap().clone();
    assert_eq!((&seen.expected, &seen.presented), (&None, &node.public().fingerprint()));
    assert_eq!(seen.identity, node.public().identity());
    let pin = || pinned_node(&node.public().fingerprint().to_uppercase()).unwrap();
    let (pem, secret) = other.self_signed_cert("laptop").unwrap();
    assert!(gate.meet(version, &possession(), pin(), Some((&pem, &secret))).unwrap().is_some());
    assert!(gate.meet(VERSIONS[1], &possession(), pin(), None).is_err(), "TLS 1.3 alone");
    let error =
        gate.meet(version, &possession(), pinned_node(&other.public().fingerprint()).unwrap(), None).unwrap_err();
    assert!(PinMismatch::of(&error).is_some());
    let config = door_config(pin(), Some((&other, "laptop"))).unwrap();
    assert!(config.client_auth_cert_resolver.has_certs() && config.alpn_protocols[0] == b"h2");
    assert!(door_config(pin(), Some((&other, ""))).is_err());
}

#[test]
fn certificates_are_bounded_in_time_and_size() {
    let (pem, _) = NodeKey::generate().unwrap().self_signed_cert("a").unwrap();
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let now = UnixTime::now().as_secs();
    let verifier = possession();
    let check = |leaf: &[u8], rest: &[CertificateDer<'_>], seconds| {
        verifier.verify_client_cert(&CertificateDer::from(leaf), rest, at(seconds)).err()
    };
    let leaf = der(&pem);
    assert_eq!(check(&leaf, &[], now), None);
    assert_eq!(check(&leaf, &[], now + 400 * 86_400), None, "refused later, readably");
    assert_eq!(check(&[1, 2, 3], &[], now), Some(CertificateError::BadEncoding.into()));
    assert_eq!(check(&leaf, &vec![leaf.clone(); MAX_CHAIN - 1], now), None);
    let error = check(&leaf, &vec![leaf.clone(); MAX_CHAIN], now).unwrap().to_string();
    assert!(error.contains("TooLarge"), "{error}");
    assert!(check(&leaf, &[CertificateDer::from(vec![0; MAX_CERTIFICATE + 1])], now).is_some());
}

#[test]
fn a_certificate_and_a_key_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let certificate = write(dir.path(), "c", &one.self_signed_cert("a").unwrap().0);
    let key = write(dir.path(), "k", &other.to_pem().unwrap());
    let none = dir.path().join("none");
    assert!(matches!(load_certified_key(&certificate, &key), Err(VerifyError::Mismatch { .. })));
    assert!(matches!(load_certified_key(&key, &key), Err(VerifyError::NoCertificate(_))));
    assert!(matches!(load_certified_key(&certificate, &certificate), Err(VerifyError::NoKey(_))));
    let error = load_certified_key(&none, &key).unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("none"), "{error}");
    assert!(matches!(load_certified_key(&certificate, &none), Err(VerifyError::File(_))));
}
