//! What the tests of several filters need: the head of a request, and somebody who listens to the chain.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use portcullis_policies::UpstreamKind;
use portcullis_policies::routes::{Found, builtin};

use crate::chain::Observer;
use crate::exchange::{Head, Presented};
use crate::filter::Phase;
use crate::verdict::Code;

/// Hears everything, and minds only panics.
pub(crate) struct Deaf;

impl Observer for Deaf {
    fn ran(&self, _: &'static str, _: Phase, _: Duration) {}
    fn panicked(&self, filter: &'static str) {
        panic!("{filter} panicked");
    }
    fn shadowed(&self, _: &'static str, _: Code) {}
}

/// The head of a request to a server of this kind, from nobody in particular.
pub(crate) fn head(kind: UpstreamKind, method: &str, path: &str) -> Head {
    let Found::Route(route) = builtin(kind).find(method, path) else { panic!("{method} {path} is no route") };
    Head {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        path: path.to_owned(),
        query: vec![],
        headers: HeaderMap::new(),
        route: Arc::clone(route),
        upstream: kind,
        server: "local".into(),
        presented: Presented { address: IpAddr::V4(Ipv4Addr::LOCALHOST), certificate: None, client: None },
        credentials: Default::default(),
        content: None,
    }
}
