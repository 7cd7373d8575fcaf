//! One connection to a gate: TLS 1.3, both sides with their node keys.

use std::io;
use std::time::Duration;

use portcullis_certs::verify::{self, door_config, first_contact_node};
use portcullis_certs::{NodeKey, PinMismatch, VerifyError};
use portcullis_policies::Identity;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::GateAddress;

/// How long one address of a gate may take to accept.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// Another key than the pinned one.
    #[error(transparent)]
    Changed(PinMismatch),
    /// What answers proves no node key: it is no gate, or stands before one.
    #[error("what answers there proves no gate's key ({0}); is it a gate, and nothing that ends TLS before it?")]
    NoGate(String),
    /// The handshake cannot be prepared.
    #[error(transparent)]
    Setup(#[from] VerifyError),
    /// Nobody answers, or not to the end.
    #[error("it cannot be reached: {0}")]
    Unreachable(io::Error),
}

/// What a gate shows to whom it never met.
pub(crate) struct Shown {
    pub(crate) identity: Identity,
    pub(crate) fingerprint: String,
}

/// Asks a gate which key it shows. That it holds the key is proven by the next, pinned, connection.
///
/// # Errors
/// When it cannot be reached, or is no gate.
pub(crate) async fn ask(gate: &GateAddress) -> Result<Shown, DialError> {
    match handshake(gate, door_config(first_contact_node(), None)?).await {
        Err(DialError::Changed(PinMismatch { presented, identity, .. })) => {
            Ok(Shown { identity, fingerprint: presented })
        }
        Err(error) => Err(error),
        Ok(_) => Err(DialError::NoGate("the handshake did not ask who it is".to_owned())),
    }
}

/// Connects to the gate that holds the key with this fingerprint, as `caller`.
///
/// The client's certificate is made anew each time, so that a door may run for longer than one lasts.
///
/// # Errors
/// When it cannot be reached, or is not that gate.
pub(crate) async fn dial(
    gate: &GateAddress,
    fingerprint: &str,
    caller: (&NodeKey, &str),
) -> Result<TlsStream<TcpStream>, DialError> {
    let stream = handshake(gate, door_config(verify::pinned_node(fingerprint)?, Some(caller))?).await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(DialError::NoGate("it does not speak HTTP/2".to_owned()));
    }
    Ok(stream)
}

async fn handshake(gate: &GateAddress, config: rustls::ClientConfig) -> Result<TlsStream<TcpStream>, DialError> {
    let tcp = reach(gate).await.map_err(DialError::Unreachable)?;
    tcp.set_nodelay(true).map_err(DialError::Unreachable)?;
    let connecting = TlsConnector::from(std::sync::Arc::new(config)).connect(gate.server_name(), tcp);
    match timeout(HANDSHAKE, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(refused(error)),
        Err(_) => {
            Err(DialError::Unreachable(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")))
        }
    }
}

async fn reach(gate: &GateAddress) -> io::Result<TcpStream> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "nobody answered in time");
    let found = timeout(CONNECT, tokio::net::lookup_host((gate.host(), gate.port()))).await.map_err(|_| late())??;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in found.take(MAX_ADDRESSES) {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => last = error,
            Err(_) => last = late(),
        }
    }
    Err(last)
}

fn refused(error: io::Error) -> DialError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => match PinMismatch::of(tls) {
            Some(mismatch) => DialError::Changed(mismatch.clone()),
            None => DialError::NoGate(tls.to_string()),
        },
        None => DialError::Unreachable(error),
    }
}
