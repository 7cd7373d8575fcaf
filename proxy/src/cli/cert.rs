//! `portcullis cert`: the node's own small authority. Works on the state directory, with or without a
//! running gate; a running one notices within a second.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use portcullis_certs::issuance::{Issuance, Issuances};
use portcullis_certs::revocation::Revocations;
use portcullis_certs::{Ca, CaError};
use serde_json::json;

use super::scope::{duration, shown};
use super::{Failure, JsonArgs, Outcome, say};
use crate::config::Config;
use crate::keyring::now;

mod issue;
mod renew;
mod revoke;
mod show;

/// Commands of `cert`.
#[derive(Subcommand)]
pub(crate) enum CertCommand {
    /// Issues a certificate: NAME.crt and NAME.key. For a client by default, whom the gate then knows.
    #[command(
        after_help = "Example:\n  portcullis cert issue alice --ttl 30d --out ./alice\n  portcullis cert issue web --spiffe spiffe://example.org/web\n  portcullis cert issue bob --csr bob.csr"
    )]
    Issue(issue::IssueArgs),
    /// Issues a certificate once more, for the same key and names. Without an argument: the gate's own.
    #[command(after_help = "Example:\n  portcullis cert renew\n  portcullis cert renew alice.crt")]
    Renew {
        /// A certificate file of this node's authority, or NAME for NAME.crt.
        certificate: Option<PathBuf>,
        /// How long the new one holds. Default: as long as the old one.
        #[arg(long, value_parser = duration)]
        ttl: Option<Duration>,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Shows what stands in a certificate, and what it is worth at this gate.
    #[command(after_help = "Example:\n  portcullis cert show alice.crt --json")]
    Show {
        /// The file, in PEM.
        file: PathBuf,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Shows what this node's authority issued.
    #[command(after_help = "Example:\n  portcullis cert list --json")]
    List(JsonArgs),
    /// Takes a certificate back, also on open connections.
    #[command(after_help = "Example:\n  portcullis cert revoke alice.crt\n  portcullis cert revoke 5f0c21…")]
    Revoke {
        /// The serial number in hex, or the certificate file.
        certificate: String,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Prints a signed revocation list, for other programs that trust this authority.
    #[command(after_help = "Example:\n  portcullis cert crl --out /etc/nginx/portcullis.crl")]
    Crl {
        /// Where to write it. Default: to standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Until when a newer list is due.
        #[arg(long, value_parser = duration, default_value = "7d")]
        ttl: Duration,
        #[command(flatten)]
        config: super::ConfigArg,
    },
}

pub(super) fn run(command: &CertCommand) -> Outcome {
    match command {
        CertCommand::Issue(args) => issue::run(args),
        CertCommand::Renew { certificate, ttl, args } => renew::run(certificate.as_deref(), *ttl, args),
        CertCommand::Show { file, args } => show::run(file, args),
        CertCommand::List(args) => list(args),
        CertCommand::Revoke { certificate, args } => revoke::run(certificate, args),
        CertCommand::Crl { out, ttl, config } => revoke::crl(out.as_deref(), *ttl, &config.load()?),
    }
}

fn list(args: &JsonArgs) -> Outcome {
    let state = args.config.load()?.node.state;
    let revoked = Revocations::open(&state).map_err(broken)?.list();
    let all = Issuances::open(&state).map_err(broken)?.list();
    let state = |one: &Issuance| match revoked.iter().any(|r| r.serial == one.serial) {
        true => "revoked",
        false if one.not_after < now() => "ended",
        false => "valid",
    };
    if args.json {
        let all: Vec<_> = all
            .iter()
            .map(|one| {
                json!({
                    "serial": one.serial, "name": one.name, "usage": one.usage, "state": state(one),
                    "identity": one.identity, "fingerprint": one.fingerprint, "names": one.names,
                    "not_after": shown(one.not_after),
                })
            })
            .collect();
        say!("{}", serde_json::Value::from(all));
        return Ok(());
    }
    if all.is_empty() {
        say!("no certificates were issued; `portcullis cert issue NAME` does");
    }
    for one in &all {
        say!("{:<8} {}  until {}  {}", state(one), one.serial, shown(one.not_after), one.name);
    }
    Ok(())
}

/// The node's authority.
fn authority(config: &Config) -> Outcome<Ca> {
    let state = &config.node.state;
    Ca::load(&state.join("ca.crt"), &state.join("ca.key")).map_err(failure)
}

/// Reads a public file as text, as long as it can be a certificate's.
fn read(file: &Path) -> Outcome<Vec<u8>> {
    portcullis_certs::verify::read_bounded_by_hand(file).map_err(broken)
}

/// The certificates in a PEM file, the leaf first.
fn read_chain(file: &Path) -> Outcome<Vec<rustls_pki_types::CertificateDer<'static>>> {
    portcullis_certs::verify::certificates_in(&read(file)?, file).map_err(|e| match e {
        portcullis_certs::VerifyError::NoCertificate(_) => Failure::no(e.to_string()),
        other => broken(other),
    })
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::broken(error.to_string())
}

fn failure(error: CaError) -> Failure {
    match error {
        CaError::Name(_) => Failure::usage(error.to_string()),
        CaError::NotOurs | CaError::Request(_) => Failure::no(error.to_string()),
        other => broken(other),
    }
}

/// A word to the person, beside what a script reads.
fn tell(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
