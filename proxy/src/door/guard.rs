//! Keeps web pages out: a door is open to every program of the machine, and a browser is one of them.
//!
//! A page can make its reader's browser call a port on loopback, by its address or by a name that
//! resolves to it. Such a call says so: its `Host` is a foreign name, or it carries an `Origin`, or
//! the browser marks it as `Sec-Fetch-Site: cross-site`.

use std::net::SocketAddr;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};
use portcullis_filters::{Code, Refusal};

/// What a door asks of everything that comes in.
pub(crate) struct Guard {
    /// The names of the door, in lower case, with its port.
    hosts: Vec<String>,
    /// The origins of pages that may come in.
    origins: Vec<HeaderValue>,
}

/// What came in.
#[derive(Debug, PartialEq)]
pub(crate) enum Caller {
    /// A program.
    Program,
    /// A page of an allowed origin.
    Page(HeaderValue),
    /// A browser that asks beforehand whether a page of an allowed origin may call.
    Preflight(HeaderValue),
}

/// Reads an origin that a person allows.
///
/// # Errors
/// A sentence that says what was expected.
pub(crate) fn origin(text: &str) -> Result<HeaderValue, String> {
    let wrong = || {
        format!(
            "`{}` is not an origin, expected SCHEME://HOST[:PORT] as the browser sends it, such as \
             http://localhost:3000; every origin (`*`) cannot be allowed",
            text.chars().filter(|c| !c.is_control()).take(100).collect::<String>()
        )
    };
    let (scheme, host) = text.split_once("://").ok_or_else(wrong)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]+".contains(&b);
    if scheme.is_empty() || host.is_empty() || text.len() > 300 || !scheme.bytes().chain(host.bytes()).all(plain) {
        return Err(wrong());
    }
    HeaderValue::from_str(&text.to_ascii_lowercase()).map_err(|_| wrong())
}

impl Guard {
    /// For a door that listens here.
    pub(crate) fn new(listen: SocketAddr, origins: Vec<HeaderValue>) -> Self {
        let port = listen.port();
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        names.push(match listen {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        });
        let mut hosts: Vec<_> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            hosts.extend(names);
        }
        Self { hosts, origins }
    }

    /// Who calls.
    ///
    /// # Errors
    /// A refusal for what is, or may be, a page that nobody allowed.
    pub(crate) fn admit(&self, request: &Parts) -> Result<Caller, Refusal> {
        check_target(&request.method, &request.uri)?;
        let headers = &request.headers;
        let host = one(headers, &header::HOST).ok().flatten().and_then(|v| v.to_str().ok());
        if !host.is_some_and(|host| self.hosts.iter().any(|name| name.eq_ignore_ascii_case(host))) {
            let names = self.hosts.first().map(String::as_str).unwrap_or_default();
            return Err(refuse(Code::DoorHost, format!("a door answers to its own name only, such as {names}")));
        }
        let foreign = || {
            refuse(
                Code::DoorOrigin,
                "a web page asks, and nobody allowed it to: `portcullis connect --allow-origin ORIGIN` does".to_owned(),
            )
        };
        let Some(origin) = one(headers, &header::ORIGIN).map_err(|()| foreign())? else {
            let site = headers.get_all("sec-fetch-site").iter();
            let fine = |v: &HeaderValue| matches!(v.as_bytes(), b"same-origin" | b"none");
            return if site.into_iter().all(fine) { Ok(Caller::Program) } else { Err(foreign()) };
        };
        if !self.origins.contains(origin) {
            return Err(foreign());
        }
        let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        Ok(if request.method == Method::OPTIONS && asks {
            Caller::Preflight(origin.clone())
        } else {
            Caller::Page(origin.clone())
        })
    }
}

/// A door is no forward proxy: it takes paths.
fn check_target(method: &Method, uri: &Uri) -> Result<(), Refusal> {
    if method == Method::CONNECT || uri.authority().is_some() || !uri.path().starts_with('/') {
        return Err(refuse(Code::RequestMalformed, "a door takes a path, neither CONNECT nor a whole URL".to_owned()));
    }
    Ok(())
}

