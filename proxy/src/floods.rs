//! Refusals that come in a flood: told together, so that nobody fills the audit log.
//!
//! A refusal is cheap, but each writes a line. So each address has a bucket of refusals for want of an
//! identity, and each caller one of refusals for too many requests. What comes beyond is told together:
//! one line for whoever sent it and a span of time, with the number of requests. A caller who is known
//! is never held up by a stranger at the same address: its requests are not counted there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_certs::trust::network;
use portcullis_filters::audit::{AuditSink, Entry};
use portcullis_filters::ratelimit::{Demand, Denied, Kind, Memory};
use portcullis_filters::{Code, Refusal};
use portcullis_policies::Rate;
use ulid::Ulid;

use crate::metrics::LISTENER;
use crate::privacy::Privacy;

/// How often the lines for many are written.
const PAUSE: Duration = Duration::from_secs(10);
/// Senders that have a line of their own in one span; what others send is told together.
const MAX_SENDERS: usize = 64;

/// What came in floods.
pub(crate) struct Floods {
    counters: Arc<Memory>,
    privacy: Arc<Privacy>,
    /// Requests that no line tells yet, by what became of them; `None` stands for all senders beyond the
    /// first ones.
    untold: Mutex<HashMap<(Fate, Option<String>), u64>>,
}

/// What became of requests that are told together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    /// Liveness, which the gate answers to anybody.
    Answered,
    Refused,
}

impl Floods {
    pub(crate) fn new(counters: Arc<Memory>, privacy: Arc<Privacy>) -> Self {
        Self { counters, privacy, untold: Mutex::default() }
    }

    /// Counts a refusal of somebody unknown. `None` as long as there are few from this address; then
    /// the refusal that takes its place, which is told together with others.
    pub(crate) fn stranger(&self, address: IpAddr, rate: Option<Rate>) -> Option<Refusal> {
        let wait = self.count(Fate::Refused, &network(address).to_string(), rate?)?;
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        Some(
            Refusal::new("ratelimit", Code::RateLimitRequests, "too many requests that prove no identity")
                .with_retry_after(seconds),
        )
    }

    /// Counts a refusal of a caller that sends too much, and returns whether it is told together with
    /// others.
    pub(crate) fn caller(&self, identity: &str, rate: Option<Rate>) -> bool {
        rate.is_some_and(|rate| self.count(Fate::Refused, identity, rate).is_some())
    }

    /// Counts a question about liveness, and returns whether it is told together with others. It is
    /// answered all the same: a probe, or a known caller, may come from the address of a flood.
    pub(crate) fn liveness(&self, address: IpAddr, rate: Option<Rate>) -> bool {
        let from = format!("liveness {}", network(address));
        rate.is_some_and(|rate| self.count(Fate::Answered, &from, rate).is_some())
    }

    /// The time until one more would have a line of its own; `None` when this one has.
    fn count(&self, fate: Fate, sender: &str, rate: Rate) -> Option<Duration> {
        let demand = Demand { requests: Some(rate), ..Demand::of(Kind::Stranger, sender) };
        let wait = match self.counters.take_now(&[demand], 0) {
            Ok(_) => return None,
            Err(Denied::Short(short)) => short.wait,
            // More senders than can be counted: a flood of its own.
            Err(_) => Duration::from_secs(1),
        };
        self.add(fate, Some(sender.to_owned()), 1);
        Some(wait)
    }

    fn add(&self, fate: Fate, sender: Option<String>, count: u64) {
        let mut untold = self.untold();
        let key = (fate, sender);
        let room = untold.len() < MAX_SENDERS || untold.contains_key(&key);
        *untold.entry((fate, key.1.filter(|_| room))).or_default() += count;
    }

