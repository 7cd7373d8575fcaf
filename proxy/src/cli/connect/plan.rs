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
    pub(super) doors: Vec<Wanted>,
    pub(super) origins: Vec<HeaderValue>,
    pub(super) token: Option<HeaderValue>,
    pub(super) grant: Option<HeaderValue>,
    /// `None`: the usual one.
    pub(super) name: Option<String>,
}

/// One door that was asked for.
pub(super) struct Wanted {
    pub(super) gate: GateAddress,
    pub(super) listen: SocketAddr,
    /// The gate's fingerprint, if that was given.
    pub(super) pin: Option<String>,
    /// The command line that asks for this door alone, without the pin.
    pub(super) typed: String,
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
        let doors = gates.into_iter().zip(listens).enumerate();
        let doors = doors.map(|(n, (gate, listen))| {
            let typed = typed(args, n, &gate);
            Wanted { gate, listen, pin: pins.next(), typed }
        });
        Ok(Self {
            doors: doors.collect(),
            origins: read(&args.allow_origin, origin)?,
            token: args.token.as_deref().map(token).transpose()?,
            grant: args.grant.as_deref().map(|file| credential(file, "--grant")).transpose()?,
            name: args.name.clone(),
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

/// The command line for the door to the gate at this place alone. A token in it is not shown again.
fn typed(args: &ConnectArgs, n: usize, gate: &GateAddress) -> String {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let token = args.token.as_deref().map(|token| if token.starts_with("file:") { token } else { "TOKEN" });
    let options = [
        ("--listen", args.listen.get(n).cloned()),
        ("--name", args.name.clone()),
        ("--dir", args.dir.as_deref().map(path)),
        ("--token", token.map(str::to_owned)),
        ("--grant", args.grant.as_deref().map(path)),
    ];
    let origins = args.allow_origin.iter().map(|origin| ("--allow-origin", origin.clone()));
    let given = options.into_iter().filter_map(|(option, value)| Some((option, value?))).chain(origins);
    given.fold(format!("portcullis connect https://{gate}"), |line, (option, value)| {
        format!("{line} {option} {}", quoted(&value))
    })
}

/// A word as a shell reads it back; what a terminal would obey is left out.
fn quoted(word: &str) -> String {
    let word: String = word.chars().filter(|c| !c.is_control()).collect();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+=,[]".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ConnectArgs,
    }

    #[test]
    fn what_was_typed_comes_back_without_a_secret() {
        let gate = GateAddress::parse("gpu-box").unwrap();
        for (words, line) in [
            (&["gpu-box"][..], "portcullis connect https://gpu-box:8443"),
            (
                &["gpu-box", "--name", "Anna's laptop", "--listen", "[::1]:11435", "--dir", "/tmp/a b"],
                r"portcullis connect https://gpu-box:8443 --listen [::1]:11435 --name 'Anna'\''s laptop' --dir '/tmp/a b'",
            ),
            (
                &["gpu-box", "--token", "pce_secret", "--grant", "g", "--allow-origin", "http://localhost:3000"],
                "portcullis connect https://gpu-box:8443 --token TOKEN --grant g --allow-origin http://localhost:3000",
            ),
            (&["gpu-box", "--token", "file:t"], "portcullis connect https://gpu-box:8443 --token file:t"),
            (&["gpu-box", "--name", "a\u{1b}[2J$(x)"], "portcullis connect https://gpu-box:8443 --name 'a[2J$(x)'"),
            (&["gpu-box", "--name", ""], "portcullis connect https://gpu-box:8443 --name ''"),
        ] {
            let args = Line::try_parse_from([&["connect"][..], words].concat()).map(|line| line.args).ok().unwrap();
            assert_eq!(typed(&args, 0, &gate), line, "{words:?}");
        }
        let words = ["connect", "gpu-box", "b", "--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2"];
        let args = Line::try_parse_from(words).map(|line| line.args).ok().unwrap();
        assert_eq!(typed(&args, 1, &gate), "portcullis connect https://gpu-box:8443 --listen 127.0.0.1:2");
    }
}
