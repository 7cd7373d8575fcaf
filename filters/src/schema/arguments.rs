//! The arguments of a call, as they come in pieces.
//!
//! Whether they are whole is asked at every piece that repeats the tool's name, so it must not cost what reading them
//! costs: each byte is looked at once, when it comes.

/// The arguments of one call, as far as they came.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    text: String,
    state: State,
}

/// How far they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing came but white space.
    #[default]
    Blank,
    /// Within so many brackets, and where in a text.
    Open(usize, Within),
    /// So many letters of `null`, which some models say for nothing.
    Null(usize),
    /// The outermost bracket is closed: what may follow is white space.
    Whole,
    /// Neither an object, a list nor `null`, or more than one: no piece makes arguments of it any more.
    Never,
}

/// Where something stands between brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Escape,
    Nothing,
    Text,
}

/// What may stand around a value.
const BLANKS: &[u8] = b" \t\n\r";
const NULL: &[u8] = b"null";

impl Arguments {
    /// Takes in a piece.
    pub(super) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.state = piece.bytes().fold(self.state, State::after);
    }

    /// Whether they have ended: a further bracket could only spoil them. Whether they can be read is not said.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole) || self.state == State::Null(NULL.len())
    }

    /// All that came.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl State {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Blank | Self::Whole, blank) if BLANKS.contains(&blank) => self,
            (Self::Blank, b'{' | b'[') => Self::Open(1, Within::Nothing),
            (Self::Blank, b'n') => Self::Null(1),
            (Self::Null(length), letter) if NULL.get(length) == Some(&letter) => Self::Null(length + 1),
            (Self::Null(length), blank) if length == NULL.len() && BLANKS.contains(&blank) => Self::Whole,
            (Self::Open(depth, Within::Escape), _) => Self::Open(depth, Within::Text),
            (Self::Open(depth, Within::Text), b'\\') => Self::Open(depth, Within::Escape),
            (Self::Open(depth, Within::Text), b'"') => Self::Open(depth, Within::Nothing),
            (Self::Open(depth, Within::Nothing), b'"') => Self::Open(depth, Within::Text),
            (Self::Open(depth, Within::Nothing), b'{' | b'[') => Self::Open(depth.saturating_add(1), Within::Nothing),
            (Self::Open(1, Within::Nothing), b'}' | b']') => Self::Whole,
            (Self::Open(depth, Within::Nothing), b'}' | b']') => Self::Open(depth - 1, Within::Nothing),
            (Self::Open(..), _) => self,
            (Self::Blank | Self::Null(_) | Self::Whole | Self::Never, _) => Self::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::json::Json;

    fn whole(pieces: &[&str]) -> bool {
        let mut arguments = Arguments::default();
        pieces.iter().for_each(|piece| arguments.push(piece));
        assert_eq!(arguments.as_str(), pieces.concat());
        arguments.is_whole()
    }

    #[test]
    fn they_end_with_their_outermost_bracket() {
        for pieces in
            [&["{}"] as &[_], &["{\"a\"", ":[1,{}]}", " \n"], &[" nu", "ll"], &["null\t"], &["{\"\\", "\"}\"}"]]
        {
            assert!(whole(pieces), "{pieces:?}");
        }
        for pieces in
            [&[""] as &[_], &[" "], &["{\"a\":\"}\""], &["{}", "{}"], &["nul"], &["null", "l"], &["null 1"], &["7"]]
        {
            assert!(!whole(pieces), "{pieces:?}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), ".{0,6}".prop_map(Value::from)];
        let inner = leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(".{0,4}", inner, 0..4).prop_map(|all| all.into_iter().collect()),
            ]
        });
        prop::collection::hash_map(".{0,4}", inner, 0..4).prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn every_beginning_is_whole_where_it_can_be_read(value in values()) {
            let text = value.to_string();
            let mut arguments = Arguments::default();
            for letter in text.chars() {
                arguments.push(letter.encode_utf8(&mut [0; 4]));
                prop_assert_eq!(arguments.is_whole(), Json::parse_text(arguments.as_str()).is_ok());
            }
            prop_assert!(arguments.is_whole());
        }
    }
}
