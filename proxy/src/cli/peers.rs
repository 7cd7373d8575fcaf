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
    #[command(after_help = "Example:\n  portcullis peers list --json")]
    List(JsonArgs),
    /// Those who wait for a decision.
    #[command(after_help = "Example:\n  portcullis peers pending")]
    Pending(JsonArgs),
    /// Trusts a peer.
    #[command(after_help = "Example:\n  portcullis peers approve 56:47:5a:a7 --name alice --grant chat")]
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
    #[command(after_help = "Example:\n  portcullis peers dismiss 56:47:5a:a7")]
    Dismiss {
        /// Id, name, or 8 or more hex digits of the fingerprint.
        id: String,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Refuses a peer for good, also on open connections, and stops listing it as pending.
    #[command(
        after_help = "Example:\n  portcullis peers block mallory\n  portcullis peers block 'jwt:https://id.example#mallory'"
    )]
    Block {
        /// Id, name, or 8 or more hex digits of the fingerprint.
        id: String,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Takes the trust back, also on open connections.
    #[command(after_help = "Example:\n  portcullis peers revoke alice")]
    Revoke {
        /// Id, name, or 8 or more hex digits of the fingerprint.
        id: String,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Gives a peer a name.
    #[command(after_help = "Example:\n  portcullis peers rename 56:47:5a:a7 alice")]
    Rename {
        /// Id, name, or 8 or more hex digits of the fingerprint.
        id: String,
        /// The name.
        name: String,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Trusts a key beforehand.
    #[command(after_help = "Example:\n  portcullis peers add peer:7Hq… --fingerprint 56:47:5a:… --name alice")]
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
            if let (Some(_), Ok(config)) = (grant, args.config.load()) {
                super::mind_profile(&config, grant.as_deref());
            }
            change(args, "approved", |s| {
                s.approve(id, name.as_deref(), grant.as_deref()).inspect_err(|error| own_word(s, id, error))
            })
        }
        PeersCommand::Block { id, args } => change(args, "blocked", |s| s.block(id)),
        PeersCommand::Dismiss { id, args } => change(args, "dismissed", |s| s.dismiss(id)),
        PeersCommand::Revoke { id, args } => change(args, "revoked", |s| s.revoke(id)),
        PeersCommand::Rename { id, name, args } => change(args, "renamed", |s| s.rename(id, name)),
        PeersCommand::Add { id, fingerprint, name, args } => add(args, id, fingerprint, name.as_deref()),
    }
}

fn open(args: &JsonArgs) -> Outcome<TrustStore> {
    TrustStore::open(&args.config.state()?).map_err(|e| Failure::broken(e.to_string()))
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
        let name = entry.name.as_deref().unwrap_or_default();
        say!("{done}: {} {} {name}", entry.fingerprint, entry.id);
        say!("A running gate follows within a second.");
    }
    Ok(())
}

/// What a caller calls itself is no name that an operator gave; but it may be whom the operator means.
fn own_word(store: &TrustStore, id: &str, error: &TrustError) {
    if !matches!(error, TrustError::Select(_)) {
        return;
    }
    for entry in store.pending().iter().filter(|entry| entry.presented_name.as_deref() == Some(id)) {
        use std::io::Write as _;
        let _ = writeln!(
            std::io::stderr(),
            "portcullis: one that waits calls itself `{id}`; if its fingerprint is the right one: \
             portcullis peers approve {} --name {id}",
            entry.fingerprint
        );
    }
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
