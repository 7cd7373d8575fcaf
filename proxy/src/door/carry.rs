//! One request's way through a door, and its answer's way back.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::{Body as _, Incoming};
use portcullis_filters::{Code, Refusal, dialect};
use portcullis_policies::{Dialect, StreamFormat};
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Answer, Poured, false_answer};
use super::content::{Content, Room};
use super::dial::DialError;
use super::guard::Caller;
use super::link::{Answered, LinkError};
use super::proof::{self, Check, Expected};
use super::standing::Standing;
use super::{Door, clock, headers};
use crate::refuse::{NODE, REQUEST_ID, VERDICT};

impl Door {
    /// Answers one request of a local program.
    pub(super) async fn carry(&self, request: Request<Incoming>) -> Response<Answer> {
        let (mut head, body) = request.into_parts();
        let dialect = Dialect::of_path(head.uri.path());
        let page = match self.guard.admit(&head) {
            Ok(Caller::Program) => None,
            Ok(Caller::Page(origin)) => Some(origin),
            Ok(Caller::Preflight(origin)) => return preflight(origin, &head.headers),
            Err(refusal) => return refused(dialect, &refusal),
        };
        if !body.is_end_stream() {
            headers::name_json(&mut head.headers);
        }
        let answered = self.pass_on(head, body, dialect).await;
        let mut answer = answered.unwrap_or_else(|refusal| refused(dialect, &refusal));
        if let Some(origin) = page {
            headers::open_to(answer.headers_mut(), origin);
            answer.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
        }
        answer
    }

    /// Makes the head of a local request one for the gate.
    pub(super) fn address_to_gate(&self, head: &mut Parts) -> Result<(), Refusal> {
        headers::strip_request(&mut head.headers);
        if let Some(grant) = &self.grant {
            head.headers.insert("portcullis-grant", grant.clone());
        }
        let mut uri = std::mem::take(&mut head.uri).into_parts();
        uri.scheme = Some(Scheme::HTTPS);
        uri.authority = self.gate.to_string().parse().ok();
        head.uri = Uri::from_parts(uri)
            .map_err(|_| Refusal::new("door", Code::RequestMalformed, "the path cannot be forwarded"))?;
        head.version = http::Version::HTTP_2;
        Ok(())
    }

    /// Reads a request to its end, sends it signed, and checks what comes back.
    async fn pass_on(&self, mut head: Parts, body: Incoming, dialect: Dialect) -> Result<Response<Answer>, Refusal> {
        self.address_to_gate(&mut head)?;
        let asks_for_head = head.method == Method::HEAD;
        let content = self.room.read(body).await?;
        let answered = self.link.send(Request::from_parts(head, content)).await.map_err(|error| {
            // A request that cannot be signed says nothing of the gate.
            if !matches!(error, LinkError::Unsigned(_)) {
                self.watch.note(Standing::from(&error));
                self.doubt.notify_one();
            }
            no_answer(&error)
        })?;
        let (answer, mut check, place) = self.prove(answered)?;
        if let Some(told) = told_of_clocks(answer.headers(), dialect) {
            return Ok(told);
        }
        self.read_standing(&answer);
        // It has no content, whatever its head says of one.
        if asks_for_head {
            check = Check::Unsigned;
        }
        pour(answer, (check, place), dialect, &self.room).await
    }

    /// Whether an answer comes from the pinned gate, by its own word and, where it is signed, by its signature;
    /// and what its content has still to show.
    pub(super) fn prove(
        &self,
        Answered { answer, asked, room }: Answered,
    ) -> Result<(Response<Incoming>, Check, OwnedSemaphorePermit), Refusal> {
        if !headers::names(answer.headers(), &self.node.node_id()) {
            let refusal = Refusal::new(
                "door",
                Code::UpstreamInvalid,
                "the answer names another gate, or none, and was thrown away",
            );
            return Err(refusal);
        }
        let expected = Expected { gate: self.node, asked };
        let proven = proof::read(expected, answer.status().as_u16(), answer.headers()).map_err(|e| false_answer(&e))?;
        self.clocks.compare(&self.gate, proven.created.or_else(|| clock::of_gate(answer.headers())));
        Ok((answer, proven.check, room))
    }

