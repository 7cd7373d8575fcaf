//! A request that somebody looks at: from arguments, or as it was captured.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Uri, header};
use portcullis_signatures::Target;

use super::{Failure, Outcome};

/// The most that is read of a body, or of a captured request.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// The most headers of a request.
const MAX_HEADERS: usize = 100;

/// What a request holds beside its method and URL.
#[derive(Args)]
pub(super) struct PartsArgs {
    /// A header, as `name: value`; may be repeated.
    #[arg(long = "header", short = 'H', value_name = "HEADER", value_parser = header_line)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The file with the body; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
}

/// A request.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) method: Method,
    pub(super) https: bool,
    pub(super) authority: Authority,
    /// As it is on the wire.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl PartsArgs {
    /// The file with the body.
    pub(super) fn body(&self) -> Option<&Path> {
        self.body.as_deref()
    }
}

impl Message {
    /// A request to this URL.
    ///
    /// # Errors
    /// When it is no request.
    pub(super) fn new(method: &str, url: &str, parts: &PartsArgs) -> Outcome<Self> {
        let wrong = || {
            Failure::usage(format!(
                "`{}` is not the URL of a request, expected http(s)://HOST[:PORT]/PATH[?QUERY] in visible ASCII; write \
                 other characters as %XX, as they are on the wire",
                shown(url)
            ))
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let headers: HeaderMap = parts.headers.iter().cloned().collect();
        // A `Host` that is given is what is sent; the URL then only says where to.
        let place = uri.authority().cloned().ok_or_else(wrong)?;
        Ok(Self {
            method: named(method)?,
            https,
            authority: host(&headers)?.unwrap_or(place),
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            headers,
            body: parts.body.as_deref().map(read).transpose()?.unwrap_or_default(),
        })
    }

    /// A request as it was captured: HTTP/1.1, head and body.
    ///
    /// # Errors
    /// When it cannot be read as one.
    pub(super) fn captured(file: &Path) -> Outcome<Self> {
        parse(&read(file)?).map_err(|why| {
            Failure::usage(format!(
                "`{}` is no HTTP/1.1 request: {why}; expected its head, an empty line and its body, as they were on \
                 the wire",
                file.display()
            ))
        })
    }

    /// What a signature covers of its head.
    pub(super) fn target(&self) -> Target<'_> {
        Target {
            method: self.method.as_str(),
            https: self.https,
            authority: self.authority.as_str(),
            path: &self.path,
            query: self.query.as_deref(),
        }
    }
}

/// The host that is given as a header.
fn host(headers: &HeaderMap) -> Outcome<Option<Authority>> {
    let mut said = headers.get_all(header::HOST).iter();
    let Some(host) = said.next() else { return Ok(None) };
    let host = host.to_str().ok().and_then(|host| host.parse().ok());
    host.filter(|host: &Authority| said.next().is_none() && !host.as_str().contains('@')).map(Some).ok_or_else(|| {
        Failure::usage("`Host` is given as a request cannot have it, expected one, and HOST[:PORT] in it")
    })
}

fn parse(bytes: &[u8]) -> Result<Message, String> {
    let mut room = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut room);
    let at = match head.parse(bytes) {
        Ok(httparse::Status::Complete(at)) => at,
        Ok(httparse::Status::Partial) => return Err("its head does not end".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let mut headers = HeaderMap::new();
    for line in head.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|e| e.to_string())?;
        headers.append(name, HeaderValue::from_bytes(line.value).map_err(|e| e.to_string())?);
    }
    let target: Uri = head.path.unwrap_or_default().parse().map_err(|_| "its target is none".to_owned())?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse().ok());
    let rest = bytes.get(at..).unwrap_or_default();
    let chunked = headers.get(header::TRANSFER_ENCODING).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"chunked"));
    Ok(Message {
        method: head.method.unwrap_or_default().parse().map_err(|_| "its method is none".to_owned())?,
        https: target.scheme_str() != Some("http"),
        authority: target.authority().cloned().or(host).ok_or("it has no Host")?,
        path: target.path().to_owned(),
        query: target.query().map(str::to_owned),
        body: if chunked { unchunk(rest)? } else { sized(rest, &headers)?.to_vec() },
        headers,
    })
}

/// The body that a request without chunks has.
fn sized<'b>(rest: &'b [u8], headers: &HeaderMap) -> Result<&'b [u8], String> {
    let Some(said) = headers.get(header::CONTENT_LENGTH) else { return Ok(rest) };
    let length = said.to_str().ok().and_then(|v| v.parse().ok()).ok_or("its Content-Length is no number")?;
    rest.get(..length).ok_or_else(|| format!("its body has {} bytes, and its Content-Length says {length}", rest.len()))
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let broken = || "its chunks are broken".to_owned();
    let mut whole = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((at, size))) = httparse::parse_chunk_size(rest) else { return Err(broken()) };
        if size == 0 {
            return Ok(whole);
        }
        let end = usize::try_from(size).ok().and_then(|size| at.checked_add(size)).ok_or_else(broken)?;
        whole.extend_from_slice(rest.get(at..end).ok_or_else(broken)?);
        rest = rest.get(end..).and_then(|rest| rest.strip_prefix(b"\r\n")).ok_or_else(broken)?;
    }
}

