//! `portcullis connect`: doors to gates.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use portcullis_certs::{NodeIdentity as _, NodeKey, NodePublic};
use tokio::signal::unix::{SignalKind, signal};

use self::plan::{Plan, Wanted, read};
use super::{Failure, Outcome};
use crate::door::Door;
use crate::door::address::GateAddress;
use crate::door::content::Room;
use crate::door::dial::{self, DialError};
use crate::door::guard::Guard;
use crate::door::home::{Home, KnownGate};
use crate::door::link::Link;
use crate::door::name;
use crate::door::signer::Signer;
use crate::door::standing::{Standing, Watch, misread};

mod plan;

/// The port after an Ollama's own.
const NEXT_PORT: u16 = 11435;

/// Arguments of `connect`.
#[derive(Args)]
pub(crate) struct ConnectArgs {
    /// The gates, such as https://gpu-box:8443.
    #[arg(value_name = "GATE_URL", required_unless_present = "forget")]
    gates: Vec<String>,
    /// Where the door listens: loopback alone. One for each gate; for a single gate the default is
    /// 127.0.0.1:11434, where the clients of an Ollama look.
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// The gate's fingerprint, as `portcullis id` shows it there, instead of a question. One for each gate.
    #[arg(long, value_name = "FINGERPRINT")]
    pin: Vec<String>,
    /// A token of `portcullis enroll`, which lets the door in without further approval; `file:PATH` reads it.
    #[arg(long)]
    token: Option<String>,
    /// What the gate's operator sees this door as. Default: the host's name and the first four hex digits of the
    /// door's fingerprint.
    #[arg(long)]
    name: Option<String>,
    /// Where the door's key and the gates that it met are kept. Default: $PORTCULLIS_DOOR,
    /// $XDG_STATE_HOME/portcullis, ~/.local/state/portcullis.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A web page that may use the door, such as http://localhost:3000.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// A delegated grant, which goes with every request.
    #[arg(long, value_name = "FILE")]
    grant: Option<PathBuf>,
    /// Forgets the key of a gate, and ends: the next contact is a first one.
    #[arg(long, value_name = "GATE_URL", conflicts_with_all = ["gates", "listen", "pin", "token", "grant"])]
    forget: Vec<String>,
}

