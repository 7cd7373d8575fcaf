//! Many dependencies that are judged by and by: other answers get their turn in between.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use portcullis_dependencies::Found;
use portcullis_osv::Package;

use super::dossier::{Dossier, Told, Unavailable};
use super::judge::{Finding, Judge};

/// So many comparisons of a dependency with an advisory are made at once: a few milliseconds.
pub(super) const AT_ONCE: usize = 4096;
/// As many findings are kept of each kind: more are counted, not told.
pub(super) const KEPT: usize = 16;

/// Dependencies, and what is known of their packages.
pub(super) struct Weighing {
    judge: Arc<Judge>,
    found: std::vec::IntoIter<Found>,
    dossiers: HashMap<Package, Dossier>,
    weighed: Weighed,
}

/// What speaks against dependencies.
#[derive(Debug, Default)]
pub(super) struct Weighed {
    /// The first ones that may not come in.
    pub(super) blocking: Vec<Finding>,
    /// How many there are.
    pub(super) blocks: usize,
    /// The first ones that are told only.
    pub(super) flagged: Vec<Finding>,
}

/// Why dependencies could not be weighed.
#[derive(Debug)]
pub(super) enum Lost {
    /// Something else was told than was asked for.
    Differs,
    Unavailable(Unavailable),
}

impl Weighing {
    /// Of dependencies, by what was told of each of their packages once.
    pub(super) fn new(judge: Arc<Judge>, found: Vec<Found>, told: Told) -> Result<Self, Lost> {
        let dossiers: HashMap<_, _> =
            told.map_err(Lost::Unavailable)?.into_iter().map(|dossier| (dossier.package.clone(), dossier)).collect();
        if found.iter().any(|found| !dossiers.contains_key(&found.package)) {
            return Err(Lost::Differs);
        }
        Ok(Self { judge, found: found.into_iter(), dossiers, weighed: Weighed::default() })
    }

    /// Weighs all of them, if that is little.
    pub(super) fn now(&mut self) -> Option<Weighed> {
        let work: usize = self.found.as_slice().iter().map(|found| work(self.dossiers.get(&found.package))).sum();
        if work > AT_ONCE {
            return None;
        }
        self.slice();
        Some(std::mem::take(&mut self.weighed))
    }

    /// Weighs all of them by and by, or up to where something may not come in.
    pub(super) async fn by_and_by(mut self) -> Weighed {
        while self.slice() {
            give_way().await;
        }
        self.weighed
    }

    /// Weighs some of them, and says whether more have to be.
    fn slice(&mut self) -> bool {
        let mut done = 0;
        while done < AT_ONCE {
            let Some(found) = self.found.next() else { return false };
            let Some(dossier) = self.dossiers.get(&found.package) else { continue };
            done += work(Some(dossier));
            for finding in self.judge.weigh(&found, dossier) {
                self.weighed.blocks += usize::from(finding.blocks);
                let kept = if finding.blocks { &mut self.weighed.blocking } else { &mut self.weighed.flagged };
                if kept.len() < KEPT {
                    kept.push(finding);
                }
            }
        }
        // One is enough to end the answer.
        self.weighed.blocks == 0
    }
}

fn work(dossier: Option<&Dossier>) -> usize {
    1 + dossier.map_or(0, |dossier| dossier.notices.len())
}

/// Lets others have their turn.
async fn give_way() {
    let mut gave = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
