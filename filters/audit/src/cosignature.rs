//! Cosignatures (C2SP tlog-cosignature, `cosignature/v1`): a witness saw, at this time, that a log continues as it was.

use ed25519_dalek::{Signature, Signer as _, SigningKey};

use crate::checkpoint::Checkpoint;
use crate::note::{Note, NoteError, NoteSignature};
use crate::verifier_key::{KeyKind, VerifierKey};

/// The newest time that a cosignature can bear, in seconds since 1970.
const MAX_TIME: u64 = i64::MAX as u64;

/// Countersigns the text of a checkpoint under the witness's name, at this time in seconds since 1970. That the
/// checkpoint continues what the witness saw before is for the caller to make sure of.
///
/// # Errors
/// When the text is not that of a checkpoint, the name not that of a key, or the time too far away.
pub fn cosign(
    checkpoint_text: &str,
    name: &str,
    key: &SigningKey,
    unix_seconds: u64,
) -> Result<NoteSignature, NoteError> {
    Checkpoint::parse(checkpoint_text).map_err(|_| NoteError::Malformed("its text is not a checkpoint"))?;
    if unix_seconds > MAX_TIME {
        return Err(NoteError::Malformed("a cosignature cannot bear this time"));
    }
    let verifier = VerifierKey::new(name, KeyKind::Cosignature, key.verifying_key())
        .map_err(|_| NoteError::Malformed("a key cannot have this name"))?;
    let mut bytes = unix_seconds.to_be_bytes().to_vec();
    bytes.extend_from_slice(&key.sign(&message(checkpoint_text, unix_seconds)).to_bytes());
    Ok(NoteSignature { name: name.to_owned(), id: verifier.key_id(), bytes })
}

/// Checks that this witness countersigned the checkpoint in this note, and says when, in seconds since 1970.
///
/// # Errors
/// When there is no cosignature of this key, or one does not hold, or the key is not that of a witness.
pub fn verify_cosignature(note: &Note, key: &VerifierKey) -> Result<u64, NoteError> {
    if key.kind() != KeyKind::Cosignature {
        return Err(NoteError::Kind(key.name().to_owned()));
    }
    note.each_by(key, |signature| {
        let (time, bytes) = signature.bytes.split_first_chunk::<8>()?;
        let time = Some(u64::from_be_bytes(*time)).filter(|time| *time <= MAX_TIME)?;
        let signature = Signature::from_bytes(bytes.try_into().ok()?);
        key.verify_strict(&message(&note.text, time), &signature)?;
        Some(time)
    })
}

/// What is signed.
fn message(checkpoint_text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{checkpoint_text}").into_bytes()
}

#[cfg(test)]
mod tests;
