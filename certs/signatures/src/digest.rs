//! The digest of a content (RFC 9530): SHA-256, and what `Content-Digest` says of it.

use data_encoding::BASE64;
use http::{HeaderMap, HeaderName};
use sfv::visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};
use sha2::{Digest as _, Sha256};

use crate::error::Malformed;
use crate::field;
use crate::input::Refused;

pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

const EXPECTED: Malformed = Malformed(
    "`Content-Digest` must hold `sha-256=:…:` once, with the base64 of 32 bytes (RFC 9530); other digests may stand beside it",
);

/// The SHA-256 of a content.
#[must_use]
pub fn content_digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// `sha-256=:…:`, the value of `Content-Digest`.
pub(crate) fn to_field(digest: &[u8; 32]) -> String {
    let mut text = String::with_capacity(54);
    text.push_str("sha-256=:");
    BASE64.encode_append(digest, &mut text);
    text.push(':');
    text
}

/// The SHA-256 that `Content-Digest` claims.
pub(crate) fn claimed(headers: &HeaderMap) -> Result<[u8; 32], Malformed> {
    let doubled = Malformed("`Content-Digest` must be in the head once");
    let missing = Malformed("a signed message needs `Content-Digest`, also where its content is empty (RFC 9530)");
    parse(field::only(headers, &CONTENT_DIGEST, doubled)?.ok_or(missing)?)
}

/// Reads the value of `Content-Digest`.
pub(crate) fn parse(text: &str) -> Result<[u8; 32], Malformed> {
    if text.len() > field::MAX_VALUE {
        return Err(EXPECTED);
    }
    let mut digests = Digests::default();
    Parser::new(text).parse_dictionary_with_visitor(&mut digests).map_err(|_| EXPECTED)?;
    digests.sha256.ok_or(EXPECTED)
}

/// What a dictionary of digests holds.
#[derive(Default)]
struct Digests {
    sha256: Option<[u8; 32]>,
}

impl<'de> DictionaryVisitor<'de> for &mut Digests {
    type Out = ();
    type Error = Refused;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Refused> {
        Ok((key.as_str() == "sha-256").then_some(&mut **self))
    }

    fn finish(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl<'de> EntryVisitor<'de> for &mut Digests {
    type Error = Refused;

    fn item(self) -> Result<impl ItemVisitor<'de>, Refused> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Refused> {
        Err::<Ignored, _>(Refused)
    }
}

impl<'de> ItemVisitor<'de> for &mut Digests {
    type Out = ();
    type Error = Refused;

    fn bare_item(self, item: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Refused> {
        let BareItemFromInput::ByteSequence(bytes) = item else { return Err(Refused) };
        let digest = bytes.try_into().map_err(|_| Refused)?;
        if self.sha256.replace(digest).is_some() { Err(Refused) } else { Ok(Ignored) }
    }
}
