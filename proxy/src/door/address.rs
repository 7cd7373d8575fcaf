//! Where a gate is: what stands behind `portcullis connect`.

use std::fmt;

use http::Uri;
use rustls_pki_types::ServerName;

/// The port that `portcullis init` lets a gate listen on.
const USUAL_PORT: u16 = 8443;
/// The longest address that is read, in bytes: a host name has at most 253.
const MAX_ADDRESS: usize = 512;

/// A gate's host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GateAddress {
    /// Lower case; an IPv6 address without its brackets.
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl GateAddress {
    /// Reads `https://HOST[:PORT]`, or the same without the scheme.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
        let wrong = |why: &str| format!("`{shown}` is not a gate's address: {why}; expected https://HOST[:PORT]");
        if text.len() > MAX_ADDRESS {
            return Err(wrong("it is too long"));
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some(_) => return Err(wrong("a gate is spoken with over TLS, always")),
            None => text,
        };
        let uri: Uri = format!("https://{rest}").parse().map_err(|_| wrong("it cannot be read"))?;
        let Some(authority) = uri.authority().filter(|a| !a.as_str().contains('@')) else {
            return Err(wrong("it must name a host, and no user"));
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("it must end after the port"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.contains(']') => {
                port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("the port is none"))?
            }
            _ => USUAL_PORT,
        };
        let name = ServerName::try_from(host.clone()).map_err(|_| wrong("the host's name is none"))?;
        Ok(Self { host, port, name })
    }

    /// The host's name or address, as it is looked up.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The name that the TLS handshake mentions.
    pub(crate) fn server_name(&self) -> ServerName<'static> {
        self.name.clone()
    }
}

/// `HOST:PORT`, the one spelling by which a gate is remembered and addressed.
impl fmt::Display for GateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_a_person_writes() {
        for (text, spelt) in [
            ("https://gpu-box:8443", "gpu-box:8443"),
            ("HTTPS://GPU-Box/", "gpu-box:8443"),
            ("gpu-box", "gpu-box:8443"),
            ("192.168.1.5:9000", "192.168.1.5:9000"),
            ("https://[::1]:8443", "[::1]:8443"),
            ("[fe80::1]", "[fe80::1]:8443"),
        ] {
            assert_eq!(GateAddress::parse(text).unwrap().to_string(), spelt, "{text}");
        }
        for text in [
            "",
            "http://gpu-box:8443",
            "https://",
            "https://user@gpu-box",
            "https://gpu-box/v1",
            "https://gpu-box?x",
            "gpu-box:0",
            "gpu-box:99999",
            "gpu-box:",
            "gpu box",
            "a_b!:1",
            "[::1",
            &"a".repeat(600),
        ] {
            let said = GateAddress::parse(text).expect_err(text);
            assert!(said.contains("expected https://HOST[:PORT]"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_has_one_spelling(text in "(https://)?\\PC{0,40}(:[0-9]{0,6})?") {
            if let Ok(address) = GateAddress::parse(&text) {
                prop_assert_eq!(GateAddress::parse(&address.to_string()), Ok(address));
            }
        }

        #[test]
        fn usual_names_are_read(host in "[a-z][a-z0-9]{0,9}(\\.[a-z][a-z0-9]{0,9}){0,3}", port in 1u16..) {
            let address = GateAddress::parse(&format!("https://{host}:{port}/")).unwrap();
            prop_assert_eq!(address.to_string(), format!("{host}:{port}"));
        }
    }
}
