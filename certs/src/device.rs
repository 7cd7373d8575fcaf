//! The device key of a stock Ollama installation, and the signature that its command line makes.
//!
//! With `OLLAMA_AUTH=1` a request carries `<public key>:<signature>`: the SSH wire form of an Ed25519
//! key (RFC 8709, section 4) and the plain Ed25519 signature, both in base64, over
//! `METHOD,path?ts=SECONDS`.

use data_encoding::{BASE64, BASE64_NOPAD};
use portcullis_policies::Identity;
use sha2::{Digest as _, Sha256};

use crate::fingerprint;
use crate::node::NodePublic;

/// The name of the key type in its wire form.
const ED25519: &[u8] = b"ssh-ed25519";

/// A device whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `ollama:SHA256:…`: what `ssh-keygen -l -f ~/.ollama/id_ed25519.pub` shows.
    pub identity: Identity,
    /// What a person compares here: the beginning of the same digest, in hex pairs.
    pub fingerprint: String,
}

/// Why a device signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// It is not `<key>:<signature>`.
    #[error("the device signature is not an Ed25519 key and a signature in base64")]
    Malformed,
    /// The signature is not by that key over that text.
    #[error("the device signature does not hold")]
    Signature,
}

/// Checks a device signature strictly (RFC 8032): canonical encodings only, no keys of small order.
///
/// # Errors
/// When it is malformed or does not hold.
pub fn verify(proof: &str, signed: &str) -> Result<Device, DeviceError> {
    let (key, signature) = proof.split_once(':').ok_or(DeviceError::Malformed)?;
    let blob = BASE64.decode(key.as_bytes()).map_err(|_| DeviceError::Malformed)?;
    let bytes = key_of(&blob).ok_or(DeviceError::Malformed)?;
    let public = NodePublic::from_bytes(bytes).map_err(|_| DeviceError::Malformed)?;
    let signature = BASE64.decode(signature.as_bytes()).ok().and_then(|s| <[u8; 64]>::try_from(s).ok());
    let signature = signature.ok_or(DeviceError::Malformed)?;
    public.verify(signed.as_bytes(), &signature).map_err(|_| DeviceError::Signature)?;
    let digest = Sha256::digest(&blob);
    let identity = Identity::parse(&format!("ollama:SHA256:{}", BASE64_NOPAD.encode(&digest)));
    Ok(Device { identity: identity.map_err(|_| DeviceError::Malformed)?, fingerprint: fingerprint::of(&digest) })
}

/// The 32 bytes in `string "ssh-ed25519", string key`, each with its length in front, and nothing else.
fn key_of(blob: &[u8]) -> Option<&[u8; 32]> {
    let (kind, rest) = string(blob)?;
    let (key, rest) = string(rest)?;
    if kind == ED25519 && rest.is_empty() { key.try_into().ok() } else { None }
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer as _, SigningKey};

    fn blob(key: &[u8]) -> Vec<u8> {
        let mut blob = Vec::new();
        for part in [ED25519, key] {
            blob.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
            blob.extend_from_slice(part);
        }
        blob
    }

    #[test]
    fn takes_what_the_command_line_sends_and_nothing_like_it() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let signed = "POST,/api/chat?ts=1763700000";
        let proof = |blob: &[u8], by: &str| {
            format!("{}:{}", BASE64.encode(blob), BASE64.encode(&key.sign(by.as_bytes()).to_bytes()))
        };
        let good = blob(key.verifying_key().as_bytes());
        let device = verify(&proof(&good, signed), signed).unwrap();
        assert!(device.identity.as_str().starts_with("ollama:SHA256:") && device.identity.as_str().len() == 57);
        assert_eq!(verify(&proof(&good, "POST,/api/pull?ts=1763700000"), signed), Err(DeviceError::Signature));
        let mut longer = good.clone();
        longer.push(0);
        for bad in [&longer[..], &good[..50], &blob(&[0; 32]), &blob(&[1; 31]), &good[..3], &[]] {
            assert_eq!(verify(&proof(bad, signed), signed), Err(DeviceError::Malformed), "{bad:?}");
        }
        for bad in ["", ":", "AAAA", "AAAA:AAAA", "!:!"] {
            assert_eq!(verify(bad, signed), Err(DeviceError::Malformed), "{bad}");
        }
    }

    #[test]
    fn shows_the_fingerprint_that_ssh_keygen_shows() {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::from_bytes(&[7; 32]);
        let blob = blob(key.verifying_key().as_bytes());
        let path = dir.path().join("id.pub");
        std::fs::write(&path, format!("ssh-ed25519 {} me\n", BASE64.encode(&blob))).unwrap();
        let proof = format!("{}:{}", BASE64.encode(&blob), BASE64.encode(&key.sign(b"x").to_bytes()));
        let device = verify(&proof, "x").unwrap();
        match std::process::Command::new("ssh-keygen").args(["-l", "-f"]).arg(&path).output() {
            Ok(out) => {
                let said = String::from_utf8_lossy(&out.stdout).into_owned();
                assert!(said.contains(device.identity.as_str().trim_start_matches("ollama:")), "{said}");
            }
            Err(_) => eprintln!("skipped: ssh-keygen not found"),
        }
    }
}
