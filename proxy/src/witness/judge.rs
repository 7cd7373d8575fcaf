//! Whether a submission continues what was countersigned: the rules of C2SP tlog-witness, and nothing else.

use portcullis_audit::tree::verify_consistency;
use portcullis_audit::{Checkpoint, SignedCheckpoint, Submission, Tree, VerifierKey};
use portcullis_filters::Code;

/// Why a submission is not countersigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Objection {
    #[error("the log was countersigned at another root of the same {0} entries: one of the two is not the log")]
    Fork(u64),
    #[error("it is not shown that the checkpoint continues the log as it was countersigned at {0} entries")]
    Inconsistent(u64),
    #[error("the submission is none: {0}")]
    Malformed(String),
    #[error("the checkpoint that was countersigned last has {last} entries, and the submission says {said}")]
    OldSize { last: u64, said: u64 },
    #[error("the checkpoint has {size} entries, and the log was countersigned at {last}: it only grows")]
    Shorter { last: u64, size: u64 },
    #[error("the checkpoint is not signed by its log: {0}")]
    Signature(String),
    #[error("the checkpoint is of the log `{found}`; this gate countersigns a node's own log alone, which is `{own}`")]
    UnknownLog { found: String, own: String },
}

/// What a checkpoint that is not countersigned says against its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It and the countersigned one have the same size, and not the same root: the two convict.
    Fork,
    /// Its proof is wrong. The checkpoint itself may be a true one.
    NotShown,
    /// It is of less than was countersigned: entries were cut off, or it is an old one.
    Shorter,
}

impl Evidence {
    /// In the names of files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::NotShown => "not-shown",
            Self::Shorter => "shorter",
        }
    }
}

/// What a submission's log signed.
///
/// # Errors
/// When it is another log than that of this key, or the key did not sign it.
pub(crate) fn opened(submission: &Submission, log: &VerifierKey) -> Result<Checkpoint, Objection> {
    let claimed = submission.checkpoint().map_err(|error| Objection::Malformed(error.to_string()))?;
    if claimed.origin != log.name() {
        let found = claimed.origin.chars().filter(|c| !c.is_control()).take(128).collect();
        return Err(Objection::UnknownLog { found, own: log.name().to_owned() });
    }
    let opened = SignedCheckpoint::open(&submission.checkpoint, log);
    opened.map(SignedCheckpoint::into_checkpoint).map_err(|error| Objection::Signature(error.to_string()))
}

/// Whether a checkpoint that its log signed continues the last one; `None` where there is none yet.
///
/// # Errors
/// When it does not, or that is not shown.
pub(crate) fn continues(
    submission: &Submission,
    signed: &Checkpoint,
    last: Option<&Checkpoint>,
) -> Result<(), Objection> {
    let (old, root) = last.map_or_else(|| (0, Tree::default().root()), |last| (last.size, last.root));
    if signed.size < old {
        return Err(Objection::Shorter { last: old, size: signed.size });
    }
    // Before the old size: whichever that names, it is another log.
    if signed.size == old && signed.root != root {
        return Err(Objection::Fork(old));
    }
    if submission.old != old {
        return Err(Objection::OldSize { last: old, said: submission.old });
    }
    verify_consistency(old, &root, signed.size, &signed.root, &submission.proof)
        .map_err(|_| Objection::Inconsistent(old))
}

impl Objection {
    /// What the checkpoint is kept as, beside the countersigned one; `None` where it says nothing against its log.
    pub(crate) fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Fork(_) => Some(Evidence::Fork),
            Self::Inconsistent(_) => Some(Evidence::NotShown),
            Self::Shorter { .. } => Some(Evidence::Shorter),
            _ => None,
        }
    }

    /// The size that the log is told.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::Fork(last) | Self::OldSize { last, .. } | Self::Shorter { last, .. } => Some(*last),
            _ => None,
        }
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Fork(_) | Self::Shorter { .. } => Code::WitnessConflict,
            Self::Inconsistent(_) => Code::WitnessInconsistent,
            Self::Malformed(_) => Code::RequestMalformed,
            Self::OldSize { .. } => Code::WitnessOldSize,
            Self::Signature(_) => Code::WitnessSignature,
            Self::UnknownLog { .. } => Code::WitnessUnknownLog,
        }
    }

    /// What it is counted as.
    pub(crate) fn result(&self) -> &'static str {
        match self {
            Self::Fork(_) | Self::Shorter { .. } => "conflict",
            Self::Inconsistent(_) => "inconsistent",
            Self::Malformed(_) => "malformed",
            Self::OldSize { .. } => "old_size",
            Self::Signature(_) => "signature",
            Self::UnknownLog { .. } => "unknown_log",
        }
    }
}
