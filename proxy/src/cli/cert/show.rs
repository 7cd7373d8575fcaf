//! `portcullis cert show`

use std::path::Path;

use portcullis_certs::peer::Described;
use portcullis_certs::revocation::Revocations;
use portcullis_certs::{Authorities, PeerCert};
use serde_json::json;

use super::{broken, now, read_chain, shown};
use crate::certificates::Files;
use crate::cli::{Failure, JsonArgs, Outcome, say};
use crate::config::Config;

/// What a certificate is worth at this gate.
struct Worth {
    identity: String,
    vouched: bool,
    problem: Option<String>,
    revoked: bool,
}

pub(super) fn run(file: &Path, args: &JsonArgs) -> Outcome {
    let chain = read_chain(file)?;
    let refuse = |e: portcullis_certs::PeerError| Failure::no(format!("`{}`: {e}", file.display()));
    let all: Vec<_> = chain.iter().map(|der| Described::parse(der)).collect::<Result<_, _>>().map_err(refuse)?;
    let Some((leaf, above)) = all.split_first() else { return Err(Failure::no("it holds no certificate")) };
    // Without a config a certificate can still be read, but not be told what it is worth.
    let config = match args.config.file() {
        Ok(_) => Some(args.config.load()?),
        Err(_) => None,
    };
    let worth = config.as_ref().map(|config| worth(config, &chain)).transpose()?;
    if args.json {
        let mut shown_leaf = entry(leaf);
        if let (Some(worth), Some(object)) = (&worth, shown_leaf.as_object_mut()) {
            object.insert("identity".to_owned(), json!(worth.identity));
            object.insert("vouched".to_owned(), json!(worth.vouched));
            object.insert("problem".to_owned(), json!(worth.problem));
            object.insert("revoked".to_owned(), json!(worth.revoked));
        }
        if let Some(object) = shown_leaf.as_object_mut() {
            object.insert("chain".to_owned(), above.iter().map(entry).collect());
        }
        say!("{shown_leaf}");
        return Ok(());
    }
    text(leaf);
    if let Some(worth) = &worth {
        say!("identity     {}", worth.identity);
        let word = match (&worth.problem, worth.revoked, worth.vouched) {
            (_, true, _) => "refused: it was revoked".to_owned(),
            (Some(problem), ..) => format!("refused: {problem}"),
            (None, _, true) => "an authority that this gate trusts vouches for it".to_owned(),
            (None, ..) => "its key counts: the operator decides about it (`portcullis peers`)".to_owned(),
        };
        say!("here         {word}");
    }
    for (at, one) in above.iter().enumerate() {
        say!("above it     {}. {}   until {}", at + 1, one.subject, shown(one.not_after));
    }
    Ok(())
}

fn worth(config: &Config, chain: &[rustls_pki_types::CertificateDer<'static>]) -> Outcome<Worth> {
    let authorities = Authorities::load(&Files::of(config).authorities).map_err(broken)?;
    let judged = authorities.judge(chain, now()).map_err(broken)?;
    let PeerCert { issuer_sha256, serial, identity, .. } = &judged.peer;
    let own = Revocations::open(&config.node.state).map_err(broken)?;
    Ok(Worth {
        identity: identity.to_string(),
        vouched: judged.vouched,
        problem: judged.problem.map(|problem| problem.to_string()),
        revoked: own.contains(issuer_sha256, serial) || authorities.has_revoked(issuer_sha256, serial),
    })
}

fn entry(one: &Described) -> serde_json::Value {
    json!({
        "subject": one.subject, "issuer": one.issuer, "serial": one.serial, "names": one.names, "key": one.key,
        "fingerprint": one.fingerprint, "key_sha256": one.key_sha256, "authority": one.authority, "uses": one.uses,
        "not_before": shown(one.not_before), "not_after": shown(one.not_after),
    })
}

fn text(one: &Described) {
    let list = |all: &[String], none: &str| if all.is_empty() { none.to_owned() } else { all.join(", ") };
    say!("subject      {}", one.subject);
    say!("names        {}", list(&one.names, "-"));
    say!("issuer       {}", one.issuer);
    say!("serial       {}", one.serial);
    say!("key          {}", one.key);
    say!("fingerprint  {}", one.fingerprint);
    say!("uses         {}", list(&one.uses, "any"));
    if one.authority {
        say!("             it is an authority's (CA:TRUE)");
    }
    let now = now();
    let word = match (now < one.not_before, now > one.not_after) {
        (true, _) => "   (not yet valid)",
        (_, true) => "   (expired)",
        _ => "",
    };
    say!("holds        {} to {}{word}", shown(one.not_before), shown(one.not_after));
}
