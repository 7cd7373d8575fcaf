//! Whether a model server can be reached past the gate: on which addresses the kernel says that its
//! port is listened to.

use std::net::IpAddr;

/// The addresses beyond loopback on which a port is listened to, as the kernel lists them.
pub(crate) fn beyond_loopback(port: u16, gate_port: u16) -> Vec<String> {
    let mut found = Vec::new();
    if port == gate_port {
        return found;
    }
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(text) = std::fs::read_to_string(table) else { continue };
        for row in text.lines().skip(1) {
            let mut columns = row.split_whitespace().skip(1);
            let (Some(local), Some(state)) = (columns.next(), columns.nth(1)) else { continue };
            let Some((address, hex_port)) = local.split_once(':') else { continue };
            if state != "0A" || u16::from_str_radix(hex_port, 16) != Ok(port) {
                continue;
            }
            if let Some(ip) = kernel_address(address).filter(|ip| !ip.is_loopback()) {
                found.push(ip.to_string());
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// An address as `/proc/net/tcp` writes it: words of 32 bits in the machine's own order.
fn kernel_address(hex: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = (0..hex.len() / 8)
        .map(|i| hex.get(i * 8..i * 8 + 8).and_then(|w| u32::from_str_radix(w, 16).ok()).map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [one] => Some(IpAddr::from(*one)),
        [_, _, _, _] => {
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_listens_beyond_loopback() {
        let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(beyond_loopback(inside.local_addr().unwrap().port(), 0).is_empty());
        let outside = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        assert_eq!(beyond_loopback(outside.local_addr().unwrap().port(), 0), ["0.0.0.0"]);
    }
}
