//! How large a value is that is to be validated.

use serde_json::Value;

use super::BYTES_A_VALUE;

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
    /// What it takes to compare each item of every list with all others of it.
    pub(super) compared: u64,
}

impl Size {
    pub(in crate::schema) fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value, 0);
        size
    }

    /// The value was read by a reader that bounds its depth.
    fn add(&mut self, value: &Value, depth: usize) {
        self.values += 1;
        self.depth = self.depth.max(depth);
        match value {
            Value::Array(items) => {
                let before = self.values + self.bytes / BYTES_A_VALUE;
                items.iter().for_each(|item| self.add(item, depth + 1));
                let within = (self.values + self.bytes / BYTES_A_VALUE).saturating_sub(before);
                let pairs = (items.len() as u64).saturating_mul(within) / 2;
                self.compared = self.compared.saturating_add(pairs);
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.text(key);
                    self.add(value, depth + 1);
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
