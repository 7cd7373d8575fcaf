//! The newest decisions, for whoever watches the gate or asks why: in memory, bounded, and without a
//! prompt. What must last stands in the audit log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use portcullis_filters::exchange::{Caller, Noted};
use portcullis_policies::policy::Policy;
use serde::Serialize;
use tokio::sync::broadcast;

/// How many decisions are kept.
const KEPT: usize = 1_000;
/// How many a follower may be behind before it misses some.
const BEHIND: usize = 256;
/// The longest path and model that are kept, in characters.
const MAX_TEXT: usize = 256;

/// One decision. Texts of a client are cut.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Decision {
    pub(crate) request_id: String,
    /// When it fell; shown with milliseconds.
    #[serde(serialize_with = "millis")]
    pub(crate) timestamp: jiff::Timestamp,
    /// `ALLOW` or `BLOCK`.
    pub(crate) policy_decision: &'static str,
    pub(crate) filter: &'static str,
    pub(crate) code: &'static str,
    /// Whether these two tell of a refusal that was not obeyed, because what refused is in `shadow` mode.
    pub(crate) shadow: bool,
    /// How often the upstream was asked once more, because its answer did not fit a schema.
    pub(crate) repairs: u64,
    pub(crate) status: u16,
    /// The public sentence.
    pub(crate) message: String,
    /// What only the operator reads: which rule, which check.
    pub(crate) detail: String,
    /// The rule or grant that allowed it.
    pub(crate) allowed_by: Option<Arc<str>>,
    pub(crate) node_id: String,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) identity_method: &'static str,
    pub(crate) route_class: &'static str,
    pub(crate) route: Option<Arc<str>>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) model: String,
    pub(crate) upstream: String,
    pub(crate) duration_us: u64,
    /// What was found in the request's texts.
    #[serde(skip)]
    pub(crate) findings: Vec<Noted>,
    /// Who called, where the `identity` filter knew.
    #[serde(skip)]
    pub(crate) caller: Option<Caller>,
    /// The policy that decided, while it is in force.
    #[serde(skip)]
    pub(crate) policy: Weak<Policy>,
}

fn millis<S: serde::Serializer>(time: &jiff::Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{time:.3}"))
}

/// The ring of the newest decisions, and those who follow it.
pub(crate) struct Decisions {
    ring: Mutex<VecDeque<Arc<Decision>>>,
    told: broadcast::Sender<Arc<Decision>>,
}

impl Decisions {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { ring: Mutex::default(), told: broadcast::channel(BEHIND).0 })
    }

    /// Notes a decision and tells those who follow.
    pub(crate) fn note(&self, mut decision: Decision) {
        for text in [&mut decision.path, &mut decision.model] {
            // It comes from outside and goes to a terminal.
            text.retain(|c| !c.is_control());
            if let Some((at, _)) = text.char_indices().nth(MAX_TEXT) {
                text.truncate(at);
            }
        }
        let decision = Arc::new(decision);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= KEPT {
            ring.pop_front();
        }
        ring.push_back(Arc::clone(&decision));
        // Under the lock, so that whoever begins to follow misses none and sees none twice.
        let _ = self.told.send(decision);
    }

    /// The newest ones that are wanted, newest first.
    pub(crate) fn newest(&self, limit: usize, wanted: impl Fn(&Decision) -> bool) -> Vec<Arc<Decision>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().rev().filter(|decision| wanted(decision)).take(limit).cloned().collect()
    }

    /// The one about a request.
    pub(crate) fn find(&self, request: &str) -> Option<Arc<Decision>> {
        self.newest(1, |decision| decision.request_id == request).pop()
    }

    /// The decisions to come.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Decision>> {
        self.told.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(id: usize) -> Decision {
        Decision { request_id: id.to_string(), path: "/".repeat(2 * MAX_TEXT), ..Decision::default() }
    }

    #[test]
    fn keeps_the_newest_and_cuts_long_texts() {
        let decisions = Decisions::new();
        let mut follower = decisions.follow();
        for id in 0..KEPT + 5 {
            decisions.note(decision(id));
        }
        assert!(decisions.find("4").is_none() && decisions.find("5").is_some());
        let newest: Vec<_> =
            decisions.newest(2, |d| d.request_id != "1003").iter().map(|d| d.request_id.clone()).collect();
        assert_eq!(newest, ["1004", "1002"]);
        assert_eq!(decisions.find("5").unwrap().path.len(), MAX_TEXT);
        assert!(matches!(follower.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
    }
}
