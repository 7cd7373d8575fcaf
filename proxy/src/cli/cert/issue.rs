//! `portcullis cert issue`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use portcullis_certs::ca::{CLIENT_LIFETIME, Request, San};
use portcullis_certs::issuance::Issuances;
use portcullis_certs::trust::{TrustError, TrustStore, is_name};
use portcullis_certs::{Authorities, Issued, Judged, Use, files, verify};
use serde_json::json;

use super::{authority, broken, duration, failure, now, read, shown, tell};
use crate::certificates::Files;
use crate::cli::{Failure, JsonArgs, Outcome, say};
use crate::config::Config;

/// Arguments of `cert issue`.
#[derive(Args)]
pub(crate) struct IssueArgs {
    /// Whose it is: its common name, and what the operator calls its holder.
    name: String,
    /// A further name in it: a host name, an address, or a URI. May be given several times.
    #[arg(long, value_name = "NAME")]
    san: Vec<San>,
    /// The SPIFFE ID of a workload, which becomes its identity where its trust domain is configured.
    #[arg(long, value_name = "ID")]
    spiffe: Option<San>,
    /// How long it holds. Default: 30d for a client, `gate.certificate_lifetime` for a server.
    #[arg(long, value_parser = duration)]
    ttl: Option<Duration>,
    /// The folder that it is written to.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// For a server, under NAME and the names of --san.
    #[arg(long)]
    server: bool,
    /// Signs the key of this request (PKCS#10) instead of making one. Of what it asks for, nothing is
    /// taken: names are given by --san and --spiffe.
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(a: &IssueArgs) -> Outcome {
    if !is_name(&a.name) {
        return Err(Failure::usage(format!(
            "`{}` cannot be a name, expected 1 to 64 letters, digits, `-`, `_` or `.`",
            a.name.escape_debug()
        )));
    }
    let usage = if a.server { Use::Server } else { Use::Client };
    let config = a.args.config.load()?;
    let names = names(a)?;
    let lifetime = a.ttl.unwrap_or(if a.server { config.gate.certificate_lifetime } else { CLIENT_LIFETIME });
    let request = match &a.csr {
        None => None,
        Some(file) => Some(Request::from_pem(&read(file)?).map_err(failure)?),
    };
    let (crt, key) = (a.out.join(format!("{}.crt", a.name)), a.out.join(format!("{}.key", a.name)));
    for path in [Some(&crt), request.is_none().then_some(&key)].into_iter().flatten() {
        if path.exists() {
            return Err(Failure::no(format!("`{}` exists already and is never overwritten", path.display())));
        }
    }
    let ca = authority(&config)?;
    let issued = match &request {
        None => ca.issue(&a.name, &names, lifetime, usage).map_err(failure)?,
        Some(request) => Issued {
            chain: ca.issue_for(request, &a.name, &names, lifetime, usage).map_err(failure)?,
            key: String::new().into(),
        },
    };
    let judged = judge(&config, &issued.chain)?;
    files::create_private_dir(&a.out).map_err(broken)?;
    if request.is_none() {
        files::write_new_private(&key, issued.key.as_bytes()).map_err(broken)?;
    }
    let entered = files::write_new_private(&crt, issued.chain.as_bytes())
        .map_err(broken)
        .and_then(|()| enter(&config, a, usage, &judged));
    let approved = entered.inspect_err(|_| {
        // A certificate that is in no register could not be found again to be taken back.
        let _ = std::fs::remove_file(&crt);
        if request.is_none() {
            let _ = std::fs::remove_file(&key);
        }
    })?;
    let key = request.is_none().then_some(key);
    report(a, &judged, approved, request.as_ref(), (&crt, key.as_deref()), &config);
    Ok(())
}

fn names(a: &IssueArgs) -> Outcome<Vec<San>> {
    let mut names = Vec::new();
    if a.server
        && let Ok(own) = a.name.parse::<San>()
    {
        names.push(own);
    }
    names.extend(a.san.iter().filter(|san| Some(*san) != names.first()).cloned().collect::<Vec<_>>());
    if let Some(id) = &a.spiffe {
        if !id.text().starts_with("spiffe://") {
            return Err(Failure::usage(format!("`{}` is no SPIFFE ID, expected `spiffe://DOMAIN/PATH`", id.text())));
        }
        if a.server || names.iter().any(|san| matches!(san, San::Uri(_))) {
            return Err(Failure::usage("an X.509-SVID has one URI and is a client's; leave --server or the other out"));
        }
        names.push(id.clone());
    }
    if a.server && names.is_empty() {
        return Err(Failure::usage("a server needs a name that clients address it by; add --san"));
    }
    Ok(names)
}

/// What the gate of this config will make of it.
fn judge(config: &Config, chain: &str) -> Outcome<Judged> {
    let authorities = Authorities::load(&Files::of(config).authorities).map_err(broken)?;
    let leaf = verify::first_certificate(chain).ok_or_else(|| broken("the new certificate cannot be read"))?;
    authorities.judge(&[leaf], now()).map_err(broken)
}

/// Enters it into the register, and its holder into the trust store. Returns whether that was needed.
fn enter(config: &Config, a: &IssueArgs, usage: Use, judged: &Judged) -> Outcome<bool> {
    let state = &config.node.state;
    // Who is vouched for by a SPIFFE ID is known by that, not by this one key.
    let by_key = usage == Use::Client && judged.peer.spiffe.is_none();
    if by_key {
        let store = TrustStore::open(state).map_err(broken)?;
        let peer = &judged.peer;
        store.add(peer.identity.as_str(), &peer.fingerprint, Some(&a.name)).map_err(|e| match e {
            TrustError::Name(_) => Failure::no(e.to_string()),
            other => broken(other),
        })?;
    }
    let register = Issuances::open(state).map_err(broken)?;
    register.add(&a.name, usage, &judged.peer, now()).map_err(broken)?;
    Ok(by_key)
}

fn report(
    a: &IssueArgs,
    judged: &Judged,
    approved: bool,
    request: Option<&Request>,
    (crt, key): (&Path, Option<&Path>),
    config: &Config,
) {
    let (peer, serial) = (&judged.peer, data_encoding::HEXLOWER.encode(&judged.peer.serial));
    let ca = config.node.state.join("ca.crt");
    let requested = request.map(|r| json!({"common_name": r.common_name, "names": r.names}));
    if a.args.json {
        say!(
            "{}",
            json!({
                "name": a.name, "serial": serial, "identity": peer.identity.as_str(), "fingerprint": peer.fingerprint,
                "not_after": shown(peer.not_after), "certificate": crt, "key": key, "ca": ca, "approved": approved,
                "requested": requested,
            })
        );
    } else {
        say!("certificate  {}", crt.display());
        if let Some(key) = key {
            say!("key          {}   (keep it private; there is no copy)", key.display());
        }
        say!("serial       {serial}");
        say!("identity     {}", peer.identity.as_str());
        say!("holds until  {}", shown(peer.not_after));
        if approved {
            say!("`{}` is approved from now on, by this key: no further step is needed.", a.name);
        }
        if let Some(request) = request {
            let asked = request.names.join(", ");
            say!(
                "The request asked for CN={} and [{asked}]; none of that was taken but by --san and --spiffe.",
                request.common_name.as_deref().unwrap_or("-")
            );
        }
    }
    if let Some(problem) = judged.problem.filter(|_| !a.server) {
        tell(&format!("This gate will refuse it as it is configured now: {problem}."));
    }
}
