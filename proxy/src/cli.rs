//! The command line: one program, a handful of obvious commands.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::config::ConfigError;

mod audit;
mod cert;
mod check;
mod client_config;
mod config;
mod connect;
mod decoding;
mod delegate;
mod demo;
mod doctor;
mod enroll;
mod explain;
mod grants;
mod http;
mod id;
pub(crate) mod init;
mod keys;
mod message;
mod osv;
mod peers;
mod places;
mod printable;
mod run;
mod sarif;
mod sca;
mod scan;
mod scope;
mod sign;
mod status;
mod tail;
mod verify;

pub(crate) use audit::as_cef;

/// A zero-trust sidecar proxy for local model servers.
#[derive(Parser)]
#[command(name = "portcullis", version, about, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Example:\n  portcullis init --upstream http://127.0.0.1:11434\n  portcullis run")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the whole product on a bare machine: a gate, a model, real requests, and what becomes of them.
    #[command(after_help = "Example:\n  portcullis demo --attack --once")]
    Demo(DemoArgs),
    /// Makes a config and a state directory with keys, a CA and a server certificate. Never overwrites.
    #[command(
        after_help = "Example:\n  portcullis init --dir /etc/portcullis --upstream http://127.0.0.1:11434 --kind ollama"
    )]
    Init(init::InitArgs),
    /// Runs the gate in the foreground. SIGTERM drains and stops, SIGHUP reloads.
    #[command(after_help = "Example:\n  portcullis run --config /etc/portcullis/portcullis.yaml")]
    Run(ConfigArg),
    /// Checks the config and every file it names, and prints what the gate would do.
    #[command(after_help = "Example:\n  portcullis check --config portcullis.yaml --json")]
    Check(JsonArgs),
    /// Shows this node: id, DID, public key, fingerprint.
    #[command(after_help = "Example:\n  portcullis id show --json")]
    Id(id::IdArgs),
    /// Decides who is trusted.
    #[command(after_help = "Example:\n  portcullis peers pending\n  portcullis peers approve 56:47:5a:a7 --name alice")]
    Peers {
        #[command(subcommand)]
        what: peers::PeersCommand,
    },
    /// Prints a one-time token that lets a client in without an operator.
    #[command(after_help = "Example:\n  portcullis enroll --ttl 15m --name alice --grant chat")]
    Enroll(enroll::EnrollArgs),
    /// Rights for a time, for one caller.
    #[command(
        after_help = "Example:\n  portcullis grants add alice --models 'llama3*' --for 8h\n  portcullis grants list"
    )]
    Grants {
        #[command(subcommand)]
        what: grants::GrantsCommand,
    },
    /// Bearer API keys.
    #[command(
        after_help = "Example:\n  portcullis keys add ci --ttl 30d --models 'llama3*'\n  portcullis keys revoke ci"
    )]
    Keys {
        #[command(subcommand)]
        what: keys::KeysCommand,
    },
    /// Certificates: the gate's own, and those of callers.
    #[command(
        after_help = "Example:\n  portcullis cert issue alice --ttl 30d\n  portcullis cert show alice.crt\n  portcullis cert revoke alice.crt"
    )]
    Cert {
        #[command(subcommand)]
        what: cert::CertCommand,
    },
    /// Reads and checks the audit log.
    #[command(after_help = "Example:\n  portcullis audit verify\n  portcullis audit show --decision block --since 10m")]
    Audit {
        #[command(subcommand)]
        what: audit::AuditCommand,
    },
    /// Checks what usually goes wrong, one line each, with the reason and the remedy.
    #[command(after_help = "Example:\n  portcullis doctor --json")]
    Doctor(JsonArgs),
    /// Shows what the running gate does now.
    #[command(after_help = "Example:\n  portcullis status --watch")]
    Status(status::StatusArgs),
    /// Tells which filter and rule decided a request, where the rule stands, and what would have been needed.
    #[command(after_help = "Example:\n  portcullis explain 01KAJ3Y7Z6M1R4T8V0X2B5D7FH --json")]
    Explain(explain::ExplainArgs),
    /// Follows the running gate's decisions as they fall.
    #[command(after_help = "Example:\n  portcullis tail --denied")]
    Tail(tail::TailArgs),
    /// Signs a request by hand, and shows what is signed.
    #[command(
        after_help = "Example:\n  portcullis sign POST https://gpu-box:8443/api/chat -H 'content-type: application/json' --body chat.json --curl"
    )]
    Sign(sign::SignArgs),
    /// Shows what the signature of a request covers, and whether it holds, step by step.
    #[command(after_help = "Example:\n  portcullis verify --request captured.http")]
    Verify(verify::VerifyArgs),
    /// Looks for secrets, and for orders to a model, in files, standard input or a git diff. 1: something was found.
    #[command(
        after_help = "Example:\n  portcullis scan src/ docs/\n  portcullis scan --staged\n  portcullis scan --sarif --report scan.sarif ."
    )]
    Scan(scan::ScanArgs),
    /// Judges dependencies as the gate does: manifests, lock files, lists, what a model said. 1: something is blocked, even
    /// where something else cannot be judged; 3: nothing is, and something cannot be judged.
    #[command(
        after_help = "Example:\n  portcullis sca requirements.txt Cargo.lock\n  ollama run llama3.2 'How do I parse YAML?' | portcullis sca --json\n  portcullis sca --sarif --block-at critical package-lock.json > sca.sarif"
    )]
    Sca(sca::ScaArgs),
    /// The local database of advisories, which the `sca` filter asks.
    #[command(after_help = "Example:\n  portcullis osv sync\n  portcullis osv status")]
    Osv {
        #[command(subcommand)]
        what: osv::OsvCommand,
    },
    /// Shows the version.
    #[command(after_help = "Example:\n  portcullis version --json")]
    Version {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints a completion script.
    #[command(after_help = "Example:\n  portcullis completions bash > /etc/bash_completion.d/portcullis")]
    Completions {
        /// For this shell.
        shell: clap_complete::Shell,
    },
    /// Shows the config's schema, or the config as it is understood.
    #[command(after_help = "Example:\n  portcullis config schema > portcullis.schema.json\n  portcullis config show")]
    Config {
        #[command(subcommand)]
        what: config::ConfigCommand,
    },
    /// Opens a door to a gate: plain HTTP on loopback, for programs that know nothing of certificates.
    #[command(after_help = "Example:\n  portcullis connect https://gpu-box:8443\n  \
                            OLLAMA_HOST=127.0.0.1:11434 ollama run llama3.2")]
    Connect(connect::ConnectArgs),
    /// Prints what a client needs to reach this gate.
    #[command(after_help = "Example:\n  portcullis client-config openai-python")]
    ClientConfig(client_config::ClientConfigArgs),
}

