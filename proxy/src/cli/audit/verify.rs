//! `portcullis audit verify`: whether the chain holds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_filters::audit::{BadLine, Summary, Verifier};
use serde_json::json;

use super::entry::NOTHING;
use super::walk::begun;
use super::{Failure, JsonArgs, Outcome, say};
use crate::audit_log::AuditKey;
use crate::audit_log::read::{Came, Damage, MAX_LINE, Reader, Segment, Step, numbers};

/// How often, and after which pause, a line without its end is looked at again: a gate may be writing it.
const LOOKS: (u32, Duration) = (50, Duration::from_millis(20));

/// What a check of the log came to.
pub(crate) struct Checked {
    pub(crate) summary: Summary,
    pub(crate) segments: usize,
    /// File, line and reason of the first line that does not hold.
    pub(crate) bad: Option<(PathBuf, u64, String)>,
}

pub(super) fn verify(files: &[PathBuf], args: &JsonArgs) -> Outcome {
    let config = args.config.load()?;
    let checked = check(&config.node.state, files)?;
    let (sum, bad) = (&checked.summary, &checked.bad);
    let or_dash = |text: &str| if text.is_empty() { NOTHING.to_owned() } else { text.to_owned() };
    if args.json {
        let bad = bad.as_ref().map(|(file, line, why)| json!({"file": file, "line": line, "reason": why}));
        say!(
            "{}",
            json!({"ok": bad.is_none(), "entries": sum.entries, "segments": checked.segments, "first": sum.first, "last": sum.last, "head": sum.head, "bad": bad})
        );
    } else {
        let (entries, files) = (sum.entries, checked.segments);
        say!("{entries} entries in {files} file(s), {} to {}", or_dash(&sum.first), or_dash(&sum.last));
        say!("head {}", or_dash(&sum.head));
    }
    match bad {
        None => {
            if !args.json {
                say!("the chain holds");
            }
            Ok(())
        }
        Some((file, line, why)) => {
            Err(Failure::no(format!("the chain does not hold: {}:{line}: {why}", file.display())))
        }
    }
}

/// Checks the log of a state directory, or the given files as one chain.
pub(crate) fn check(state: &Path, files: &[PathBuf]) -> Outcome<Checked> {
    let key = || AuditKey::load(&state.join("audit.key")).map_err(|e| Failure::no(format!("{e:#}")));
    if files.is_empty() {
        let dir = begun(state.join("audit"))?;
        let mut verifier = Verifier::new(key()?.seal_key());
        let bad = check_log(&dir, &mut verifier)?;
        return Ok(Checked { summary: verifier.summary().clone(), segments: numbers(&dir)?.len(), bad });
    }
    let mut verifier = Verifier::new(key()?.seal_key());
    for file in files {
        if let Some((line, why)) = check_file(file, &mut verifier)? {
            let bad = Some((file.clone(), line, why));
            return Ok(Checked { summary: verifier.summary().clone(), segments: files.len(), bad });
        }
    }
    Ok(Checked { summary: verifier.summary().clone(), segments: files.len(), bad: None })
}

/// Checks a log that a gate may be writing; tells the first line that does not hold.
fn check_log(dir: &Path, verifier: &mut Verifier) -> Outcome<Option<(PathBuf, u64, String)>> {
    let mut reader = Reader::oldest(dir)?;
    let mut looks = 0;
    loop {
        let Damage { file, line, .. } = match reader.next()? {
            Step::Line(line) => match verifier.line(line) {
                Ok(()) => {
                    looks = 0;
                    continue;
                }
                Err(why) => {
                    let Damage { file, line, .. } = reader.last("");
                    return Ok(Some((file, line, why.to_string())));
                }
            },
            Step::Damaged(Damage { file, line, why }) => return Ok(Some((file, line, why.to_owned()))),
            Step::End { is_torn: false } => return Ok(None),
            Step::End { .. } if looks < LOOKS.0 => {
                looks += 1;
                std::thread::sleep(LOOKS.1);
                continue;
            }
            Step::End { .. } => reader.here(""),
            Step::Pruned(_) | Step::TakenBack => {
                return Err(Failure::broken(format!(
                    "lines of the log in `{}` were removed by its gate while it was checked: check it once more",
                    dir.display()
                )));
            }
        };
        return Ok(Some((file, line, BadLine::Torn.to_string())));
    }
}

/// Checks a file that nobody writes; tells the first line that does not hold.
fn check_file(file: &Path, verifier: &mut Verifier) -> Outcome<Option<(u64, String)>> {
    let unread = |error: std::io::Error| Failure::no(format!("cannot read `{}`: {error}", file.display()));
    let mut lines = Segment::file(file).and_then(|segment| segment.lines(0)).map_err(unread)?;
    let mut line = Vec::new();
    for number in 1.. {
        let why = match lines.next(&mut line).map_err(unread)? {
            Came::End { torn: 0 } => return Ok(None),
            Came::End { .. } => BadLine::Torn.to_string(),
            Came::TooLong => format!("it is longer than {MAX_LINE} bytes, and no entry is"),
            Came::Line => match verifier.line(&line) {
                Ok(()) => continue,
                Err(why) => why.to_string(),
            },
        };
        return Ok(Some((number, why)));
    }
    Ok(None)
}
