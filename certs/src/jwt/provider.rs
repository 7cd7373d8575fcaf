//! The cryptography of tokens: ring, as in TLS, and for Ed25519 the strict check of every signature
//! here.

use ed25519_dalek::{Signature, VerifyingKey};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: no_signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes this the one that tokens are checked with; again and again is as good as once.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

/// The gate makes no tokens of this kind.
fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if !key.family().algorithms().contains(algorithm) {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = match (key.family(), key.kind()) {
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            Key::Rsa { n: n.clone(), e: e.clone(), how: rsa(*algorithm)? }
        }
        (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => {
            Key::Ec { point: point.clone(), how: ec(*algorithm)? }
        }
        (AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(bytes)) => {
            let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| ErrorKind::InvalidEddsaKey)?;
            Key::Ed(VerifyingKey::from_bytes(bytes).map_err(|_| ErrorKind::InvalidEddsaKey)?)
        }
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(Check { algorithm: *algorithm, key }))
}

fn rsa(algorithm: Algorithm) -> Result<&'static RsaParameters> {
    Ok(match algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &RSA_PSS_2048_8192_SHA512,
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    })
}

fn ec(algorithm: Algorithm) -> Result<&'static EcdsaVerificationAlgorithm> {
    Ok(match algorithm {
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED,
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    })
}

/// One key, and the one way to use it.
struct Check {
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    Ec { point: Vec<u8>, how: &'static EcdsaVerificationAlgorithm },
    Ed(VerifyingKey),
    Rsa { n: Vec<u8>, e: Vec<u8>, how: &'static RsaParameters },
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        match &self.key {
            Key::Ec { point, how } => {
                UnparsedPublicKey::new(*how, point).verify(message, signature).map_err(|_| Error::new())
            }
            Key::Ed(key) => {
                let signature = Signature::from_slice(signature).map_err(|_| Error::new())?;
                key.verify_strict(message, &signature).map_err(|_| Error::new())
            }
            Key::Rsa { n, e, how } => {
                RsaPublicKeyComponents { n, e }.verify(how, message, signature).map_err(|_| Error::new())
            }
        }
    }
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
