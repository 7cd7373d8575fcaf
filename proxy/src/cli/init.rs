//! `portcullis init`: a config, keys, and the next two commands.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use portcullis_certs::ca::SERVER_LIFETIME;
use portcullis_certs::{Ca, NodeKey, San, TrustStore, files};
use portcullis_policies::UpstreamKind;

use super::{Failure, Outcome, http, say};
use crate::audit_log::{self, AuditKey};
use crate::store;

/// Arguments of `init`.
#[derive(Args, Clone)]
pub(crate) struct InitArgs {
    /// Where the config and the state directory go.
    #[arg(long, default_value = ".")]
    pub(crate) dir: PathBuf,
    /// What this node is called. Default: the host's name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The model server. Default: the one that answers on its usual loopback port.
    #[arg(long)]
    pub(crate) upstream: Option<String>,
    /// What kind of server it is: ollama, llamacpp, openai, llmesh. Default: what it says itself.
    #[arg(long)]
    pub(crate) kind: Option<String>,
}

/// What `init` made and what was there before.
pub(crate) struct Made {
    pub(crate) config: PathBuf,
    pub(crate) lines: Vec<String>,
    pub(crate) fingerprint: String,
}

pub(super) fn run(args: &InitArgs) -> Outcome {
    let made = init(args)?;
    for line in &made.lines {
        say!("{line}");
    }
    let config = made.config.display();
    say!();
    say!("This node's fingerprint: {}", made.fingerprint);
    say!("Clients compare it when they first come: portcullis connect https://HOST:8443");
    say!("Clients without a door trust the gate by this file: {}", args.dir.join("state/ca.crt").display());
    say!();
    say!("Next:");
    say!("  portcullis run --config {config}");
    say!("  portcullis enroll --config {config}            # a token that lets a client in, or");
    say!("  portcullis peers pending --config {config}     # who has knocked, and waits for your word");
    Ok(())
}

/// Makes what is missing. Nothing that is there is changed.
pub(crate) fn init(args: &InitArgs) -> Outcome<Made> {
    let state = args.dir.join("state");
    let broken = |e: &dyn std::fmt::Display| Failure::broken(e.to_string());
    if let Some(name) = &args.name
        && (name.is_empty()
            || name.len() > 63
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)))
    {
        return Err(Failure::usage(format!(
            "`{name}` cannot be a node's name, expected 1 to 63 letters, digits, `-`, `_` or `.`"
        )));
    }
    let name = args.name.clone().unwrap_or_else(host_name);
    let (url, kind, note) = upstream(args)?;
    std::fs::create_dir_all(&args.dir)
        .map_err(|e| Failure::broken(format!("cannot make `{}`: {e}", args.dir.display())))?;
    files::create_private_dir(&state).map_err(|e| broken(&e))?;
    let mut lines = Vec::from_iter(note);
    let mut told = |path: &Path, made: bool| {
        lines.push(format!("{} {}", if made { "made    " } else { "exists  " }, path.display()));
    };

    let node_path = state.join("node.key");
    let made = !node_path.exists();
    if made {
        NodeKey::generate().and_then(|key| key.save_new(&node_path)).map_err(|e| broken(&e))?;
    }
    told(&node_path, made);
    let node = NodeKey::load(&node_path).map_err(|e| broken(&e))?.public();
    if made {
        // A new node has no past: nothing that was ever signed for it could come again.
        store::begin(&store::replay_dir(&state), &node.node_id()).map_err(|e| broken(&e))?;
    }

    let (ca_crt, ca_key) = (state.join("ca.crt"), state.join("ca.key"));
    let made = !ca_key.exists();
    if made {
        Ca::create(&name).and_then(|ca| ca.save_new(&ca_crt, &ca_key)).map_err(|e| broken(&e))?;
    }
    told(&ca_crt, made);

    let (crt, key) = (state.join("server.crt"), state.join("server.key"));
    let made = !key.exists() || !crt.exists();
    if made {
        let issued = Ca::load(&ca_crt, &ca_key)
            .and_then(|ca| ca.issue_server(&names(&name), SERVER_LIFETIME))
            .map_err(|e| broken(&e))?;
        if !key.exists() {
            files::write_new_private(&key, issued.key.as_bytes()).map_err(|e| broken(&e))?;
            files::write_private(&crt, issued.chain.as_bytes()).map_err(|e| broken(&e))?;
        } else {
            return Err(Failure::broken(format!(
                "`{}` is there without its certificate; move it away to make a new pair",
                key.display()
            )));
        }
    }
    told(&crt, made);

    let audit = [audit_log::FIRST, audit_log::MASTER].map(|name| state.join(name)).map(|path| (!path.exists(), path));
    AuditKey::load_or_create(&state).map_err(|e| broken(&format!("{e:#}")))?;
    audit.iter().for_each(|(made, path)| told(path, *made));

    let token = state.join("admin.token");
    let made = !token.exists();
    if made {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| broken(&e))?;
        let text = data_encoding::BASE64URL_NOPAD.encode(&bytes);
        files::write_new_private(&token, text.as_bytes()).map_err(|e| broken(&e))?;
    }
    told(&token, made);
    TrustStore::open(&state).map_err(|e| broken(&e))?;

    let config = args.dir.join("portcullis.yaml");
    let made = !config.exists();
    if made {
        std::fs::write(&config, template(&name, &url, kind))
            .map_err(|e| Failure::broken(format!("cannot write `{}`: {e}", config.display())))?;
    }
    told(&config, made);
    Ok(Made { config, lines, fingerprint: node.fingerprint() })
}

