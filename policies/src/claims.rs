//! What an identity provider says of a caller.

use std::collections::BTreeMap;

/// The claims of a verified token that policy may look at: each a list of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims(BTreeMap<String, Vec<String>>);

impl Claims {
    /// Notes the values of a claim.
    pub fn insert(&mut self, claim: &str, values: Vec<String>) {
        self.0.insert(claim.to_owned(), values);
    }

    /// The values of a claim; none when the token does not have it.
    #[must_use]
    pub fn get(&self, claim: &str) -> &[String] {
        self.0.get(claim).map_or(&[], Vec::as_slice)
    }
}
