//! Workloads with X.509-SVIDs: the words of `filters.identity.spiffe`.

use std::path::PathBuf;

use portcullis_certs::authorities::valid_trust_domain;

use super::check::Check;
use super::written;

/// The most trust domains, and the most patterns.
const MAX: usize = 64;

/// Whose workloads are let in, and which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spiffe {
    /// Each trust domain with its own bundles.
    pub(crate) trust_domains: Vec<(String, Vec<PathBuf>)>,
    /// Patterns of SPIFFE IDs.
    pub(crate) allow: Vec<String>,
}

impl Spiffe {
    /// As `config show` prints it: nothing where none is named.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        if self.trust_domains.is_empty() {
            return serde_json::Value::Null;
        }
        let domains: serde_json::Map<_, _> =
            self.trust_domains.iter().map(|(name, files)| (name.clone(), serde_json::json!(files))).collect();
        serde_json::json!({"trust_domains": domains, "allow": self.allow})
    }

    pub(super) fn check(check: &mut Check<'_>, w: &written::Spiffe) -> Self {
        let key = "filters.identity.spiffe";
        let domains = &format!("{key}.trust_domains");
        let mut trust_domains = Vec::new();
        for (name, files) in &w.trust_domains {
            if !valid_trust_domain(name) {
                check.wrong(
                    domains,
                    format!("`{name}` is not a trust domain, expected lower-case letters, digits, `.`, `-`, `_`"),
                    Some("write it as it stands in the SPIFFE IDs, without `spiffe://`"),
                );
            }
            if files.is_empty() {
                check.wrong(
                    domains,
                    format!("`{name}` has no bundle, so nobody could vouch for it"),
                    Some("write `example.org: [bundle.pem]`"),
                );
            }
            let files = files.iter().map(|path| check.bundle(domains, path)).collect();
            trust_domains.push((name.clone(), files));
        }
        if trust_domains.is_empty() || trust_domains.len() > MAX {
            check.wrong(
                domains,
                format!("there are {}, expected 1 to {MAX}", trust_domains.len()),
                Some("write `trust_domains: {example.org: [bundle.pem]}`"),
            );
        }
        if w.allow.is_empty() || w.allow.len() > MAX {
            check.wrong(
                &format!("{key}.allow"),
                format!("there are {} patterns, expected 1 to {MAX}: without one nobody is let in", w.allow.len()),
                Some("write `allow: ['spiffe://example.org/ns/prod/*']`"),
            );
        }
        for pattern in &w.allow {
            let domain =
                pattern.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).map(|(domain, _)| domain);
            let known = domain.is_some_and(|domain| w.trust_domains.contains_key(domain));
            if !known || pattern.len() > 512 {
                check.wrong(
                    &format!("{key}.allow"),
                    format!("`{pattern}` can never match: it does not begin with one of the trust domains"),
                    Some("write `spiffe://`, a trust domain, and a path in which `*` stands for any text"),
                );
            }
        }
        Self { trust_domains, allow: w.allow.clone() }
    }
}