/// The one value of a header that must not stand twice.
fn one<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Result<Option<&'h HeaderValue>, ()> {
    let mut all = headers.get_all(name).iter();
    let first = all.next();
    if all.next().is_some() { Err(()) } else { Ok(first) }
}

fn refuse(code: Code, message: String) -> Refusal {
    Refusal::new("door", code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(lines: &[(&str, &str)]) -> Result<Caller, Code> {
        let guard = Guard::new("127.0.0.1:11434".parse().unwrap(), vec![origin("http://localhost:3000").unwrap()]);
        let method = if lines.iter().any(|(n, _)| *n == "access-control-request-method") { "OPTIONS" } else { "POST" };
        let mut request = http::Request::builder().method(method).uri("/api/chat");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        guard.admit(&request.body(()).unwrap().into_parts().0).map_err(|r| r.code)
    }

    #[test]
    fn knows_a_page_from_a_program() {
        let page = || HeaderValue::from_static("http://localhost:3000");
        let own = ("host", "127.0.0.1:11434");
        let ours = ("origin", "http://localhost:3000");
        for (lines, expected) in [
            (&[own][..], Ok(Caller::Program)),
            (&[("host", "LOCALHOST:11434")], Ok(Caller::Program)),
            (&[("host", "[::1]:11434")], Ok(Caller::Program)),
            (&[own, ("sec-fetch-site", "none")], Ok(Caller::Program)),
            (&[own, ("sec-fetch-site", "same-origin")], Ok(Caller::Program)),
            (&[own, ours], Ok(Caller::Page(page()))),
            (&[own, ours, ("sec-fetch-site", "cross-site")], Ok(Caller::Page(page()))),
            (&[own, ours, ("access-control-request-method", "POST")], Ok(Caller::Preflight(page()))),
            (&[], Err(Code::DoorHost)),
            (&[("host", "evil.example:11434")], Err(Code::DoorHost)),
            (&[("host", "localhost")], Err(Code::DoorHost)),
            (&[("host", "localhost:80")], Err(Code::DoorHost)),
            (&[("host", "localhost.:11434")], Err(Code::DoorHost)),
            (&[own, own], Err(Code::DoorHost)),
            (&[own, ("origin", "http://evil.example")], Err(Code::DoorOrigin)),
            (&[own, ("origin", "null")], Err(Code::DoorOrigin)),
            (&[own, ("origin", "http://localhost:11434")], Err(Code::DoorOrigin)),
            (&[own, ours, ("origin", "http://evil.example")], Err(Code::DoorOrigin)),
            (&[own, ("sec-fetch-site", "cross-site")], Err(Code::DoorOrigin)),
            (&[own, ("sec-fetch-site", "same-site")], Err(Code::DoorOrigin)),
            (&[own, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")], Err(Code::DoorOrigin)),
            (
                &[own, ("origin", "http://evil.example"), ("access-control-request-method", "POST")],
                Err(Code::DoorOrigin),
            ),
        ] {
            assert_eq!(judge(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn takes_paths_alone() {
        let guard = Guard::new("127.0.0.1:80".parse().unwrap(), vec![]);
        for (method, uri) in [("CONNECT", "gpu-box:443"), ("GET", "http://localhost/api/tags"), ("OPTIONS", "*")] {
            let request = http::Request::builder().method(method).uri(uri).header("host", "localhost").body(());
            let refusal = guard.admit(&request.unwrap().into_parts().0).unwrap_err();
            assert_eq!(refusal.code, Code::RequestMalformed, "{method} {uri}");
        }
        let request = http::Request::builder().uri("/").header("host", "localhost").body(()).unwrap();
        assert_eq!(guard.admit(&request.into_parts().0), Ok(Caller::Program), "port 80 goes without saying");
    }

    #[test]
    fn allows_one_origin_at_a_time() {
        assert_eq!(origin("app://Obsidian.md").unwrap(), "app://obsidian.md");
        for text in ["*", "null", "", "http://", "http://a/b", "http://*.example", "localhost:3000", "http://a b"] {
            assert!(origin(text).unwrap_err().contains("expected SCHEME://HOST"), "{text}");
        }
    }
}
