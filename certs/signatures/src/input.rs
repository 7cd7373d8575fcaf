//! `Signature-Input` (RFC 9421, section 4.1): one label, what it covers, and its parameters.
//!
//! The parser of structured fields tells of every member as it comes, so that what is there twice is
//! seen. A parser that fills a map would let the second win where another verifier sees the first.

use std::borrow::Cow;
use std::fmt;

use sfv::visitor::{DictionaryVisitor, EntryVisitor, InnerListVisitor, ItemVisitor, Never, ParameterVisitor};
use sfv::{BareItemFromInput, ItemSerializer, KeyRef, Parser, StringRef};

use crate::error::Malformed;
use crate::field::MAX_INPUT;

/// The most components that a signature may cover.
const MAX_COMPONENTS: usize = 32;

/// One signature's input. `created`, `expires`, `nonce`, `keyid`, `alg` and `tag` are its
/// parameters, none of them required here.
#[derive(Debug, Default)]
pub(crate) struct Input<'h> {
    pub(crate) label: &'h str,
    pub(crate) components: Vec<Component<'h>>,
    pub(crate) created: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) nonce: Option<Cow<'h, str>>,
    pub(crate) keyid: Option<Cow<'h, str>>,
    pub(crate) alg: Option<Cow<'h, str>>,
    pub(crate) tag: Option<Cow<'h, str>>,
    /// The value in its one spelling (RFC 9651, section 4.1.1), as the signature covers it.
    pub(crate) text: String,
    problem: Option<Malformed>,
}

/// What a signature covers: a derived component or a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Component<'h> {
    pub(crate) name: &'h str,
    /// `;tr`: the field stands in the trailers.
    pub(crate) trailer: bool,
}

/// The visitor has seen what is refused; why is kept beside it.
#[derive(Debug)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl<'h> Input<'h> {
    pub(crate) fn parse(text: &'h str) -> Result<Self, Malformed> {
        if text.len() > MAX_INPUT {
            return Err(Malformed("`Signature-Input` is longer than 8 KiB"));
        }
        let mut input = Self { text: String::with_capacity(text.len()), ..Self::default() };
        let outcome = Parser::new(text).parse_dictionary_with_visitor(&mut input);
        match (input.problem, outcome) {
            (Some(problem), _) => Err(problem),
            (None, Err(_)) => Err(Malformed("`Signature-Input` is no dictionary of structured fields (RFC 9651)")),
            (None, Ok(())) if input.label.is_empty() => Err(Malformed("`Signature-Input` is empty")),
            (None, Ok(())) => Ok(input),
        }
    }

    fn refuse<T>(&mut self, problem: &'static str) -> Result<T, Refused> {
        self.problem = Some(Malformed(problem));
        Err(Refused)
    }

    /// Writes a string in its one spelling.
    fn write_string(&mut self, text: &StringRef) {
        if text.as_str().bytes().any(|b| matches!(b, b'"' | b'\\')) {
            let _written = ItemSerializer::with_buffer(&mut self.text).bare_item(text).finish();
        } else {
            // Nothing to escape, as nearly always.
            for part in ["\"", text.as_str(), "\""] {
                self.text.push_str(part);
            }
        }
    }
}

impl<'h> DictionaryVisitor<'h> for &mut Input<'h> {
    type Out = ();
    type Error = Refused;

    fn entry(&mut self, key: &'h KeyRef) -> Result<impl EntryVisitor<'h>, Refused> {
        if !self.label.is_empty() {
            return self.refuse("`Signature-Input` must hold one signature, not several");
        }
        self.label = key.as_str();
        Ok(&mut **self)
    }

    fn finish(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl<'h> EntryVisitor<'h> for &mut Input<'h> {
    type Error = Refused;

    fn item(self) -> Result<impl ItemVisitor<'h>, Refused> {
        self.refuse::<Never>("`Signature-Input` must name what is covered in parentheses")
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'h>, Refused> {
        self.text.push('(');
        Ok(self)
    }
}

