//! Which peer an operator means.

use super::Entry;

/// Why a word means no one peer.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// More than one.
    #[error("`{0}` fits more than one peer: {1}; give more of the fingerprint, or the whole id")]
    Many(String, String),
    /// Nobody.
    #[error("nobody is called `{0}`: expected an id, a name, or 8 or more hex digits of a fingerprint; `portcullis peers list` shows them")]
    Nobody(String),
}

/// The position of the one peer that is meant: by id, by name, or by the beginning of its
/// fingerprint.
pub(super) fn one(peers: &[Entry], selector: &str) -> Result<usize, SelectError> {
    let exact = peers.iter().position(|p| p.id == selector);
    if let Some(position) = exact {
        return Ok(position);
    }
    let by_name = |p: &Entry| p.name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(selector));
    let digits: String = selector.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    let by_print = |p: &Entry| {
        digits.len() >= 8
            && digits.bytes().all(|b| b.is_ascii_hexdigit())
            && p.fingerprint.replace(':', "").starts_with(&digits)
    };
    let mut found = peers.iter().enumerate().filter(|(_, p)| by_name(p) || by_print(p));
    let word = || selector.chars().filter(|c| !c.is_control()).take(80).collect::<String>();
    let Some((position, first)) = found.next() else { return Err(SelectError::Nobody(word())) };
    let others: Vec<_> = found.map(|(_, p)| p.id.as_str()).collect();
    if others.is_empty() {
        return Ok(position);
    }
    Err(SelectError::Many(word(), [&[first.id.as_str()], &others[..]].concat().join(", ")))
}
