//! `portcullis keys`: bearer keys for clients that can do neither certificates nor signatures.

use std::time::Duration;

use clap::Subcommand;
use portcullis_certs::api_keys::{ApiKey, ApiKeyError, ApiKeys};
use portcullis_policies::IdentityMethod;
use serde_json::json;

use super::scope::{self, ScopeArgs, duration, ends_after, shown};
use super::{Failure, JsonArgs, Outcome, say};
use crate::keyring::now;

/// Commands of `keys`.
#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes a key and prints it, once. Only a keyed hash of it is stored.
    #[command(after_help = "Example:\n  portcullis keys add ci --ttl 30d --models 'llama3*' --tokens 100000/h")]
    Add {
        /// What it is called: its holder is `key:NAME`.
        name: String,
        /// How long it holds. Default: until it is revoked.
        #[arg(long, value_parser = duration)]
        ttl: Option<Duration>,
        /// The policy profile of its holder: it may then do what the rules for this profile say.
        #[arg(long, value_name = "PROFILE", value_parser = super::profile)]
        grant: Option<String>,
        #[command(flatten)]
        scope: ScopeArgs,
        #[command(flatten)]
        args: JsonArgs,
    },
    /// Shows every key, but not its secret.
    #[command(after_help = "Example:\n  portcullis keys list --json")]
    List(JsonArgs),
    /// Takes a key back, also on open connections.
    #[command(after_help = "Example:\n  portcullis keys revoke ci")]
    Revoke {
        /// Its name.
        name: String,
        #[command(flatten)]
        args: JsonArgs,
    },
}

pub(super) fn run(command: &KeysCommand) -> Outcome {
    match command {
        KeysCommand::Add { name, ttl, grant, scope, args } => add(name, *ttl, grant.as_deref(), scope, args),
        KeysCommand::List(args) => list(args),
        KeysCommand::Revoke { name, args } => revoke(name, args),
    }
}

fn add(name: &str, ttl: Option<Duration>, profile: Option<&str>, scope: &ScopeArgs, args: &JsonArgs) -> Outcome {
    let config = args.config.load()?;
    super::mind_profile(&config, profile);
    let keys = ApiKeys::open(&config.node.state).map_err(failure)?;
    let expires = ttl.map(|ttl| ends_after(ttl, now()));
    let key = keys.add(name, expires, profile, scope.scope(), now()).map_err(failure)?;
    if args.json {
        say!(
            "{}",
            json!({"name": name, "key": &**key, "identity": format!("key:{name}"), "expires": expires.map(shown)})
        );
    } else {
        // The key alone on standard output, so that `KEY=$(portcullis keys add …)` works.
        say!("{}", &**key);
        let until = expires.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {}", shown(at)));
        tell(&format!("This is its only copy. It holds {until}; clients send `Authorization: Bearer` and the key."));
        if !config.filters.identity.accept.contains(&IdentityMethod::ApiKey) {
            tell("The gate does not take API keys yet: write `accept: [mtls, api_key]` under `filters.identity`.");
        }
    }
    Ok(())
}

fn list(args: &JsonArgs) -> Outcome {
    let keys = open(args)?.list();
    if args.json {
        let shown: Vec<_> = keys.iter().map(entry).collect();
        say!("{}", serde_json::Value::from(shown));
        return Ok(());
    }
    if keys.is_empty() {
        say!("no API keys; `portcullis keys add NAME` makes one");
    }
    for key in &keys {
        let until = key.expires.map_or_else(|| "without an end".to_owned(), |at| format!("until {}", shown(at)));
        let profile = key.profile.as_deref().map(|p| format!("  profile {p}")).unwrap_or_default();
        say!("{:<8} {:<20} made {}  {until}{profile}", state(key), key.name, key.created);
        say!("         {}", scope::words(&key.scope));
    }
    Ok(())
}

fn revoke(name: &str, args: &JsonArgs) -> Outcome {
    let key = open(args)?.revoke(name, now()).map_err(failure)?;
    if args.json {
        say!("{}", entry(&key));
    } else {
        say!("revoked: key:{}", key.name);
    }
    Ok(())
}

fn open(args: &JsonArgs) -> Outcome<ApiKeys> {
    ApiKeys::open(&args.config.state()?).map_err(failure)
}

fn entry(key: &ApiKey) -> serde_json::Value {
    json!({
        "name": key.name, "state": state(key), "created": key.created, "expires": key.expires.map(shown),
        "revoked": key.revoked.map(shown), "profile": key.profile, "scope": key.scope,
    })
}

fn state(key: &ApiKey) -> &'static str {
    match (key.revoked, key.holds(now())) {
        (Some(_), _) => "revoked",
        (None, true) => "valid",
        (None, false) => "ended",
    }
}

fn failure(error: ApiKeyError) -> Failure {
    match error {
        ApiKeyError::Name(_) => Failure::usage(error.to_string()),
        ApiKeyError::Full | ApiKeyError::Nobody(_) | ApiKeyError::Taken(_) => Failure::no(error.to_string()),
        other => Failure::broken(other.to_string()),
    }
}

/// A word to the person, beside what a script reads.
fn tell(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
