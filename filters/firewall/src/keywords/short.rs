//! Keywords of one or two bytes: each is looked for by itself.

use memchr::{memchr2_iter, memmem};

use super::Keyword;

/// A keyword of one or two bytes.
pub(super) struct Short {
    number: u32,
    keyword: Vec<u8>,
    finder: Finder,
}

enum Finder {
    Exact(Box<memmem::Finder<'static>>),
    AnyCase,
}

impl Short {
    pub(super) fn new(number: u32, keyword: &Keyword) -> Self {
        let cased = keyword.any_case && keyword.text.iter().any(u8::is_ascii_alphabetic);
        let finder = if cased {
            Finder::AnyCase
        } else {
            Finder::Exact(Box::new(memmem::Finder::new(&keyword.text).into_owned()))
        };
        Self { number, keyword: keyword.text.clone(), finder }
    }

    /// Calls `found` with every place where it stands, until that says no.
    pub(super) fn each<E>(&self, text: &[u8], found: &mut impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        let mut from = 0;
        while let Some(ahead) = text.get(from..).and_then(|rest| self.finder.find(rest, &self.keyword)) {
            found(from + ahead, self.number)?;
            from += ahead + 1;
        }
        Ok(())
    }
}

impl Finder {
    fn find(&self, text: &[u8], keyword: &[u8]) -> Option<usize> {
        match self {
            Self::Exact(finder) => finder.find(text),
            Self::AnyCase => {
                let first = keyword.first()?;
                let here = |at: &usize| {
                    text.get(*at..at + keyword.len()).is_some_and(|there| there.eq_ignore_ascii_case(keyword))
                };
                memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text).find(here)
            }
        }
    }
}
