//! What contradicted a log that this gate countersigned, for whoever looks: it takes no key, and no gate that runs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use portcullis_certs::files;

use super::{EVIDENCE, FOLDER, origin};
use crate::audit_log::checkpoints;

/// The notes that contradict one log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contradicted {
    /// The log, as the notes name it; `None` where none of them can be read.
    pub(crate) origin: Option<String>,
    /// Never empty.
    pub(crate) notes: Vec<PathBuf>,
}

/// Every log of which there is evidence in this state directory, by the names of its files.
///
/// # Errors
/// When the folder is there and cannot be read.
pub(crate) fn of_state(state: &Path) -> io::Result<Vec<Contradicted>> {
    let dir = state.join(FOLDER);
    let mut logs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let listed = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    for entry in listed {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some((log, rest)) = name.split_once('.').filter(|(log, _)| !log.is_empty())
            && rest.starts_with(EVIDENCE)
            && !files::is_unfinished(name)
        {
            logs.entry(log.to_owned()).or_default().push(path);
        }
    }
    let contradicted = logs.into_values().map(|mut notes| {
        notes.sort_unstable();
        let named = notes.iter().find_map(|path| Some(origin(&checkpoints::read_note(path).ok()?).to_owned()));
        Contradicted { origin: named, notes }
    });
    Ok(contradicted.collect())
}

impl Contradicted {
    /// The log's name, for people.
    pub(crate) fn name(&self) -> &str {
        self.origin.as_deref().unwrap_or("a log that no note of it can name")
    }
}