fn named(method: &str) -> Outcome<Method> {
    Method::from_bytes(method.as_bytes())
        .map_err(|_| Failure::usage(format!("`{}` is no method, expected one such as GET or POST", shown(method))))
}

/// Reads a file, or standard input.
fn read(file: &Path) -> Outcome<Vec<u8>> {
    let fail = |error: std::io::Error| Failure::usage(format!("cannot read `{}`: {error}", file.display()));
    let source: Box<dyn std::io::Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).map_err(fail)?)
    };
    let mut bytes = Vec::new();
    source.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::usage(format!("`{}` is larger than {} MiB", file.display(), MAX_BYTES >> 20)));
    }
    Ok(bytes)
}

fn header_line(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("expected `name: value`")?;
    let name = name.trim().parse().map_err(|_| "the header's name is none")?;
    Ok((name, HeaderValue::from_str(value.trim()).map_err(|_| "the header's value cannot be sent")?))
}

/// Reads a time: Unix seconds, or RFC 3339.
pub(super) fn time(text: &str) -> Result<i64, String> {
    let seconds = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    text.parse().ok().or_else(seconds).ok_or_else(|| {
        format!("`{}` is no time, expected Unix seconds, or RFC 3339 such as 2026-11-21T12:00:00Z", shown(text))
    })
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_was_captured() {
        let message = parse(
            b"POST /a%20b?x=1 HTTP/1.1\r\nHost: gpu-box:8443\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabcd",
        )
        .unwrap();
        assert_eq!((message.method, message.https), (Method::POST, true));
        assert_eq!(message.authority.as_str(), "gpu-box:8443");
        assert_eq!((message.path.as_str(), message.query.as_deref()), ("/a%20b", Some("x=1")));
        assert_eq!(message.headers.get_all("x-a").iter().count(), 2);
        assert_eq!(message.body, b"abc", "what follows is another request");
        let chunked =
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().body, b"abc");
        assert_eq!(parse(b"GET / HTTP/1.1\nHost: a\n\n").unwrap().body, b"", "an editor's line ends");
    }

    #[test]
    fn reads_times_and_headers() {
        assert_eq!(time("1618884473"), Ok(1_618_884_473));
        assert_eq!(time("2021-04-20T02:07:53Z"), Ok(1_618_884_473));
        assert!(time("yesterday").unwrap_err().contains("RFC 3339"));
        assert_eq!(header_line("X-A:  b: c ").unwrap(), ("x-a".parse().unwrap(), HeaderValue::from_static("b: c")));
        for line in ["", "x", "a b: c", ": c", "a: b\nc"] {
            assert!(header_line(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_host_that_is_given_is_what_counts() {
        let message = |lines: &[&str]| {
            let headers = lines.iter().map(|line| header_line(line).unwrap()).collect();
            Message::new("GET", "http://127.0.0.1:8443/api/tags", &PartsArgs { headers, body: None })
        };
        assert_eq!(message(&["X-A: b"]).unwrap().target().authority, "127.0.0.1:8443");
        let other = message(&["Host: localhost:8443"]).unwrap();
        assert_eq!((other.target().authority, other.path.as_str()), ("localhost:8443", "/api/tags"));
        for lines in [&["Host:"][..], &["Host: a/b"], &["Host: me@a"], &["Host: a b"], &["Host: a", "host: a"]] {
            assert!(message(lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn says_why_it_is_none() {
        for (text, why) in [
            ("", "does not end"),
            ("GET / HTTP/1.1\r\nHost: a\r\n", "does not end"),
            ("GET / HTTP/1.1\r\n\r\n", "no Host"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", "has 2 bytes"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "no number"),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab\r\n0\r\n\r\n", "chunks"),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab", "chunks"),
        ] {
            let said = parse(text.as_bytes()).unwrap_err();
            assert!(said.contains(why), "{text:?}: {said}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(GET|POST) [!-~]{0,12} HTTP/1.1\r\n(Host: [a-z:0-9]{0,6}\r\n)?(Content-Length: [0-9]{1,2}\r\n)?(Transfer-Encoding: chunked\r\n)?\r\n[0-9a-f\r\n]{0,20}") {
            if let Ok(message) = parse(text.as_bytes()) {
                prop_assert!(message.body.len() <= text.len());
            }
        }
    }
}
