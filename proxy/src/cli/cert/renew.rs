//! `portcullis cert renew`

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_certs::issuance::Issuances;
use portcullis_certs::peer::Described;
use portcullis_certs::revocation::Revocations;
use portcullis_certs::{PeerCert, Use, files, verify};
use serde_json::json;

use super::{authority, broken, failure, now, read, shown};
use crate::certificates::{Files, own_ca, renew_server};
use crate::cli::{Failure, JsonArgs, Outcome, say};
use crate::config::Config;

pub(super) fn run(named: Option<&Path>, ttl: Option<Duration>, args: &JsonArgs) -> Outcome {
    let config = args.config.load()?;
    let (file, new) = match named {
        None => own(&config, ttl)?,
        Some(named) => other(&config, named, ttl)?,
    };
    let serial = data_encoding::HEXLOWER.encode(&new.serial);
    if args.json {
        say!("{}", json!({"certificate": file, "serial": serial, "not_after": shown(new.not_after)}));
    } else {
        say!("renewed      {}   (its key is the same)", file.display());
        say!("serial       {serial}");
        say!("holds until  {}", shown(new.not_after));
    }
    Ok(())
}

/// The gate's own.
fn own(config: &Config, ttl: Option<Duration>) -> Outcome<(PathBuf, PeerCert)> {
    let files = Files::of(config);
    let Some(lifetime) = files.lifetime else {
        return Err(Failure::no(format!(
            "the gate shows `{}` (gate.certificate), which somebody else renews; a running gate picks up the new file",
            files.certificate.display()
        )));
    };
    let new = renew_server(&files, ttl.unwrap_or(lifetime)).map_err(|e| broken(format!("{e:#}")))?;
    Ok((files.certificate, new))
}

fn other(config: &Config, named: &Path, ttl: Option<Duration>) -> Outcome<(PathBuf, PeerCert)> {
    let beside = named.with_file_name(format!("{}.crt", named.file_name().unwrap_or_default().display()));
    let file = if named.is_file() { named.to_owned() } else { beside };
    let text = String::from_utf8(read(&file)?).map_err(|_| Failure::no("this is not PEM"))?;
    let refuse = || Failure::no(format!("`{}` holds no certificate", file.display()));
    let der = verify::first_certificate(&text).ok_or_else(refuse)?;
    let old = PeerCert::parse(&der, false).map_err(|e| Failure::no(e.to_string()))?;
    let (state, serial) = (&config.node.state, data_encoding::HEXLOWER.encode(&old.serial));
    let taken_back = Revocations::open(state).map_err(broken)?.contains(&old.issuer_sha256, &old.serial);
    if taken_back {
        return Err(Failure::no("this certificate was revoked; `portcullis cert issue` makes one with a new key"));
    }
    if old.not_before >= old.not_after || own_ca(&state.join("ca.crt")).is_none() {
        return Err(refuse());
    }
    let life = u64::try_from(old.not_after - old.not_before).unwrap_or_default();
    let chain = authority(config)?.renew(&text, ttl.unwrap_or(Duration::from_secs(life))).map_err(failure)?;
    let leaf = verify::first_certificate(&chain).ok_or_else(refuse)?;
    let new = PeerCert::parse(&leaf, false).map_err(broken)?;
    let register = Issuances::open(state).map_err(broken)?;
    let (name, usage) = register.find(&serial).map_or_else(
        || {
            let server = Described::parse(&der).is_ok_and(|old| old.uses.iter().any(|u| u == "serverAuth"));
            (new.common_name.clone().unwrap_or_default(), if server { Use::Server } else { Use::Client })
        },
        |known| (known.name, known.usage),
    );
    register.add(&name, usage, &new, now()).map_err(broken)?;
    files::write_private(&file, chain.as_bytes()).map_err(broken)?;
    Ok((file, new))
}
