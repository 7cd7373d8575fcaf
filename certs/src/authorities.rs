//! Who vouches for clients: the operator's authorities, SPIFFE trust domains, revocation lists.
//!
//! The handshake proves that the peer holds its key, and nothing more; this looks at the whole chain,
//! once for a connection, and says what is wrong with it in words for a person. `rustls-webpki` walks
//! the path (RFC 5280); what it leaves open is checked here: the leaf's own uses, the time of the
//! authority itself, and the rules of X.509-SVID.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_policies::{CertificateProblem, Identity};
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::{CertRevocationList, EndEntityCert, KeyUsage, VerifiedPath};

use crate::files::{self, FileError};
use crate::peer::{AuthorityCert, PeerCert, PeerError, is_spiffe_id};
use crate::verify::{self, VerifyError};

mod bundle;
mod lists;
mod problem;
mod spiffe;
#[cfg(test)]
mod tests;

use bundle::Bundle;
pub use spiffe::{TrustDomain, valid_trust_domain};

/// The most certificates that one bundle may hold.
const MAX_BUNDLE: usize = 1024;
/// The largest bundle or revocation list that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Which files say who vouches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorityFiles {
    /// Bundles of authorities whose clients are trusted without a person's word; none where a person
    /// decides about every key.
    pub clients: Vec<PathBuf>,
    /// SPIFFE trust domains, each with its own bundles.
    pub domains: Vec<(String, Vec<PathBuf>)>,
    /// The SPIFFE IDs that are let in.
    pub allow: Vec<String>,
    /// Revocation lists of these authorities.
    pub crls: Vec<PathBuf>,
}

impl AuthorityFiles {
    /// Every file that is read.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.clients.iter().chain(self.domains.iter().flat_map(|(_, files)| files)).chain(&self.crls)
    }
}

/// Who vouches, read whole or not at all.
#[derive(Default)]
pub struct Authorities {
    clients: Option<Bundle>,
    domains: Vec<TrustDomain>,
    allow: Vec<String>,
    crls: Vec<CertRevocationList<'static>>,
    revoked: Revoked,
    /// When the first of the lists ends.
    lists_end: Option<i64>,
}

/// Serial numbers that were taken back, by the SHA-256 of their issuer's name in DER.
type Revoked = HashMap<[u8; 32], HashSet<Box<[u8]>>>;

/// What came of looking at a chain.
pub struct Judged {
    /// The leaf. Its identity is the SPIFFE ID only where an authority vouches for it.
    pub peer: PeerCert,
    /// Whether an authority vouches for it.
    pub vouched: bool,
    /// What is wrong with it.
    pub problem: Option<CertificateProblem>,
    /// When the first certificate of the path ends, in Unix seconds.
    pub not_after: i64,
}

impl Authorities {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, is not PEM, or holds no authority.
    pub fn load(files: &AuthorityFiles) -> Result<Self, VerifyError> {
        let domain = |(name, files): &(String, Vec<PathBuf>)| {
            Ok(TrustDomain { name: name.clone(), bundle: Bundle::load(files)? })
        };
        let (crls, revoked, lists_end) = lists::read(&files.crls)?;
        Ok(Self {
            clients: if files.clients.is_empty() { None } else { Some(Bundle::load(&files.clients)?) },
            domains: files.domains.iter().map(domain).collect::<Result<_, VerifyError>>()?,
            allow: files.allow.clone(),
            crls,
            revoked,
            lists_end,
        })
    }

    /// Whether a revocation list names this certificate: its issuer's name, by its SHA-256, and its
    /// serial number. For connections that are open already; new ones walk the whole path.
    #[must_use]
    pub fn has_revoked(&self, issuer_sha256: &[u8; 32], serial: &[u8]) -> bool {
        self.revoked.get(issuer_sha256).is_some_and(|serials| serials.contains(serial))
    }

    /// When the first of the revocation lists ends, in Unix seconds: nobody whom it speaks for is let in
    /// after that.
    #[must_use]
    pub fn lists_end(&self) -> Option<i64> {
        self.lists_end
    }

    /// When the first of the clients' authorities ends, in Unix seconds.
    #[must_use]
    pub fn clients_end(&self) -> Option<i64> {
        self.clients.as_ref().and_then(Bundle::ends)
    }

    /// When the first of the trust domains' authorities ends, in Unix seconds.
    #[must_use]
    pub fn domains_end(&self) -> Option<i64> {
        self.domains.iter().filter_map(|domain| domain.bundle.ends()).min()
    }

