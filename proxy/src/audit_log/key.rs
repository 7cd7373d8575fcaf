//! The key that seals the log.

use std::path::Path;

use anyhow::Context as _;
use portcullis_certs::files;
use portcullis_filters::audit::SealKey;
use portcullis_filters::firewall::Fingerprints;
use zeroize::Zeroizing;

/// 32 random bytes, kept as hex in a private file. Never printed.
pub(crate) struct AuditKey(Zeroizing<Vec<u8>>);

impl AuditKey {
    /// Reads the key, or makes it where there is none; never over another.
    ///
    /// # Errors
    /// When the file cannot be read or written, can be read by others, or holds no key.
    pub(crate) fn load_or_create(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            let mut bytes = Zeroizing::new([0u8; 32]);
            getrandom::fill(&mut *bytes).context("the system gives no random bytes")?;
            let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(&*bytes));
            files::write_new_private(path, hex.as_bytes())?;
        }
        Self::load(path)
    }

    /// Reads the key.
    ///
    /// # Errors
    /// When the file is not there, can be read by others, or holds no key.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = files::read_private(path)?;
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.trim().as_bytes())
            .ok()
            .filter(|bytes| bytes.len() >= 32)
            .with_context(|| format!("`{}` holds no audit key, expected 64 hex digits", path.display()))?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// What the firewall tells findings apart by: a use of the same key that cannot be mistaken for a seal.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    pub(crate) fn fingerprints(&self) -> Fingerprints {
        Fingerprints::new(&self.0).expect("HMAC takes any key")
    }

    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    pub(crate) fn seal_key(&self) -> SealKey {
        SealKey::new(&self.0).expect("HMAC takes any key")
    }
}
