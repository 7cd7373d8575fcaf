//! What a request is directed at, as RFC 9421, section 2.2 derives its components from it.

use std::borrow::Cow;

use crate::error::Malformed;

/// The request line and the host, as they are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'r> {
    /// The method.
    pub method: &'r str,
    /// Whether the request comes over TLS.
    pub https: bool,
    /// The host, and the port where one is named: `Host`, or `:authority` of HTTP/2.
    pub authority: &'r str,
    /// The path, raw.
    pub path: &'r str,
    /// The query, raw and without its `?`.
    pub query: Option<&'r str>,
}

impl Target<'_> {
    /// Refuses what cannot stand in one line of a signature base.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        let parts = [self.method, self.authority, self.path, self.query.unwrap_or_default()];
        if parts.iter().any(|part| !part.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Malformed("a signed request has only visible ASCII in its method, host, path and query"));
        }
        match (self.method, self.authority) {
            ("", _) => Err(Malformed("a signed request needs a method")),
            (_, "") => Err(Malformed("a signed request needs a host: send `Host`, or `:authority` over HTTP/2")),
            _ => Ok(()),
        }
    }

    /// Writes the value of a derived component (RFC 9421, section 2.2); `false` for one that the
    /// profile does not know.
    pub(crate) fn write(&self, component: &str, out: &mut String) -> bool {
        match component {
            "@method" => out.push_str(self.method),
            "@authority" => out.push_str(&self.normal_authority()),
            "@path" => out.push_str(self.normal_path()),
            "@query" => self.write_query(out, true),
            "@scheme" => out.push_str(self.scheme()),
            "@target-uri" => {
                for part in [self.scheme(), "://", &self.normal_authority(), self.normal_path()] {
                    out.push_str(part);
                }
                self.write_query(out, false);
            }
            "@request-target" => {
                out.push_str(self.normal_path());
                self.write_query(out, false);
            }
            _ => return false,
        }
        true
    }

    pub(crate) fn normal_path(&self) -> &str {
        if self.path.is_empty() { "/" } else { self.path }
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// In lower case, without the scheme's own port (RFC 9110, section 4.2.3).
    fn normal_authority(&self) -> Cow<'_, str> {
        let port = if self.https { ":443" } else { ":80" };
        let host = self.authority.strip_suffix(port).unwrap_or(self.authority);
        if host.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        }
    }

    /// `always`: a query that is not there is `?` (RFC 9421, section 2.2.7).
    fn write_query(&self, out: &mut String, always: bool) {
        if always || self.query.is_some() {
            out.push('?');
        }
        out.push_str(self.query.unwrap_or_default());
    }
}