/// Arguments of `demo`.
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Also sends one of every kind that must be refused.
    #[arg(long)]
    pub(crate) attack: bool,
    /// Ends after the tour: 0 when every outcome was the expected one.
    #[arg(long)]
    pub(crate) once: bool,
}

/// A config file.
#[derive(Args, Clone)]
pub(crate) struct ConfigArg {
    /// The config file. Default: $PORTCULLIS_CONFIG, ./portcullis.yaml, /etc/portcullis/portcullis.yaml.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A config file, and whether to print JSON.
#[derive(Args, Clone)]
pub(crate) struct JsonArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArg,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ConfigArg {
    /// The file's path.
    pub(crate) fn file(&self) -> Outcome<PathBuf> {
        crate::config::find(self.config.as_deref()).map_err(Failure::usage)
    }

    /// The state directory, also of a config that does not hold: somebody must be thrown out at any time.
    pub(crate) fn state(&self) -> Outcome<PathBuf> {
        let file = self.file()?;
        match crate::config::load(&file) {
            Ok(config) => Ok(config.node.state),
            Err(error) => {
                let Some(state) = crate::config::state_of(&file) else { return Err(error.into()) };
                use std::io::Write as _;
                let _ = writeln!(
                    std::io::stderr(),
                    "portcullis: the config does not hold (`portcullis check` says why); working on `{}`, which it names",
                    state.display()
                );
                Ok(state)
            }
        }
    }

