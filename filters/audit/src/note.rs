//! Signed notes (C2SP signed-note): a text, and lines that say who signed it.

use std::fmt;

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey};

use crate::base64;
use crate::verifier_key::{KeyKind, VerifierKey, is_name};

/// The longest note, in bytes: a checkpoint is short, so the signatures take most of it.
pub const MAX_NOTE: usize = 64 * 1024;
/// The most signatures on a note. The format asks for 16 at least.
pub const MAX_SIGNATURES: usize = 64;

/// What a signature's line begins with: an em dash and a space.
const LEAD: &str = "\u{2014} ";

/// A text with signatures, of which none is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text that is signed, with its last newline.
    pub text: String,
    /// The signatures, in their order.
    pub signatures: Vec<NoteSignature>,
}

/// One signature on a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The id of the key: 4 bytes, by which keys of one name are told apart.
    pub id: [u8; 4],
    /// The signature, in the form that the key's kind asks for.
    pub bytes: Vec<u8>,
}

/// Why a note is not one, or proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is too long.
    #[error("the note is longer than {MAX_NOTE} bytes")]
    Size,
    /// It is not in the form of a note.
    #[error("the note is malformed: {0}")]
    Malformed(&'static str),
    /// Nothing on it is by the key that was asked for.
    #[error("the note bears no signature of the key `{0}`")]
    Missing(String),
    /// A signature that claims to be by this key is not.
    #[error("the note's signature of the key `{0}` does not hold")]
    Signature(String),
    /// The key signs something else.
    #[error("the key `{0}` is of another kind than this signature needs")]
    Kind(String),
}

impl Note {
    /// Reads a note. It must be in the one form that [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::Size);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
        // An empty line parts the text from its signatures; the text may have more of them.
        let end = note.rfind("\n\n").ok_or(NoteError::Malformed("there is no empty line before the signatures"))?;
        let (text, signatures) = note
            .split_at_checked(end + 1)
            .ok_or(NoteError::Malformed("there is no empty line before the signatures"))?;
        check_text(text)?;
        let signatures = NoteSignature::parse_all(signatures.strip_prefix('\n').unwrap_or_default())?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Checks that this key signed the text. Signatures of other keys are ignored; of those that claim to be by this
    /// one, all have to hold.
    ///
    /// # Errors
    /// When there is none, or one does not hold, or the key signs cosignatures.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        if key.kind() != KeyKind::Ed25519 {
            return Err(NoteError::Kind(key.name().to_owned()));
        }
        self.each_by(key, |signature| {
            let bytes: &[u8; 64] = signature.bytes.as_slice().try_into().ok()?;
            key.verify_strict(self.text.as_bytes(), &Signature::from_bytes(bytes))
        })?;
        Ok(())
    }

    /// What `check` makes of the signatures that claim to be by this key: the last one's, when it accepts all.
    pub(crate) fn each_by<T>(
        &self,
        key: &VerifierKey,
        check: impl Fn(&NoteSignature) -> Option<T>,
    ) -> Result<T, NoteError> {
        let mut found = Err(NoteError::Missing(key.name().to_owned()));
        for signature in self.signatures.iter().filter(|signature| signature.is_by(key)) {
            found = Ok(check(signature).ok_or_else(|| NoteError::Signature(key.name().to_owned()))?);
        }
        found
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| write!(f, "{signature}"))
    }
}

impl NoteSignature {
    /// Reads signature lines, each with its newline, as a witness answers with them.
    ///
    /// # Errors
    /// When there is none, when there are too many, or what is wrong with the form of one.
    pub fn parse_all(lines: &str) -> Result<Vec<Self>, NoteError> {
        if lines.len() > MAX_NOTE {
            return Err(NoteError::Size);
        }
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed("its last line has no newline"))?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteError::Malformed("it has more than 64 signatures"));
        }
        lines
            .split('\n')
            .map(|line| Self::parse(line).ok_or(NoteError::Malformed("a signature line is not one")))
            .collect()
    }

    /// Whether it claims to be by this key.
    #[must_use]
    pub fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.id == key.key_id()
    }

    /// Reads a line without its newline.
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(LEAD)?.split_once(' ')?;
        let decoded = base64::decode(encoded)?;
        let (id, bytes) = decoded.split_first_chunk::<4>()?;
        (is_name(name) && !bytes.is_empty()).then(|| Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.bytes].concat();
        writeln!(f, "{LEAD}{} {}", self.name, BASE64.encode(&bytes))
    }
}

/// Signs a text under a name.
///
/// # Errors
/// When the text cannot be that of a note, or the name not that of a key.
pub fn sign(text: &str, name: &str, key: &SigningKey) -> Result<NoteSignature, NoteError> {
    check_text(text)?;
    let verifier = VerifierKey::new(name, KeyKind::Ed25519, key.verifying_key())
        .map_err(|_| NoteError::Malformed("a key cannot have this name"))?;
    let bytes = key.sign(text.as_bytes()).to_bytes().to_vec();
    Ok(NoteSignature { name: name.to_owned(), id: verifier.key_id(), bytes })
}

/// Whether this can be the text of a note: it ends with a newline and has no other control characters.
pub(crate) fn check_text(text: &str) -> Result<(), NoteError> {
    if text.len() > MAX_NOTE {
        return Err(NoteError::Size);
    }
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed("its text does not end with a newline"));
    }
    if text.bytes().any(|b| b < 0x20 && b != b'\n') {
        return Err(NoteError::Malformed("it has control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
