//! A name in a certificate.

use std::net::IpAddr;
use std::str::FromStr;

use rcgen::SanType;
use rcgen::string::Ia5String;
use rustls_pki_types::DnsName;

use super::CaError;
use crate::peer::{is_spiffe_id, printable};

/// A subject alternative name (RFC 5280, section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// A host name, or `*.` and one.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A URI, such as a SPIFFE ID.
    Uri(String),
}

impl San {
    /// The name as it is written.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Dns(text) | Self::Uri(text) => text.clone(),
            Self::Ip(address) => address.to_string(),
        }
    }

    pub(super) fn to_rcgen(&self) -> Result<SanType, CaError> {
        let refuse = || CaError::Name(printable(&self.text()));
        let ia5 = |text: &str| Ia5String::try_from(text).map_err(|_| refuse());
        match self {
            Self::Dns(name) if DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).is_ok() => {
                Ok(SanType::DnsName(ia5(name)?))
            }
            Self::Ip(address) => Ok(SanType::IpAddress(*address)),
            Self::Uri(uri) if is_spiffe_id(uri) || is_other_uri(uri) => Ok(SanType::URI(ia5(uri)?)),
            Self::Dns(_) | Self::Uri(_) => Err(refuse()),
        }
    }
}

/// Reads a name as an operator writes it: an address, a URI with `://`, or else a host name.
impl FromStr for San {
    type Err = CaError;

    fn from_str(text: &str) -> Result<Self, CaError> {
        let san = if let Ok(address) = text.parse() {
            Self::Ip(address)
        } else if text.contains("://") {
            Self::Uri(text.to_owned())
        } else {
            Self::Dns(text.to_owned())
        };
        san.to_rcgen().map(|_| san)
    }
}

/// A URI of another scheme, in printable ASCII.
fn is_other_uri(uri: &str) -> bool {
    let scheme = uri.split_once("://").map_or("", |(scheme, _)| scheme);
    !scheme.is_empty()
        && !scheme.eq_ignore_ascii_case("spiffe")
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && uri.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind() {
        assert_eq!("gpu-box.lan".parse::<San>().unwrap(), San::Dns("gpu-box.lan".to_owned()));
        assert_eq!("*.lan.example".parse::<San>().unwrap(), San::Dns("*.lan.example".to_owned()));
        assert_eq!("::1".parse::<San>().unwrap(), San::Ip("::1".parse().unwrap()));
        assert_eq!("spiffe://td/w".parse::<San>().unwrap(), San::Uri("spiffe://td/w".to_owned()));
        for text in ["", "a b", "a\0.lan", "*", "bücher.example", "SPIFFE://td/w", "spiffe://td/../w", "://x"] {
            let error = text.parse::<San>().unwrap_err().to_string();
            assert!(error.contains("cannot stand in a certificate"), "{text:?}: {error}");
        }
    }
}
