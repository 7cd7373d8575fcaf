//! What `portcullis connect` was asked for, checked before anything is opened.

use std::net::SocketAddr;
use std::path::Path;

use http::HeaderValue;
use portcullis_certs::fingerprint;

use super::ConnectArgs;
use crate::cli::{Failure, Outcome};
use crate::door::address::GateAddress;
use crate::door::guard::origin;
use crate::door::is_local;

/// Where a door listens by default: an Ollama's own place, so that its clients need no setting.
const USUAL_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 11434);
/// The longest token or grant, in bytes: what a gate reads.
const MAX_CREDENTIAL: u64 = 16 * 1024;

/// What was asked for, checked.
pub(super) struct Plan {
    /// A gate, where its door listens, and its fingerprint if that was given.
    pub(super) doors: Vec<(GateAddress, SocketAddr, Option<String>)>,
    pub(super) origins: Vec<HeaderValue>,
    pub(super) token: Option<HeaderValue>,
    pub(super) grant: Option<HeaderValue>,
    pub(super) name: String,
}

impl Plan {
    /// Reads the arguments.
    ///
    /// # Errors
    /// The first that cannot be meant.
    pub(super) fn new(args: &ConnectArgs) -> Outcome<Self> {
        let gates: Vec<_> = read(&args.gates, GateAddress::parse)?;
        let mut listens = read(&args.listen, listen)?;
        if listens.is_empty() && gates.len() == 1 {
            listens.push(USUAL_LISTEN);
        }
        if listens.len() != gates.len() && args.forget.is_empty() {
            return Err(Failure::usage(format!(
                "{} gates and {} of --listen, expected one --listen for each gate, in their order, such as \
                 `--listen 127.0.0.1:11434 --listen 127.0.0.1:11435`",
                gates.len(),
                listens.len()
            )));
        }
        let pins = read(&args.pin, |text| {
            fingerprint::normalise(text).ok_or_else(|| {
                let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
                format!(
                    "`{shown}` is not a fingerprint, expected 16 bytes in hex as `portcullis id` shows them on the gate"
                )
            })
        })?;
        if !pins.is_empty() && pins.len() != gates.len() {
            return Err(Failure::usage("one --pin for each gate is expected, in their order, or none"));
        }
        if gates.len() > 1 && (args.token.is_some() || args.grant.is_some()) {
            return Err(Failure::usage("--token and --grant are meant for one gate: open its door by itself"));
        }
        let mut pins = pins.into_iter();
        let doors = gates.into_iter().zip(listens).map(|(gate, listen)| (gate, listen, pins.next())).collect();
        Ok(Self {
            doors,
            origins: read(&args.allow_origin, origin)?,
            token: args.token.as_deref().map(token).transpose()?,
            grant: args.grant.as_deref().map(|file| credential(file, "--grant")).transpose()?,
            name: args.name.clone().unwrap_or_else(host_name),
        })
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let plain = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let numeric = plain.strip_prefix("localhost:").map_or_else(|| plain.to_owned(), |port| format!("127.0.0.1:{port}"));
    let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    let address: SocketAddr = numeric.parse().map_err(|_| {
        format!("`{shown}` is not an address to listen on, expected ADDRESS:PORT such as 127.0.0.1:11434")
    })?;
    if !is_local(address) {
        return Err(format!(
            "`{shown}` is not on loopback: a door asks nobody who they are, so everybody in reach would be let \
             in under its name; expected 127.0.0.1:PORT"
        ));
    }
    Ok(address)
}

fn token(text: &str) -> Outcome<HeaderValue> {
    match text.strip_prefix("file:") {
        Some(path) => credential(path.as_ref(), "--token"),
        None => secret(text, "--token"),
    }
}

fn credential(file: &Path, option: &str) -> Outcome<HeaderValue> {
    use std::io::Read as _;
    let fail = |e: std::io::Error| Failure::usage(format!("{option}: `{}` cannot be read: {e}", file.display()));
    let mut text = zeroize::Zeroizing::new(String::new());
    std::fs::File::open(file).map_err(fail)?.take(MAX_CREDENTIAL + 1).read_to_string(&mut text).map_err(fail)?;
    secret(&text, option)
}

/// A header's value that is never shown.
fn secret(text: &str, option: &str) -> Outcome<HeaderValue> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() as u64 <= MAX_CREDENTIAL && text.bytes().all(|b| b.is_ascii_graphic());
    let value = HeaderValue::from_str(text).ok().filter(|_| fits);
    let mut value = value.ok_or_else(|| {
        Failure::usage(format!(
            "{option} is not what the gate's operator gave you: it is empty, too long, or not one word"
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads each of an option's values.
///
/// # Errors
/// What is wrong with the first that is wrong.
pub(super) fn read<T>(texts: &[String], one: impl Fn(&str) -> Result<T, String>) -> Outcome<Vec<T>> {
    texts.iter().map(|text| one(text).map_err(Failure::usage)).collect()
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "door".to_owned() } else { name }
}
