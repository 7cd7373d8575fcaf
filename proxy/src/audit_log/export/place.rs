//! A sink's place in the log, as it is kept from one start to the next.

use std::path::{Path, PathBuf};

use portcullis_audit::Seal;
use portcullis_certs::{FileError, files};
use serde::{Deserialize, Serialize};

use crate::audit_log::read::Cursor;

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cursor: Cursor,
    /// The number of the entry that stands there; none where that is not known.
    pub(super) entries: Option<u64>,
    /// The seal of the entry before it: in another log another one stands there. None where that is not known.
    pub(super) seal: Option<Seal>,
}

/// What is kept of a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Everything before it was acknowledged.
    pub(super) place: Place,
    /// Where the batch ends that was being sent, for a sink that must get the same one again.
    pub(super) until: Option<Cursor>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    segment: u64,
    offset: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<(u64, u64)>,
}

/// Where the place of a sink is kept.
pub(super) fn file(folder: &Path, sink: &str) -> PathBuf {
    folder.join(format!("{sink}.json"))
}

impl Kept {
    /// Reads it; the beginning of the log where nothing is kept yet.
    ///
    /// # Errors
    /// A sentence, when what is there cannot be read.
    pub(super) fn load(file: &Path) -> Result<Self, String> {
        if !file.try_exists().map_err(|error| format!("cannot look at `{}`: {error}", file.display()))? {
            return Ok(Self::default());
        }
        let text = files::read_private(file).map_err(|error| error.to_string())?;
        let written: Written = serde_json::from_str(&text)
            .map_err(|error| format!("`{}` holds no place in a log: {error}", file.display()))?;
        let cursor = Cursor { segment: written.segment, offset: written.offset };
        let until = written.until.map(|(segment, offset)| Cursor { segment, offset });
        let sealed =
            |seal: &str| Seal::parse(seal).ok_or_else(|| format!("`{}` holds no seal of an entry", file.display()));
        let seal = written.seal.as_deref().map(sealed).transpose()?;
        Ok(Self { place: Place { cursor, entries: written.entries, seal }, until })
    }

    /// Writes it, whole or not at all, and durable.
    pub(super) fn save(&self, file: &Path) -> Result<(), FileError> {
        let Place { cursor, entries, seal } = self.place;
        let seal = seal.map(|seal| seal.as_str().to_owned());
        let until = self.until.map(|until| (until.segment, until.offset));
        let written = Written { segment: cursor.segment, offset: cursor.offset, entries, seal, until };
        // Numbers and digits alone: there is nothing in it that cannot be written.
        let text = serde_json::to_vec(&written).unwrap_or_default();
        files::write_private(file, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "siem");
        assert_eq!(Kept::load(&path), Ok(Kept::default()));
        let cursor = Cursor { segment: 3, offset: 4_096 };
        let mut kept = Kept { place: Place { cursor, entries: Some(17), seal: None }, until: None };
        kept.save(&path).unwrap();
        assert_eq!(Kept::load(&path), Ok(kept));
        kept.until = Some(Cursor { segment: 4, offset: 0 });
        kept.place.seal = Some(Seal::GENESIS);
        kept.save(&path).unwrap();
        assert_eq!(Kept::load(&path), Ok(kept));
        for broken in [
            "",
            "{}",
            "{\"segment\":1,\"offset\":2,\"entries\":3,\"x\":1}",
            "{\"segment\":-1,\"offset\":0}",
            "{\"segment\":1,\"offset\":2,\"seal\":\"00\"}",
        ] {
            std::fs::write(&path, broken).unwrap();
            assert!(Kept::load(&path).unwrap_err().contains("siem.json"), "{broken}");
        }
    }
}
