//! How large a value is that is to be validated.

use serde_json::Value;

use super::BYTES_A_VALUE;

/// What the number of an item takes in a JSON pointer, in bytes: no list that is read has more than ten digits of them.
const STEP_BYTES: u64 = 11;

/// How large a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::schema) struct Size {
    pub(super) depth: usize,
    pub(super) values: u64,
    pub(super) bytes: u64,
    /// The longest text or name of a member, in bytes.
    pub(super) longest: u64,
    /// The squares of the lengths of all texts and names.
    pub(super) squares: u64,
    /// The longest way to a value in it, as a JSON pointer, in bytes at most.
    pub(super) path: u64,
    /// What it takes to compare each item of every list with all others of it.
    pub(super) compared: u64,
}

impl Size {
    pub(in crate::schema) fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value, 0, 0);
        size
    }

    /// The value was read by a reader that bounds its depth.
    fn add(&mut self, value: &Value, depth: usize, path: u64) {
        self.values += 1;
        self.depth = self.depth.max(depth);
        self.path = self.path.max(path);
        match value {
            Value::Array(items) => {
                let before = self.values + self.bytes / BYTES_A_VALUE;
                items.iter().for_each(|item| self.add(item, depth + 1, path + STEP_BYTES));
                let within = (self.values + self.bytes / BYTES_A_VALUE).saturating_sub(before);
                let pairs = (items.len() as u64).saturating_mul(within) / 2;
                self.compared = self.compared.saturating_add(pairs);
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.text(key);
                    // Each letter may be escaped.
                    self.add(value, depth + 1, path + 2 * key.len() as u64 + 1);
                }
            }
            Value::String(text) => self.text(text),
            Value::Bool(_) | Value::Null | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str) {
        let length = text.len() as u64;
        self.bytes += length;
        self.longest = self.longest.max(length);
        self.squares = self.squares.saturating_add(length.saturating_mul(length));
    }
}
