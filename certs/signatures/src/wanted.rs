//! `Accept-Signature` (RFC 9421, section 5.1): whether and how a client wants the end of a stream signed.

use http::{HeaderMap, HeaderName};
use sfv::visitor::{DictionaryVisitor, EntryVisitor, InnerListVisitor, ItemVisitor, Never, ParameterVisitor};
use sfv::{BareItemFromInput, KeyRef, Parser};

use crate::field;
use crate::input::Refused;
use crate::profile::LABEL;

/// The header by which a client asks for it.
pub const ACCEPT_SIGNATURE: HeaderName = HeaderName::from_static("accept-signature");

/// Where a client wants the end of a stream signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// As the last frame: it asked for `"content-digest"`.
    Frame,
    /// In the trailers: it asked for `"content-digest";tr`.
    Trailers,
}

impl Wanted {
    /// The value of `Accept-Signature` that asks for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Frame => r#"portcullis=("@status" "content-digest")"#,
            Self::Trailers => r#"portcullis=("@status" "content-digest";tr)"#,
        }
    }
}

/// What a request asks for under the label `portcullis`; `None` where it asks for nothing, or not
/// in a form that can be read.
#[must_use]
pub fn accept_signature(headers: &HeaderMap) -> Option<Wanted> {
    let mut values = headers.get_all(ACCEPT_SIGNATURE).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let text = field::text(value).ok().filter(|text| text.len() <= field::MAX_VALUE)?;
    let mut request = Request::default();
    Parser::new(text).parse_dictionary_with_visitor(&mut request).ok()?;
    request.wanted
}

#[derive(Default)]
struct Request {
    wanted: Option<Wanted>,
    /// The label was there.
    seen: bool,
    /// The component that is being read is `content-digest`.
    digest: bool,
}

impl<'h> DictionaryVisitor<'h> for &mut Request {
    type Out = ();
    type Error = Refused;

    fn entry(&mut self, key: &'h KeyRef) -> Result<impl EntryVisitor<'h>, Refused> {
        Ok((key.as_str() == LABEL).then_some(&mut **self))
    }

    fn finish(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl<'h> EntryVisitor<'h> for &mut Request {
    type Error = Refused;

    fn item(self) -> Result<impl ItemVisitor<'h>, Refused> {
        Err::<Never, _>(Refused)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'h>, Refused> {
        // The label twice asks for two things.
        if std::mem::replace(&mut self.seen, true) { Err(Refused) } else { Ok(self) }
    }
}

impl<'h> InnerListVisitor<'h> for &mut Request {
    type Error = Refused;

    fn item(&mut self) -> Result<impl ItemVisitor<'h>, Refused> {
        Ok(&mut **self)
    }

    fn finish(self) -> Result<impl ParameterVisitor<'h>, Refused> {
        self.digest = false;
        Ok(self)
    }
}

impl<'h> ItemVisitor<'h> for &mut Request {
    type Out = ();
    type Error = Refused;

    fn bare_item(self, item: BareItemFromInput<'h>) -> Result<impl ParameterVisitor<'h, Out = ()>, Refused> {
        self.digest = matches!(&item, BareItemFromInput::String(name) if name.as_str() == "content-digest");
        if self.digest && self.wanted.is_none() {
            self.wanted = Some(Wanted::Frame);
        }
        Ok(self)
    }
}

impl<'h> ParameterVisitor<'h> for &mut Request {
    type Out = ();
    type Error = Refused;

    fn parameter(&mut self, key: &'h KeyRef, value: BareItemFromInput<'h>) -> Result<(), Refused> {
        if self.digest && key.as_str() == "tr" && matches!(value, BareItemFromInput::Boolean(true)) {
            self.wanted = Some(Wanted::Trailers);
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Refused> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(values: &[&str]) -> Option<Wanted> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_SIGNATURE, HeaderValue::from_str(value).unwrap());
        }
        accept_signature(&headers)
    }

    #[test]
    fn finds_what_is_asked_for() {
        for wanted in [Wanted::Frame, Wanted::Trailers] {
            assert_eq!(asked(&[wanted.as_str()]), Some(wanted));
        }
        let with = r#"other=("date"), portcullis=("content-digest";req "@status");created;keyid="k";tag="t""#;
        assert_eq!(asked(&[with]), Some(Wanted::Frame));
        assert_eq!(asked(&[r#"portcullis=("@status" "content-digest" "content-digest";tr)"#]), Some(Wanted::Trailers));
    }

    #[test]
    fn asks_for_nothing_that_it_does_not_say() {
        let long = format!("{};tag=\"{}\"", Wanted::Frame.as_str(), "x".repeat(field::MAX_VALUE));
        let twice = format!("{0}, {0}", Wanted::Frame.as_str());
        for value in [
            "",
            "portcullis",
            "portcullis=1",
            r#"portcullis=("@status")"#,
            r#"portcullis=("@status";tr)"#,
            r#"portcullis=(content-digest)"#,
            r#"portcullis=("@status" "content-digest""#,
            r#"sig1=("@status" "content-digest";tr)"#,
            &twice,
            &long,
        ] {
            assert_eq!(asked(&[value]), None, "{value:.80}");
        }
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[Wanted::Frame.as_str(), Wanted::Frame.as_str()]), None, "two lines");
        assert_eq!(asked(&[r#"portcullis=("content-digest";tr=?0)"#]), Some(Wanted::Frame));
    }
}