/// The upstream's URL and kind, and a word about how they were found.
fn upstream(args: &InitArgs) -> Outcome<(String, UpstreamKind, Option<String>)> {
    let named = match args.kind.as_deref() {
        None => None,
        Some("ollama") => Some(UpstreamKind::Ollama),
        Some("llamacpp") => Some(UpstreamKind::LlamaCpp),
        Some("openai") => Some(UpstreamKind::OpenAi),
        Some("llmesh") => Some(UpstreamKind::LlMesh),
        Some(other) => {
            return Err(Failure::usage(format!(
                "`{other}` is not a kind of server that this release knows, expected `ollama`, `llamacpp`, `openai` or `llmesh`"
            )));
        }
    };
    if let Some(url) = &args.upstream {
        let url = url.trim_end_matches('/').to_owned();
        if !url.starts_with("http://") {
            return Err(Failure::usage(format!(
                "`{url}` is not the address of a model server, expected `http://HOST:PORT` such as http://127.0.0.1:11434"
            )));
        }
        let kind = named.or_else(|| http::kind_of(&url));
        let note = kind
            .is_none()
            .then(|| format!("nothing answered at {url}; it is taken for an Ollama (`--kind` says otherwise)"));
        return Ok((url, kind.unwrap_or(UpstreamKind::Ollama), note));
    }
    for url in ["http://127.0.0.1:11434", "http://127.0.0.1:8080", "http://127.0.0.1:9931"] {
        if let Some(kind) = http::kind_of(url).filter(|k| named.is_none_or(|n| n == *k)) {
            return Ok((url.to_owned(), kind, Some(format!("found    {} at {url}", kind.as_str()))));
        }
    }
    let kind = named.unwrap_or(UpstreamKind::Ollama);
    let url = if kind == UpstreamKind::Ollama { "http://127.0.0.1:11434" } else { "http://127.0.0.1:8080" };
    Ok((
        url.to_owned(),
        kind,
        Some(format!("no model server answered on its usual port; {url} is written into the config")),
    ))
}

pub(crate) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(63).collect();
    if plain.is_empty() { "portcullis".to_owned() } else { plain }
}

/// The names in the server certificate.
fn names(name: &str) -> Vec<San> {
    let mut names = vec![San::Dns("localhost".to_owned())];
    for host in [name.to_owned(), host_name()] {
        // A host may be called what no certificate can say; then it is reached by its address.
        if let Ok(san @ San::Dns(_)) = host.replace('_', "-").parse::<San>()
            && !names.contains(&san)
        {
            names.push(san);
        }
    }
    let mut addresses: Vec<IpAddr> = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];
    addresses.extend(outward_address());
    names.extend(addresses.into_iter().map(San::Ip));
    names
}

/// The address that this machine would speak from to others. Connecting a datagram socket sends
/// nothing; it only asks the routing table.
fn outward_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|a| a.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

fn template(name: &str, url: &str, kind: UpstreamKind) -> String {
    let host = host_name();
    let kind = kind.as_str();
    format!(
        r#"# Portcullis: a gate in front of a model server. `portcullis check` explains this file.
node:
  name: {name}
  state: ./state                 # keys, trust and the audit log
gate:
  listen: 0.0.0.0:8443
  tls: mutual                    # clients show a certificate; an unknown one is pending until you approve it
  drain: 30s                     # how long running answers may take to finish on SIGTERM
  server_names: [{host}]         # names under which clients address this gate, beside localhost and addresses
  # limits: {{connections: 10000, header_bytes: 32KiB, body_bytes: 16MiB, header_timeout: 10s, body_timeout: 60s, idle_timeout: 75s, h2_streams: 100}}
admin:
  listen: 127.0.0.1:9901
upstreams:
  local: {{url: "{url}", kind: {kind}}}
  #        slots: auto, queue: {{length: 256, per_caller: 64, wait: 120s}}   # who waits for a free slot, and how long
routes:
  - {{to: [local]}}                # which routes are open is the policy's to say
# chain: [identity, signature, ratelimit, policy, firewall, schema, sca, audit]   # the default; sca once it is written below
filters:
  identity: {{accept: [mtls], trust: tofu}}       # accept: mtls, signature, api_key, jwt, ollama_key; trust: tofu | ca | pinned
  signature: {{require: peers, window: 30s}}      # who must sign: peers (who claim to be a node) | always | never
  # ratelimit: {{requests: 600/m, tokens: 2000000/h, concurrent: 16}}   # each caller; per_model and global take the same
  # policy: {{file: policy.yaml}}                 # default: approved callers run local models, and nothing else
  firewall: {{mode: enforce, block_at: L3}}       # enforce | shadow | off
  #           rules: [builtin, 'firewall/*.toml']       # rule files in gitleaks' format, beside this file
  #           pii: off, structural: flag                # data on persons: off | flag | redact | block
  #           injection: {{threshold: 50, action: flag}}  # orders to the model, by a score of 1 to 100
  #           disable: [], actions: {{jwt: redact}}       # single rules, by name: block | redact | flag
  # schema: {{tools: {{model: NAME}}}}              # serves LLMesh's tools with this model; answers fit what was asked for
  # sca: {{block_at: high, source: local}}         # packages that answers bring in; `portcullis osv sync` gets advisories
  audit: {{fsync: batch}}                         # batch | always | off
watch: false                     # true: reload when this file changes; SIGHUP always does
"#
    )
}
