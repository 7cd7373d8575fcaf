//! `portcullis run`: the gate, in the foreground.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use portcullis_certs::NodeKey;
use tokio::signal::unix::{SignalKind, signal};

use crate::answering::Signatory;
use crate::audit_log::export::{Exports, Sender};
use crate::audit_log::{AuditKey, AuditLog, Opened};
use crate::budgets::{self, Budgets, Counts};
use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::decisions::Decisions;
use crate::floods::Floods;
use crate::generation::{Generation, Surroundings};
use crate::grants::GrantBook;
use crate::keyring::Keyring;
use crate::listener::{Handshake, Listener};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::packages::Packages;
use crate::privacy::Privacy;
use crate::queue::Queues;
use crate::rulebook::RuleBook;
use crate::running::Running;
use crate::service::{self, Service};
use crate::store::Stores;
use crate::trust::Trust;
use crate::witness::Witness;
use crate::witnessed::Witnesses;
use crate::{admin, logging};

/// How long the newest entries of the log may take to reach where they are passed on to, once the gate ends.
const LAST_EXPORT: Duration = Duration::from_secs(5);

/// Runs the gate until it is told to stop.
///
/// # Errors
/// When it cannot start. What it cannot do later it says in the log, and stays shut.
pub(crate) fn run(file: &Path) -> anyhow::Result<()> {
    logging::start();
    raise_file_limit();
    rustls::crypto::ring::default_provider().install_default().ok();
    let config = config::load(file)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("admin").enable_all().build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let state = config.node.state.clone();
    let drain = config.gate.drain;
    let metrics = Metrics::new()?;
    let (audit, opened, key) = open_audit(&config).await?;
    audit.observe(metrics.audit.write.clone());
    let privacy = Arc::new(Privacy::new(&config.filters.audit, &key.segments())?);
    let fingerprints = key.fingerprints();
    if let Some(entries) = opened.read_anew {
        tracing::warn!(entries, "Nothing said where the audit log stood; all of its entries were read and checked.");
    }
    if let Some(bytes) = opened.repaired {
        tracing::warn!(
            bytes,
            "The audit log's last line was torn, as after a power cut; it was removed, and that was noted."
        );
    }
    let store = portcullis_certs::trust::TrustStore::open(&state)?;
    let invitations = portcullis_certs::enrollment::Enrollments::open(&state)?;
    let node = load_node(&state)?;
    let sender = Sender { id: node.public().node_id(), name: config.node.name.clone() };
    let exports = Arc::new(Exports::start(&audit, &state, &sender, &config.filters.audit.export, &metrics)?);
    let certificates = Certificates::open(&config, &node, &metrics)?;
    let trust = Arc::new(Trust::new(store, invitations, Arc::clone(&certificates), Arc::clone(&metrics)));
    let clock = Arc::new(Clock::system());
    let stores = Arc::new(Stores::open(&config, &node.public().node_id(), &clock, &metrics)?);
    let (nonces, id) = (Arc::clone(&stores.nonces), node.public().node_id());
    let keyring = Keyring::open(&state, id, Arc::clone(&trust), nonces, Arc::clone(&clock) as _)?;
    let (budgets, spent) = Budgets::open(&state)?;
    let shared = stores.shared.as_ref().filter(|_| config.filters.ratelimit.store == config::Counting::Shared);
    let (budgets, counters) = (Arc::new(budgets), Counts::open(shared, spent));
    let floods = Arc::new(Floods::new(counters.of_strangers(), Arc::clone(&privacy)));
    let grants = Arc::new(GrantBook::of(&config, stores.shared.as_ref())?);
    let surroundings = Surroundings {
        grants: Arc::clone(&grants),
        keyring: keyring.clone(),
        node: http::HeaderValue::from_str(&node.public().node_id())?,
        metrics: Arc::clone(&metrics),
        trust: Arc::clone(&trust) as _,
        audit: Arc::clone(&audit) as _,
        findings: Arc::clone(&metrics) as _,
        fingerprints,
        rules: RuleBook::default(),
        packages: Packages::default(),
        schemas: Arc::default(),
        answered: Arc::default(),
        counters: counters.for_callers(),
        nonces: Arc::clone(&stores.nonces),
        clock: Arc::clone(&clock) as _,
        queues: Queues::default(),
    };
    let signer = Arc::new(load_node(&state)?);
    let witnesses = Witnesses::of(&config, &audit, &signer, &metrics).map_err(anyhow::Error::msg)?;
    let witnesses = Arc::new(witnesses);
    let witness = Witness::open(&state, signer, Arc::clone(&clock) as _)?;
    let admin_socket = admin::bind(config.admin.listen)?;
    let admin_address = admin_socket.local_addr()?;
    let token = read_token(&state.join("admin.token"))?;
    let handshake = Handshake { tls: config.gate.tls, certificates: Arc::clone(&certificates) };
    let generation = Generation::build(1, config, &surroundings)?;
    let current = Arc::new(ArcSwap::from_pointee(generation));
    let limits = current.load().limits.clone();
    let decisions = Decisions::new();
    let running = Arc::new(Running {
        current: Arc::clone(&current),
        surroundings,
        audit: Arc::clone(&audit),
        exports: Arc::clone(&exports),
        witnesses: Arc::clone(&witnesses),
        unkept: Arc::clone(witness.unkept()),
        trust: Arc::clone(&trust),
        certificates: Arc::clone(&certificates),
        stores: Arc::clone(&stores),
        metrics: Arc::clone(&metrics),
        decisions: Arc::clone(&decisions),
        listening: AtomicBool::new(false),
        began: Instant::now(),
    });
    tokio::spawn(Arc::clone(&trust).keep());
    tokio::spawn(certificates.keep());
    tokio::spawn(Arc::clone(&clock).keep(Arc::clone(&metrics)));
    tokio::spawn(stores.keep(Arc::clone(&metrics)));
    tokio::spawn(grants.keep());
    tokio::spawn(keyring.keep(Arc::clone(&current)));
    tokio::spawn(Arc::clone(&running).watch_upstreams());
    tokio::spawn(budgets::keep(counters.clone(), Arc::clone(&budgets)));
    tokio::spawn(Arc::clone(&floods).keep(Arc::clone(&audit) as _));
    tokio::spawn(admin::serve(admin_socket, Arc::clone(&running), token));

    // Signals are caught before the gate opens: one that comes early must not kill it mid-start.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let service = Service {
        current: Arc::clone(&current),
        audit: Arc::clone(&audit) as _,
        privacy,
        metrics: Arc::clone(&metrics),
        decisions,
        memory: Memory::new(limits.buffered_bytes, limits.body_bytes),
        floods: Arc::clone(&floods),
        signatory: Signatory::new(node, Arc::clone(&running.surroundings.clock)),
        witness,
        options: service::options(limits.idle_timeout),
    };
    let listener = Listener::start(&current, service, handshake, &metrics)?;
    running.listening.store(true, Ordering::Release);
    witnesses.keep();
    tracing::info!(gate = %listener.address, admin = %admin_address, "The gate stands.");

    let watched = watch_file(&running);
    tokio::pin!(watched);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                let running = Arc::clone(&running);
                let _ = tokio::task::spawn_blocking(move || running.reload()).await;
            }
            () = &mut watched => {}
        }
    }
    tracing::info!(?drain, "Stopping: no new connections, running answers may finish.");
    running.listening.store(false, Ordering::Release);
    let cut = tokio::task::spawn_blocking(move || listener.drain(drain)).await?;
    if cut > 0 {
        tracing::warn!(connections = cut, "Some connections did not finish in time and were cut.");
    }
    let _ = trust.store().flush();
    budgets::save(&counters, &budgets);
    floods.tell(&*audit).await;
    tokio::task::spawn_blocking(move || {
        audit.close();
        exports.close(LAST_EXPORT);
    })
    .await?;
    tracing::info!("Stopped.");
    Ok(())
}

