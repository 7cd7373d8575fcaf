//! Runs the filters in order; the only caller of a filter.
//!
//! An error, a panic and a time-out end here, each as a refusal. A filter in `shadow` mode is heard
//! and noted, and its verdict dropped. What comes out is a proof: only this file makes an
//! [`Admitted`] or a [`Cleared`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use portcullis_policies::routes::BodyKind;

use crate::exchange::{Content, Facts, Head, Request, Shadow};
use crate::filter::{Filter, Mode, Phase};
use crate::gate::{AnswerShape, Eye, Gate};
use crate::json::{Json, JsonError};
use crate::verdict::{Code, Outcome, Refusal, Verdict};

/// What the chain tells the world: one call per happening, for metrics.
pub trait Observer: Send + Sync {
    /// A filter judged, for better or worse.
    fn ran(&self, filter: &'static str, phase: Phase, took: Duration);
    /// A filter panicked.
    fn panicked(&self, filter: &'static str);
    /// A filter in `shadow` mode would have refused.
    fn shadowed(&self, filter: &'static str, code: Code);
}

/// A filter and what becomes of its verdicts.
#[derive(Clone)]
pub struct Member {
    /// The filter.
    pub filter: Arc<dyn Filter>,
    /// Whether it is obeyed.
    pub mode: Mode,
}

/// The filters of one generation of the config, in order.
pub struct Chain {
    head: Vec<Member>,
    body: Vec<Member>,
    account: Vec<Member>,
    reply: Vec<Member>,
    all: Vec<Member>,
    names: Vec<&'static str>,
    budget: Duration,
    observer: Arc<dyn Observer>,
}

/// A chain without filters: one that checks nothing is never built by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chain is empty, expected at least one filter that is not `off`")]
pub struct EmptyChain;

/// A request whose head has been let in. Reading the body asks for one.
#[derive(Debug)]
pub struct Admitted {
    head: Head,
    facts: Facts,
}

/// Permission to read a body. Only the chain gives it.
#[derive(Clone, Copy, Debug)]
pub struct Readable<'h>(&'h Head);

/// A request that every filter has let through. Only the chain makes one, and the relay takes
/// nothing else.
#[derive(Debug)]
pub struct Cleared {
    head: Head,
    body: Bytes,
    facts: Facts,
}

/// A refusal, and what was known of the exchange when it fell.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What the filters before had established.
    pub facts: Facts,
}

impl Chain {
    /// A chain of these filters, each of which has `budget` for one call.
    ///
    /// # Errors
    /// When no filter is on: a chain that checks nothing is a mistake.
    pub fn new(members: Vec<Member>, budget: Duration, observer: Arc<dyn Observer>) -> Result<Self, EmptyChain> {
        let members: Vec<_> = members.into_iter().filter(|m| m.mode != Mode::Off).collect();
        if members.is_empty() {
            return Err(EmptyChain);
        }
        let at =
            |phase| -> Vec<Member> { members.iter().filter(|m| m.filter.phases().contains(&phase)).cloned().collect() };
        Ok(Self {
            head: at(Phase::Head),
            body: at(Phase::Body),
            account: at(Phase::Account),
            reply: at(Phase::Reply),
            names: members.iter().map(|m| m.filter.name()).collect(),
            all: members,
            budget,
            observer,
        })
    }

