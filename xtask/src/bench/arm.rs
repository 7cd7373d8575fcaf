//! What is measured: a server to talk to, and how.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::process::Background;

pub(crate) const DIRECT: &str = "direct";
pub(crate) const ENVOY: &str = "envoy mTLS";
pub(crate) const FLOOR: &str = "floor mTLS";
pub(crate) const GATE: &str = "gate";
pub(crate) const NGINX: &str = "nginx mTLS";

/// The client's files for mTLS.
pub(crate) struct ClientFiles {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// One server under test; it ends with this value.
pub(crate) struct Arm {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    pub(crate) tls: Option<ClientFiles>,
    process: Background,
}

impl Arm {
    /// The stub itself, without a proxy.
    pub(crate) fn direct(stub: Background, addr: SocketAddr) -> Self {
        Self { name: DIRECT, addr, tls: None, process: stub }
    }

    /// A proxy with mTLS.
    pub(crate) fn proxy(name: &'static str, process: Background, addr: SocketAddr, tls: ClientFiles) -> Self {
        Self { name, addr, tls: Some(tls), process }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.addr)
    }
}
