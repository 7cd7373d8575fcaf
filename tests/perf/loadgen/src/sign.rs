//! HTTP Message Signatures (RFC 9421) with Ed25519, as the gate takes them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, ensure};
use data_encoding::{BASE64, HEXLOWER};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::Ed25519KeyPair;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;

use crate::plan::Target;

/// Signs the plan's one request over and over, with a fresh nonce and time.
pub(crate) struct Signer {
    key: Ed25519KeyPair,
    node_id: String,
    content_digest: String,
    /// The lines of the signature base above `@signature-params`.
    base: String,
    components: &'static str,
    salt: [u8; 8],
    counter: AtomicU64,
}

impl Signer {
    pub(crate) fn load(file: &str, node_id: &str, method: &str, target: &Target, body: &[u8]) -> anyhow::Result<Self> {
        ensure!(!node_id.is_empty(), "--sign-key needs --node-id");
        let der = PrivatePkcs8KeyDer::from_pem_file(file).with_context(|| format!("cannot read the key {file}"))?;
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map_err(|error| anyhow!("{file} is not an Ed25519 key: {error}"))?;
        let mut salt = [0; 8];
        SystemRandom::new().fill(&mut salt).map_err(|_| anyhow!("no randomness"))?;

        let (path, query) = target.path.split_once('?').unwrap_or((&target.path, ""));
        let authority = target.authority.to_ascii_lowercase();
        let content_digest = format!("sha-256=:{}:", BASE64.encode(digest(&SHA256, body).as_ref()));
        let mut base = format!(
            "\"@method\": {method}\n\"@authority\": {authority}\n\"@path\": {path}\n\
             \"@query\": ?{query}\n\"content-digest\": {content_digest}\n"
        );
        let mut components = r#"("@method" "@authority" "@path" "@query" "content-digest")"#;
        if !body.is_empty() {
            base.push_str("\"content-type\": application/json\n");
            components = r#"("@method" "@authority" "@path" "@query" "content-digest" "content-type")"#;
        }
        let (node_id, counter) = (node_id.to_owned(), AtomicU64::new(0));
        Ok(Self { key, node_id, content_digest, base, components, salt, counter })
    }

    /// The headers of one request.
    pub(crate) fn headers(&self) -> [(&'static str, String); 3] {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let params = self.params(created, self.counter.fetch_add(1, Relaxed));
        let message = format!("{}\"@signature-params\": {params}", self.base);
        let signature = BASE64.encode(self.key.sign(message.as_bytes()).as_ref());
        [
            ("content-digest", self.content_digest.clone()),
            ("signature-input", format!("portcullis={params}")),
            ("signature", format!("portcullis=:{signature}:")),
        ]
    }

    fn params(&self, created: u64, counter: u64) -> String {
        let mut params = String::with_capacity(256);
        // Writing to a string does not fail.
        let _ = write!(
            params,
            "{};created={created};keyid=\"{}\";alg=\"ed25519\";nonce=\"{}{counter:016x}\"",
            self.components,
            self.node_id,
            HEXLOWER.encode(&self.salt),
        );
        params
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ring::signature::{ED25519, KeyPair, UnparsedPublicKey};

    use super::*;

    #[test]
    fn signatures_verify_and_nonces_differ() {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let file = std::env::temp_dir().join(format!("perf-sign-{}.pem", std::process::id()));
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(document.as_ref()));
        std::fs::write(&file, pem).unwrap();
        let target = Target {
            addr: SocketAddr::from(([127, 0, 0, 1], 1)),
            authority: "Gate:8443".to_owned(),
            path: "/api/chat?a=b".to_owned(),
            tls: None,
        };
        let signer = Signer::load(file.to_str().unwrap(), "node-1", "POST", &target, b"{}").unwrap();
        std::fs::remove_file(&file).unwrap();

        let [_, (_, input), (_, signature)] = signer.headers();
        assert_ne!(input, signer.headers()[1].1);
        let params = input.strip_prefix("portcullis=").unwrap();
        let message = format!("{}\"@signature-params\": {params}", signer.base);
        let expected = "\"@method\": POST\n\"@authority\": gate:8443\n\"@path\": /api/chat\n\"@query\": ?a=b\n";
        assert!(message.starts_with(expected), "{message}");
        let signature = signature.strip_prefix("portcullis=:").unwrap().strip_suffix(':').unwrap();
        UnparsedPublicKey::new(&ED25519, signer.key.public_key())
            .verify(message.as_bytes(), &BASE64.decode(signature.as_bytes()).unwrap())
            .unwrap();
    }
}
