//! One request's walk through the house.
//!
//! The head is checked and finds its route; the chain admits it; the body is read; the chain clears
//! it; the relay carries it. Each step asks for the proof that the one before gives out.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures::FutureExt as _;
use http::header;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;
use pingora_error::ErrorType;
use portcullis_filters::audit::AuditSink;
use portcullis_filters::chain::Refused;
use portcullis_filters::exchange::{Caller, Content, Head, Presented};
use portcullis_filters::signature::Signature;
use portcullis_filters::{Code, Refusal};
use portcullis_policies::{Dialect, RouteClass};

use crate::answering::{Answering, Signatory};
use crate::body::{self, Body, Received};
use crate::certificates::Peer;
use crate::config::Tls;
use crate::credentials;
use crate::decisions::Decisions;
use crate::floods::Floods;
use crate::generation::{Generation, Limits};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::privacy::Privacy;
use crate::record::{Ending, Record};
use crate::refuse;
use crate::relay::{Relay, Relayed};
use crate::route::{self, Lead};
use crate::witness::Witness;

mod own;

/// Bodies above this size are judged off the worker's thread, so that one long scan does not hold up
/// the worker's other connections.
const OFFLOAD: usize = 256 * 1024;

/// The application behind the gate's listener.
pub(crate) struct Service {
    pub(crate) current: Arc<ArcSwap<Generation>>,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) privacy: Arc<Privacy>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) memory: Memory,
    pub(crate) floods: Arc<Floods>,
    pub(crate) signatory: Signatory,
    pub(crate) witness: Witness,
    pub(crate) options: HttpServerOptions,
}

/// Marks a connection that has carried a request.
struct Reused;

/// Why a request's walk ended early.
enum Stop {
    /// It is refused, in this dialect.
    Refused(Dialect, Refusal),
    /// It is dealt with.
    Done,
}

#[async_trait]
impl HttpServerApp for Service {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let generation = self.current.load_full();
        if !self.next_request(&mut session, &generation, shutdown).await? {
            return None;
        }
        let mut record = self.record(&session);
        let walk = AssertUnwindSafe(self.walk(&mut session, &generation, &mut record)).catch_unwind();
        let stop = walk.await.unwrap_or_else(|_| {
            Stop::Refused(Dialect::Plain, Refusal::internal("request", "the gate itself panicked"))
        });
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        if let Stop::Refused(dialect, refusal) = stop {
            self.refuse(&mut session, &mut record, dialect, refusal, true).await;
        }
        drop(record);
        if session.is_http2() {
            let _ = session.finish().await;
            return None;
        }
        let mut settings = HttpPersistentSettings::for_session(&session);
        settings.set_user_context(Box::new(Reused));
        let stream = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }

    fn h2_options(&self) -> Option<H2Options> {
        let limits = &self.current.load().limits;
        let mut options = default_h2_options();
        options.max_concurrent_streams(limits.h2_streams);
        options.max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(64 * 1024));
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

impl Service {
    /// Waits for the next request on a connection. `None` or `false` when there is none to serve.
    async fn next_request(
        &self,
        session: &mut ServerSession,
        generation: &Generation,
        shutdown: &ShutdownWatch,
    ) -> Option<bool> {
        let limits = &generation.limits;
        let reused = session.take_connection_user_context().is_some();
        let patience = if reused { limits.idle_timeout } else { limits.header_timeout };
        session.set_read_timeout(Some(patience));
        session.set_write_timeout(Some(limits.idle_timeout));
        session.set_total_drain_timeout(Some(body::DRAIN));
        session.set_pipelining_enabled(true);
        let mut stopping = shutdown.clone();
        let read = tokio::select! {
            biased;
            read = pingora_timeout::timeout(patience, session.read_request()) => read.ok()?,
            _ = stopping.wait_for(|stop| *stop) => return None,
        };
        match read {
            Ok(there) => Some(there),
            Err(error) if matches!(error.etype(), ErrorType::InvalidHTTPHeader) => {
                // Its text quotes the header, which may hold a secret: it is not logged.
                let mut record = self.record(session);
                let refusal = Refusal::new("request", Code::RequestMalformed, "the request is not well-formed HTTP");
                let refusal = self.sum_up(session, generation, &mut record, refusal, None);
                self.refuse(session, &mut record, Dialect::Plain, refusal, false).await;
                None
            }
            Err(_) => None,
        }
    }

    fn record(&self, session: &ServerSession) -> Record {
        let (sink, metrics, decisions) = (&self.audit, &self.metrics, &self.decisions);
        let (sink, metrics, decisions) = (Arc::clone(sink), Arc::clone(metrics), Arc::clone(decisions));
        Record::open(sink, metrics, decisions, Arc::clone(&self.privacy), address(session))
    }

