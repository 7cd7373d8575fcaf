//! From the head as it came to the head as it will be judged: one path, one route, or a refusal.
//!
//! Model servers decode a path before they route on it, so the gate does too, once, and lets
//! nothing through that two decoders could read differently: dot segments, doubled or trailing
//! slashes, `;`, encoded slashes and backslashes, control bytes, absolute-form targets.

use std::sync::Arc;

use http::header::{self, HeaderMap};
use http::uri::Authority;
use http::{Method, Version};
use pingora_http::RequestHeader;
use portcullis_filters::exchange::{Credentials, Head, Presented};
use portcullis_filters::{Code, Refusal};
use portcullis_policies::UpstreamKind;
use portcullis_policies::routes::{self, Found, Route};

use crate::generation::{Generation, Way};

/// The parts of a request's target, normalised.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Decoded once.
    pub(crate) path: String,
    /// Names and values, decoded once, in order.
    pub(crate) query: Vec<(String, String)>,
}

/// The most parameters that a query may have.
const MAX_PARAMETERS: usize = 32;
/// The longest target, in bytes.
const MAX_TARGET: usize = 8 * 1024;

/// Reads the target of a request.
///
/// # Errors
/// A refusal for anything that could be read in two ways.
pub(crate) fn target(head: &RequestHeader) -> Result<Target, Refusal> {
    let raw = std::str::from_utf8(head.raw_path()).map_err(|_| malformed("the target is not UTF-8"))?;
    if raw.len() > MAX_TARGET {
        return Err(Refusal::new("request", Code::RequestTooLarge, "the target is longer than 8 KiB"));
    }
    if !raw.starts_with('/') {
        return Err(malformed("the target must be a path, not an absolute URL or an authority"));
    }
    if raw.contains('#') {
        return Err(malformed("the target holds a fragment"));
    }
    let (path, query) = match raw.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (raw, None),
    };
    Ok(Target { path: self::path(path)?, query: self::query(query.unwrap_or_default())? })
}

fn path(raw: &str) -> Result<String, Refusal> {
    let lower = raw.to_ascii_lowercase();
    if lower.contains("%2f") || lower.contains("%5c") || raw.contains('\\') {
        return Err(malformed("the path holds an encoded slash or a backslash"));
    }
    let path = decode(raw, false)?;
    if path.contains([';', '\\']) || path.contains("%") {
        return Err(malformed("the path holds `;`, a backslash or a doubly encoded byte"));
    }
    if path.contains("//") {
        return Err(malformed("the path holds an empty segment"));
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(malformed("the path holds a dot segment"));
    }
    if path.len() > 1 && path.ends_with('/') {
        return Err(malformed("the path ends with a slash"));
    }
    Ok(path)
}

fn query(raw: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        if parameters.len() == MAX_PARAMETERS {
            return Err(malformed("the query has more than 32 parameters"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name, true)?, decode(value, true)?);
        if parameters.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            return Err(malformed("the query names a parameter twice"));
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

/// Decodes percent-encoding once; in a query, `+` is a space.
fn decode(raw: &str, form: bool) -> Result<String, Refusal> {
    let bad = || malformed("the target holds a broken percent-encoding");
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|d| char::from(d).to_digit(16));
                let (high, low) = (digit().ok_or_else(bad)?, digit().ok_or_else(bad)?);
                u8::try_from(high * 16 + low).map_err(|_| bad())?
            }
            b'+' if form => b' ',
            plain => plain,
        };
        if byte < 0x20 || byte == 0x7f {
            return Err(malformed("the target holds a control byte"));
        }
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| malformed("the target is not UTF-8"))
}

/// Checks what frames a message and who it is addressed to, before anything routes on it.
///
/// # Errors
/// A refusal for anything that could be read in two ways, or that the gate does not speak.
pub(crate) fn check_framing(head: &RequestHeader, raw: Option<&[u8]>, generation: &Generation) -> Result<(), Refusal> {
    let headers = &head.headers;
    if head.method == Method::CONNECT || headers.contains_key(header::UPGRADE) {
        return Err(malformed("the gate takes neither CONNECT nor Upgrade"));
    }
    if !matches!(head.version, Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2) {
        return Err(malformed("the gate speaks HTTP/1.1 and HTTP/2"));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > generation.limits.header_bytes {
        return Err(Refusal::new("request", Code::RequestTooLarge, "the headers are larger than the gate takes"));
    }
    for single in [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::HOST,
        header::TRANSFER_ENCODING,
    ] {
        if headers.get_all(&single).iter().nth(1).is_some() {
            return Err(malformed("a header that frames or types the message stands twice"));
        }
    }
    if let Some(raw) = raw {
        check_raw(raw)?;
    }
    check_host(head, generation)
}

/// What the parser folds away must be seen in the bytes: Content-Length beside Transfer-Encoding,
/// doubled framing headers, folded lines, bare line feeds.
fn check_raw(raw: &[u8]) -> Result<(), Refusal> {
    let (mut lengths, mut encodings) = (0, 0);
    for (number, line) in raw.split(|b| *b == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\r") else {
            if line.is_empty() {
                continue;
            }
            return Err(malformed("a header line ends with a bare line feed"));
        };
        if number > 0 && matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(malformed("a header line is folded"));
        }
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        lengths += usize::from(name.eq_ignore_ascii_case(b"content-length"));
        encodings += usize::from(name.eq_ignore_ascii_case(b"transfer-encoding"));
    }
    if lengths + encodings > 1 {
        return Err(malformed("Content-Length and Transfer-Encoding must not stand twice, nor together"));
    }
    Ok(())
}

