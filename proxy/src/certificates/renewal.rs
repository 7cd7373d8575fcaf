//! The gate's own server certificate is renewed at two thirds of its life.
//!
//! The key stays: only the certificate's file is replaced, whole, so that whoever reads the two files
//! in between still finds a pair.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use portcullis_certs::issuance::Issuances;
use portcullis_certs::{Ca, PeerCert, Use, files, verify};
use rustls::sign::CertifiedKey;

use super::Files;
use crate::keyring::now;

/// How long a renewal that failed is let rest at most.
const REST: Duration = Duration::from_secs(60);

/// Renewals, and when the last one failed.
#[derive(Default)]
pub(super) struct Attempts {
    failed: Option<Instant>,
}

impl Attempts {
    /// Renews the certificate that is shown, if the gate manages it and it is due. A failure leaves
    /// what is in force, and is tried again.
    pub(super) fn if_due(&mut self, files: &Files, shown: impl FnOnce() -> Option<Arc<CertifiedKey>>) {
        let Some(lifetime) = files.lifetime else { return };
        if self.failed.is_some_and(|at| at.elapsed() < REST.min(lifetime / 20)) {
            return;
        }
        let leaf = shown().and_then(|c| c.cert.first().and_then(|der| PeerCert::parse(der, false).ok()));
        if leaf.is_none_or(|leaf| now() < due(&leaf, lifetime)) {
            return;
        }
        match renew_server(files, lifetime) {
            Ok(new) => {
                self.failed = None;
                let ends = jiff::Timestamp::from_second(new.not_after).map(|t| t.to_string()).unwrap_or_default();
                tracing::info!(ends, "The gate's own certificate was renewed.");
            }
            Err(error) => {
                if self.failed.is_none() {
                    tracing::error!("The gate's own certificate cannot be renewed, and is tried again: {error:#}");
                }
                self.failed = Some(Instant::now());
            }
        }
    }
}

/// When a certificate is renewed: at two thirds of its life, or of the life that it would get now, if
/// that is shorter. In Unix seconds.
fn due(leaf: &PeerCert, lifetime: Duration) -> i64 {
    let life = leaf.not_after.saturating_sub(leaf.not_before);
    let wanted = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    leaf.not_before.saturating_add(life.min(wanted) / 3 * 2)
}

/// Issues the server certificate once more, for the same key and names, and puts it in place. Also for
/// the command line; a running gate picks it up.
///
/// # Errors
/// When the authority's key is not at hand, or a file cannot be used.
pub(crate) fn renew_server(files: &Files, lifetime: Duration) -> anyhow::Result<PeerCert> {
    let ca = Ca::load(&files.ca, &files.state.join("ca.key"))?;
    let old = std::fs::read_to_string(&files.certificate)
        .with_context(|| format!("cannot read `{}`", files.certificate.display()))?;
    // A pair that is broken is not made to look whole.
    verify::load_certified_key(&files.certificate, &files.key)?;
    let chain = ca.renew(&old, lifetime)?;
    let leaf = verify::first_certificate(&chain).context("the new certificate cannot be read")?;
    let leaf = PeerCert::parse(&leaf, false)?;
    let register = Issuances::open(&files.state)?;
    files::write_private(&files.certificate, chain.as_bytes())?;
    register.add("the gate itself", Use::Server, &leaf, now())?;
    Ok(leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thirds_of_a_life_are_two_thirds() {
        let ca = Ca::create("test").unwrap();
        let issued = ca.issue_client("a", &[], Duration::from_secs(3_000)).unwrap();
        let leaf = PeerCert::parse(&verify::first_certificate(&issued.chain).unwrap(), false).unwrap();
        let begins = leaf.not_before;
        assert_eq!(due(&leaf, Duration::from_secs(90 * 86_400)) - begins, 2_200, "of its own life, skew included");
        assert_eq!(due(&leaf, Duration::from_secs(30)) - begins, 20, "of the life that it would get now");
    }
}
