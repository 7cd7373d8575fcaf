//! The keys that seal the log.

use std::path::Path;

use anyhow::Context as _;
use portcullis_audit::SegmentKeys;
use portcullis_certs::files;
use portcullis_filters::firewall::Fingerprints;
use zeroize::Zeroizing;

use super::segment;

/// The file with the key of segment 0: the one that LLMesh's verifier asks for.
pub(crate) const FIRST: &str = "audit.key";
/// The file with the key that those of all other segments come from.
pub(crate) const MASTER: &str = "audit-master.key";

/// Two keys of 32 random bytes, kept as hex in private files. Never printed.
pub(crate) struct AuditKey {
    first: Zeroizing<Vec<u8>>,
    master: Zeroizing<Vec<u8>>,
}

impl AuditKey {
    /// Reads the keys of a state directory, or makes those that are not there; never over others, and never beside a
    /// log that was sealed with those that are missing.
    ///
    /// # Errors
    /// When a file cannot be read or written, can be read by others, or holds no key; or when one is missing, and there
    /// is a log.
    pub(crate) fn load_or_create(state: &Path) -> anyhow::Result<Self> {
        for name in [FIRST, MASTER] {
            let path = state.join(name);
            if !path.exists() {
                if let Some(why) = missing(state, name) {
                    anyhow::bail!("{why}");
                }
                let mut bytes = Zeroizing::new([0u8; 32]);
                getrandom::fill(&mut *bytes).context("the system gives no random bytes")?;
                let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(&*bytes));
                files::write_new_private(&path, hex.as_bytes())?;
            }
        }
        Self::load(state)
    }

    /// Reads the keys of a state directory.
    ///
    /// # Errors
    /// When a file is not there, can be read by others, or holds no key.
    pub(crate) fn load(state: &Path) -> anyhow::Result<Self> {
        Ok(Self { first: read(&state.join(FIRST))?, master: read(&state.join(MASTER))? })
    }

    /// What the firewall tells findings apart by: a use of the same key that cannot be mistaken for a seal.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
    pub(crate) fn fingerprints(&self) -> Fingerprints {
        Fingerprints::new(&self.first).expect("HMAC takes any key")
    }

    /// The keys of the log's segments.
    #[expect(clippy::expect_used, reason = "HMAC and HKDF take keys of any length (RFC 2104, RFC 5869)")]
    pub(crate) fn segments(&self) -> SegmentKeys {
        SegmentKeys::new(&self.first, &self.master).expect("HMAC takes any key")
    }
}

/// What is to be said of a key that is missing beside a log; `None` where there is no log yet, or the key is there.
pub(crate) fn missing(state: &Path, name: &str) -> Option<String> {
    let dir = state.join("audit");
    let begun = [".jsonl", ".jsonl.zst", ".checkpoint"]
        .iter()
        .any(|ending| segment::numbers(&dir, ending).is_ok_and(|numbers| !numbers.is_empty()));
    (begun && !state.join(name).exists()).then(|| {
        format!(
            "`{}` is missing, and the log in `{}` was sealed with it: put the key back from the backup, or move the \
             folder away to begin a new log",
            state.join(name).display(),
            dir.display()
        )
    })
}

fn read(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let text = files::read_private(path)?;
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.trim().as_bytes())
        .ok()
        .filter(|bytes| bytes.len() >= 32)
        .map(Zeroizing::new)
        .with_context(|| format!("`{}` holds no audit key, expected 64 hex digits", path.display()))
}
