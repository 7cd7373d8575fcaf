//! What a secret must have for a check to hold, as far as it shows at a glance: most of what stands beside a
//! word for a secret is a type, a variable or a sentence, and ends here.

/// What must be there at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glance {
    /// Bytes, with a digit among them.
    with_digit: usize,
    /// Bytes, if there is none.
    without: usize,
}

impl Glance {
    /// What the check of this name asks for.
    pub(crate) fn of(check: &str) -> Option<Self> {
        let glance = |with_digit, without| Some(Self { with_digit, without });
        match check {
            // Words that a person remembers, or letters that are drawn.
            "assigned" | "assigned-flag" => glance(8, 15),
            "assigned-key" => glance(20, usize::MAX),
            "told" => glance(8, usize::MAX),
            "cookie" => glance(16, usize::MAX),
            "credential" | "flag-password" | "password-random" => glance(1, usize::MAX),
            _ => None,
        }
    }

    /// Whether a secret that lies within these bytes may hold.
    pub(crate) fn may_hold(self, bytes: &[u8]) -> bool {
        bytes.len() >= self.without || (bytes.len() >= self.with_digit && bytes.iter().any(u8::is_ascii_digit))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::{Candidate, by_name};

    const CHECKS: [&str; 7] =
        ["assigned", "assigned-flag", "assigned-key", "told", "cookie", "credential", "flag-password"];

    proptest! {
        /// Whatever holds has what shows at a glance.
        #[test]
        fn nothing_that_holds_is_passed_over(
            name in "(db_password|API_TOKEN|--secret|ORDERS_KEY|the password|session)",
            sign in "(=|: |='| is )",
            secret in prop_oneof![
                "[a-zA-Z0-9]{5,32}",
                "[a-zA-Z]{5,32}",
                "[a-f0-9]{7,40}",
                "[a-z]{2,7}([-. +][a-z]{2,7}){1,5}([-.][0-9]{1,4})?",
                "[A-Z][a-z]{3,7}[*%$!][a-z]{3,7}[0-9]{0,4}",
                "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}",
            ],
        ) {
            let matched = format!("{name}{sign}{secret}");
            let text = format!("x {matched}\n");
            let candidate = Candidate { secret: &secret, matched: &matched, text: &text, start: 2 };
            for check in CHECKS {
                if by_name(check).is_some_and(|holds| holds(&candidate)) {
                    prop_assert!(Glance::of(check).is_none_or(|glance| glance.may_hold(secret.as_bytes())), "{check}");
                }
            }
        }
    }
}
