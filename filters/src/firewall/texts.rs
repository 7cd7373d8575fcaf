//! Every text of a request, in the order in which the model reads it.
//!
//! 1. What is said comes first (instructions, messages, prompts), each as the continuation of the one before.
//! 2. Then everything else that is a string: keys, names, settings, the query, the path.
//! 3. Then what is said in another way: numbers that spell a text, the words in an image, a value together
//!    with the key that it stands under.
//!
//! Nothing is left out for where it stands.

use portcullis_firewall::{Origin, Text};
use portcullis_policies::Dialect;
use portcullis_policies::routes::Route;

use super::Value;
use super::hidden::{Hidden, Made};
use super::speaker::{Context, rank};
use crate::exchange::{Head, Request};

/// A text that stands alone and is shorter than this holds nothing.
const SHORTEST: usize = 4;

/// Where a text stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'r> {
    /// In a key, the path, the query, a form: it cannot be taken out.
    Fixed,
    /// It is a value of the JSON that is read, not acted upon.
    Value(&'r Value<'r>),
    /// Part of a text that was made of a value: the value, and where in the text it begins.
    Within(&'r Value<'r>, usize),
}

/// The texts of one request, and where each of them stands.
#[derive(Default)]
pub(super) struct Texts<'r> {
    pub(super) texts: Vec<Text<'r>>,
    pub(super) places: Vec<Place<'r>>,
}

impl<'r> Texts<'r> {
    /// The texts of a request; what had to be made of its values is in `hidden`.
    pub(super) fn of(request: &'r Request<'r>, hidden: &'r [Made<'r>]) -> Self {
        let mut all = Self::default();
        if let Some(json) = request.json {
            all.json(json, outermost(&request.head.route));
        }
        all.head(request.head);
        for made in hidden {
            all.add(&made.text, made.origin, made.place);
        }
        all
    }

    /// The texts of a body alone.
    pub(super) fn of_json(json: &'r Value<'r>, route: &Route, hidden: &'r [Made<'r>]) -> Self {
        let mut all = Self::default();
        all.json(json, outermost(route));
        for made in hidden {
            all.add(&made.text, made.origin, made.place);
        }
        all
    }

    fn add(&mut self, text: &'r str, origin: Origin, place: Place<'r>) {
        if text.len() >= SHORTEST {
            self.texts.push(Text { text, origin, flows: false });
            self.places.push(place);
        }
    }

    fn json(&mut self, json: &'r Value<'r>, outside: Context) {
        let Value::Object(entries) = json else {
            self.said(json, Context { said: true, ..outside });
            return self.unsaid(json, Context { said: true, ..outside }, false);
        };
        let outside = outside.of_object(entries);
        let in_order = entries.iter().map(|(key, _)| rank(key)).is_sorted();
        for turn in if in_order { 0..1 } else { 0..3 } {
            let now = entries.iter().filter(|(key, _)| in_order || rank(key) == turn);
            now.for_each(|(key, value)| self.said(value, outside.under(key)));
        }
        self.unsaid(json, outside, true);
    }

    /// Values that are said.
    fn said(&mut self, json: &'r Value<'r>, context: Context) {
        match json {
            Value::String(text) if context.said && !text.is_empty() => {
                // Of what is said, a single letter may be the beginning of what the next one ends.
                self.texts.push(Text { text, origin: context.origin, flows: !self.texts.is_empty() });
                self.places.push(Place::Value(json));
            }
            Value::Array(items) => items.iter().for_each(|item| self.said(item, context)),
            Value::Object(entries) => {
                let inside = context.of_object(entries);
                entries.iter().for_each(|(key, value)| self.said(value, inside.under(key)));
            }
            _ => {}
        }
    }

    /// Keys, and values that are not said. What stands outermost tells the server what to do: it is not cut.
    fn unsaid(&mut self, json: &'r Value<'r>, context: Context, outermost: bool) {
        match json {
            Value::String(text) if !context.said => {
                let place = if outermost { Place::Fixed } else { Place::Value(json) };
                self.add(text, context.origin, place);
            }
            Value::Array(items) => items.iter().for_each(|item| self.unsaid(item, context, outermost)),
            Value::Object(entries) => {
                let inside = context.of_object(entries);
                for (key, value) in entries {
                    self.add(key, inside.origin, Place::Fixed);
                    let scalar = outermost && !matches!(value, Value::Object(_));
                    self.unsaid(value, inside.under(key), scalar);
                }
            }
            _ => {}
        }
    }

    /// What of the head reaches the server.
    fn head(&mut self, head: &'r Head) {
        for (name, value) in &head.query {
            self.add(name, Origin::Unknown, Place::Fixed);
            self.add(value, Origin::Unknown, Place::Fixed);
        }
        // Segments that the route spells out are known.
        let known = head.route.path.split('/').map(Some).chain(std::iter::repeat(None));
        for (segment, _) in head.path.split('/').zip(known).filter(|(segment, known)| *known != Some(*segment)) {
            self.add(segment, Origin::Unknown, Place::Fixed);
        }
        for value in head.headers.values().filter_map(|value| value.to_str().ok()) {
            self.add(value, Origin::Unknown, Place::Fixed);
        }
    }
}

/// What is known of the outermost value: on routes without a dialect of their own everything is said.
pub(super) fn outermost(route: &Route) -> Context {
    Context { origin: Origin::Unknown, said: route.dialect == Dialect::Plain }
}

/// What of a request has to be made into texts first.
pub(super) fn hidden<'r>(request: &'r Request<'r>) -> Result<Vec<Made<'r>>, super::hidden::TooMuch> {
    let mut hidden = Hidden::default();
    match request.json {
        Some(json) => hidden.json(json, outermost(&request.head.route))?,
        None => hidden.bytes(request.body),
    }
    Ok(hidden.made)
}