    /// Writes the lines that are due. What cannot be written is told the next time.
    pub(crate) async fn tell(&self, sink: &dyn AuditSink) {
        let due = std::mem::take(&mut *self.untold());
        for ((fate, sender), count) in due {
            let from = sender.as_deref().unwrap_or("others");
            tracing::warn!(from, count, "Requests that prove no identity, or are too many, come in a flood.");
            let (decision, filter, code) = match fate {
                Fate::Answered => ("ALLOW", "", ""),
                Fate::Refused => ("BLOCK", "ratelimit", Code::RateLimitRequests.as_str()),
            };
            let entry = Entry {
                event_type: "request.flood",
                request_id: &Ulid::new().to_string(),
                listener: LISTENER,
                path: &format!("{count} requests from {}", self.shown(from)),
                policy_decision: decision,
                filter,
                code,
                data_level: "L0",
                ..Entry::default()
            };
            let receipt = sink.hand_over(entry.draft());
            if receipt.await.is_err() {
                self.add(fate, sender, count);
            }
        }
    }

    /// A sender as the log may tell it: an address no further than any other.
    fn shown(&self, sender: &str) -> String {
        let (before, last) = sender.rsplit_once(' ').map_or(("", sender), |(before, last)| (before, last));
        let Ok(address) = last.parse::<IpAddr>() else { return sender.to_owned() };
        let shown = self.privacy.address(address);
        let shown = if shown.is_empty() { "an address" } else { &shown };
        if before.is_empty() { shown.to_owned() } else { format!("{before} {shown}") }
    }

    /// Writes them again and again, for ever.
    pub(crate) async fn keep(self: Arc<Self>, sink: Arc<dyn AuditSink>) {
        loop {
            tokio::time::sleep(PAUSE).await;
            self.tell(&*sink).await;
        }
    }

    fn untold(&self) -> MutexGuard<'_, HashMap<(Fate, Option<String>), u64>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::BoxFuture;
    use portcullis_audit::{Chain, Position, SealKey};
    use portcullis_filters::audit::{AuditError, Draft, Receipt};
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Default)]
    struct Paper(Mutex<Vec<String>>, AtomicBool);

    impl AuditSink for Paper {
        fn hand_over(&self, entry: Draft) -> Receipt {
            if self.1.load(Ordering::Acquire) {
                return Receipt::settled(Err(AuditError("full".to_owned())));
            }
            let mut line = Vec::new();
            Chain::resume(SealKey::new(&[7; 32]).unwrap(), Position::START).seal(&entry, 0, &mut line);
            let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
            self.0.lock().unwrap().push(read["path"].as_str().unwrap().to_owned());
            Receipt::settled(Ok(()))
        }

        fn room(&self) -> BoxFuture<'_, ()> {
            Box::pin(std::future::ready(()))
        }

        fn ready(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_flood_is_told_in_a_few_lines() {
        let floods = Floods::new(Arc::new(Memory::new([])), Arc::default());
        let rate = "5/d".parse().ok();
        let from = |n: u32| IpAddr::from(n.to_be_bytes());
        let refused = (0..1_000).filter_map(|_| floods.stranger(from(7), rate)).collect::<Vec<_>>();
        assert_eq!(refused.len(), 995);
        assert!(refused.iter().all(|no| no.code == Code::RateLimitRequests && no.retry_after.unwrap() > 1));
        for n in 100..1_000 {
            (0..6).for_each(|_| drop(floods.stranger(from(n), rate)));
        }
        let paper = Paper::default();
        paper.1.store(true, Ordering::Release);
        floods.tell(&paper).await;
        paper.1.store(false, Ordering::Release);
        floods.tell(&paper).await;
        floods.tell(&paper).await;
        let told = paper.0.into_inner().unwrap();
        assert!(told.len() <= MAX_SENDERS + 1, "{told:?}");
        let sum: u64 = told.iter().map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(sum, 995 + 900, "every refusal is told once: {told:?}");
        let told = (0..50).filter(|_| floods.caller("peer:a", rate)).count();
        assert_eq!((told, floods.caller("peer:b", rate), floods.caller("peer:a", None)), (45, false, false));
    }

    #[test]
    fn a_customer_s_addresses_are_one() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
