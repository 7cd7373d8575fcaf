//! `portcullis enroll`: lets somebody in without an operator waiting for it.

use std::time::Duration;

use clap::Args;
use portcullis_certs::enrollment::{EnrollError, Enrollments, Invitation};
use serde_json::json;

use super::scope::{duration, ends_after, shown};
use super::{Failure, JsonArgs, Outcome, say};
use crate::keyring::now;

/// The longest that an invitation may stand open.
const MAX_TTL: Duration = Duration::from_secs(7 * 86_400);

/// Arguments of `enroll`.
#[derive(Args)]
pub(crate) struct EnrollArgs {
    /// How long the token can be used.
    #[arg(long, default_value = "15m", value_parser = duration)]
    ttl: Duration,
    /// How many callers it lets in.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    uses: u32,
    /// The policy profile of those who come in by it. Without one they may do what everybody may.
    #[arg(long, value_name = "PROFILE", value_parser = super::profile)]
    grant: Option<String>,
    /// What to call the one who comes in by it.
    #[arg(long)]
    name: Option<String>,
    /// No token: the next unknown caller is let in, one alone.
    #[arg(long, conflicts_with = "uses")]
    window: bool,
    /// Shows the tokens and the window that are open, without the tokens themselves.
    #[arg(long, conflicts_with_all = ["window", "uses", "grant", "name", "cancel"])]
    list: bool,
    /// Takes a token back, or closes the window: its id, as `--list` shows it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["window", "uses", "grant", "name"])]
    cancel: Option<String>,
    #[command(flatten)]
    args: JsonArgs,
}

pub(super) fn run(args: &EnrollArgs) -> Outcome {
    if args.list || args.cancel.is_some() {
        let open = Enrollments::open(&args.args.config.state()?).map_err(failure)?;
        return match &args.cancel {
            Some(id) => cancel(&open, id, args.args.json),
            None => list(&open, args.args.json),
        };
    }
    let config = args.args.config.load()?;
    super::mind_profile(&config, args.grant.as_deref());
    if args.ttl > MAX_TTL {
        return Err(Failure::usage("an invitation stands open for 7 days at most; write `--ttl 15m`"));
    }
    if let Some(name) = &args.name {
        if !portcullis_certs::trust::is_name(name) {
            return Err(Failure::usage(format!(
                "`{name}` cannot be a name, expected 1 to 64 letters, digits, `-`, `_` or `.`"
            )));
        }
        if args.uses > 1 {
            return Err(Failure::usage("`--name` is for one caller, and `--uses` says several"));
        }
    }
    let invitations = Enrollments::open(&config.node.state).map_err(failure)?;
    let (profile, name, expires) = (args.grant.as_deref(), args.name.as_deref(), ends_after(args.ttl, now()));
    if args.window {
        let made = invitations.open_window(expires, profile, name, now()).map_err(failure)?;
        if args.args.json {
            say!("{}", json!({"id": made.id, "window": true, "expires": shown(expires), "uses": 1}));
        } else {
            say!("The next unknown caller is let in, one alone, until {}.", shown(expires));
        }
        return Ok(());
    }
    let (made, token) = invitations.invite(expires, args.uses, profile, name, now()).map_err(failure)?;
    if args.args.json {
        say!("{}", json!({"id": made.id, "token": &**token, "expires": shown(expires), "uses": args.uses}));
    } else {
        // The token alone on standard output, so that a script can take it.
        say!("{}", &**token);
        use std::io::Write as _;
        let address = config.gate.server_names.first().map_or("HOST", String::as_str);
        let _ = writeln!(
            std::io::stderr(),
            "Good until {}. On the client: portcullis connect https://{address}:{} --token TOKEN",
            shown(expires),
            config.gate.listen.port(),
        );
    }
    Ok(())
}

fn list(invitations: &Enrollments, json: bool) -> Outcome {
    let open = invitations.list(now());
    if json {
        say!("{}", serde_json::Value::from(open.iter().map(entry).collect::<Vec<_>>()));
        return Ok(());
    }
    if open.is_empty() {
        say!("no invitation is open");
    }
    for one in &open {
        let kind = if one.is_window() { "window" } else { "token" };
        let profile = one.profile.as_deref().map(|p| format!("  profile {p}")).unwrap_or_default();
        let name = one.name.as_deref().map(|n| format!("  name {n}")).unwrap_or_default();
        say!("{:<8} {kind:<6} for {} more, until {}{profile}{name}", one.id, one.uses, shown(one.expires));
    }
    Ok(())
}

fn cancel(invitations: &Enrollments, id: &str, json: bool) -> Outcome {
    let Some(gone) = invitations.cancel(id).map_err(failure)? else {
        return Err(Failure::no(format!(
            "no open invitation has the id `{id}`; `portcullis enroll --list` shows them"
        )));
    };
    if json {
        say!("{}", entry(&gone));
    } else {
        say!("taken back: {}. A running gate follows within a second.", gone.id);
    }
    Ok(())
}

fn entry(one: &Invitation) -> serde_json::Value {
    json!({
        "id": one.id, "window": one.is_window(), "uses": one.uses, "expires": shown(one.expires),
        "profile": one.profile, "name": one.name,
    })
}

fn failure(error: EnrollError) -> Failure {
    match error {
        EnrollError::Full => Failure::no(error.to_string()),
        other => Failure::broken(other.to_string()),
    }
}
