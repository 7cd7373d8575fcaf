//! How many connections come from one place: nobody takes up all of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_certs::trust::network;

/// Connections that one place may always have, however few there are in all.
const LEAST: usize = 16;

/// The open connections, by where they come from.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection's place, for as long as it lives.
pub(crate) struct Place {
    places: Places,
    from: Option<IpAddr>,
}

impl Places {
    /// A place for a connection from here; `None` when half of all that may be open come from here. This
    /// machine itself is not counted: who is on it reaches the gate by one address.
    pub(crate) fn enter(&self, from: IpAddr, most: usize) -> Option<Place> {
        let from = network(from);
        if from.is_loopback() {
            return Some(Place { places: self.clone(), from: None });
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = all.entry(from).or_default();
        if *here >= (most / 2).max(LEAST) {
            return None;
        }
        *here += 1;
        Some(Place { places: self.clone(), from: Some(from) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(from) = self.from else { return };
        let mut all = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = all.get_mut(&from) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                all.remove(&from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_leaves_room_for_the_others() {
        let places = Places::default();
        let at = |text: &str| places.enter(text.parse().unwrap(), 100);
        let here: Vec<_> = (0..200).map_while(|_| at("192.0.2.1")).collect();
        assert_eq!(here.len(), 50);
        assert!(at("192.0.2.2").is_some() && at("::ffff:192.0.2.1").is_none());
        assert!((0..200).all(|_| at("127.0.0.1").is_some()));
        let network: Vec<_> = (0..200).map_while(|n| at(&format!("2001:db8::{n}"))).collect();
        assert_eq!(network.len(), 50, "one customer's addresses are one place");
        drop((here, network));
        assert!(at("192.0.2.1").is_some());
        assert!(places.0.lock().unwrap().is_empty(), "who left is not remembered");
    }
}
