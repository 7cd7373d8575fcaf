//! What of a request's headers leaves the machine, and what of an answer's comes in.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::refuse::NODE;

/// What is between a program and the door alone, or between the door and the gate alone (RFC 9110,
/// section 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];
/// Who calls is said by the door's own key, so nothing else that says so leaves it; nor what a page is
/// called, nor what only the door itself may say.
const OWN: [&str; 13] = [
    "accept-signature",
    "api-key",
    "authorization",
    "content-digest",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "referer",
    "signature",
    "signature-input",
    "via",
    "x-api-key",
];
/// What of an answer is between the gate and the door: a request that the door signed.
const PROOFS: [&str; 2] = ["signature", "signature-input"];
const OWN_PREFIXES: [&str; 5] = ["x-forwarded-", "portcullis-", "x-llmesh-", "sec-fetch-", "access-control-"];

/// Whether an answer names this node, once. The connection proves the gate's key; this, that nobody
/// behind it answered in the gate's place.
pub(super) fn names(headers: &HeaderMap, node: &str) -> bool {
    let mut named = headers.get_all(NODE).iter();
    named.next().is_some_and(|name| name.as_bytes() == node.as_bytes()) && named.next().is_none()
}

/// Calls a program's body JSON where the program calls it a form, as `curl -d` does, or nothing: an Ollama
/// takes both for JSON. Whether it is JSON, the gate judges. What a browser sends stays what it is: there
/// the name is what makes the browser ask before a page may send JSON.
pub(super) fn name_json(headers: &mut HeaderMap) {
    let browser =
        headers.contains_key(header::ORIGIN) || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"));
    let mut named = headers.get_all(header::CONTENT_TYPE).iter();
    let unnamed = match (named.next(), named.next()) {
        (None, _) => true,
        (Some(media), None) => {
            let essence = media.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
            essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
        }
        _ => false,
    };
    if unnamed && !browser {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
}

/// Removes what must not leave the machine, or is not the program's to say.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let foreign = |name: &str| {
        HOP_BY_HOP.contains(&name)
            || OWN.contains(&name)
            || OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || name == "transfer-encoding"
    };
    let gone: Vec<HeaderName> =
        headers.keys().filter(|name| foreign(name.as_str()) || named.contains(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Removes what an answer must not bring to a program.
pub(super) fn strip_answer(headers: &mut HeaderMap) {
    let foreign = |name: &str| {
        HOP_BY_HOP.contains(&name)
            || PROOFS.contains(&name)
            || name.starts_with("access-control-")
            // They speak of the gate's host, and the program would take them for the door's.
            || ["transfer-encoding", "alt-svc", "set-cookie", "strict-transport-security"].contains(&name)
    };
    let gone: Vec<HeaderName> = headers.keys().filter(|name| foreign(name.as_str())).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Tells a browser that a page of this origin may read the answer.
pub(super) fn open_to(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_the_gate_once() {
        for (named, ours) in [
            (&["peer:a"][..], true),
            (&[], false),
            (&["peer:b"], false),
            (&["peer:a", "peer:a"], false),
            (&[""], false),
        ] {
            let mut headers = HeaderMap::new();
            for name in named {
                headers.append("portcullis-node", HeaderValue::from_static(name));
            }
            assert_eq!(names(&headers, "peer:a"), ours, "{named:?}");
        }
    }

    #[test]
    fn a_program_s_form_is_json_and_a_page_s_is_not() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let json = Some("application/json");
        for (lines, left) in [
            (&[][..], json),
            (&[form], json),
            (&[("content-type", "Application/X-WWW-Form-Urlencoded ; charset=UTF-8")], json),
            (&[("content-type", "application/json; charset=utf-8")], Some("application/json; charset=utf-8")),
            (&[("content-type", "text/plain")], Some("text/plain")),
            (&[("content-type", "multipart/form-data; boundary=x")], Some("multipart/form-data; boundary=x")),
            (&[("content-type", "")], Some("")),
            (&[form, ("content-type", "text/plain")], Some(form.1)),
            (&[form, ("origin", "http://localhost:3000")], Some(form.1)),
            (&[("origin", "http://localhost:3000")], None),
            (&[form, ("sec-fetch-site", "none")], Some(form.1)),
            (&[("sec-fetch-mode", "cors")], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            name_json(&mut headers);
            let named = headers.get("content-type").map(|value| value.to_str().unwrap());
            assert_eq!(named, left, "{lines:?}");
        }
    }

    #[test]
    fn nothing_that_names_the_caller_or_the_hop_leaves() {
        let mut headers = HeaderMap::new();
        for name in HOP_BY_HOP.iter().chain(&OWN) {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("x"));
        }
        for (name, value) in [
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "1.2.3.4"),
            ("portcullis-enroll", "t"),
            ("x-llmesh-signature", "s"),
            ("sec-fetch-mode", "cors"),
            ("accept", "*/*"),
            ("content-type", "application/json"),
            ("user-agent", "ollama/0.32"),
            ("x-stainless-lang", "python"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip_request(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "content-type", "user-agent", "x-stainless-lang"]);
    }
}
