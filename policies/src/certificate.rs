//! What can be wrong with a client certificate, in words that its owner can act upon.

/// Why a certificate proves nothing. Its text is a sentence for the caller: it names what is wrong and
/// what to do, and nothing of the gate's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// It is an authority's, and stands in a leaf's place.
    #[error("the client certificate is one of an authority (CA:TRUE); present one that was issued to you")]
    AuthorityAsLeaf,
    /// A signature in the chain does not hold.
    #[error("a signature in the client certificate's chain does not hold; the file is damaged, or not what was issued")]
    BadSignature,
    /// Its time is over, or that of a certificate above it.
    #[error(
        "the client certificate, or one above it, has ended: it expired; renew it (`portcullis cert renew` on the authority's machine)"
    )]
    Expired,
    /// It was issued for other uses.
    #[error(
        "the client certificate is for another use: its extended key usage lacks clientAuth; ask for a client certificate"
    )]
    ExtendedKeyUsage,
    /// Its key usage forbids what a handshake asks for.
    #[error("the client certificate's key usage does not allow it to sign (digitalSignature), as a handshake must")]
    KeyUsage,
    /// The names that an authority above it may vouch for do not include its own.
    #[error("an authority above the client certificate may not vouch for its names (name constraints)")]
    NameConstraint,
    /// A certificate in the middle of the chain is none of an authority.
    #[error("a certificate above the client certificate is not one of an authority (CA:FALSE)")]
    NotAnAuthority,
    /// Its time has not come, or not that of a certificate above it.
    #[error("the client certificate, or one above it, is not valid yet; look at both clocks")]
    NotYetValid,
    /// The chain is longer than an authority in it allows.
    #[error("the client certificate's chain is longer than an authority in it allows (path length)")]
    PathTooLong,
    /// The authority took it back.
    #[error("the client certificate was revoked by its authority; ask for a new one")]
    Revoked,
    /// Whether the authority took it back cannot be told.
    #[error(
        "whether the client certificate was revoked cannot be told: the authority's revocation list has ended or is not its own"
    )]
    RevocationUnknown,
    /// Its trust domain is none that the operator named.
    #[error("the SPIFFE ID in the client certificate is of a trust domain that this gate does not know")]
    SpiffeDomain,
    /// It has no SPIFFE ID in its one spelling, or more than one name.
    #[error(
        "the client certificate is no valid X.509-SVID: expected exactly one URI name, a SPIFFE ID in lower case with a path"
    )]
    SpiffeId,
    /// The operator's patterns do not fit it.
    #[error("the SPIFFE ID in the client certificate is none that this gate allows; its operator can")]
    SpiffeNotAllowed,
    /// The chain asks for more work than any honest one.
    #[error(
        "the client certificate's chain is too complex to be checked; send the leaf and what leads to the root, once"
    )]
    TooComplex,
    /// An extension that must be understood is not.
    #[error("the client certificate has a critical extension that this gate does not understand")]
    UnknownExtension,
    /// No trusted authority stands at the end of the chain.
    #[error(
        "the client certificate was not issued by an authority that this gate trusts; send it with its intermediates"
    )]
    UnknownIssuer,
    /// It cannot be read as a certificate of version 3.
    #[error("the client certificate is not well-formed: a field or an extension of it cannot be read")]
    Unreadable,
    /// The algorithm or the key of a signature in the chain is too weak, or unknown.
    #[error("a signature in the client certificate's chain uses an algorithm that is too weak or unknown")]
    WeakSignature,
}
