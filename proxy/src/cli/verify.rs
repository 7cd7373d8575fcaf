//! `portcullis verify`: what a signature of a request covers, and whether it holds, step by step.

use std::path::PathBuf;

use clap::Args;
use portcullis_signatures::{Scheme, Signed, content_digest, signature_base};
use serde_json::json;

use super::message::{Message, PartsArgs, time};
use super::{Failure, Outcome, say};
use crate::door::clock::length;
use crate::keyring::now;

/// Arguments of `verify`.
#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The method, such as POST.
    #[arg(requires = "url", required_unless_present = "request")]
    method: Option<String>,
    /// The URL, spelt as it was sent.
    url: Option<String>,
    #[command(flatten)]
    parts: PartsArgs,
    /// A file with the whole request as it was captured, in HTTP/1.1; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "headers", "body"])]
    request: Option<PathBuf>,
    /// The node id of the gate that would judge it.
    #[arg(long, value_name = "PEER")]
    audience: Option<String>,
    /// The time at which it would be judged: Unix seconds, or RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", value_parser = time, allow_negative_numbers = true)]
    at: Option<i64>,
    /// How far from that time it may have been signed.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = super::scope::duration)]
    window: std::time::Duration,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What was read as a signature.
type Read = Result<Option<Signed>, portcullis_signatures::Malformed>;

/// One step of the verdict.
struct Step {
    what: &'static str,
    holds: bool,
    said: String,
}

pub(super) fn run(args: &VerifyArgs) -> Outcome {
    let message = match (&args.request, &args.method, &args.url) {
        (Some(file), _, _) => Message::captured(file)?,
        (None, Some(method), Some(url)) => Message::new(method, url, &args.parts)?,
        _ => return Err(Failure::usage("expected METHOD URL, or --request FILE")),
    };
    let digest = content_digest(&message.body);
    let read = Signed::read(&message.target(), &message.headers);
    let base = match &read {
        Ok(Some(signed)) => Some(signed.base(Some(&digest)).into_owned()),
        _ => claimed_base(&message),
    };
    let steps = match &read {
        Ok(Some(signed)) => judge(args, &message, signed, &digest),
        Ok(None) => vec![step("form", false, "the request is not signed: it has none of the headers of a signature")],
        Err(malformed) => vec![step("form", false, malformed.to_string())],
    };
    let covered = base.as_deref().map(|base| covered(base, &read)).unwrap_or_default();
    show(args, &read, base.as_deref(), &covered, &steps);
    if steps.iter().all(|step| step.holds) { Ok(()) } else { Err(Failure::no("")) }
}

/// What a gate looks at, in its order.
fn judge(args: &VerifyArgs, message: &Message, signed: &Signed, digest: &[u8; 32]) -> Vec<Step> {
    let node = signed.node();
    let brings = if signed.brings_key() { "" } else { "; a gate must know it already: no X-LLMesh-Public-Key is sent" };
    let mut steps = vec![
        step("form", true, signed.scheme().as_str()),
        step("key", true, format!("{}, fingerprint {}{brings}", node.node_id(), node.fingerprint())),
        window(args, signed),
    ];
    if signed.audience().is_none()
        && let Some(meant) = &args.audience
    {
        let said = format!("it names no gate: {meant} takes it unless `filters.signature.audience` is `required`");
        steps.push(step("audience", true, said));
    }
    if let Some(named) = signed.audience() {
        let other = args.audience.as_deref().filter(|meant| *meant != named);
        let said = other.map_or(format!("for {named}"), |meant| format!("for {named}, and not for {meant}"));
        steps.push(step("audience", other.is_none(), said));
    }
    let length = message.body.len();
    steps.push(match signed.digest() {
        None => step("digest", true, format!("the hash of the body, {length} bytes, is part of what is signed")),
        Some(claimed) if claimed == digest => step("digest", true, format!("it is that of the body, {length} bytes")),
        Some(_) => step(
            "digest",
            false,
            format!("it is not that of the body, {length} bytes, whose SHA-256 is {}", hex(digest)),
        ),
    });
    steps.push(match signed.verify(Some(digest)) {
        Ok(()) => step("signature", true, "it is by that key, over the text above"),
        Err(error) => {
            step("signature", false, format!(
                "{error}: it is not by that key over the text above. Compare method, host, path, query and type above with \
                 what was signed: a proxy, or a client library, may have changed one"
            ))
        }
    });
    steps
}

