//! Lists of words that checks look for, in any ASCII case. Texts full of tokens ask thousands of times.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Words, ready to be found together.
pub(super) struct Words(Option<AhoCorasick>);

impl Words {
    pub(super) fn new(words: &[&str]) -> Self {
        let mut builder = AhoCorasick::builder();
        // Small, so that it does not push out of the caches what finds the tokens.
        builder.ascii_case_insensitive(true).prefilter(false).kind(Some(AhoCorasickKind::ContiguousNFA));
        // What could not be built finds nothing, so that more is flagged.
        Self(builder.build(words).ok())
    }

    /// Whether any of them stands in a text.
    pub(super) fn any(&self, text: &str) -> bool {
        let Self(words) = self;
        words.as_ref().is_some_and(|words| words.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_them_in_any_case_and_anywhere() {
        let words = Words::new(&["hash", "-id:"]);
        assert!(words.any("aHaShed") && words.any("the ID is x-ID: 7"));
        assert!(!words.any("has h") && !words.any(""));
    }
}
