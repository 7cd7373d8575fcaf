//! `portcullis audit verify`: every line, link and seal, the tree, and every checkpoint.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use portcullis_audit::{Checkpoint, SealKey, VerifierKey};
use portcullis_certs::NodeKey;
use serde_json::json;
use zeroize::Zeroizing;

use crate::audit_log::AuditKey;
use crate::audit_log::check::{self, CheckError, Doubt, Report, SealKeys};
use crate::audit_log::checkpoints::{self, BadCheckpoint, Signed};
use crate::cli::printable::{count, printable};
use crate::cli::{Failure, JsonArgs, Outcome, say};

/// The longest file with a key that is read, in bytes: 64 hex digits, and room for a longer key.
const MAX_KEY_FILE: u64 = 4096;

/// Arguments of `audit verify`.
#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The files, oldest first, as one chain; or one folder with a whole log. Default: the log of this gate.
    files: Vec<PathBuf>,
    /// A checkpoint that somebody else kept, such as a witness: the log must continue it. Can be given more than once.
    #[arg(long = "checkpoint", value_name = "FILE")]
    held: Vec<PathBuf>,
    /// Checks all but the seals: for somebody who has none of the log's keys.
    #[arg(long, conflicts_with = "segment_key")]
    no_key: bool,
    /// The key that signs the checkpoints, as `audit checkpoint --vkey` prints it. Default: that of this gate.
    #[arg(long, value_name = "VKEY")]
    vkey: Option<VerifierKey>,
    /// A file with the key of the one segment that is given, in hex, as `audit segment-key` prints it.
    #[arg(long, value_name = "FILE", requires = "files")]
    segment_key: Option<PathBuf>,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(args: &VerifyArgs) -> Outcome {
    let as_json = args.args.json;
    let Checked { report, keys, held } = check(args).map_err(|failure| super::told(failure, as_json))?;
    tell(&report, &keys, &held, as_json)
}

/// What was found, and with what it was checked.
struct Checked {
    report: Report,
    keys: SealKeys,
    held: Vec<Signed>,
}

fn check(args: &VerifyArgs) -> Outcome<Checked> {
    let folder = match args.files.as_slice() {
        [] => Some(args.args.config.state()?.join("audit")),
        [folder] if folder.is_dir() => Some(folder.clone()),
        _ => None,
    };
    if args.segment_key.is_some() && (folder.is_some() || args.files.len() > 1) {
        return Err(Failure::usage("`--segment-key` opens one segment, expected one file"));
    }
    let keys = keys(args)?;
    let signer = match (&args.vkey, folder.is_some() || !args.held.is_empty()) {
        (Some(vkey), _) => Some(vkey.clone()),
        (None, true) => Some(own_vkey(&state(args)?)?),
        (None, false) => None,
    };
    let mut held = Vec::new();
    let mut refused = Vec::new();
    for path in &args.held {
        is_checkpoint(path)?;
        match signer.as_ref().map(|signer| checkpoints::read(path, signer)) {
            Some(Ok(signed)) => held.push(signed),
            Some(Err(BadCheckpoint::Wrong { path, why })) => refused.push(Doubt { file: path, line: None, why }),
            Some(Err(error)) => return Err(Failure::broken(error.to_string())),
            None => {}
        }
    }
    let bar = bar();
    let mut progress = |read, total| {
        bar.set_length(total);
        bar.set_position(read);
    };
    let report = match (&folder, &signer) {
        (Some(dir), Some(signer)) => check::log(dir, &keys, signer, &held, &mut progress),
        _ => check::files(&args.files, &keys, signer.as_ref(), &held, &mut progress),
    };
    bar.finish_and_clear();
    let mut report = report?;
    report.doubts.extend(refused);
    Ok(Checked { report, keys, held })
}

/// A file that is no checkpoint of any log says nothing about this one.
fn is_checkpoint(path: &Path) -> Outcome {
    let none = |why: &dyn Display| {
        Failure::usage(format!(
            "`{}` is no checkpoint ({why}), expected a note as `portcullis audit checkpoint` prints it",
            path.display()
        ))
    };
    let note = checkpoints::read_note(path).map_err(|error| match error {
        BadCheckpoint::Wrong { why, .. } => none(&why),
        unread @ BadCheckpoint::Unread { .. } => Failure::broken(unread.to_string()),
    })?;
    Checkpoint::parse(&note.text).map(|_| ()).map_err(|error| none(&error))
}

/// Checks the whole log of a state directory, with its own keys.
pub(in crate::cli) fn whole(state: &Path) -> Outcome<Report> {
    let keys = AuditKey::load(state).map_err(|error| Failure::broken(format!("{error:#}")))?;
    let (keys, signer) = (SealKeys::All(keys.segments()), own_vkey(state)?);
    Ok(check::log(&state.join("audit"), &keys, &signer, &[], &mut |_, _| {})?)
}

/// The keys that the seals are checked with.
fn keys(args: &VerifyArgs) -> Outcome<SealKeys> {
    if args.no_key {
        return Ok(SealKeys::Unknown);
    }
    if let Some(path) = &args.segment_key {
        return Ok(SealKeys::One(segment_key(path)?));
    }
    let state = state(args)?;
    let keys = AuditKey::load(&state)
        .map_err(|e| Failure::broken(format!("{e:#}; without the log's keys, `--no-key` checks all but the seals")))?;
    Ok(SealKeys::All(keys.segments()))
}

