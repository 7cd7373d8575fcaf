//! What comes after a segment that cannot be decompressed: each segment says itself where it begins, and the file `tree`
//! what came before it, so its lines and the checkpoints over them can still be checked.

use std::collections::BTreeSet;

use portcullis_audit::Tree;

use super::roots::Roots;
use super::sources::Source;
use super::walk::{Walked, walk};
use super::{CheckError, Doubt, Progress, Report, SealKeys, TreeFile};

/// Checks the segments after the one at this place, and says which roots were found on the way.
///
/// # Errors
/// When one cannot be read.
pub(super) fn rest<'r>(
    report: &mut Report,
    (sources, mut at): (&[Source], usize),
    keys: &SealKeys,
    file: Option<&'r TreeFile>,
    sizes: &BTreeSet<u64>,
    progress: Progress<'_>,
) -> Result<Vec<Roots<'r>>, CheckError> {
    let mut all = Vec::new();
    let Some(file) = file else { return Ok(all) };
    while let Some((first, rest)) = sources.get(at + 1..).and_then(|rest| Some((rest.first()?, rest))) {
        let Some(from) = report.beginning(first)? else { return Ok(all) };
        let Ok(tree) = Tree::resume(from.next_seq, file) else { return Ok(all) };
        let mut roots = Roots::new(tree, Some(file), sizes.clone());
        let walked = walk(rest, keys, from, &mut roots, false, progress)?;
        report.walked_on(&walked);
        all.push(roots);
        let Some(packed) = walked.packed else { break };
        at += 1 + packed;
    }
    Ok(all)
}

impl Report {
    /// Adds what was found after a gap.
    fn walked_on(&mut self, walked: &Walked) {
        self.entries += walked.lines;
        if walked.lines > 0 {
            self.size = walked.position.next_seq;
            self.last.clone_from(&walked.last);
            walked.position.previous.as_str().clone_into(&mut self.head);
        }
        let chain = [&walked.differs, &walked.bad].into_iter().flatten().cloned();
        self.doubts.extend::<Vec<Doubt>>(chain.collect());
    }
}
