//! Who must make room when too many wait: one of those who came most often from one place.
//!
//! Somebody who makes keys by the hundred then pushes out its own, and not the one whom an operator is
//! about to approve.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// The address, or the network of an IPv6 address that one customer has for itself.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// The first of those who come from the most crowded place. Each is told with its address, in the order
/// in which they are to go.
pub(super) fn first_to_go<T>(waiting: impl Iterator<Item = (T, String)>) -> Option<T> {
    let mut places: HashMap<String, (usize, usize, T)> = HashMap::new();
    for (order, (who, address)) in waiting.enumerate() {
        let place = address.parse().map_or(address, |address| network(address).to_string());
        places.entry(place).or_insert((0, order, who)).0 += 1;
    }
    // Where two places are as crowded, the one whose first came earlier.
    let crowded = places
        .into_values()
        .max_by(|(many, order, _), (other, later, _)| many.cmp(other).then_with(|| later.cmp(order)));
    crowded.map(|(_, _, who)| who)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_crowded_place_makes_room() {
        let go = |all: &[(u32, &str)]| first_to_go(all.iter().map(|(who, at)| (*who, (*at).to_owned())));
        assert_eq!(go(&[]), None);
        assert_eq!(go(&[(1, "192.0.2.1"), (2, "192.0.2.2"), (3, "192.0.2.2")]), Some(2));
        assert_eq!(go(&[(1, "192.0.2.1"), (2, "192.0.2.2")]), Some(1), "the oldest where all are alike");
        assert_eq!(go(&[(1, ""), (2, "2001:db8::1"), (3, "2001:db8::2")]), Some(2), "one customer's network");
    }
}