fn state(args: &VerifyArgs) -> Outcome<PathBuf> {
    args.args.config.state().map_err(|failure| {
        let more =
            "to check a log that is not this machine's, give it with `--vkey`, and `--no-key` or `--segment-key`";
        Failure { message: format!("{}; {more}", failure.message), ..failure }
    })
}

/// Reads a segment's key that was handed over: whoever has it may keep it as they like.
fn segment_key(path: &Path) -> Outcome<SealKey> {
    let failed = |error: io::Error| Failure::broken(format!("cannot read `{}`: {error}", path.display()));
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE as usize + 1));
    File::open(path).map_err(failed)?.take(MAX_KEY_FILE).read_to_string(&mut text).map_err(failed)?;
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok().map(Zeroizing::new);
    let key = bytes.filter(|bytes| bytes.len() >= 32).and_then(|bytes| SealKey::new(&bytes));
    key.ok_or_else(|| {
        Failure::usage(format!(
            "`{}` holds no segment's key, expected 64 hex digits as `portcullis audit segment-key` prints them",
            path.display()
        ))
    })
}

/// The key that the checkpoints of this gate are signed with.
pub(in crate::cli) fn own_vkey(state: &Path) -> Outcome<VerifierKey> {
    let node = NodeKey::load(&state.join("node.key")).map_err(|e| {
        Failure::broken(format!("{e}; where the gate's key is not at hand, `--vkey` names the key of its checkpoints"))
    })?;
    checkpoints::verifier_key(&node.public()).map_err(|e| Failure::broken(e.to_string()))
}

/// A bar on standard error, where somebody looks at it.
fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Tells what was found. Fails where anything is in doubt.
fn tell(report: &Report, keys: &SealKeys, held: &[Signed], as_json: bool) -> Outcome {
    let Report { entries, segments, size, first, last, head, checkpoints, signed, witnesses, doubts } = report;
    let sealed = !matches!(keys, SealKeys::Unknown);
    if as_json {
        let object = |doubt: &Doubt| json!({"file": doubt.file, "line": doubt.line, "reason": doubt.why});
        say!(
            "{}",
            json!({
                "ok": doubts.is_empty(), "entries": entries, "segments": segments, "first": first, "last": last,
                "head": head, "size": size, "seals": sealed, "checkpoints": checkpoints, "signed": signed,
                "witnesses": witnesses, "bad": doubts.first().map(object),
                "reason": doubts.first().map(ToString::to_string), "doubts": doubts.iter().map(object).collect::<Vec<_>>(),
            })
        );
    } else {
        let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let entries = match entries {
            1 => "1 entry".to_owned(),
            entries => format!("{entries} entries"),
        };
        say!("{entries} in {}, {} to {}", count(*segments, "segment"), dash(first), dash(last));
        if let Some(earlier) = size.checked_sub(report.entries).filter(|earlier| *earlier > 0) {
            say!("{earlier} more are not here, or were not read");
        }
        say!("head {}", dash(head));
        say!("{}", signatures(*checkpoints, *signed, *size, witnesses));
    }
    let Some((worst, others)) = doubts.split_first() else {
        if !as_json {
            match (sealed, held.len()) {
                (true, 0) => say!("the chain holds"),
                (true, _) => say!("the chain holds, and continues what was kept"),
                (false, 0) => say!("the chain holds as far as it can be seen without its keys; no seal was checked"),
                (false, _) => say!("the log continues what was kept; no seal was checked"),
            }
        }
        return Ok(());
    };
    for doubt in others {
        let _ = writeln!(io::stderr(), "portcullis: {}", printable(&doubt.to_string()));
    }
    Err(Failure::no(printable(&format!("the chain does not hold: {worst}"))))
}

/// What is under a checkpoint, for people.
fn signatures(checkpoints: u64, signed: Option<u64>, size: u64, witnesses: &BTreeSet<String>) -> String {
    let Some(signed) = signed else { return "no checkpoint that was looked at is over it".to_owned() };
    let mut said = format!(
        "{}; the newest is over {signed} entries",
        match checkpoints {
            1 => "1 checkpoint holds".to_owned(),
            more => format!("{more} checkpoints hold"),
        }
    );
    match size.saturating_sub(signed) {
        0 => said.push_str(", which is all"),
        beyond => said.push_str(&format!(", and {beyond} lie beyond it")),
    }
    if !witnesses.is_empty() {
        let names: Vec<_> = witnesses.iter().map(String::as_str).collect();
        said.push_str(&format!("; countersigned by {} (not checked here)", printable(&names.join(", "))));
    }
    said
}

impl From<CheckError> for Failure {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Absent(_) => Self::no(error.to_string()),
            CheckError::Packed { .. } => Self::no(error.to_string()),
            CheckError::Gone(_) | CheckError::Io { .. } | CheckError::Thread => Self::broken(error.to_string()),
        }
    }
}
