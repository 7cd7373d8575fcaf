//! Revocation lists of other authorities.

use std::path::PathBuf;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList as X509Crl;

use super::{Revoked, read_bounded};
use crate::peer::significant;
use crate::verify::VerifyError;

/// The lists, whom they name, and when the first of them ends in Unix seconds.
pub(super) type Lists = (Vec<CertRevocationList<'static>>, Revoked, Option<i64>);

/// Reads every list in these files.
pub(super) fn read(files: &[PathBuf]) -> Result<Lists, VerifyError> {
    let (mut crls, mut revoked, mut ends) = (Vec::new(), Revoked::new(), None::<i64>);
    for file in files {
        let refuse =
            |why: &str| VerifyError::Crl(format!("`{}`: {why}; expected revocation lists in PEM", file.display()));
        let text = read_bounded(file)?;
        let before = crls.len();
        for der in CertificateRevocationListDer::pem_slice_iter(&text) {
            let der = der.map_err(|e| refuse(&e.to_string()))?;
            let list = OwnedCertRevocationList::from_der(&der).map_err(|e| refuse(&e.to_string()))?;
            let (_, parsed) = X509Crl::from_der(&der).map_err(|_| refuse("a list in it cannot be read"))?;
            if let Some(end) = parsed.next_update().map(|time| time.timestamp()) {
                ends = Some(ends.map_or(end, |first| first.min(end)));
            }
            let serials = revoked.entry(Sha256::digest(parsed.issuer().as_raw()).into()).or_default();
            serials.extend(parsed.iter_revoked_certificates().map(|one| significant(one.raw_serial())));
            crls.push(list.into());
        }
        if crls.len() == before {
            return Err(refuse("it holds none"));
        }
    }
    Ok((crls, revoked, ends))
}
