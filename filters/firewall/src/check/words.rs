//! Lists of words that checks look for, in any ASCII case. Texts full of tokens ask thousands of times.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::placeholder::contains;

/// Words, ready to be found together.
pub(super) struct Words {
    all: &'static [&'static str],
    together: Option<AhoCorasick>,
}

impl Words {
    pub(super) fn new(all: &'static [&'static str]) -> Self {
        let mut builder = AhoCorasick::builder();
        // Small, so that it does not push out of the caches what finds the tokens.
        builder.ascii_case_insensitive(true).prefilter(false).kind(Some(AhoCorasickKind::ContiguousNFA));
        Self { all, together: builder.build(all).ok() }
    }

    /// Whether any of them stands in a text.
    pub(super) fn any(&self, text: &str) -> bool {
        match &self.together {
            Some(together) => together.is_match(text),
            None => self.all.iter().any(|word| contains(text, word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_them_in_any_case_and_anywhere() {
        let built = Words::new(&["hash", "-id:"]);
        assert!(built.together.is_some());
        for words in [built, Words { all: &["hash", "-id:"], together: None }] {
            assert!(words.any("aHaShed") && words.any("the ID is x-ID: 7"));
            assert!(!words.any("has h") && !words.any(""));
        }
    }
}
