//! How much the audit log tells of who asked and what: clients' addresses, and digests of what was said.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_audit::SegmentKeys;
use sha2::Sha256;

use crate::config::{Addresses, AuditSettings, Digests};

/// What is written, and how.
#[derive(Default)]
pub(crate) struct Privacy {
    addresses: Addresses,
    /// Keys the digests, where that is asked for.
    key: Option<Hmac<Sha256>>,
}

impl Privacy {
    /// As the settings say, with a key of this log's.
    pub(crate) fn new(settings: &AuditSettings, keys: &SegmentKeys) -> anyhow::Result<Self> {
        let key = match settings.digests {
            Digests::Plain => None,
            Digests::Keyed => Some(Hmac::new_from_slice(&*keys.purpose("digests"))?),
        };
        Ok(Self { addresses: settings.client_address, key })
    }

    /// An address, as it may be written; empty where it may not.
    pub(crate) fn address(&self, address: IpAddr) -> String {
        match (self.addresses, address.to_canonical()) {
            (Addresses::Off, _) => String::new(),
            (Addresses::Full, address) => address.to_string(),
            (Addresses::Truncated, IpAddr::V4(v4)) => {
                format!("{}/24", Ipv4Addr::from_bits(v4.to_bits() & 0xffff_ff00))
            }
            (Addresses::Truncated, IpAddr::V6(v6)) => {
                let kept = kept(v6);
                format!("{}/{kept}", Ipv6Addr::from_bits(v6.to_bits() & !(u128::MAX >> kept)))
            }
        }
    }

    /// What is written of a SHA-256, in hex: itself, or its HMAC-SHA256, which nobody can compute of a guess.
    pub(crate) fn digest(&self, digest: &[u8; 32]) -> String {
        match &self.key {
            None => data_encoding::HEXLOWER.encode(digest),
            Some(key) => {
                let mut mac = key.clone();
                mac.update(digest);
                data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
            }
        }
    }
}

/// How many bits of an address are told. Of an IPv4 address that stands in it never more than of that alone.
fn kept(v6: Ipv6Addr) -> u32 {
    match v6.segments() {
        // 6to4, RFC 3056: after 16 bits.
        [0x2002, ..] => 16 + 24,
        // NAT64, RFC 6052: after 96.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => 96 + 24,
        // Teredo, RFC 4380: that of a server follows, and the client's own at the end.
        [0x2001, 0, ..] => 32,
        _ => 48,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_as_far_as_they_may_be() {
        let of = |addresses, text: &str| Privacy { addresses, key: None }.address(text.parse().unwrap());
        assert_eq!(of(Addresses::Off, "192.0.2.77"), "");
        assert_eq!(of(Addresses::Full, "::ffff:192.0.2.77"), "192.0.2.77");
        assert_eq!(of(Addresses::Truncated, "192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of(Addresses::Truncated, "::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of(Addresses::Truncated, "2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
        // An IPv4 address in one of IPv6.
        assert_eq!(of(Addresses::Truncated, "2002:c000:24d:1::1"), "2002:c000:200::/40");
        assert_eq!(of(Addresses::Truncated, "64:ff9b::192.0.2.77"), "64:ff9b::c000:200/120");
        assert_eq!(of(Addresses::Truncated, "64:ff9b:1:2::192.0.2.77"), "64:ff9b:1::/48");
        assert_eq!(of(Addresses::Truncated, "2001:0:c633:6407:0:0:3fff:fdb2"), "2001::/32");
        assert_eq!(of(Addresses::Truncated, "::192.0.2.77"), "::/48");
    }

    #[test]
    fn a_keyed_digest_is_nobody_else_s() {
        let keyed = |master: u8| {
            let settings = AuditSettings { digests: Digests::Keyed, ..AuditSettings::default() };
            let keys = SegmentKeys::new(&[1; 32], &[master; 32]).unwrap();
            Privacy::new(&settings, &keys).unwrap().digest(&[5; 32])
        };
        assert_eq!(keyed(2), keyed(2));
        assert_ne!(keyed(2), keyed(3));
        assert_ne!(keyed(2), Privacy::default().digest(&[5; 32]));
        assert_eq!(Privacy::default().digest(&[5; 32]), "05".repeat(32));
    }
}
