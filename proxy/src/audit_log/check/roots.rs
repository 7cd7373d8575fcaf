//! The tree over the lines, built again: held against the file `tree`, and asked for its roots.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use portcullis_audit::Tree;
use portcullis_audit::tree::{Hash, stored_count};

use crate::audit_log::tree_file::TreeFile;

/// The size of a hash, in bytes.
const HASH: usize = 32;

/// A tree that grows with the lines.
pub(super) struct Roots<'r> {
    tree: Tree,
    file: Option<&'r TreeFile>,
    /// Sizes whose roots are asked for and not reached yet; and roots.
    wanted: BTreeSet<u64>,
    next: Option<u64>,
    found: BTreeMap<u64, Hash>,
    /// Whether a hash differed from the file's: those after it need not be looked at.
    differs: bool,
    built: Vec<u8>,
    stored: Vec<u8>,
}

impl<'r> Roots<'r> {
    /// From a tree that stands for what came before. The file is looked at as far as it goes now.
    pub(super) fn new(tree: Tree, file: Option<&'r TreeFile>, wanted: BTreeSet<u64>) -> Self {
        let next = wanted.range(tree.size()..).next().copied();
        let mut roots = Self {
            tree,
            file,
            wanted,
            next,
            found: BTreeMap::new(),
            differs: false,
            built: Vec::new(),
            stored: Vec::new(),
        };
        roots.pass();
        roots
    }

    /// The root at a size that was asked for and reached.
    pub(super) fn at(&self, size: u64) -> Option<Hash> {
        self.found.get(&size).copied()
    }

    /// Adds leaves. The first of them whose hash, or a hash that it completes, is another in the file, counted from 0;
    /// nothing once there was one.
    pub(super) fn grow(&mut self, leaves: &[Hash]) -> io::Result<Option<usize>> {
        let before = self.tree.size();
        self.built.clear();
        for leaf in leaves {
            self.tree.push(*leaf, &mut self.built);
            self.pass();
        }
        let Some(file) = self.file.filter(|_| !self.differs) else { return Ok(None) };
        let start = stored_count(before);
        let known = usize::try_from(file.stored().saturating_sub(start)).unwrap_or(usize::MAX);
        let length = known.saturating_mul(HASH).min(self.built.len());
        self.stored.resize(length, 0);
        file.read_stored(start, &mut self.stored)?;
        if self.built.get(..length) == Some(&self.stored) {
            return Ok(None);
        }
        self.differs = true;
        let pairs = self.built.chunks_exact(HASH).zip(self.stored.chunks_exact(HASH));
        let slot = start + pairs.take_while(|(built, stored)| built == stored).count() as u64;
        Ok((0..leaves.len()).find(|leaf| stored_count(before + *leaf as u64 + 1) > slot))
    }

    fn pass(&mut self) {
        let size = self.tree.size();
        if self.next == Some(size) {
            self.found.insert(size, self.tree.root());
            self.next = self.wanted.range(size + 1..).next().copied();
        }
    }
}