pub(super) fn run(args: &ConnectArgs) -> Outcome {
    let plan = Plan::new(args)?;
    let home = Home::open(args.dir.as_deref()).map_err(broken)?;
    if !args.forget.is_empty() {
        return forget(&home, &args.forget);
    }
    let key = home.key().map_err(broken)?;
    // A certificate cannot carry every name: that is said before anybody is asked anything.
    let name = plan.name.clone().unwrap_or_else(|| name::usual(&key.public()));
    key.self_signed_cert(&name).map_err(|e| Failure::usage(format!("{e}; give another with --name")))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(open(&plan, &home, (&key, &name)));
    // A question that nobody answers, or a name that nobody knows, is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn open(plan: &Plan, home: &Home, own: (&Arc<NodeKey>, &str)) -> Outcome {
    // Signals are caught before anything is open.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let opening = async {
        let mut listeners = Vec::new();
        for wanted in &plan.doors {
            listeners.push(bind(wanted.listen).await?);
        }
        let room = Room::new();
        let mut doors = Vec::new();
        for (wanted, listener) in plan.doors.iter().zip(listeners) {
            let known = acquaint(home, wanted).await?;
            doors.push((make(plan, own, (&wanted.gate, known), &room, &listener).await?, listener));
        }
        Ok::<_, Failure>(doors)
    };
    let doors = tokio::select! {
        doors = opening => doors?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Err(Failure::no("interrupted before the door was open.")),
    };
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let served: Vec<_> =
        doors.into_iter().map(|(door, listener)| tokio::spawn(door.serve(listener, stopped.clone()))).collect();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tell("closing: no new requests, running answers may finish.");
    let _ = stop.send(true);
    tokio::select! {
        _ = futures::future::join_all(served) => {}
        // Whoever asks twice does not want to wait.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Builds a door, and asks its gate how it stands.
async fn make(
    plan: &Plan,
    (key, name): (&Arc<NodeKey>, &str),
    (gate, known): (&GateAddress, KnownGate),
    room: &Room,
    listener: &tokio::net::TcpListener,
) -> Outcome<Arc<Door>> {
    let listen = listener.local_addr()?;
    let public = key.public();
    let watch =
        Watch::new(gate.clone(), known.fingerprint.clone(), (public.identity(), public.fingerprint(), name.to_owned()));
    let guard = Guard::new(listen, plan.origins.clone());
    let node = NodePublic::from_node_id(&known.node_id).map_err(broken)?;
    let signer = Signer::new(Arc::clone(key), known.node_id);
    let link = Link::new(gate.clone(), known.fingerprint, signer, name.to_owned());
    let door = Arc::new(Door::new(
        (gate.clone(), node),
        (guard, room.clone()),
        link,
        watch,
        (plan.token.clone(), plan.grant.clone()),
    ));
    if let Standing::Foreign(_) = door.greet().await {
        return Err(Failure::no(format!("the door to {gate} stays shut.")));
    }
    tell(&format!("http://{listen} leads to {gate}."));
    Ok(door)
}

/// Who the gate is: remembered, pinned, or asked.
async fn acquaint(home: &Home, wanted: &Wanted) -> Outcome<KnownGate> {
    let Wanted { gate, pin, .. } = wanted;
    let pin = pin.as_deref();
    if let Some(known) = home.gate(gate) {
        return match pin {
            Some(pin) if pin != known.fingerprint => Err(Failure::no(format!(
                "{gate} was met with the key {} on {}, and --pin names {pin}. Ask its operator which one holds; \
                 to forget the old one: portcullis connect --forget https://{gate}",
                known.fingerprint, known.first_seen
            ))),
            _ => Ok(known),
        };
    }
    let shown = dial::ask(gate).await.map_err(|error| match error {
        DialError::NoGate(_) => Failure::no(format!("{gate}: {error}")),
        other => Failure::broken(format!("{gate}: {other}. Is the gate up, and its port open from here?")),
    })?;
    let met = KnownGate::new(shown.identity.as_str(), &shown.fingerprint);
    match pin {
        Some(pin) if pin != shown.fingerprint => return Err(Failure::no(misread(gate, pin, &shown.fingerprint))),
        Some(_) => {}
        None => {
            // Apart from the signals, so that Ctrl-C is an answer too.
            let (gate, met, typed) = (gate.clone(), met.clone(), wanted.typed.clone());
            tokio::task::spawn_blocking(move || ask_person(&gate, &met, &typed)).await.map_err(broken)??;
        }
    }
    home.remember(gate, met.clone()).map_err(broken)?;
    tell(&format!("{gate} is remembered by the key {}.", met.fingerprint));
    Ok(met)
}

/// Whether the person at the terminal takes this key for the gate's. Without one, what was typed comes back
/// with the pin.
fn ask_person(gate: &GateAddress, met: &KnownGate, typed: &str) -> Outcome {
    let (fingerprint, node) = (&met.fingerprint, &met.node_id);
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "{gate} was never met, and nobody is here to be asked. It shows the key {fingerprint} ({node}). If that \
             is what `portcullis id` shows on the gate, write:\n  {typed} --pin {fingerprint}"
        )));
    }
    let mut err = std::io::stderr();
    write!(
        err,
        "{gate} was never met. It shows:\n  fingerprint  {fingerprint}\n  node id      {node}\n\
         `portcullis id` on the gate shows the same, or it is not that gate. Is it the same? [y/N] "
    )?;
    err.flush()?;
    let mut said = String::new();
    std::io::stdin().lock().read_line(&mut said)?;
    if matches!(said.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::no("not connected, and nothing was remembered."))
}

fn forget(home: &Home, gates: &[String]) -> Outcome {
    for gate in read(gates, GateAddress::parse)? {
        match home.forget(&gate).map_err(broken)? {
            Some(known) => tell(&format!("the key {} of {gate} is forgotten.", known.fingerprint)),
            None => return Err(Failure::no(format!("no key of {gate} is remembered."))),
        }
    }
    Ok(())
}

async fn bind(listen: SocketAddr) -> Outcome<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(listen).await.map_err(|error| {
        let used = error.kind() == std::io::ErrorKind::AddrInUse;
        let hint = if used { "another program, perhaps an Ollama, uses it: stop that, or " } else { "" };
        let free = if listen.port() == NEXT_PORT { NEXT_PORT + 1 } else { NEXT_PORT };
        Failure::broken(format!(
            "cannot listen on {listen}: {error}; {hint}choose another, such as `--listen 127.0.0.1:{free}`: clients \
             then need OLLAMA_HOST=127.0.0.1:{free}"
        ))
    })
}

fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "portcullis: {what}");
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::broken(error.to_string())
}
