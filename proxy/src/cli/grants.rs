//! `portcullis grants`: rights for a time. Works on the file, with or without a running gate; a running
//! one follows within a second.

use std::time::Duration;

use clap::{Args, Subcommand};
use portcullis_certs::trust::TrustStore;
use portcullis_policies::{Identity, Scope};

use super::scope::{self, ScopeArgs};
use super::{Failure, JsonArgs, Outcome, say};
use crate::config;
use crate::grants::{self, GrantBook, GrantError};
use crate::keyring::now;

/// Commands of `grants`.
#[derive(Subcommand)]
pub(crate) enum GrantsCommand {
    /// What is granted now.
    #[command(after_help = "Example:\n  portcullis grants list --all")]
    List {
        /// Also what has ended in the last days.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Grants a caller a right for a time: `inference` and `read`, unless `--routes` says otherwise. An explicit deny
    /// in the policy still wins.
    #[command(
        after_help = "Example:\n  portcullis grants add alice --models 'llama3*' --for 8h\n\nA grant adds to what the policy allows. To hold somebody to less, give a profile: `peers approve ID --grant chat`."
    )]
    Add(Box<AddArgs>),
    /// Passes a part of this node's own rights on to another node, as a token that the gate checks.
    #[command(
        after_help = "Example:\n  portcullis grants delegate --to peer:… --for 8h --models 'llama3*' --budget 100000"
    )]
    Delegate(Box<super::delegate::DelegateArgs>),
    /// Takes a grant back, also from running answers.
    #[command(after_help = "Example:\n  portcullis grants revoke g-k3x9v2")]
    Revoke {
        /// The grant's id, as `grants list` shows it.
        id: String,
        #[command(flatten)]
        args: JsonArgs,
    },
}

/// Arguments of `grants add`.
#[derive(Args)]
pub(crate) struct AddArgs {
    /// Id, name, 8 or more hex digits of the fingerprint, or an identity such as `key:ci`.
    id: String,
    #[command(flatten)]
    scope: ScopeArgs,
    /// For how long: `15m`, `8h`, `30d`.
    #[arg(long = "for", value_name = "TIME", value_parser = scope::duration, required_unless_present = "until")]
    ttl: Option<Duration>,
    /// Until when, such as `2026-12-24T18:00:00Z`.
    #[arg(long, value_name = "RFC3339", conflicts_with = "ttl", value_parser = moment)]
    until: Option<i64>,
    /// Why, in your own words.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(command: &GrantsCommand) -> Outcome {
    match command {
        GrantsCommand::List { all, args } => list(*all, args),
        GrantsCommand::Add(args) => add(args),
        GrantsCommand::Delegate(args) => super::delegate::run(args),
        GrantsCommand::Revoke { id, args } => revoke(id, args),
    }
}

fn add(args: &AddArgs) -> Outcome {
    let config = args.args.config.load()?;
    let state = &config.node.state;
    let identity = match TrustStore::open(state).map_err(|e| Failure::broken(e.to_string()))?.find(&args.id) {
        Ok(entry) => entry.id,
        Err(error) => match Identity::parse(&args.id) {
            Ok(identity) => identity.to_string(),
            Err(_) => return Err(Failure::no(error.to_string())),
        },
    };
    let identity = Identity::parse(&identity).map_err(|e| Failure::usage(e.to_string()))?;
    let until = args.until.or_else(|| args.ttl.map(|ttl| scope::ends_after(ttl, now())));
    let scope = args.scope.scope();
    let scope = Scope { until, classes: grants::or_usual(scope.classes), ..scope };
    let book = GrantBook::for_command(&config).map_err(failure)?;
    let grant = book.add(&identity, scope, &args.note).map_err(failure)?;
    if args.args.json {
        say!("{}", grants::shown(&grant));
    } else {
        say!("granted: {} to {} until {}", grant.id, grant.identity, until.map(scope::shown).unwrap_or_default());
    }
    Ok(())
}

fn list(all: bool, args: &JsonArgs) -> Outcome {
    let grants = open(args)?.list(all);
    let state = args.config.state()?;
    let peers = TrustStore::open(&state).map_err(|e| Failure::broken(e.to_string()))?.list();
    let named: std::collections::HashMap<_, _> =
        peers.iter().filter_map(|peer| Some((peer.id.as_str(), peer.name.as_deref()?))).collect();
    if args.json {
        say!("{}", serde_json::Value::from(grants.iter().map(grants::shown).collect::<Vec<_>>()));
        return Ok(());
    }
    if grants.is_empty() {
        say!("no grants; `portcullis grants add ID --models GLOBS --for 8h` makes one");
    }
    for grant in &grants {
        let until = grant.end().map(scope::shown).unwrap_or_default();
        let name = named.get(grant.identity.as_str()).map(|name| format!("  ({name})")).unwrap_or_default();
        say!("{:<8} {}  {}{name}  until {until}", grants::state(grant), grant.id, grant.identity);
        say!("         {}  {}", scope::words(&grant.scope), grant.note);
    }
    Ok(())
}

fn revoke(id: &str, args: &JsonArgs) -> Outcome {
    let grant = open(args)?.revoke(id).map_err(failure)?;
    if args.json {
        say!("{}", grants::shown(&grant));
    } else {
        say!("revoked: {} of {}", grant.id, grant.identity);
    }
    Ok(())
}

/// A config that does not hold still names its state directory, and somebody must be thrown out at any time. What is
/// in a store that gates share, it alone leads to.
fn open(args: &JsonArgs) -> Outcome<GrantBook> {
    let file = args.config.file()?;
    match config::load(&file) {
        Ok(config) => GrantBook::for_command(&config).map_err(failure),
        Err(_) if config::grants_are_local(&file) => {
            GrantBook::open(&args.config.state()?).map_err(|e| Failure::broken(e.to_string()))
        }
        Err(error) => Err(Failure::usage(format!(
            "{error}\nThe config may say `grants: shared`, and then the grants are in the store that gates share: set or \
             mend what is named above, or use `/api/v1/grants` of a running gate."
        ))),
    }
}

fn moment(text: &str) -> Result<i64, String> {
    let time = text.parse::<jiff::Timestamp>().map(|t| t.as_second());
    time.map_err(|_| format!("`{text}` is no time, expected such as `2026-12-24T18:00:00Z`"))
}

fn failure(error: GrantError) -> Failure {
    match error {
        GrantError::Meaning(_) => Failure::usage(error.to_string()),
        GrantError::Full | GrantError::Nobody(_) => Failure::no(error.to_string()),
        GrantError::Ledger(_) | GrantError::Shared(_) => Failure::broken(error.to_string()),
    }
}
