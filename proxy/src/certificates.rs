//! The certificates of a running gate: the one that it shows, who vouches for clients, and what was
//! taken back. Each is swapped while connections run; one that is broken leaves the old in force.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_certs::revocation::Revocations;
use portcullis_certs::{Authorities, AuthorityFiles, NodeKey, PeerCert, ServerCertResolver, verify};
use portcullis_filters::exchange::Certificate;
use portcullis_filters::identity::Trust;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use crate::config::Config;
use crate::keyring::now;
use crate::metrics::Metrics;

mod renewal;
mod watch;

pub(crate) use renewal::renew_server;
use watch::Watched;

/// How often files are looked at: a revocation bites, and a new file counts, within this.
const POLL: Duration = Duration::from_millis(250);

/// What is in force.
pub(crate) struct Certificates {
    resolver: Arc<ServerCertResolver>,
    authorities: ArcSwap<Authorities>,
    /// Grows with every change of the authorities: what was judged by others is judged again.
    edition: AtomicU64,
    revocations: Revocations,
    metrics: Arc<Metrics>,
    keeping: Mutex<Keeping>,
}

/// What the keeper remembers between two rounds.
struct Keeping {
    /// Those of the config in force.
    files: Files,
    shown: Watched,
    vouching: Watched,
    renewal: renewal::Attempts,
    /// Whether a revocation list had ended in the last round.
    stale: bool,
}

/// Which files a config names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// How long a new server certificate holds, where the gate renews it itself.
    pub(crate) lifetime: Option<Duration>,
    pub(crate) authorities: AuthorityFiles,
    /// The node's own authority.
    ca: PathBuf,
    state: PathBuf,
}

/// Files that were read and fit together.
pub(crate) struct Loaded {
    files: Files,
    certified: Arc<CertifiedKey>,
    authorities: Authorities,
    shown: Watched,
    vouching: Watched,
}

/// Who the peer of one connection is, as the authorities in force judge it.
pub(crate) struct Peer {
    chain: Vec<CertificateDer<'static>>,
    certificates: Arc<Certificates>,
    judged: ArcSwap<(u64, Arc<Certificate>)>,
}

impl Files {
    pub(crate) fn of(config: &Config) -> Self {
        let (gate, identity, state) = (&config.gate, &config.filters.identity, &config.node.state);
        let mut clients = Vec::new();
        if identity.trust == Trust::Ca {
            clients.clone_from(&gate.client_ca);
            if clients.is_empty() {
                clients.push(state.join("ca.crt"));
            }
        }
        Self {
            certificate: gate.certificate.clone().unwrap_or_else(|| state.join("server.crt")),
            key: gate.key.clone().unwrap_or_else(|| state.join("server.key")),
            lifetime: gate.certificate.is_none().then_some(gate.certificate_lifetime),
            authorities: AuthorityFiles {
                clients,
                domains: identity.spiffe.trust_domains.clone(),
                allow: identity.spiffe.allow.clone(),
                crls: identity.crl.clone(),
            },
            ca: state.join("ca.crt"),
            state: state.clone(),
        }
    }

    /// Reads them all.
    ///
    /// # Errors
    /// When one cannot be used, or the certificate and its key are no pair.
    pub(crate) fn load(&self) -> Result<Loaded, verify::VerifyError> {
        // Looked at before they are read: a change in between is then seen by the keeper.
        let (shown, vouching) = (Watched::of(&self.shown()), Watched::of(&self.vouching()));
        Ok(Loaded {
            files: self.clone(),
            certified: self.load_shown()?,
            authorities: Authorities::load(&self.authorities)?,
            shown,
            vouching,
        })
    }

    fn shown(&self) -> [&PathBuf; 2] {
        [&self.certificate, &self.key]
    }

    fn vouching(&self) -> Vec<&PathBuf> {
        self.authorities.all().collect()
    }

    fn load_shown(&self) -> Result<Arc<CertifiedKey>, verify::VerifyError> {
        verify::load_certified_key(&self.certificate, &self.key)
    }
}