/// Whom a request is addressed to: its `Host`, or its `:authority`. Empty where HTTP/1.0 says nothing.
///
/// # Errors
/// When it is missing, not text, or said twice and differently.
pub(crate) fn authority(head: &RequestHeader) -> Result<&str, Refusal> {
    let pseudo = head.uri.authority().map(Authority::as_str);
    let Some(host) = head.headers.get(header::HOST) else {
        return match pseudo {
            Some(authority) => Ok(authority),
            None if head.version == Version::HTTP_10 => Ok(""),
            None => Err(malformed("the Host header is missing")),
        };
    };
    let host = host.to_str().map_err(|_| malformed("the Host header is not text"))?;
    if pseudo.is_some_and(|pseudo| !pseudo.eq_ignore_ascii_case(host)) {
        return Err(malformed("the Host header and the request's authority differ"));
    }
    Ok(host)
}

fn check_host(head: &RequestHeader, generation: &Generation) -> Result<(), Refusal> {
    let named = authority(head)?;
    if named.is_empty() && head.version == Version::HTTP_10 && !head.headers.contains_key(header::HOST) {
        return Ok(());
    }
    if generation.hosts.allow(named) {
        return Ok(());
    }
    Err(malformed("the Host header names none of this gate's names; the operator lists them in gate.server_names"))
}

/// Who answers a request that is let through.
#[derive(Clone, Copy)]
pub(crate) enum Lead<'g> {
    /// The gate itself.
    Gate,
    /// An upstream.
    Upstream(&'g Way),
}

/// Finds the route of a request, and who answers it.
///
/// # Errors
/// `policy.unknown_route` where no table lists it, `policy.no_route` where none leads anywhere.
pub(crate) fn find<'g>(
    generation: &'g Generation,
    method: &Method,
    path: &str,
) -> Result<(Lead<'g>, Arc<Route>), Refusal> {
    if let Found::Route(route) = routes::own().find(method.as_str(), path) {
        return Ok((Lead::Gate, Arc::clone(route)));
    }
    let mut known = None;
    for way in &generation.ways {
        let Found::Route(route) = way.table.find(method.as_str(), path) else { continue };
        if way.class.is_empty() || way.class.contains(&route.class) {
            return Ok((Lead::Upstream(way), Arc::clone(route)));
        }
        known = Some(route.class);
    }
    Err(match known {
        Some(class) => Refusal::new("policy", Code::PolicyNoRoute, "no route of this gate leads to an upstream")
            .with_detail(format!("class {}", class.as_str())),
        None => {
            Refusal::new("policy", Code::PolicyUnknownRoute, "this method and path are not a route that the gate knows")
        }
    })
}

/// Puts together what the filters see.
pub(crate) fn head(
    target: Target,
    request: &RequestHeader,
    lead: Lead<'_>,
    route: Arc<Route>,
    presented: Presented,
    credentials: Credentials,
) -> Head {
    let (upstream, server) = match lead {
        // Of no importance: a route of the gate's own names no models and no tools.
        Lead::Gate => (UpstreamKind::OpenAi, Arc::from("gate")),
        Lead::Upstream(way) => (way.upstream.kind, Arc::clone(&way.upstream.name)),
    };
    Head {
        method: request.method.clone(),
        path: target.path,
        query: target.query,
        headers: judged_headers(&request.headers),
        route,
        upstream,
        server,
        presented,
        credentials,
        content: None,
    }
}

/// The headers that filters may look at. What a client could forge to claim an identity is left out.
fn judged_headers(all: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(4);
    for name in [header::CONTENT_TYPE, header::ACCEPT] {
        if let Some(value) = all.get(&name) {
            kept.insert(name, value.clone());
        }
    }
    kept
}

fn malformed(message: &'static str) -> Refusal {
    Refusal::new("request", Code::RequestMalformed, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: &str) -> Result<Target, Refusal> {
        super::target(&RequestHeader::build("GET", target.as_bytes(), None).unwrap())
    }

    #[test]
    fn decodes_once() {
        assert_eq!(read("/api/%63hat").unwrap().path, "/api/chat");
        assert_eq!(
            read("/v1/models?a=1&b=x%20y+z").unwrap().query,
            [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x y z".to_owned())]
        );
    }

    #[test]
    fn rule_01_refuses_what_two_decoders_could_read_differently() {
        for target in [
            "//api/chat",
            "/api//chat",
            "/api/chat/",
            "/api/./chat",
            "/api/../api/chat",
            "/api/%2e%2e/x",
            "/api/chat/..;/delete",
            "/api/chat;x=1",
            "/api%2fchat",
            "/api%5cchat",
            "/api\\chat",
            "/api/%00",
            "/api/%2563hat",
            "/api/%zz",
            "/api/%6",
            "/api/ch%0dat",
            "/api/chat?a=1&a=2",
            "/api/chat?a=1&A=2",
            "/api/chat?a=%00",
            "/api/%ff",
        ] {
            let refusal = read(target).expect_err(target);
            assert_eq!(refusal.code, Code::RequestMalformed, "{target}");
        }
    }

    #[test]
    fn refuses_framing_that_the_parser_would_fold_away() {
        for raw in [
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "POST / HTTP/1.1\nA: b\n\n",
        ] {
            assert!(check_raw(raw.as_bytes()).is_err(), "{raw:?}");
        }
        assert!(check_raw(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n").is_ok());
    }
}
