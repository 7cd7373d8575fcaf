//! A bundle of authorities, and what the path walk leaves open about them.

use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::{TrustAnchor, UnixTime};
use webpki::VerifiedPath;

use super::MAX_BUNDLE;
use crate::peer::AuthorityCert;
use crate::verify::{self, VerifyError};

/// Authorities that one party keeps together.
pub(super) struct Bundle {
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    /// Of each, what the path walk does not look at.
    details: Vec<AuthorityCert>,
}

impl Bundle {
    pub(super) fn load(files: &[PathBuf]) -> Result<Self, VerifyError> {
        let mut bundle = Self { anchors: Vec::new(), details: Vec::new() };
        for file in files {
            for certificate in verify::read_certificates(file)? {
                let refuse = |why: &str| VerifyError::Roots(format!("`{}`: {why}", file.display()));
                let anchor = webpki::anchor_from_trusted_cert(&certificate)
                    .map_err(|_| refuse("a certificate in it cannot be read"))?
                    .to_owned();
                let authority =
                    AuthorityCert::parse(&certificate).map_err(|_| refuse("a certificate in it cannot be read"))?;
                if !authority.is_ca {
                    return Err(refuse("a certificate in it is not one of an authority (CA:FALSE)"));
                }
                if !authority.may_issue {
                    return Err(refuse("a certificate in it may not sign others (its key usage lacks keyCertSign)"));
                }
                bundle.anchors.push(anchor);
                bundle.details.push(authority);
                if bundle.anchors.len() > MAX_BUNDLE {
                    return Err(refuse("it holds more certificates than any bundle needs"));
                }
            }
        }
        if bundle.anchors.is_empty() {
            return Err(VerifyError::Roots("no file is named".to_owned()));
        }
        Ok(bundle)
    }

    pub(super) fn ends(&self) -> Option<i64> {
        self.details.iter().map(|authority| authority.not_after).min()
    }

    /// The path's end in this bundle. Several certificates of one authority may be in it.
    fn ends_at<'b>(&'b self, path: &'b VerifiedPath<'_>) -> impl Iterator<Item = &'b AuthorityCert> + 'b {
        let anchor = path.anchor();
        let same = move |own: &TrustAnchor<'_>| {
            own.subject == anchor.subject && own.subject_public_key_info == anchor.subject_public_key_info
        };
        self.anchors.iter().zip(&self.details).filter(move |(own, _)| same(own)).map(|(_, details)| details)
    }

    /// What `webpki` leaves open: the time and the path length of the authority at the end, and the key
    /// usage of those on the way.
    pub(super) fn is_sound(&self, path: &VerifiedPath<'_>, now: i64) -> Result<(), webpki::Error> {
        let mut between = 0u32;
        for certificate in path.intermediate_certificates() {
            between = between.saturating_add(1);
            match AuthorityCert::parse(&certificate.der()) {
                Ok(authority) if authority.may_issue => {}
                Ok(_) => return Err(webpki::Error::EndEntityUsedAsCa),
                Err(_) => return Err(webpki::Error::BadDer),
            }
        }
        let in_time = |authority: &&AuthorityCert| (authority.not_before..=authority.not_after).contains(&now);
        let mut living = self.ends_at(path).filter(in_time).peekable();
        if living.peek().is_none() {
            let time =
                |seconds: i64| UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
            let not_after = self.ends_of(path).unwrap_or_default();
            return Err(webpki::Error::CertExpired { time: time(now), not_after: time(not_after) });
        }
        if living.all(|authority| authority.path_length.is_some_and(|most| between > most)) {
            return Err(webpki::Error::PathLenConstraintViolated);
        }
        Ok(())
    }

    pub(super) fn ends_of(&self, path: &VerifiedPath<'_>) -> Option<i64> {
        self.ends_at(path).map(|authority| authority.not_after).max()
    }
}
