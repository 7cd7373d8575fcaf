//! The Merkle tree over the lines, RFC 6962 section 2.1.
//!
//! The hashes of its whole subtrees are stored one after the other in the order in which they are complete, each
//! after its two halves, as Go's `sumdb/tlog` stores them: what is stored never changes, and a proof reads few of it.

use std::io;

use sha2::{Digest as _, Sha256};

mod proof;

pub use proof::{ProofError, verify_consistency, verify_inclusion};

/// A node of the tree: SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf: a line without its newline.
#[must_use]
pub fn leaf_hash(line: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

/// The hash of a node over its two halves.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree without leaves.
fn empty() -> Hash {
    Sha256::digest([]).into()
}

/// Where the hash of the `n`th whole subtree with 2^`level` leaves is stored, counted in hashes.
/// `u64::MAX` where no file could hold it.
#[must_use]
pub fn stored_index(level: u32, n: u64) -> u64 {
    // It comes right after its last leaf and the smaller subtrees that this leaf completes.
    let last = n.checked_add(1).and_then(|end| end.checked_mul(1u64.checked_shl(level)?)).map(|end| end - 1);
    last.and_then(|leaf| leaf.checked_mul(2)?.checked_sub(u64::from(leaf.count_ones()))?.checked_add(u64::from(level)))
        .unwrap_or(u64::MAX)
}

/// How many hashes are stored for a tree of this size.
#[must_use]
pub fn stored_count(size: u64) -> u64 {
    // A subtree of 2^k leaves takes 2^(k+1) - 1.
    size.saturating_mul(2).saturating_sub(u64::from(size.count_ones()))
}

/// Where stored hashes are read from.
pub trait Nodes {
    /// The hash that is stored at this index.
    ///
    /// # Errors
    /// When it cannot be read, or is not there.
    fn node(&self, index: u64) -> io::Result<Hash>;
}

impl Nodes for [Hash] {
    fn node(&self, index: u64) -> io::Result<Hash> {
        let here = usize::try_from(index).ok().and_then(|index| self.get(index));
        here.copied().ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the tree has no such hash"))
    }
}

impl Nodes for Vec<Hash> {
    fn node(&self, index: u64) -> io::Result<Hash> {
        self.as_slice().node(index)
    }
}

/// A tree that grows: the roots of the whole subtrees that it consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// From the largest to the smallest, one for each bit of the size.
    peaks: Vec<Hash>,
}

impl Tree {
    /// A tree of this size, whose hashes are stored.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn resume(size: u64, nodes: &(impl Nodes + ?Sized)) -> io::Result<Self> {
        let mut peaks = Vec::new();
        let mut from = 0;
        while from < size {
            let level = (size - from).ilog2();
            peaks.push(nodes.node(stored_index(level, from >> level))?);
            from += 1 << level;
        }
        Ok(Self { size, peaks })
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let smallest_first = self.peaks.iter().rev().copied();
        smallest_first.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty)
    }

    /// Adds a leaf, and appends the hashes that are complete now to `stored`, 32 bytes each, in stored order.
    pub fn push(&mut self, leaf: Hash, stored: &mut Vec<u8>) {
        let mut hash = leaf;
        stored.extend_from_slice(&hash);
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
                stored.extend_from_slice(&hash);
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }
}

/// The root of the tree of this size.
///
/// # Errors
/// When a hash cannot be read.
pub fn root(nodes: &(impl Nodes + ?Sized), size: u64) -> io::Result<Hash> {
    Ok(Tree::resume(size, nodes)?.root())
}

/// The proof that the leaf at this index is in the tree of this size, from the leaf's sibling to the root's child.
///
/// # Errors
/// When the index is not below the size, or a hash cannot be read.
pub fn inclusion(nodes: &(impl Nodes + ?Sized), index: u64, size: u64) -> io::Result<Vec<Hash>> {
    if index >= size {
        return Err(out_of_range("there is no such leaf in a tree of this size"));
    }
    let (mut from, mut to, mut proof) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + left_half(to - from);
        if index < middle {
            proof.push(part(nodes, middle, to)?);
            to = middle;
        } else {
            proof.push(part(nodes, from, middle)?);
            from = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the size `new` continues that of the size `old`. Empty when they are the same, or when
/// `old` is 0.
///
/// # Errors
/// When `old` is above `new`, or a hash cannot be read.
pub fn consistency(nodes: &(impl Nodes + ?Sized), old: u64, new: u64) -> io::Result<Vec<Hash>> {
    if old > new {
        return Err(out_of_range("the older tree is larger than the newer one"));
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut from, mut to, mut proof) = (0, new, Vec::new());
    // Downwards to the subtree at whose end the old tree ends.
    while to != old {
        let middle = from + left_half(to - from);
        if old <= middle {
            proof.push(part(nodes, middle, to)?);
            to = middle;
        } else {
            proof.push(part(nodes, from, middle)?);
            from = middle;
        }
    }
    // The verifier knows it already when it is all of the old tree.
    if from > 0 {
        proof.push(part(nodes, from, to)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The hash over the leaves from `from` to before `to`, where `from` begins a subtree of that length.
fn part(nodes: &(impl Nodes + ?Sized), mut from: u64, to: u64) -> io::Result<Hash> {
    let mut peaks = Vec::new();
    while from < to {
        let level = (to - from).ilog2();
        peaks.push(nodes.node(stored_index(level, from >> level))?);
        from += 1 << level;
    }
    Ok(peaks.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty))
}

/// The largest power of two below this length, which is at least 2.
fn left_half(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

fn out_of_range(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests;