/// Every connection is a file to the system, and the usual soft limit is for programs that have few. A gate
/// that runs out of them could not read that somebody was revoked.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "The limit of open files cannot be raised.");
        }
    }
}

async fn open_audit(config: &Config) -> anyhow::Result<(Arc<AuditLog>, Opened, AuditKey)> {
    let state = &config.node.state;
    anyhow::ensure!(
        state.is_dir(),
        "the state directory `{}` does not exist or is not a directory; `portcullis init` makes it",
        state.display()
    );
    let key = AuditKey::load_or_create(state)?;
    let node = Arc::new(load_node(state)?);
    let (dir, settings) = (state.join("audit"), config.filters.audit.clone());
    let opening = move || AuditLog::open(&dir, &key, node, settings).map(|(log, opened)| (log, opened, key));
    let (log, opened, key) = tokio::task::spawn_blocking(opening).await??;
    Ok((Arc::new(log), opened, key))
}

fn load_node(state: &Path) -> anyhow::Result<NodeKey> {
    NodeKey::load(&state.join("node.key")).map_err(|e| anyhow::anyhow!("{e}; `portcullis init` makes it"))
}

fn read_token(path: &Path) -> anyhow::Result<Arc<str>> {
    portcullis_certs::files::check_private(path)?;
    let token = std::fs::read_to_string(path)
        .with_context(|| format!("the admin token `{}` cannot be read; `portcullis init` makes it", path.display()))?;
    let token = token.trim();
    anyhow::ensure!(
        token.len() >= 32,
        "the admin token `{}` is shorter than 32 characters; delete it and run `portcullis init`",
        path.display()
    );
    Ok(token.into())
}

/// With `watch: true`, reloads when the config file changes, or a rule or schema file that it names.
async fn watch_file(running: &Arc<Running>) {
    let stamp = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let stamps = |config: &Config| -> Vec<_> {
        let schemas = config.filters.schema.files.iter().map(PathBuf::as_path);
        let files = std::iter::once(config.file.as_path()).chain(config.filters.firewall.depends_on()).chain(schemas);
        files.map(stamp).collect()
    };
    let mut seen = stamps(&running.current.load().config);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let config = Arc::clone(&running.current.load().config);
        let now = stamps(&config);
        if config.watch && now.first().is_some_and(Option::is_some) && now != seen {
            let reloading = Arc::clone(running);
            let reloaded = tokio::task::spawn_blocking(move || reloading.reload()).await;
            // What was reloaded may depend on other files; what was not is not tried again until it changes.
            seen = if matches!(reloaded, Ok(Ok(_))) { stamps(&running.current.load().config) } else { now };
        }
    }
}