impl Certificates {
    /// Reads what the config names, renewing the gate's own certificate first if that is due.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub(crate) fn open(config: &Config, node: &NodeKey, metrics: &Arc<Metrics>) -> anyhow::Result<Arc<Self>> {
        let files = Files::of(config);
        let mut renewal = renewal::Attempts::default();
        renewal.if_due(&files, || files.load_shown().ok());
        let Loaded { files, certified, authorities, shown, vouching } = files.load()?;
        let resolver = ServerCertResolver::new(certified).with_node(node, &config.node.name)?;
        let certificates = Self {
            resolver: Arc::new(resolver),
            authorities: ArcSwap::from_pointee(authorities),
            edition: AtomicU64::new(0),
            revocations: Revocations::open(&config.node.state)?,
            metrics: Arc::clone(metrics),
            keeping: Mutex::new(Keeping { files, shown, vouching, renewal, stale: false }),
        };
        certificates.report(&certificates.keeping().files);
        Ok(Arc::new(certificates))
    }

    pub(crate) fn resolver(&self) -> Arc<ServerCertResolver> {
        Arc::clone(&self.resolver)
    }

    /// Whether a certificate was taken back, by the node's own authority or by a list. For every
    /// request: no I/O, no allocation.
    pub(crate) fn revoked(&self, certificate: &Certificate) -> bool {
        self.revocations.contains(&certificate.issuer, &certificate.serial)
            || self.authorities.load().has_revoked(&certificate.issuer, &certificate.serial)
    }

    /// Who showed this chain, the leaf first; `None` when it cannot be read: then it is nobody.
    pub(crate) fn peer(self: &Arc<Self>, chain: &[CertificateDer<'static>]) -> Option<Peer> {
        let edition = self.edition.load(Ordering::Acquire);
        let judged = ArcSwap::from_pointee((edition, self.judge(chain)?));
        Some(Peer { chain: chain.to_vec(), certificates: Arc::clone(self), judged })
    }

    fn judge(&self, chain: &[CertificateDer<'_>]) -> Option<Arc<Certificate>> {
        let judged = self.authorities.load().judge(chain, now()).ok()?;
        let PeerCert { identity, fingerprint, common_name, not_before, serial, issuer_sha256, .. } = judged.peer;
        Some(Arc::new(Certificate {
            identity,
            fingerprint,
            common_name,
            ca_validated: judged.vouched,
            not_before,
            not_after: judged.not_after,
            problem: judged.problem,
            serial,
            issuer: issuer_sha256,
        }))
    }

    /// Puts files in force that were read for a new config.
    pub(crate) fn adopt(&self, loaded: Loaded) {
        let Loaded { files, certified, authorities, shown, vouching } = loaded;
        let mut keeping = self.keeping();
        self.resolver.swap(certified);
        self.vouch(authorities);
        self.report(&files);
        let renewal = std::mem::take(&mut keeping.renewal);
        *keeping = Keeping { files, shown, vouching, renewal, stale: false };
    }

    /// Keeps what is in force up with the disk, and renews, until it is dropped. Runs off the workers.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            let this = Arc::clone(&self);
            let _ = tokio::task::spawn_blocking(move || this.settle()).await;
            tokio::time::sleep(POLL).await;
        }
    }

    fn settle(&self) {
        if let Err(error) = self.revocations.reload_if_changed() {
            tracing::error!(%error, "The revocations on disk cannot be read; the last good ones stay in force.");
        }
        let Keeping { files, shown, vouching, renewal, stale } = &mut *self.keeping();
        renewal.if_due(files, || Some(self.resolver.current()));
        let mut changed = false;
        if let Some(look) = shown.changed(&files.shown()) {
            match files.load_shown() {
                Ok(certified) => {
                    let serial = serial(&certified);
                    self.resolver.swap(certified);
                    shown.took(look);
                    changed = true;
                    tracing::info!(serial, "The gate shows a new certificate from now on.");
                }
                Err(error) => shown.broken(look, "the gate's certificate", &error.to_string()),
            }
        }
        if let Some(look) = vouching.changed(&files.vouching()) {
            match Authorities::load(&files.authorities) {
                Ok(authorities) => {
                    self.vouch(authorities);
                    vouching.took(look);
                    changed = true;
                    tracing::info!("The clients' authorities were read anew.");
                }
                Err(error) => vouching.broken(look, "the clients' authorities", &error.to_string()),
            }
        }
        if changed {
            self.report(files);
        }
        let ended = self.authorities.load().lists_end().is_some_and(|end| now() > end);
        if ended && !*stale {
            tracing::error!(
                "A revocation list has ended: nobody whom it speaks for is let in until a newer one is there."
            );
            // Also those who came while it still held.
            self.edition.fetch_add(1, Ordering::AcqRel);
        }
        *stale = ended;
    }

    fn vouch(&self, authorities: Authorities) {
        self.authorities.store(Arc::new(authorities));
        self.edition.fetch_add(1, Ordering::AcqRel);
    }

    /// Sets when each ends.
    fn report(&self, files: &Files) {
        let authorities = self.authorities.load();
        let ends = [
            ("server", self.resolver.current().cert.first().and_then(|der| not_after(der))),
            ("ca", own_ca(&files.ca).map(|ca| ca.not_after)),
            ("client_ca", authorities.clients_end()),
            ("spiffe", authorities.domains_end()),
            ("crl", authorities.lists_end()),
        ];
        for (name, end) in ends {
            if let Some(end) = end {
                self.metrics.certificate(name, end);
            }
        }
    }

    fn keeping(&self) -> std::sync::MutexGuard<'_, Keeping> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// Who it is, by the authorities that are in force now.
    pub(crate) fn certificate(&self) -> Arc<Certificate> {
        let edition = self.certificates.edition.load(Ordering::Acquire);
        let judged = self.judged.load();
        if judged.0 != edition
            && let Some(anew) = self.certificates.judge(&self.chain)
        {
            self.judged.store(Arc::new((edition, Arc::clone(&anew))));
            return anew;
        }
        Arc::clone(&judged.1)
    }
}

/// The first certificate of a PEM file.
pub(crate) fn own_ca(file: &Path) -> Option<PeerCert> {
    verify::read_certificates(file).ok()?.first().and_then(|der| PeerCert::parse(der, false).ok())
}

fn not_after(der: &[u8]) -> Option<i64> {
    PeerCert::parse(der, false).ok().map(|peer| peer.not_after)
}

fn serial(certified: &CertifiedKey) -> String {
    let peer = certified.cert.first().and_then(|der| PeerCert::parse(der, false).ok());
    peer.map(|peer| data_encoding::HEXLOWER.encode(&peer.serial)).unwrap_or_default()
}
