//! `journal.json`: what the files beside it are worth. Two lines: the facts, and their CRC-32.

use std::path::{Path, PathBuf};

use portcullis_certs::files::{self, FileError};
use serde::{Deserialize, Serialize};

use super::super::hashed::{HashKey, KEY};
use super::{JournalError, Origin, Quarantine};

const FORMAT: u32 = 1;
/// More buckets than a journal ever has.
const MAX_BYTES: usize = 64 * 1024;

/// The facts about a journal.
pub(super) struct Head {
    pub(super) key: HashKey,
    /// Its files carry this number; another journal's are not taken for its own.
    pub(super) journal: u64,
    /// The youngest bucket that was forgotten.
    pub(super) floor: Option<u32>,
    pub(super) quarantine: Option<Quarantine>,
    /// The buckets that have a file, oldest first. What is not named here counts for nothing.
    pub(super) buckets: Vec<u32>,
}

/// What was found in the place of the facts.
pub(super) enum Found {
    /// The journal of this node, of this boot of the machine.
    Ours(Head),
    /// A journal whose nonces may not be all that were used.
    Untrusted(&'static str, Head),
    /// Nothing that can be read.
    Nothing(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    boot: String,
    node: String,
    key: String,
    journal: u64,
    floor: Option<u32>,
    quarantine: Option<Quarantine>,
    buckets: Vec<u32>,
}

impl Head {
    /// The facts about a journal that begins now.
    pub(super) fn new() -> std::io::Result<Self> {
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(std::io::Error::other)?;
        let journal = u64::from_le_bytes(name);
        Ok(Self { key: HashKey::generate()?, journal, floor: None, quarantine: None, buckets: vec![] })
    }

    /// Writes them whole or not at all. They need not survive the machine: another boot's journal is not
    /// trusted anyway.
    pub(super) fn write(&self, dir: &Path, origin: &Origin<'_>) -> std::io::Result<()> {
        let written = Written {
            format: FORMAT,
            boot: origin.boot.to_owned(),
            node: origin.node.to_owned(),
            key: data_encoding::HEXLOWER.encode(self.key.as_bytes()),
            journal: self.journal,
            floor: self.floor,
            quarantine: self.quarantine,
            buckets: self.buckets.clone(),
        };
        let facts = serde_json::to_string(&written)?;
        let text = zeroize::Zeroizing::new(format!("{facts}\n{:08x}\n", crc32fast::hash(facts.as_bytes())));
        super::replace(&path(dir), text.as_bytes())
    }

    /// Reads them.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or others can read it.
    pub(super) fn read(dir: &Path, origin: &Origin<'_>) -> Result<Found, JournalError> {
        let text = match files::read_private(&path(dir)) {
            Ok(text) => text,
            Err(FileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Found::Nothing("there is none"));
            }
            // Not even text: damaged as any other.
            Err(FileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::InvalidData => {
                return Ok(Found::Nothing("it is damaged"));
            }
            Err(error) => return Err(error.into()),
        };
        let Some((written, head)) = parse(&text) else { return Ok(Found::Nothing("it is damaged")) };
        Ok(if written.node != origin.node {
            Found::Untrusted("it is another node's", head)
        } else if written.boot != origin.boot {
            Found::Untrusted("the machine was started anew since", head)
        } else {
            Found::Ours(head)
        })
    }
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("journal.json")
}

fn parse(text: &str) -> Option<(Written, Head)> {
    let (facts, sum) = text.strip_suffix('\n')?.split_once('\n')?;
    if text.len() > MAX_BYTES || sum != format!("{:08x}", crc32fast::hash(facts.as_bytes())) {
        return None;
    }
    let written: Written = serde_json::from_str(facts).ok()?;
    let bytes = zeroize::Zeroizing::new(data_encoding::HEXLOWER.decode(written.key.as_bytes()).ok()?);
    let key: [u8; KEY] = bytes.as_slice().try_into().ok()?;
    let head = Head {
        key: HashKey::from_bytes(key),
        journal: written.journal,
        floor: written.floor,
        quarantine: written.quarantine,
        buckets: written.buckets.clone(),
    };
    (written.format == FORMAT).then_some((written, head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: Origin<'static> = Origin { node: "peer:a", boot: "one" };

    fn written() -> (tempfile::TempDir, Head) {
        let dir = tempfile::tempdir().unwrap();
        let mut head = Head::new().unwrap();
        (head.floor, head.buckets) = (Some(4), vec![5, 9]);
        head.quarantine = Some(Quarantine { until_ms: 7, began_ms: -1 });
        head.write(dir.path(), &HERE).unwrap();
        (dir, head)
    }

    #[test]
    fn what_is_written_is_read() {
        let (dir, head) = written();
        let Found::Ours(read) = Head::read(dir.path(), &HERE).unwrap() else { panic!("not ours") };
        assert_eq!(read.key.as_bytes(), head.key.as_bytes());
        assert_eq!((read.journal, read.floor, read.buckets), (head.journal, head.floor, head.buckets));
        assert_eq!(read.quarantine, head.quarantine);
    }

    #[test]
    fn another_node_another_boot_and_no_journal_are_told_apart() {
        let (dir, _) = written();
        for origin in [Origin { node: "peer:b", ..HERE }, Origin { boot: "two", ..HERE }] {
            assert!(matches!(Head::read(dir.path(), &origin), Ok(Found::Untrusted(_, head)) if head.buckets == [5, 9]));
        }
        assert!(matches!(Head::read(&dir.path().join("x"), &HERE), Ok(Found::Nothing("there is none"))));
        std::fs::write(path(dir.path()), [0xff, 0xfe]).unwrap();
        assert!(matches!(Head::read(dir.path(), &HERE), Ok(Found::Nothing("it is damaged"))));
    }

    #[test]
    fn a_file_that_others_can_read_stops_the_gate() {
        use std::os::unix::fs::PermissionsExt as _;
        let (dir, _) = written();
        assert_eq!(std::fs::metadata(path(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(path(dir.path()), std::fs::Permissions::from_mode(0o644)).unwrap();
        let Err(error) = Head::read(dir.path(), &HERE) else { panic!("it was read") };
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    proptest! {
        #[test]
        fn any_changed_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let (dir, _) = written();
            let mut bytes = std::fs::read(path(dir.path())).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(std::str::from_utf8(&bytes).ok().and_then(parse).is_none());
        }
    }
}
