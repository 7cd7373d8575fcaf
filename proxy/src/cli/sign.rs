//! `portcullis sign`: signs a request by hand, and shows what is signed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use http::header::{self, HeaderMap};
use portcullis_certs::NodeKey;
use portcullis_signatures::{NodePublic, Nonce, SignOptions, Signed, content_digest, sign_llmesh, sign_request};
use serde_json::json;

use super::message::{Message, PartsArgs, time};
use super::{Failure, JsonArgs, Outcome, say};
use crate::keyring::now;

/// Arguments of `sign`.
#[derive(Args)]
pub(crate) struct SignArgs {
    /// The method, such as POST.
    method: String,
    /// The URL, spelt as it is sent.
    url: String,
    #[command(flatten)]
    parts: PartsArgs,
    /// The key that signs. Default: this gate's own; that of a door is `node.key` in its folder.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How it is signed.
    #[arg(long, value_enum, default_value = "rfc9421")]
    scheme: SchemeName,
    /// The node id of the gate that is meant: no other gate takes the request.
    #[arg(long, value_name = "PEER")]
    audience: Option<String>,
    /// When it was signed: Unix seconds, or RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", value_parser = time, allow_negative_numbers = true)]
    created: Option<i64>,
    /// 22 to 256 characters that no other request has. Default: random.
    #[arg(long)]
    nonce: Option<String>,
    /// Prints a command line for curl.
    #[arg(long, conflicts_with = "json")]
    curl: bool,
    /// The authority that vouches for the gate (its `state/ca.crt`), for that command line.
    #[arg(long, value_name = "FILE", requires = "curl")]
    cacert: Option<PathBuf>,
    #[command(flatten)]
    args: JsonArgs,
}

/// How a request is signed.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum SchemeName {
    /// HTTP Message Signatures.
    Rfc9421,
    /// The headers of an LLMesh node, with its public key.
    Llmesh,
}

pub(super) fn run(args: &SignArgs) -> Outcome {
    let mut message = Message::new(&args.method, &args.url, &args.parts)?;
    let given = message.headers.clone();
    let key = key(args)?;
    sign(args, &key, &mut message)?;
    let signed = Signed::read(&message.target(), &message.headers).map_err(wrong)?.ok_or_else(|| {
        // What was just signed has a signature.
        Failure::broken("the request was not signed")
    })?;
    let base = signed.base(Some(&content_digest(&message.body))).into_owned();
    let added: Vec<_> = message
        .headers
        .iter()
        .filter(|(name, value)| given.get(*name) != Some(*value))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
        .collect();
    if args.curl {
        say!("{}", curl(args, &message.headers)?);
    } else if args.args.json {
        let headers: serde_json::Map<_, _> =
            added.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        say!(
            "{}",
            json!({
                "scheme": signed.scheme().as_str(), "node_id": signed.node().node_id(), "base": base,
                "created": signed.created_ms().div_euclid(1000), "nonce": signed.nonce_text(), "headers": headers,
            })
        );
    } else {
        say!("What is signed:\n\n{base}\n\nHeaders to send with it, once:\n");
        for (name, value) in added {
            say!("{name}: {value}");
        }
    }
    Ok(())
}

fn key(args: &SignArgs) -> Outcome<NodeKey> {
    let path = match &args.key {
        Some(path) => path.clone(),
        None => {
            let state = args.args.config.state().map_err(|failure| {
                Failure::usage(format!(
                    "{}; away from a gate, `--key FILE` names the key to sign with (`openssl genpkey -algorithm ed25519 \
                     -out node.key` makes one)",
                    failure.message
                ))
            })?;
            state.join("node.key")
        }
    };
    NodeKey::load(&path).map_err(|e| Failure::usage(e.to_string()))
}

fn sign(args: &SignArgs, key: &NodeKey, message: &mut Message) -> Outcome {
    let created = args.created.unwrap_or_else(now);
    let mut headers = std::mem::take(&mut message.headers);
    let target = message.target();
    if let Some(audience) = &args.audience {
        NodePublic::from_node_id(audience).map_err(|e| Failure::usage(format!("--audience: {e}")))?;
    }
    match args.scheme {
        SchemeName::Rfc9421 => {
            let nonce = args.nonce.as_deref().map(Nonce::parse).transpose().map_err(wrong)?;
            let options = SignOptions { created, nonce, audience: args.audience.as_deref() };
            sign_request(key.secret(), &target, &mut headers, &message.body, &options).map_err(wrong)?;
        }
        SchemeName::Llmesh => {
            if args.nonce.is_some() || args.audience.is_some() {
                return Err(Failure::usage(
                    "a request that LLMesh signs has neither a nonce nor an audience: leave --nonce and --audience \
                     out, or sign with --scheme rfc9421",
                ));
            }
            let at = created.saturating_mul(1000);
            sign_llmesh(key.secret(), &target, &mut headers, &message.body, at, true).map_err(wrong)?;
        }
    }
    message.headers = headers;
    Ok(())
}

/// A command line that sends the request as it was signed.
fn curl(args: &SignArgs, headers: &HeaderMap) -> Outcome<String> {
    let mut line = format!("curl --path-as-is -X {}", quoted(&args.method));
    let ca = match &args.cacert {
        Some(ca) => Some(ca.clone()),
        // Signed with a gate's own key, so perhaps for that gate: its authority is at hand.
        None if args.key.is_none() => Some(args.args.config.state()?.join("ca.crt")),
        None => None,
    };
    if let Some(ca) = ca {
        line.push_str(&format!(" \\\n  --cacert {}", quoted(&ca.display().to_string())));
    }
    for (name, value) in headers {
        line.push_str(&format!(" \\\n  -H {}", quoted(&format!("{name}: {}", value.to_str().unwrap_or_default()))));
    }
    if let Some(body) = args.parts.body() {
        // curl would call it a form, which was not signed.
        if !headers.contains_key(header::CONTENT_TYPE) {
            line.push_str(" \\\n  -H 'content-type:'");
        }
        line.push_str(&format!(" \\\n  --data-binary {}", quoted(&format!("@{}", body.display()))));
    }
    line.push_str(&format!(" \\\n  {}", quoted(&args.url)));
    Ok(line)
}

/// A word of a shell's command line.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("the request cannot be signed: {error}"))
}
