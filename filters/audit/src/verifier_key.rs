//! The public keys that notes are verified with, as the texts in which they are handed round.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::base64;

/// The longest name of a key, in bytes: what the newer cosignatures have room for.
const MAX_NAME: usize = 255;
/// The longest key as a text, in bytes: a name, 8 hex digits, 33 bytes in Base64, two plus signs.
const MAX_TEXT: usize = MAX_NAME + 8 + 44 + 2;

/// What a key signs. The number is the first byte of the encoded key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Notes, as the log does.
    Ed25519 = 0x01,
    /// Cosignatures with a time, as a witness does.
    Cosignature = 0x04,
}

/// A key of a log or of a witness: `name+id+base64`, a "vkey".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// It has another form.
    #[error("it is not a verifier key, expected `<name>+<8 hex digits>+<base64>`")]
    Form,
    /// Its name cannot be one.
    #[error("its name is empty, longer than 255 bytes, or has spaces, control characters or a plus sign")]
    Name,
    /// It is of another kind.
    #[error("its kind is not known, expected an Ed25519 key of the kind 1 (a log) or 4 (a witness)")]
    Kind,
    /// Its bytes are no key that is safe to use.
    #[error("its 32 bytes are not an Ed25519 public key that is safe to use")]
    Key,
    /// Its id is not that of its name and bytes.
    #[error("its id is not the one that its name and its key have: one of the three was changed")]
    Id,
}

impl VerifierKey {
    /// A key of this name and kind.
    ///
    /// # Errors
    /// When the name cannot be one, or the key is weak.
    pub fn new(name: &str, kind: KeyKind, key: VerifyingKey) -> Result<Self, VerifierKeyError> {
        if !is_name(name) {
            return Err(VerifierKeyError::Name);
        }
        if key.is_weak() {
            return Err(VerifierKeyError::Key);
        }
        Ok(Self { name: name.to_owned(), kind, key })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public key itself.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Its id: the first four bytes of the SHA-256 over its name, a newline, its kind and its key.
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        let hash = Sha256::new().chain_update(&self.name).chain_update(b"\n").chain_update(self.encoded()).finalize();
        hash.first_chunk().copied().unwrap_or_default()
    }

    /// `Some` when the signature holds.
    pub(crate) fn verify_strict(&self, message: &[u8], signature: &Signature) -> Option<()> {
        self.key.verify_strict(message, signature).ok()
    }

    fn encoded(&self) -> Vec<u8> {
        let mut encoded = vec![self.kind as u8];
        encoded.extend_from_slice(self.key.as_bytes());
        encoded
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_TEXT {
            return Err(VerifierKeyError::Form);
        }
        // Base64 has plus signs too.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierKeyError::Form);
        };
        let id = HEXLOWER.decode(id.as_bytes()).map_err(|_| VerifierKeyError::Form)?;
        let encoded = base64::decode(encoded).ok_or(VerifierKeyError::Form)?;
        let (kind, key) = match encoded.split_first() {
            Some((0x01, key)) => (KeyKind::Ed25519, key),
            Some((0x04, key)) => (KeyKind::Cosignature, key),
            _ => return Err(VerifierKeyError::Kind),
        };
        let key = VerifyingKey::try_from(key).map_err(|_| VerifierKeyError::Key)?;
        let verifier = Self::new(name, kind, key)?;
        if id != verifier.key_id() { Err(VerifierKeyError::Id) } else { Ok(verifier) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, key) = (HEXLOWER.encode(&self.key_id()), BASE64.encode(&self.encoded()));
        write!(f, "{}+{id}+{key}", self.name)
    }
}

/// Whether this can be the name of a key.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && c != '+' && c >= ' ';
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;

    #[test]
    fn a_key_has_one_text() {
        let public = SigningKey::from_bytes(&[9; 32]).verifying_key();
        for kind in [KeyKind::Ed25519, KeyKind::Cosignature] {
            let key = VerifierKey::new("node.example/audit", kind, public).unwrap();
            let text = key.to_string();
            assert_eq!(text.parse(), Ok(key));
            assert!(text.len() <= MAX_TEXT);
            for (from, to, why) in [
                ("node", "mode", VerifierKeyError::Id),
                ("node", "no de", VerifierKeyError::Name),
                ("node.example/audit", "", VerifierKeyError::Name),
                ("+", "-", VerifierKeyError::Form),
                ("=", "", VerifierKeyError::Form),
            ] {
                let changed = text.replace(from, to);
                if changed != text {
                    assert_eq!(changed.parse::<VerifierKey>(), Err(why), "{changed}");
                }
            }
        }
        let kinds: Vec<_> = [KeyKind::Ed25519, KeyKind::Cosignature]
            .map(|kind| VerifierKey::new("a", kind, public).unwrap().key_id())
            .to_vec();
        assert_ne!(kinds[0], kinds[1]);
    }

    #[test]
    fn other_keys_are_refused() {
        let text = |bytes: &[u8]| {
            let id = Sha256::new().chain_update(b"a\n").chain_update(bytes).finalize();
            format!("a+{}+{}", HEXLOWER.encode(&id[..4]), BASE64.encode(bytes))
        };
        let small = [&[1u8][..], &[0; 32]].concat();
        assert_eq!(text(&small).parse::<VerifierKey>(), Err(VerifierKeyError::Key));
        assert_eq!(text(&small[..20]).parse::<VerifierKey>(), Err(VerifierKeyError::Key));
        assert_eq!(text(&[2; 33]).parse::<VerifierKey>(), Err(VerifierKeyError::Kind));
        assert_eq!(text(&[]).parse::<VerifierKey>(), Err(VerifierKeyError::Kind));
        assert_eq!("x".repeat(1000).parse::<VerifierKey>(), Err(VerifierKeyError::Form));
    }
}