/// When it was signed, against the clock.
fn window(args: &VerifyArgs, signed: &Signed) -> Step {
    let at = args.at.unwrap_or_else(now).saturating_mul(1000);
    let created = signed.created_ms();
    let off = at.saturating_sub(created);
    let window = i64::try_from(args.window.as_millis()).unwrap_or(i64::MAX);
    let expired = signed.expires_ms().is_some_and(|expires| expires < at);
    let holds = off.saturating_abs() <= window && !expired;
    let side = if off < 0 { "after" } else { "before" };
    let whose = if args.at.is_some() { "the time given" } else { "what this machine's clock shows" };
    let mut said = format!("signed at {}, {} {side} {whose}", shown(created), length(off.unsigned_abs() / 1000));
    if off.saturating_abs() > window {
        said.push_str(&format!("; at most {} may lie between", length(args.window.as_secs())));
    }
    if expired {
        said.push_str(&format!("; it held until {}", shown(signed.expires_ms().unwrap_or_default())));
    }
    step("window", holds, said)
}

/// The text that a signature would be over whose form is not the one that a gate takes.
fn claimed_base(message: &Message) -> Option<String> {
    let input = message.headers.get("signature-input")?.to_str().ok()?;
    signature_base(&message.target(), &message.headers, input).ok()
}

/// What a signature covers: of RFC 9421, the names of the lines of its base.
fn covered(base: &str, read: &Read) -> Vec<String> {
    if matches!(read, Ok(Some(signed)) if signed.scheme() == Scheme::Llmesh) {
        return ["method", "path", "node id", "time", "body"].map(str::to_owned).to_vec();
    }
    let name = |line: &str| Some(line.strip_prefix('"')?.split_once('"')?.0.to_owned());
    base.lines().filter_map(name).filter(|name| name != "@signature-params").collect()
}

fn show(args: &VerifyArgs, read: &Read, base: Option<&str>, covered: &[String], steps: &[Step]) {
    let holds = steps.iter().all(|step| step.holds);
    if args.json {
        let signed = read.as_ref().ok().and_then(Option::as_ref);
        let checks: Vec<_> =
            steps.iter().map(|s| json!({"check": s.what, "holds": s.holds, "detail": s.said})).collect();
        say!(
            "{}",
            json!({
                "holds": holds, "checks": checks, "base": base, "covered": covered,
                "scheme": signed.map(|s| s.scheme().as_str()), "node_id": signed.map(|s| s.node().node_id()),
                "created": signed.map(|s| s.created_ms().div_euclid(1000)), "nonce": signed.map(Signed::nonce_text),
                "audience": signed.and_then(Signed::audience),
            })
        );
        return;
    }
    if let Some(base) = base {
        say!("What is signed:\n\n{}\n", printable(base));
        say!("It covers {}.\n", printable(&covered.join(", ")));
    }
    for Step { what, holds, said } in steps {
        say!("{:<4}{what:<11}{}", if *holds { "ok" } else { "no" }, printable(said));
    }
    if holds {
        say!(
            "\nIt holds. What only the gate knows is not judged here: whether it was used before, whether its signer may"
        );
        say!("come in, and what `filters.signature` asks for.");
    } else {
        say!("\nIt does not hold.");
    }
}

fn step(what: &'static str, holds: bool, said: impl Into<String>) -> Step {
    Step { what, holds, said: said.into() }
}

/// A millisecond as people read it.
fn shown(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}

fn hex(digest: &[u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(digest)
}

/// Without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