    /// Looks at a chain, the leaf first, at this Unix second.
    ///
    /// # Errors
    /// When the leaf is no certificate at all: then it has no identity that could be told.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: i64) -> Result<Judged, PeerError> {
        let (leaf, rest) = chain.split_first().ok_or(PeerError::NotACertificate)?;
        let peer = PeerCert::parse(leaf, false)?;
        let mut judged = Judged { vouched: false, problem: peer.problem_at(now), not_after: peer.not_after, peer };
        if judged.problem.is_some() {
            return Ok(judged);
        }
        let vouched = if !self.domains.is_empty() && judged.peer.uris.iter().any(|uri| spiffe::is_meant(uri)) {
            self.svid(&judged.peer, leaf, rest, now).map(Some)
        } else if let Some(bundle) = &self.clients {
            self.path(bundle, &judged.peer, leaf, rest, now).map(Some)
        } else {
            Ok(None)
        };
        match vouched {
            Ok(None) => {}
            Ok(Some(ends)) => {
                judged.not_after = ends;
                judged.vouched = true;
                if let [uri] = judged.peer.uris.as_slice()
                    && is_spiffe_id(uri)
                    && let Ok(identity) = Identity::spiffe(uri)
                {
                    judged.peer.spiffe = Some(uri.clone());
                    judged.peer.identity = identity;
                }
            }
            Err(problem) => judged.problem = Some(problem),
        }
        Ok(judged)
    }

    /// An X.509-SVID: vouched for by its own trust domain alone.
    fn svid(
        &self,
        peer: &PeerCert,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<i64, CertificateProblem> {
        let (id, domain) = spiffe::check(peer)?;
        let domain = self.domains.iter().find(|d| d.name == domain).ok_or(CertificateProblem::SpiffeDomain)?;
        let ends = self.path(&domain.bundle, peer, leaf, rest, now)?;
        if self.allow.iter().any(|pattern| spiffe::fits(pattern, id)) {
            Ok(ends)
        } else {
            Err(CertificateProblem::SpiffeNotAllowed)
        }
    }

    /// Walks from the leaf to one of these authorities. Returns when the first on the way ends.
    fn path(
        &self,
        bundle: &Bundle,
        peer: &PeerCert,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<i64, CertificateProblem> {
        if peer.usage.is_ca {
            return Err(CertificateProblem::AuthorityAsLeaf);
        }
        if peer.usage.may_not_sign {
            return Err(CertificateProblem::KeyUsage);
        }
        let end = EndEntityCert::try_from(leaf).map_err(|e| problem::of(&e))?;
        // Two parsers look at the leaf: the key that was proven must be the key that is vouched for.
        if <[u8; 32]>::from(Sha256::digest(&*end.subject_public_key_info())) != peer.spki_sha256 {
            return Err(CertificateProblem::Unreadable);
        }
        let crls: Vec<_> = self.crls.iter().collect();
        let revocation = webpki::RevocationOptionsBuilder::new(&crls).ok().map(|options| {
            options
                .with_status_policy(webpki::UnknownStatusPolicy::Allow)
                .with_expiration_policy(webpki::ExpirationPolicy::Enforce)
                .build()
        });
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
        let algorithms = verify::provider().signature_verification_algorithms.all;
        let sound = |path: &VerifiedPath<'_>| bundle.is_sound(path, now);
        let path = end
            .verify_for_usage(
                algorithms,
                &bundle.anchors,
                rest,
                time,
                KeyUsage::client_auth(),
                revocation,
                Some(&sound),
            )
            .map_err(|e| problem::of(&e))?;
        let above = path.intermediate_certificates().filter_map(|c| AuthorityCert::parse(&c.der()).ok());
        let above = above.map(|authority| authority.not_after).chain(bundle.ends_of(&path));
        Ok(above.fold(peer.not_after, i64::min))
    }
}

/// Reads a public file whole, as long as it is of a size that is meant. What is no regular file is not waited for.
///
/// # Errors
/// When it cannot be read, or is larger than any file of its kind.
pub fn read_bounded(file: &Path) -> Result<Vec<u8>, VerifyError> {
    bounded(file, files::open_regular(file))
}

/// As [`read_bounded`], for a file that somebody names by hand: that may be a pipe, such as standard input.
///
/// # Errors
/// When it cannot be read, or is larger than any file of its kind.
pub fn read_bounded_by_hand(file: &Path) -> Result<Vec<u8>, VerifyError> {
    bounded(file, File::open(file))
}

fn bounded(file: &Path, opened: io::Result<File>) -> Result<Vec<u8>, VerifyError> {
    let io = |source| FileError::Io { what: "read", path: file.to_owned(), source };
    let mut bytes = Vec::new();
    opened.map_err(io)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(FileError::NotAFile(file.to_owned()).into());
    }
    Ok(bytes)
}
