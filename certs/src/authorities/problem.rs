//! What the path walk found wrong, in our own words.

use portcullis_policies::CertificateProblem as Problem;
use webpki::Error;

/// The problem behind an error of the path walk. What has no word of its own is a chain that cannot be
/// read: refused all the same.
pub(super) fn of(error: &Error) -> Problem {
    match error {
        Error::CertExpired { .. } | Error::InvalidCertValidity => Problem::Expired,
        Error::CertNotValidYet { .. } => Problem::NotYetValid,
        Error::CaUsedAsEndEntity => Problem::AuthorityAsLeaf,
        Error::EndEntityUsedAsCa => Problem::NotAnAuthority,
        Error::InvalidSignatureForPublicKey => Problem::BadSignature,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Problem::ExtendedKeyUsage,
        Error::NameConstraintViolation
        | Error::MalformedNameConstraint
        | Error::InvalidNetworkMaskConstraint
        | Error::MaximumNameConstraintComparisonsExceeded => Problem::NameConstraint,
        Error::PathLenConstraintViolated => Problem::PathTooLong,
        Error::MaximumPathDepthExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded => Problem::TooComplex,
        Error::UnknownIssuer => Problem::UnknownIssuer,
        Error::UnsupportedCriticalExtension => Problem::UnknownExtension,
        Error::CertRevoked => Problem::Revoked,
        Error::CrlExpired { .. }
        | Error::InvalidCrlSignatureForPublicKey
        | Error::IssuerNotCrlSigner
        | Error::UnknownRevocationStatus
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => Problem::RevocationUnknown,
        Error::SignatureAlgorithmMismatch
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Problem::WeakSignature,
        _ => Problem::Unreadable,
    }
}
