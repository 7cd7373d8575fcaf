//! Carries a cleared request to its upstream, and the answer, frame by frame, to the client.
//!
//! The upstream's request is put together anew from judged parts, so that smuggling has nothing to
//! ride on. The answer's head waits for the first frame that may leave: until then a refusal is a
//! clean status. A client that leaves ends the upstream's work at once.

mod fetch;
mod flow;
mod head;
mod pour;
mod repair;
mod target;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pingora_core::protocols::http::ServerSession;
use portcullis_filters::Refusal;
use portcullis_filters::chain::Cleared;
use portcullis_filters::dialect::Usage;
use portcullis_policies::RouteClass;

use crate::answering::Answering;
use crate::generation::Generation;
use crate::metrics::Metrics;
use crate::queue::Slot;
use crate::record::Record;
use crate::upstream::Upstream;
use flow::Flow;

/// How often it is asked, while the upstream works, whether what was decided still holds.
const RECHECK: Duration = Duration::from_millis(250);

/// How a relayed exchange ended.
pub(crate) enum Relayed {
    /// The client has its answer, or as much of it as was let through.
    Answered,
    /// The client left.
    ClientLeft,
    /// Refused before anything was written to the client.
    Refused(Refusal),
}

/// What came of asking once.
enum Asked {
    /// The exchange has ended.
    Ended(Relayed),
    /// The answer does not fit, nothing of it has left, and another one may take its place.
    Unfit(Refusal),
}

/// One exchange on its way.
pub(crate) struct Relay<'x> {
    pub(crate) session: &'x mut ServerSession,
    pub(crate) generation: &'x Generation,
    /// The generation in force: what was decided by an older one is asked of it, too.
    pub(crate) current: &'x Arc<ArcSwap<Generation>>,
    pub(crate) upstream: &'x Upstream,
    pub(crate) metrics: &'x Metrics,
    pub(crate) record: &'x mut Record,
    /// Signs the answer, where the request was signed.
    pub(crate) answering: Option<&'x Answering<'x>>,
}

impl Relay<'_> {
    /// Runs the exchange to its end: asks once, and again where the operator wants answers repaired.
    pub(crate) async fn run(mut self, mut cleared: Cleared) -> Relayed {
        let mut asked = self.ask(&cleared).await;
        while let Asked::Unfit(refusal) = asked {
            if let Err(ended) = self.repair(&mut cleared, refusal).await {
                return ended;
            }
            asked = self.ask(&cleared).await;
            self.count_repair(&asked);
        }
        match asked {
            Asked::Ended(relayed) => relayed,
            Asked::Unfit(refusal) => Relayed::Refused(refusal),
        }
    }

    /// Asks the upstream once, and relays its answer, unless another one may take its place.
    async fn ask(&mut self, cleared: &Cleared) -> Asked {
        let (relayed, repairable) = self.once(cleared).await;
        match relayed {
            Relayed::Refused(refusal) if repairable && self.is_repairable(cleared, &refusal) => Asked::Unfit(refusal),
            relayed => Asked::Ended(relayed),
        }
    }

    /// Asks the upstream once, and relays its answer. Says, too, whether that was a whole answer of a server that did
    /// what it was asked.
    async fn once(&mut self, cleared: &Cleared) -> (Relayed, bool) {
        // One watch for the whole of it: what was decided may end in the queue, at the upstream, in the answer.
        let watch = std::pin::pin!(until_revoked(self.current, cleared));
        let mut revoked: Revoked<'_> = watch;
        let slot = match self.slot(cleared, &mut revoked).await {
            Ok(slot) => slot,
            Err(ended) => return (ended, false),
        };
        let sent = Instant::now();
        let mut answer = match self.fetch(cleared, &mut revoked).await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                // The upstream was at work; how far it came nobody knows.
                cleared.facts().settle(Usage::default());
                return (Relayed::ClientLeft, false);
            }
            Err(refusal) => return (Relayed::Refused(refusal), false),
        };
        let shape = match self.shape(&answer, cleared) {
            Ok(shape) => shape,
            Err(refusal) => return (Relayed::Refused(refusal), false),
        };
        let gate = match self.generation.chain.watch(cleared, shape) {
            Ok(gate) => gate,
            Err(refusal) => return (Relayed::Refused(refusal), false),
        };
        let streams = shape.stream.is_some();
        if streams {
            self.metrics.streams_active.inc();
        }
        let worked = answer.get_status().is_some_and(|status| status.is_success());
        let mut flow = Flow::new(gate, shape, sent, slot, worked);
        let relayed = self.pour(&mut answer, cleared, &mut flow, &mut revoked).await;
        if streams {
            self.metrics.streams_active.dec();
        }
        self.count(cleared, &flow);
        if matches!(relayed, Relayed::ClientLeft) {
            self.record.watched(&flow.gate);
        }
        if matches!(relayed, Relayed::Answered) && answer.is_body_done() {
            self.upstream.give_back(answer).await;
        } else {
            // Closed before its slot is free: the upstream is done with it then.
            drop(answer);
        }
        flow.settle(cleared, false);
        (relayed, worked && !streams)
    }

    /// Waits for a slot of the upstream, where a model is to run.
    async fn slot(&mut self, cleared: &Cleared, revoked: &mut Revoked<'_>) -> Result<Option<Slot>, Relayed> {
        if cleared.head().route.class != RouteClass::Inference {
            return Ok(None);
        }
        let began = Instant::now();
        let address;
        let caller = match cleared.facts().caller() {
            Some(caller) => caller.owner().identity.as_str(),
            None => {
                address = cleared.head().presented.address.to_string();
                &address
            }
        };
        let slot = tokio::select! {
            biased;
            slot = self.upstream.queue.slot(caller) => slot.map(Some).map_err(Relayed::Refused),
            _ = self.session.read_body_or_idle(true) => Err(Relayed::ClientLeft),
            refusal = &mut *revoked => Err(Relayed::Refused(refusal)),
        };
        self.metrics.queue_waited(&self.upstream.name, began.elapsed());
        slot
    }

    fn count(&self, cleared: &Cleared, flow: &Flow) {
        let name = &*self.upstream.name;
        let took = flow.sent.elapsed();
        self.metrics.upstream_answered(name, took);
        self.metrics.overhead_response(flow.judging);
        let usage = flow.gate.usage();
        if usage.input + usage.output > 0 {
            let model = cleared.facts().model().map_or("other", |m| self.generation.model_label(m.as_str()));
            self.metrics.tokens(name, model, usage.input, usage.output);
        }
        if let Some(first) = flow.first_frame {
            self.metrics.first_token(name, first);
            if let Some(others) = u32::try_from(usage.output).ok().and_then(|n| n.checked_sub(1)).filter(|n| *n > 0) {
                self.metrics.per_token(name, took.saturating_sub(first) / others);
            }
        }
    }
}

/// Comes back when something that was decided holds no more.
type Revoked<'f> = std::pin::Pin<&'f mut (dyn Future<Output = Refusal> + Send + 'f)>;

/// Comes back with the refusal once something that was decided holds no more, by what is in force then.
async fn until_revoked(current: &ArcSwap<Generation>, cleared: &Cleared) -> Refusal {
    loop {
        tokio::time::sleep(RECHECK).await;
        let chain = Arc::clone(&current.load().chain);
        if let Err(refusal) = chain.still(cleared) {
            return refusal;
        }
    }
}
