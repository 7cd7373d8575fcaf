//! `portcullis cert revoke` and `portcullis cert crl`

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use portcullis_certs::issuance::Issuances;
use portcullis_certs::revocation::{RevocationError, Revocations, read_serial};
use portcullis_certs::trust::TrustStore;
use portcullis_certs::{PeerCert, files};
use serde_json::json;

use super::{authority, broken, failure, now, read_chain, tell};
use crate::certificates::own_ca;
use crate::cli::{Failure, JsonArgs, Outcome, say};
use crate::config::Config;

pub(super) fn run(named: &str, args: &JsonArgs) -> Outcome {
    let state = &args.config.state()?;
    let ca = own_ca(&state.join("ca.crt"))
        .ok_or_else(|| broken(format!("`{}` holds no certificate", state.join("ca.crt").display())))?;
    let (serial, shown) = wanted(named, &ca)?;
    let register = Issuances::open(state).map_err(broken)?;
    let known = register.find(&serial);
    let name = known.as_ref().map(|one| one.name.as_str());
    // The key first: should the second step fail, what is left of the trust is less, not more.
    let identity = known.as_ref().map(|one| one.identity.clone()).or(shown);
    let key = identity.filter(|id| !id.starts_with("spiffe://"));
    let key_refused = match &key {
        None => false,
        Some(id) => {
            let store = TrustStore::open(state).map_err(broken)?;
            let there = store.list().iter().any(|entry| entry.id == *id);
            if there {
                store.revoke(id).map_err(broken)?;
            }
            there
        }
    };
    let revocations = Revocations::open(state).map_err(broken)?;
    let issuer = ca.subject_sha256;
    let revoked = revocations.add(&serial, &issuer, name, now()).map_err(|e| match e {
        RevocationError::Already(_) | RevocationError::Full => Failure::no(e.to_string()),
        RevocationError::Serial(_) => Failure::usage(e.to_string()),
        RevocationError::Ledger(_) => broken(e),
    })?;
    // Those of the same key that were renewed from, or to, this one.
    let mut others = Vec::new();
    for other in register.list() {
        let same = known.as_ref().is_some_and(|known| known.fingerprint == other.fingerprint);
        if !same || other.serial == revoked.serial || other.not_after < now() {
            continue;
        }
        match revocations.add(&other.serial, &issuer, Some(&other.name), now()) {
            Ok(other) => others.push(other.serial),
            Err(RevocationError::Already(_)) => {}
            Err(error) => return Err(broken(error)),
        }
    }
    if args.json {
        say!(
            "{}",
            json!({
                "serial": revoked.serial, "name": name, "identity": key, "key_refused": key_refused, "others": others,
            })
        );
    } else {
        say!("revoked: {} {}", revoked.serial, name.unwrap_or_default());
        for serial in &others {
            say!("revoked: {serial} (of the same key)");
        }
        if key_refused {
            say!("Its key is refused, too, whatever certificate it comes with.");
        }
    }
    if known.is_none() {
        tell("This node's register has no certificate with this serial number; it is refused all the same.");
    }
    Ok(())
}

/// The serial number that is meant, in hex, and the identity of the key in the file.
fn wanted(named: &str, ca: &PeerCert) -> Outcome<(String, Option<String>)> {
    if !Path::new(named).is_file() {
        let serial = read_serial(named).ok_or_else(|| {
            Failure::usage(format!(
                "`{}` is neither a file nor a serial number in hex; `portcullis cert list` shows them",
                named.escape_debug()
            ))
        })?;
        return Ok((data_encoding::HEXLOWER.encode(&serial), None));
    }
    let chain = read_chain(Path::new(named))?;
    let leaf = chain.first().and_then(|der| PeerCert::parse(der, false).ok());
    let leaf = leaf.ok_or_else(|| Failure::no(format!("`{named}` holds no certificate that can be used")))?;
    if leaf.issuer_sha256 != ca.subject_sha256 {
        return Err(Failure::no(
            "this certificate is of another authority: name its revocation list under `filters.identity.crl`, or \
             take the trust in its key back with `portcullis peers revoke`",
        ));
    }
    Ok((data_encoding::HEXLOWER.encode(&leaf.serial), Some(leaf.identity.to_string())))
}

pub(super) fn crl(out: Option<&Path>, lifetime: Duration, config: &Config) -> Outcome {
    let state = &config.node.state;
    let ca = own_ca(&state.join("ca.crt"));
    let issuer = ca.map(|ca| data_encoding::HEXLOWER.encode(&ca.subject_sha256)).unwrap_or_default();
    let when = |at: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or(0));
    let serials: Vec<_> = Revocations::open(state)
        .map_err(broken)?
        .list()
        .into_iter()
        .filter(|one| one.issuer == issuer)
        .filter_map(|one| Some((read_serial(&one.serial)?, when(one.revoked_at))))
        .collect();
    let number = u64::try_from(now()).unwrap_or(0);
    let list = authority(config)?.revocation_list(&serials, number, lifetime).map_err(failure)?;
    let Some(out) = out else {
        say!("{}", list.trim_end());
        return Ok(());
    };
    files::write_private(out, list.as_bytes()).map_err(broken)?;
    // Other programs read it, and it says nothing that they may not know.
    std::fs::set_permissions(out, std::fs::Permissions::from_mode(0o644))?;
    say!("written: {} with {} serial numbers", out.display(), serials.len());
    Ok(())
}