    /// The names of the filters that are on, in order.
    #[must_use]
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Asks whether a body may be read before anybody is judged, because the proof of who calls covers it.
    ///
    /// # Errors
    /// The first refusal.
    pub fn readable<'h>(&self, head: &'h Head) -> Result<Readable<'h>, Refusal> {
        for member in self.all.iter().filter(|m| m.mode == Mode::Enforce) {
            self.guard(member, || member.filter.may_read(head))?;
        }
        Ok(Readable(head))
    }

    /// Shows the head to every filter that looks at heads.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn admit(&self, head: Head) -> Result<Admitted, Box<Refused>> {
        let mut facts = Facts::default();
        for member in &self.head {
            let call = member.filter.head(&head, &mut facts);
            let said = self.ask(member, Phase::Head, call).await;
            if let Err(refusal) = self.settle(member, said, &mut facts) {
                return Err(Box::new(Refused { refusal, facts }));
            }
        }
        Ok(Admitted { head, facts })
    }

    /// Shows the whole request to every filter that looks at bodies. No upstream knows of it yet.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn clear(&self, admitted: Admitted, content: Content) -> Result<Cleared, Box<Refused>> {
        let Admitted { head, mut facts } = admitted;
        match self.judge(&head, &mut facts, content).await {
            Ok(body) => Ok(Cleared { head, body, facts }),
            Err(refusal) => Err(Box::new(Refused { refusal, facts })),
        }
    }

    async fn judge(&self, head: &Head, facts: &mut Facts, content: Content) -> Result<Bytes, Refusal> {
        let Content { bytes: mut body, digest } = content;
        for member in &self.all {
            if let Err(refusal) = self.guard(member, || member.filter.content(head, &digest)) {
                self.settle::<()>(member, Ok(Ok(Verdict::Block(refusal))), facts)?;
            }
        }
        let mut next = 0;
        loop {
            let json = match head.route.body {
                BodyKind::Json => Some(Json::parse(&body).map_err(|e| malformed(&e))?),
                BodyKind::Blob | BodyKind::Multipart | BodyKind::None => None,
            };
            let mut replacement = None;
            for (position, member) in self.body.iter().enumerate().skip(next) {
                let request = Request { head, body: &body, json: json.as_ref() };
                let target = facts.target().map(str::to_owned);
                let said = self.ask(member, Phase::Body, member.filter.body(&request, facts)).await;
                replacement = self.settle(member, said, facts)?;
                if member.mode == Mode::Shadow {
                    // The body stays what it was, and so does the path that it is for.
                    facts.restore_target(target);
                }
                if replacement.is_some() {
                    // Later filters judge what will be sent, so they see it parsed anew.
                    next = position + 1;
                    break;
                }
            }
            if let Some(new) = replacement {
                body = new;
                if next < self.body.len() || !self.account.is_empty() {
                    continue;
                }
                return self.counted(facts).map(|()| body);
            }
            self.account(head, &body, json.as_ref(), facts).await?;
            drop(json);
            return Ok(body);
        }
    }

    /// What a rule, a grant or a key allows is not let through where no filter counts it.
    fn counted(&self, facts: &Facts) -> Result<(), Refusal> {
        if self.account.is_empty() && !facts.quotas().is_empty() {
            let why = "a rule, grant or key has limits, and `ratelimit`, which would count them, is not in the chain";
            return Err(Refusal::internal("ratelimit", why));
        }
        Ok(())
    }

    /// Asks whether everything that was decided still holds.
    ///
    /// # Errors
    /// The first refusal.
    pub fn still(&self, cleared: &Cleared) -> Result<(), Refusal> {
        for member in self.all.iter().filter(|m| m.mode == Mode::Enforce) {
            self.guard(member, || member.filter.still(&cleared.head, &cleared.facts))?;
        }
        Ok(())
    }

    /// Counts the same request once more, for a server that is to be asked again. What was held for the time before is
    /// given back first: it must have been settled.
    ///
    /// # Errors
    /// The refusal of a filter that counts: the caller has no more, and the server must not be asked. Nothing is held
    /// then.
    pub async fn again(&self, cleared: &mut Cleared) -> Result<(), Refusal> {
        let Cleared { head, body, facts } = cleared;
        facts.release();
        let json = match head.route.body {
            BodyKind::Json => Some(Json::parse(body).map_err(|e| malformed(&e))?),
            BodyKind::Blob | BodyKind::Multipart | BodyKind::None => None,
        };
        let counted = self.account(head, body, json.as_ref(), facts).await;
        if counted.is_err() {
            facts.release();
        }
        counted
    }

    /// Sets aside what a request may cost.
    async fn account(
        &self,
        head: &Head,
        body: &Bytes,
        json: Option<&Json<'_>>,
        facts: &mut Facts,
    ) -> Result<(), Refusal> {
        for member in &self.account {
            let request = Request { head, body, json };
            let said = self.ask(member, Phase::Account, member.filter.account(&request, facts)).await;
            self.settle(member, said, facts)?;
        }
        self.counted(facts)
    }

    /// Calls a filter that answers at once; a panic is a refusal.
    fn guard<T>(&self, member: &Member, call: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
        let name = member.filter.name();
        std::panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
            self.observer.panicked(name);
            Err(Refusal::internal(name, "it panicked"))
        })
    }

    /// Puts the filters' eyes on the answer to come.
    ///
    /// # Errors
    /// When a filter cannot watch: an answer that nobody watches is not fetched.
    pub fn watch(&self, cleared: &Cleared, shape: AnswerShape) -> Result<Gate, Refusal> {
        let mut eyes = Vec::with_capacity(self.reply.len());
        for member in &self.reply {
            let name = member.filter.name();
            let made = std::panic::catch_unwind(AssertUnwindSafe(|| {
                member.filter.watch(&cleared.head, &cleared.facts, &shape)
            }));
            match made {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(watch))) => eyes.push(Eye::new(name, member.mode, watch)),
                Ok(Err(error)) => return Err(Refusal::internal(name, error.to_string())),
                Err(_) => {
                    self.observer.panicked(name);
                    return Err(Refusal::internal(name, "it panicked"));
                }
            }
        }
        Ok(Gate::new(eyes, shape, Arc::clone(&self.observer)))
    }

    /// The one place a filter is called: bounded in time, and a panic stops here.
    async fn ask<T>(
        &self,
        member: &Member,
        phase: Phase,
        call: impl Future<Output = Outcome<T>>,
    ) -> Result<Outcome<T>, Refusal> {
        let name = member.filter.name();
        let began = Instant::now();
        let mut call = std::pin::pin!(AssertUnwindSafe(call).catch_unwind());
        // Most filters answer at once: the clock is set only for one that waits.
        let said = match futures::poll!(call.as_mut()) {
            std::task::Poll::Ready(said) => Ok(said),
            std::task::Poll::Pending => tokio::time::timeout(self.budget, call).await,
        };
        self.observer.ran(name, phase, began.elapsed());
        match said {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_panic)) => {
                self.observer.panicked(name);
                Err(Refusal::internal(name, "it panicked"))
            }
            Err(_elapsed) => Err(Refusal::internal(name, "it ran out of time")),
        }
    }

    fn settle<T>(
        &self,
        member: &Member,
        said: Result<Outcome<T>, Refusal>,
        facts: &mut Facts,
    ) -> Result<Option<T>, Refusal> {
        let name = member.filter.name();
        for shadow in facts.uncounted_shadows() {
            self.observer.shadowed(shadow.filter, shadow.code);
        }
        let refusal = match said {
            Ok(Ok(Verdict::Pass)) => return Ok(None),
            Ok(Ok(Verdict::Replace(_))) if member.mode == Mode::Shadow => {
                facts.forget_redactions(name);
                return Ok(None);
            }
            Ok(Ok(Verdict::Replace(new))) => return Ok(Some(new)),
            Ok(Ok(Verdict::Block(refusal))) => refusal,
            Ok(Err(error)) => Refusal::internal(name, error.to_string()),
            Err(refusal) => refusal,
        };
        facts.raise_level(refusal.level);
        if member.mode == Mode::Shadow {
            self.observer.shadowed(name, refusal.code);
            facts.note_shadow(Shadow { filter: name, code: refusal.code, detail: refusal.detail });
            facts.uncounted_shadows();
            return Ok(None);
        }
        Err(refusal)
    }
}

impl<'h> Readable<'h> {
    /// The head that the body belongs to.
    #[must_use]
    pub fn head(&self) -> &'h Head {
        self.0
    }
}

impl Admitted {
    /// Permission to read the body.
    #[must_use]
    pub fn readable(&self) -> Readable<'_> {
        Readable(&self.head)
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What is known so far.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Gives up on the request, keeping what was known for the record.
    #[must_use]
    pub fn refuse(self, refusal: Refusal) -> Box<Refused> {
        Box::new(Refused { refusal, facts: self.facts })
    }
}

impl Cleared {
    /// The head.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The body that was judged, and the only one that may be sent.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What the filters established.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Ends the request's way, keeping what was established for the record.
    #[must_use]
    pub fn into_facts(self) -> Facts {
        self.facts
    }
}

fn malformed(error: &JsonError) -> Refusal {
    Refusal::new("request", Code::RequestMalformed, format!("the body is not JSON as the gate takes it: {error}"))
}