    /// Where the running gate is asked, also of a config that does not hold: what is wrong with it is said, and given
    /// back for what cannot be done without it.
    pub(crate) fn running(&self) -> Outcome<(crate::config::Running, Result<crate::config::Config, ConfigError>)> {
        let file = self.file()?;
        let loaded = crate::config::load(&file);
        let running = match &loaded {
            Ok(config) => config.into(),
            Err(error) => {
                let Some(running) = crate::config::Running::of(&file) else { return Err(error.clone().into()) };
                use std::io::Write as _;
                let _ = writeln!(
                    std::io::stderr(),
                    "portcullis: {error}\nportcullis: the config on disk does not hold; asking the gate on {}, which it \
                     names and which goes on with the config that it has",
                    running.admin
                );
                running
            }
        };
        Ok((running, loaded))
    }

    /// The config, checked.
    pub(crate) fn load(&self) -> Outcome<crate::config::Config> {
        Ok(crate::config::load(&self.file()?)?)
    }
}

/// Why a command ends with something else than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

/// What commands return.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// The answer is no: a finding, a block, a verification that failed.
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// Wrong usage or config.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// The world did not play along.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { code: 3, message: message.into() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<ConfigError>() {
            Ok(config) => config.into(),
            Err(error) => Self::broken(format!("{error:#}")),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::broken(error.to_string())
    }
}

/// Reads a policy profile's name.
pub(crate) fn profile(text: &str) -> Result<String, String> {
    portcullis_certs::trust::is_name(text)
        .then(|| text.to_owned())
        .ok_or_else(|| "expected 1 to 64 letters, digits, `-`, `_` or `.`".to_owned())
}

/// Says so when no rule is about a profile: whoever has it may do nothing but what it is granted besides.
pub(crate) fn mind_profile(config: &crate::config::Config, profile: Option<&str>) {
    let Some(profile) = profile.filter(|profile| !config.policy.knows_profile(profile)) else { return };
    use std::io::Write as _;
    let _ = writeln!(
        std::io::stderr(),
        "portcullis: no rule of the policy is about the profile `{profile}`, so whoever has it may do only what \
         `portcullis grants add` gives; the built-in policy knows `chat` and `read`"
    );
}

/// Whether to colour what goes to standard output.
pub(crate) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Prints a line; a reader that went away is no error.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}
pub(crate) use say;

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Run(args) => args.file().and_then(|file| Ok(run::run(&file)?)),
        Command::Check(args) => check::run(&args),
        Command::Id(args) => id::run(&args),
        Command::Peers { what } => peers::run(&what),
        Command::Enroll(args) => enroll::run(&args),
        Command::Grants { what } => grants::run(&what),
        Command::Keys { what } => keys::run(&what),
        Command::Cert { what } => cert::run(&what),
        Command::Audit { what } => audit::run(&what),
        Command::Doctor(args) => doctor::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Sca(args) => sca::run(&args),
        Command::Osv { what } => osv::run(&what),
        Command::Version { json } => {
            if json {
                say!("{}", serde_json::json!({"version": env!("CARGO_PKG_VERSION")}));
            } else {
                say!("portcullis {}", env!("CARGO_PKG_VERSION"));
            }
            Ok(())
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "portcullis", &mut script);
            say!("{}", String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
        Command::Config { what } => config::run(&what),
        Command::Connect(args) => connect::run(&args),
        Command::ClientConfig(args) => client_config::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                use std::io::Write as _;
                let _ = writeln!(std::io::stderr(), "portcullis: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

/// The clients that `client-config` knows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ClientKind {
    /// The Ollama command line.
    Ollama,
    /// The Python package `openai`.
    OpenaiPython,
    /// The Python package `ollama`.
    OllamaPython,
    /// Node.js.
    Node,
    /// curl.
    Curl,
    /// Open WebUI.
    OpenWebui,
    /// Continue.
    Continue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command) {
            for command in command.get_subcommands() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.starts_with("Example:") || command.has_subcommands(), "{}", command.get_name());
                check(command);
            }
        }
        Cli::command().debug_assert();
        check(&Cli::command());
    }
}