    /// What an answer says about the door.
    fn read_standing(&self, answer: &Response<Incoming>) {
        let verdict = text(answer.headers(), VERDICT);
        match Standing::of_verdict(verdict) {
            // Why, it says to the door's own question.
            Some(Standing::Refused(_)) => self.doubt.notify_one(),
            Some(standing) => {
                self.watch.note(standing);
                self.doubt.notify_one();
            }
            None if verdict == "allow" && self.watch.get() != Standing::In => self.doubt.notify_one(),
            None => {}
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A gate that finds a request too old or too young cannot know what the door knows: whose clock it was made by.
/// Where the two agree, its own answer says more.
fn told_of_clocks(answer: &HeaderMap, dialect: Dialect) -> Option<Response<Answer>> {
    let stale = text(answer, VERDICT).rsplit_once("code=").is_some_and(|(_, c)| c == Code::SignatureStale.as_str());
    let how = stale.then(|| clock::differs(answer)).flatten()?;
    let refusal = Refusal::new("signature", Code::SignatureStale, how);
    let mut told = refused_as(dialect, &refusal, text(answer, REQUEST_ID));
    for name in [REQUEST_ID, NODE] {
        if let Some(value) = answer.get(name) {
            told.headers_mut().insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value.clone());
        }
    }
    Some(told)
}

/// The gate's answer, as it comes.
async fn pour(
    answer: Response<Incoming>,
    (mut check, place): (Check, OwnedSemaphorePermit),
    dialect: Dialect,
    room: &Room,
) -> Result<Response<Answer>, Refusal> {
    let (mut head, body) = answer.into_parts();
    head.version = http::Version::HTTP_11;
    headers::strip_answer(&mut head.headers);
    let media = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let stream = match media.split(';').next().unwrap_or_default().trim() {
        "application/x-ndjson" | "application/ndjson" => Some(StreamFormat::Ndjson),
        "text/event-stream" => Some(StreamFormat::Sse),
        _ => None,
    };
    let id = text(&head.headers, REQUEST_ID).to_owned();
    let body = if body.is_end_stream() {
        check.end().map_err(|e| false_answer(&e))?;
        Answer::Whole(None)
    } else {
        let poured = Poured {
            body: Some(body),
            ready: Bytes::new(),
            check,
            stream: stream.filter(|_| !head.headers.contains_key(header::CONTENT_LENGTH)),
            dialect,
            request_id: id,
            _place: Some(place),
        };
        poured.hold(room).await?
    };
    Ok(Response::from_parts(head, body))
}

/// What a program reads when there is no answer.
fn no_answer(error: &LinkError) -> Refusal {
    let unavailable =
        |message: &'static str| Refusal::new("door", Code::UpstreamUnavailable, message).with_retry_after(5);
    match error {
        LinkError::Dial(dial) => match &**dial {
            DialError::Changed(_) | DialError::NoGate(_) => Refusal::new(
                "door",
                Code::UpstreamInvalid,
                "what answers is not the gate that this door was opened to; somebody may be in between, and nothing \
                 was sent. Look at what `portcullis connect` says",
            ),
            DialError::Setup(_) | DialError::Unreachable(_) => unavailable("the gate cannot be reached"),
        },
        LinkError::Broken(_) => unavailable("the connection to the gate broke before it answered"),
        LinkError::Full => unavailable("too many requests are under way at this door"),
        LinkError::Unsigned(refusal) => refusal.clone(),
    }
}

/// The door's own refusal, in the words of the route that was called.
fn refused(kind: Dialect, refusal: &Refusal) -> Response<Answer> {
    refused_as(kind, refusal, "")
}

/// The same, of a request that the gate knows by this id.
fn refused_as(kind: Dialect, refusal: &Refusal, id: &str) -> Response<Answer> {
    let mut answer = Response::new(Answer::Whole(Some(dialect::whole(kind, refusal, id))));
    *answer.status_mut() = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(verdict) = HeaderValue::from_str(&crate::refuse::verdict(refusal)) {
        headers.insert(HeaderName::from_static("portcullis-verdict"), verdict);
    }
    if let Some(seconds) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// Tells a browser that this page may call.
fn preflight(origin: HeaderValue, asked: &HeaderMap) -> Response<Answer> {
    let mut answer = Response::new(Answer::Whole(None));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers::open_to(headers, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, DELETE"));
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer
}

/// A request of the door's own.
pub(super) fn own_request(path: &str) -> Request<Content> {
    let mut request = Request::new(Content::default());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = path.parse().unwrap_or_default();
    let agent = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(agent));
    request
}
