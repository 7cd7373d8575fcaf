//! `portcullis peers`: who is trusted. Works on the trust store, with or without a running gate; a
//! running one notices within a second.

use clap::Subcommand;
use portcullis_certs::trust::{Entry, TrustError, TrustStore};
use portcullis_policies::Identity;

use super::{Failure, JsonArgs, Outcome, say};

/// Commands of `peers`.
#[derive(Subcommand)]
pub(crate) enum PeersCommand {
    /// Everybody.
    List(JsonArgs),
    /// Those who wait for a decision.
    Pending(JsonArgs),
    /// Trusts a peer.
    Approve {
        /// Id, name, or 8 or more hex digits of the fingerprint.
        id: String,
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
        /// Its policy profile: it may then do what the rules for this profile say, and no more.
        #[arg(long, value_name = "PROFILE", value_parser = super::profile)]
        grant: Option<String>,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Forgets a caller who waits, without deciding: it may ask again.
    Dismiss {
        /// Id, name, or 8 or more hex digits of the fingerprint.
        id: String,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Refuses a peer for good, also on open connections, and stops listing it as pending.
    Block {
        /// Id, name, or 8 or more hex digits of the fingerprint.
        id: String,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Takes the trust back, also on open connections.
    Revoke {
        /// Id, name, or 8 or more hex digits of the fingerprint.
        id: String,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Gives a peer a name.
    Rename {
        /// Id, name, or 8 or more hex digits of the fingerprint.
        id: String,
        /// The name.
        name: String,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Trusts a key beforehand.
    Add {
        /// The identity: `peer:…` or `cert:…`.
        id: String,
        /// Its fingerprint, as its owner reads it to you.
        #[arg(long)]
        fingerprint: String,
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        args: JsonArgs,
    },
}

pub(super) fn run(command: &PeersCommand) -> Outcome {
    match command {
        PeersCommand::List(args) => list(args, TrustStore::list),
        PeersCommand::Pending(args) => list(args, TrustStore::pending),
        PeersCommand::Approve { id, name, grant, args } => {
            change(args, "approved", |s| s.approve(id, name.as_deref(), grant.as_deref()))
        }
        PeersCommand::Block { id, args } => change(args, "blocked", |s| s.block(id)),
        PeersCommand::Dismiss { id, args } => change(args, "dismissed", |s| s.dismiss(id)),
        PeersCommand::Revoke { id, args } => change(args, "revoked", |s| s.revoke(id)),
        PeersCommand::Rename { id, name, args } => change(args, "renamed", |s| s.rename(id, name)),
        PeersCommand::Add { id, fingerprint, name, args } => add(args, id, fingerprint, name.as_deref()),
    }
}

fn open(args: &JsonArgs) -> Outcome<TrustStore> {
    let config = args.config.load()?;
    TrustStore::open(&config.node.state).map_err(|e| Failure::broken(e.to_string()))
}

fn list(args: &JsonArgs, which: impl Fn(&TrustStore) -> Vec<Entry>) -> Outcome {
    let entries = which(&open(args)?);
    if args.json {
        say!("{}", serde_json::to_string(&entries).unwrap_or_default());
        return Ok(());
    }
    if entries.is_empty() {
        say!("nobody");
        return Ok(());
    }
    for e in &entries {
        let name = e.name.as_deref().or(e.presented_name.as_deref()).unwrap_or("-");
        let profile = e.profile.as_deref().map(|p| format!("  profile {p}")).unwrap_or_default();
        let claimed = if e.name.is_none() && e.presented_name.is_some() { " (its own word)" } else { "" };
        say!("{:<9} {}  {name}{claimed}{profile}", e.state.as_str(), e.fingerprint);
        say!(
            "          {}  first seen {}, {} times  from {}",
            e.id,
            e.first_seen,
            e.count,
            if e.address.is_empty() { "-" } else { &e.address }
        );
        if !e.client.is_empty() {
            say!("          calls itself {}", e.client);
        }
    }
    Ok(())
}

fn change(args: &JsonArgs, done: &str, change: impl Fn(&TrustStore) -> Result<Entry, TrustError>) -> Outcome {
    let entry = change(&open(args)?).map_err(|e| match e {
        TrustError::Decided { .. } | TrustError::Select(_) | TrustError::Name(_) | TrustError::Fingerprint { .. } => {
            Failure::no(e.to_string())
        }
        TrustError::Identity(_) => Failure::usage(e.to_string()),
        other => Failure::broken(other.to_string()),
    })?;
    if args.json {
        say!("{}", serde_json::to_string(&entry).unwrap_or_default());
    } else {
        say!("{done}: {} {} {}", entry.fingerprint, entry.id, entry.name.as_deref().unwrap_or_default());
    }
    Ok(())
}

fn add(args: &JsonArgs, id: &str, fingerprint: &str, name: Option<&str>) -> Outcome {
    if id.contains("://") && !id.starts_with("spiffe://") {
        return Err(Failure::usage(
            "a gate's address cannot be resolved to its key yet; give its id (`portcullis id` there shows it)",
        ));
    }
    let identity = Identity::parse(id).map_err(|e| Failure::usage(e.to_string()))?;
    let plain = fingerprint.replace(':', "").to_ascii_lowercase();
    if plain.len() != 32 || !plain.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Failure::usage(format!("`{fingerprint}` is not a fingerprint, expected 16 bytes in hex pairs")));
    }
    if identity.is_node() {
        let key = portcullis_certs::NodePublic::from_node_id(id).map_err(|e| Failure::usage(e.to_string()))?;
        if key.fingerprint().replace(':', "") != plain {
            return Err(Failure::no(
                "the fingerprint is not that of this id: one of the two was misread, or somebody stands between",
            ));
        }
    }
    let pairs: Vec<_> = plain.as_bytes().chunks(2).map(|c| String::from_utf8_lossy(c).into_owned()).collect();
    change(args, "added", |store| store.add(id, &pairs.join(":"), name))
}