    async fn walk(&self, session: &mut ServerSession, generation: &Arc<Generation>, record: &mut Record) -> Stop {
        let began = Instant::now();
        record.policy = Arc::downgrade(&generation.config.policy);
        let request = session.req_header();
        record.method = request.method.as_str().chars().take(16).collect();
        record.path =
            String::from_utf8_lossy(request.raw_path().split(|b| *b == b'?').next().unwrap_or_default()).into_owned();
        let mut dialect = Dialect::of_path(&record.path);
        match self.head(session, generation, record, &mut dialect) {
            Ok(Headed::Public) => {
                // Told together, it must still be possible to tell it.
                record.told_with_others =
                    self.audit.ready() && self.floods.liveness(address(session), generation.strangers);
                self.public(session, record).await
            }
            Ok(Headed::Judged(lead, head)) => self.judge(session, generation, record, lead, *head, began).await,
            Err(refusal) => Stop::Refused(dialect, self.sum_up(session, generation, record, refusal, None)),
        }
    }

    /// What is refused before anybody is known, and what a caller sends beyond its limit, may come in a
    /// flood: then it is told together, and a stranger's connection is not kept.
    fn sum_up(
        &self,
        session: &mut ServerSession,
        generation: &Generation,
        record: &mut Record,
        refusal: Refusal,
        caller: Option<&Caller>,
    ) -> Refusal {
        if matches!(refusal.code, Code::Internal(_) | Code::AuditUnavailable) {
            return refusal;
        }
        let Some(caller) = caller else {
            let Some(one_of_many) = self.floods.stranger(address(session), generation.strangers) else {
                return refusal;
            };
            record.told_with_others = true;
            session.set_keepalive(None);
            return one_of_many;
        };
        // A captured request can be sent again and again by somebody else, and nothing else counts that.
        let of_signature = refusal.filter == "signature";
        if of_signature || refusal.code == Code::RateLimitRequests {
            record.told_with_others = self.floods.caller(caller.identity.as_str(), generation.strangers);
            if of_signature && record.told_with_others {
                session.set_keepalive(None);
            }
        }
        refusal
    }