impl<'h> InnerListVisitor<'h> for &mut Input<'h> {
    type Error = Refused;

    fn item(&mut self) -> Result<impl ItemVisitor<'h>, Refused> {
        Ok(&mut **self)
    }

    fn finish(self) -> Result<impl ParameterVisitor<'h>, Refused> {
        self.text.push(')');
        Ok(OfSignature(self))
    }
}

impl<'h> ItemVisitor<'h> for &mut Input<'h> {
    type Out = ();
    type Error = Refused;

    fn bare_item(self, item: BareItemFromInput<'h>) -> Result<impl ParameterVisitor<'h, Out = ()>, Refused> {
        // A name that needs escapes is none.
        let BareItemFromInput::String(Cow::Borrowed(name)) = item else {
            return self.refuse("`Signature-Input` must name every covered component as a string");
        };
        if self.components.len() == MAX_COMPONENTS {
            return self.refuse("a signature may cover at most 32 components");
        }
        if !self.components.is_empty() {
            self.text.push(' ');
        }
        self.write_string(name);
        self.components.push(Component { name: name.as_str(), trailer: false });
        Ok(OfComponent(self))
    }
}

/// The parameters of a component: `;tr` or none.
struct OfComponent<'i, 'h>(&'i mut Input<'h>);

impl<'h> ParameterVisitor<'h> for OfComponent<'_, 'h> {
    type Out = ();
    type Error = Refused;

    fn parameter(&mut self, key: &'h KeyRef, value: BareItemFromInput<'h>) -> Result<(), Refused> {
        match (key.as_str(), value, self.0.components.last_mut()) {
            ("tr", BareItemFromInput::Boolean(true), Some(component)) if !component.trailer => {
                component.trailer = true;
                self.0.text.push_str(";tr");
                Ok(())
            }
            _ => self.0.refuse("a covered component must have no parameters"),
        }
    }

    fn finish(self) -> Result<(), Refused> {
        match self.0.components.split_last() {
            Some((last, before)) if before.contains(last) => self.0.refuse("a signature must cover no component twice"),
            _ => Ok(()),
        }
    }
}

/// The parameters of the signature.
struct OfSignature<'i, 'h>(&'i mut Input<'h>);

impl<'h> ParameterVisitor<'h> for OfSignature<'_, 'h> {
    type Out = ();
    type Error = Refused;

    fn parameter(&mut self, key: &'h KeyRef, value: BareItemFromInput<'h>) -> Result<(), Refused> {
        let input = &mut *self.0;
        let key = key.as_str();
        input.text.push(';');
        input.text.push_str(key);
        input.text.push('=');
        let twice = match (key, value) {
            ("created" | "expires", BareItemFromInput::Integer(second)) => {
                let _written = ItemSerializer::with_buffer(&mut input.text).bare_item(second).finish();
                let slot = if key == "created" { &mut input.created } else { &mut input.expires };
                slot.replace(i64::from(second)).is_some()
            }
            ("nonce" | "keyid" | "alg" | "tag", BareItemFromInput::String(text)) => {
                input.write_string(&text);
                let slot = match key {
                    "nonce" => &mut input.nonce,
                    "keyid" => &mut input.keyid,
                    "alg" => &mut input.alg,
                    _ => &mut input.tag,
                };
                slot.replace(plain(text)).is_some()
            }
            ("created" | "expires", _) => return input.refuse("`created` and `expires` must be integers, in seconds"),
            ("nonce" | "keyid" | "alg" | "tag", _) => {
                return input.refuse("`nonce`, `keyid`, `alg` and `tag` must be strings");
            }
            _ => {
                return input.refuse(
                    "a signature may have the parameters `created`, `expires`, `nonce`, `keyid`, `alg` and `tag` only",
                );
            }
        };
        if twice { input.refuse("a signature must have no parameter twice") } else { Ok(()) }
    }

    fn finish(self) -> Result<(), Refused> {
        Ok(())
    }
}

fn plain(text: Cow<'_, StringRef>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_str()),
        Cow::Owned(text) => Cow::Owned(text.into()),
    }
}
