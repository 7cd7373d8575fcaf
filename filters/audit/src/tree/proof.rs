//! Checking proofs of the tree, after the algorithms of RFC 9162 sections 2.1.3.2 and 2.1.4.2.

use subtle::ConstantTimeEq as _;

use super::{Hash, empty, node_hash};

/// Why a proof shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is about a leaf, or a tree, that the newer tree cannot contain.
    #[error("the tree has {size} leaves, which is too few for what is to be shown, expected at least {wanted}")]
    Range {
        /// The size of the tree.
        size: u64,
        /// How large it would have to be.
        wanted: u64,
    },
    /// It has more or fewer hashes than these sizes need.
    #[error("the proof has {0} hashes, which is not what these sizes need")]
    Length(usize),
    /// It leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// Checks that the tree of this size and root has this leaf at this index.
///
/// # Errors
/// Why it is not shown.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Range { size, wanted: index.saturating_add(1) });
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length(proof.len()));
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::Length(proof.len()));
    }
    same(&hash, root)
}

/// Checks that the tree of the size and root `new` continues that of `old`. When the old tree is empty or the new one
/// itself, nothing is to be proved and the proof must be empty.
///
/// # Errors
/// Why it is not shown.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::Range { size: new_size, wanted: old_size });
    }
    if old_size == 0 || old_size == new_size {
        if !proof.is_empty() {
            return Err(ProofError::Length(proof.len()));
        }
        return if old_size == 0 { same(old_root, &empty()) } else { same(old_root, new_root) };
    }
    // A whole subtree is its own starting point: the proof does not repeat it.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(ProofError::Length(0))?
    };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut old, mut new) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(ProofError::Length(proof.len()));
        }
        if at & 1 == 1 || at == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::Length(proof.len()));
    }
    same(&old, old_root)?;
    same(&new, new_root)
}

fn same(found: &Hash, wanted: &Hash) -> Result<(), ProofError> {
    if found.ct_eq(wanted).into() { Ok(()) } else { Err(ProofError::Root) }
}