    /// The head: framing, target, route, and what the connection proves.
    fn head<'g>(
        &self,
        session: &ServerSession,
        generation: &'g Generation,
        record: &mut Record,
        dialect: &mut Dialect,
    ) -> Result<Headed<'g>, Refusal> {
        let request = session.req_header();
        let presented = presented(session);
        if let Some(certificate) = &presented.certificate {
            record.presented(certificate.identity.as_str());
        }
        let raw = session.as_http1().map(|h1| h1.get_headers_raw_bytes());
        route::check_framing(request, raw.as_deref(), generation)?;
        let mut target = route::target(request)?;
        let mut credentials = credentials::read(request, &mut target);
        if generation.takes_signatures {
            let https = generation.config.gate.tls != Tls::Off;
            credentials::read_signature(request, route::authority(request)?, https, &mut credentials);
        }
        record.path.clone_from(&target.path);
        let (lead, route) = route::find(generation, &request.method, &target.path)?;
        *dialect = route.dialect;
        record.class = route.class.as_str();
        record.route = Some(Arc::clone(&route.name));
        if route.class == RouteClass::Public {
            return Ok(Headed::Public);
        }
        if let Lead::Upstream(way) = lead {
            record.upstream = Some(Arc::clone(&way.upstream.name));
        }
        Ok(Headed::Judged(lead, Box::new(route::head(target, request, lead, route, presented, credentials))))
    }

    /// The chain, the body, the chain again, the relay; or what the gate itself has to say.
    async fn judge(
        &self,
        session: &mut ServerSession,
        generation: &Arc<Generation>,
        record: &mut Record,
        lead: Lead<'_>,
        mut head: Head,
        began: Instant,
    ) -> Stop {
        let dialect = head.route.dialect;
        let limits = match lead {
            Lead::Gate => &generation.own_limits,
            Lead::Upstream(_) => &generation.limits,
        };
        let refused = |record: &mut Record, refused: Refused| {
            record.facts(&refused.facts);
            Stop::Refused(dialect, refused.refusal)
        };
        let mut early = None;
        if head.credentials.signature.as_ref().is_some_and(Signature::awaits_content) {
            match self.read_early(session, generation, limits, &head).await {
                Ok(received) => {
                    head.content = Some(received.digest);
                    early = Some(received);
                }
                Err(refusal) => {
                    return Stop::Refused(dialect, self.sum_up(session, generation, record, refusal, None));
                }
            }
        }
        let admitted = match generation.chain.admit(head).await {
            Ok(admitted) => admitted,
            Err(mut no) => {
                no.refusal = self.sum_up(session, generation, record, no.refusal, no.facts.caller());
                return refused(record, *no);
            }
        };
        let reading = Instant::now();
        let read = {
            let asks;
            let owner = match admitted.facts().caller() {
                Some(caller) => caller.owner().identity.as_str(),
                None => {
                    asks = address(session).to_string();
                    &asks
                }
            };
            let memory = self.memory.of(owner);
            let received = match early {
                Some(received) => Ok(received),
                None => body::read(session, admitted.readable(), limits, &memory).await,
            };
            received.and_then(|received| received.unpack(limits, &memory))
        };
        let waited = reading.elapsed();
        let body = match read {
            Ok(body) => body,
            Err(refusal) => return refused(record, *admitted.refuse(refusal)),
        };
        record.prompt(&body);
        let Body { content, memory, .. } = body;
        let cleared = match clear(generation, admitted, content).await {
            Ok(cleared) => cleared,
            Err(no) => return refused(record, *no),
        };
        record.facts(cleared.facts());
        self.metrics.overhead_request(began.elapsed().saturating_sub(waited));
        let upstream = match lead {
            Lead::Gate => return self.own(session, record, &cleared).await,
            Lead::Upstream(way) => &way.upstream,
        };
        let current = &self.current;
        let answering = self.answering(session, record);
        let answering = answering.as_ref();
        let relay = Relay { session, generation, current, upstream, metrics: &self.metrics, record, answering };
        let relayed = relay.run(cleared).await;
        drop(memory);
        match relayed {
            Relayed::Answered => Stop::Done,
            Relayed::ClientLeft => {
                session.set_keepalive(None);
                let _ = record.close(Ending::ClientLeft).await;
                Stop::Done
            }
            Relayed::Refused(refusal) => Stop::Refused(dialect, refusal),
        }
    }

    /// Reads a body that the proof of who calls covers, before anybody is judged: with a stranger's means.
    async fn read_early(
        &self,
        session: &mut ServerSession,
        generation: &Generation,
        limits: &Limits,
        head: &Head,
    ) -> Result<Received, Refusal> {
        let readable = generation.chain.readable(head)?;
        let memory = self.memory.of_stranger(address(session));
        body::read(session, readable, limits, &memory).await
    }

    /// Writes the entry of a refusal, then says it.
    async fn refuse(
        &self,
        session: &mut ServerSession,
        record: &mut Record,
        dialect: Dialect,
        refusal: Refusal,
        parsed: bool,
    ) {
        record.status = refusal.code.status();
        let refusal = match record.close(Ending::Refused(&refusal)).await {
            Ok(()) => refusal,
            Err(error) => {
                tracing::error!(%error, request = record.id, "The audit log cannot be written.");
                Refusal::new("audit", Code::AuditUnavailable, "the audit log cannot be written")
            }
        };
        if !record.told_with_others {
            if refusal.code == Code::IdentityKeyChanged {
                tracing::error!(request = record.id, "A caller claims a known name with another key.");
            }
            tracing::info!(
                request = record.id,
                filter = refusal.filter,
                code = refusal.code.as_str(),
                detail = refusal.detail,
                "A request was refused."
            );
        }
        let node = self.current.load().node.clone();
        let answering = self.answering(session, record);
        refuse::answer(session, &node, dialect, &refusal, &record.id, parsed, answering.as_ref()).await;
    }

    /// What signs the answer, once the request's signature was verified.
    fn answering(&self, session: &ServerSession, record: &Record) -> Option<Answering<'_>> {
        let asked = record.asked.as_ref()?;
        Some(Answering::new(&self.signatory, asked, &session.req_header().headers, session.is_http2()))
    }
}

/// What the head turned out to be.
enum Headed<'g> {
    Judged(Lead<'g>, Box<Head>),
    Public,
}

/// Shows a whole request to the chain, off this thread when it is large.
async fn clear(
    generation: &Arc<Generation>,
    admitted: portcullis_filters::chain::Admitted,
    content: Content,
) -> Result<portcullis_filters::chain::Cleared, Box<Refused>> {
    if content.bytes.len() <= OFFLOAD {
        return generation.chain.clear(admitted, content).await;
    }
    let chain = Arc::clone(&generation.chain);
    let runtime = tokio::runtime::Handle::current();
    let judged = tokio::task::spawn_blocking(move || runtime.block_on(chain.clear(admitted, content)));
    judged.await.unwrap_or_else(|_| {
        Err(Box::new(Refused {
            refusal: Refusal::internal("request", "the judgement was cut off"),
            facts: portcullis_filters::exchange::Facts::default(),
        }))
    })
}

fn address(session: &ServerSession) -> IpAddr {
    session.client_addr().and_then(|a| a.as_inet()).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |a| a.ip())
}

/// What the connection proves about the caller.
fn presented(session: &ServerSession) -> Presented {
    let digest = session.digest();
    let certificate =
        digest.and_then(|d| d.ssl_digest.as_ref()).and_then(|tls| tls.extension.get::<Peer>()).map(Peer::certificate);
    let client = session
        .req_header()
        .headers
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .map(|text| text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(64).collect());
    Presented { address: address(session), certificate, client }
}

/// HTTP/2 connections without a request are closed after this.
pub(crate) fn options(idle: Duration) -> HttpServerOptions {
    let mut options = HttpServerOptions::default();
    options.h2_idle_timeout = Some(idle);
    options
}
