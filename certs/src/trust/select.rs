//! Which peer an operator means.

use super::Entry;
use crate::peer::printable;

/// The fewest hex digits of a fingerprint that select a peer.
const MIN_DIGITS: usize = 8;
/// The most peers that an error names.
const MAX_SHOWN: usize = 4;

/// Why a word means no one peer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// More than one.
    #[error("`{0}` fits more than one peer: {1}; give more of the fingerprint, or the whole id")]
    Many(String, String),
    /// Nobody.
    #[error(
        "nobody is called `{0}`, expected an id, a name, or 8 or more hex digits of a fingerprint; `portcullis peers list` shows them"
    )]
    Nobody(String),
}

/// The position of the one peer that is meant: by id, else by name, else by the beginning of its
/// fingerprint.
pub(super) fn one(peers: &[Entry], selector: &str) -> Result<usize, SelectError> {
    let exact = peers.iter().position(|p| p.id == selector);
    if let Some(position) = exact.or_else(|| peers.iter().position(|p| p.has_name(selector))) {
        return Ok(position);
    }
    let digits: String = selector.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    let is_prefix = digits.len() >= MIN_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let fits = |p: &Entry| is_prefix && p.fingerprint.replace(':', "").starts_with(&digits);
    let found: Vec<_> = peers.iter().enumerate().filter(|(_, p)| fits(p)).collect();
    match found.as_slice() {
        [] => Err(SelectError::Nobody(printable(selector))),
        [(position, _)] => Ok(*position),
        many => {
            let mut shown: Vec<_> = many.iter().take(MAX_SHOWN).map(|(_, p)| format!("`{}`", p.id)).collect();
            if many.len() > MAX_SHOWN {
                shown.push(format!("and {} more", many.len() - MAX_SHOWN));
            }
            Err(SelectError::Many(printable(selector), shown.join(", ")))
        }
    }
}
