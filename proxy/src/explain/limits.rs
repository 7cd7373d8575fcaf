//! Which limit was reached, and whose: a rule's, a grant's, a credential's or one of the gate.

use portcullis_filters::ratelimit::delegation;

use super::{Explained, Sources, at};
use crate::decisions::Decision;

/// Explains a refusal of the `ratelimit` filter.
pub(super) fn explain(decision: &Decision, sources: &Sources<'_>, explained: &mut Explained) {
    let detail = decision.detail.as_str();
    let (kind, key) = detail.split_once(' ').unwrap_or((detail, ""));
    let higher = match decision.code {
        _ if decision.message.starts_with("the budget") => "a larger `budget`",
        "ratelimit.tokens" => "a higher `tokens`",
        "ratelimit.concurrent" => "a higher `concurrent`",
        _ => "a higher `requests`",
    };
    let (rule, place) = match kind.to_ascii_lowercase().as_str() {
        "quota" => return quota(key, higher, decision, sources, explained),
        "caller" => (format!("what each caller may; counted for {key}"), "filters.ratelimit"),
        "global" => ("what all callers may together".to_owned(), "filters.ratelimit.global"),
        "model" => (format!("what model `{key}` may be asked for"), "filters.ratelimit.per_model"),
        "" if decision.code == "store.unavailable" => {
            explained.rule = "what is counted, and cannot be written down".to_owned();
            explained.needed = "a state directory that can be written".to_owned();
            return;
        }
        // From the audit log, which keeps no more than the code.
        "" if decision.message.is_empty() => {
            ("a limit; which one, only the running gate remembers".to_owned(), "filters.ratelimit")
        }
        "" => {
            explained.rule = "refusals of callers that prove no identity (filters.ratelimit.strangers)".to_owned();
            explained.needed = "a credential that holds, or to wait".to_owned();
            return;
        }
        _ => {
            explained.rule = format!("the queue in front of the model server: {detail}");
            explained.needed = "to wait, or a longer `queue`, or more `slots`, of the upstream".to_owned();
            return;
        }
    };
    explained.rule = format!("{rule} ({place})");
    explained.needed = format!("to wait, or {higher} under `{place}`");
}

/// What a rule, a grant or a credential allows, by the key that it is counted under.
fn quota(key: &str, higher: &str, decision: &Decision, sources: &Sources<'_>, explained: &mut Explained) {
    let wait = if decision.message.starts_with("the budget") { "" } else { "to wait, or " };
    let (kind, name) = key.split_once(':').unwrap_or(("", key));
    if let Some((rule, who)) = (kind == "rule").then(|| rule_of(name, sources)).flatten() {
        rule.clone_into(&mut explained.rule);
        explained.reason = format!("{}; counted for {who}", decision.message);
        explained.needed = format!("{wait}{higher} under `limits:` of rule `{rule}`");
        if let Some(line) = sources.policy.line_of(rule) {
            at(explained, sources.policy, line);
        }
        return;
    }
    let (rule, remedy) = match kind {
        "grant" => (format!("grant {name}"), "`portcullis grants add`"),
        "key" => {
            // Behind the name stands which of those that were ever called so.
            let name = name.split('#').next().unwrap_or(name);
            (format!("API key `{name}`"), "a key with it, by `portcullis keys add`")
        }
        "delegated" => {
            let root = delegation(key).map_or(name, |(root, _)| root);
            (format!("a grant that {root} passed on"), "`portcullis grants delegate`")
        }
        _ => (format!("the credential of {}", decision.node_id), "another credential"),
    };
    explained.needed = format!("{wait}{higher}: {remedy}");
    explained.rule = rule;
}

/// The rule, and for whom it is counted. The rule's name may have spaces in it.
fn rule_of<'k>(key: &'k str, sources: &Sources<'_>) -> Option<(&'k str, &'k str)> {
    let names = sources.policy.rule_names().filter(|name| key.strip_prefix(name).is_some_and(|r| r.starts_with(' ')));
    match names.map(str::len).max() {
        Some(length) => Some((key.get(..length)?, key.get(length + 1..)?)),
        None => key.split_once(' '),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_policies::Grants;
    use portcullis_policies::policy::Policy;

    #[test]
    fn says_whose_limit_it_is_in_words() {
        let policy = "version: 1\nrules:\n  - {name: some, effect: allow, who: ['*'], classes: [read]}\n  - {name: some \
                      more, effect: allow, who: ['*'], classes: [inference], limits: {requests: 1/h}}\n";
        let policy = Policy::parse(policy, "policy.yaml").unwrap();
        let sources = Sources { policy: &policy, grants: &Grants::default(), peer: None };
        for (detail, code, message, rule, needed, line) in [
            ("Quota rule:some more peer:a", "ratelimit.requests", "m", "some more", "rule `some more`", Some(4)),
            ("Quota rule:some peer:a", "ratelimit.tokens", "m", "some", "`tokens` under `limits:`", Some(3)),
            ("Quota rule:gone peer:a", "ratelimit.requests", "m", "gone", "rule `gone`", None),
            ("Quota key:ci#7", "ratelimit.requests", "m", "API key `ci`", "`portcullis keys add`", None),
            ("Quota key:ci#7", "ratelimit.tokens", "the budget of 9", "API key `ci`", "a larger `budget`", None),
            ("Quota grant:g-1", "ratelimit.requests", "m", "grant g-1", "`portcullis grants add`", None),
            ("Quota delegated:peer:a:17:x", "ratelimit.tokens", "m", "a grant that peer:a passed on", "delegate", None),
            ("Quota scope:jwt:i#s:0", "ratelimit.requests", "m", "the credential of key:x", "credential", None),
            ("Caller peer:a", "ratelimit.concurrent", "m", "for peer:a (filters.ratelimit)", "`concurrent`", None),
            ("Model tiny", "ratelimit.tokens", "m", "`tiny`", "filters.ratelimit.per_model", None),
            ("Global ", "ratelimit.tokens", "m", "together", "filters.ratelimit.global", None),
            ("3 wait, 1 of 1 slots are busy", "ratelimit.concurrent", "m", "3 wait", "`slots`", None),
            ("", "ratelimit.requests", "m", "filters.ratelimit.strangers", "credential", None),
            ("", "store.unavailable", "m", "counted", "state directory", None),
            ("", "ratelimit.requests", "", "running gate", "`requests`", None),
        ] {
            let decision = Decision {
                code,
                detail: detail.to_owned(),
                message: message.to_owned(),
                node_id: "key:x".to_owned(),
                ..Decision::default()
            };
            let mut explained = Explained::default();
            explain(&decision, &sources, &mut explained);
            assert!(explained.rule.contains(rule), "{detail}: {}", explained.rule);
            assert!(explained.needed.contains(needed), "{detail}: {}", explained.needed);
            assert_eq!(explained.line, line, "{detail}");
            assert_eq!(explained.file.is_some(), line.is_some());
            let all = format!("{} {} {}", explained.rule, explained.reason, explained.needed);
            assert!(!all.contains("Quota") && !all.contains("Caller"), "{all}");
        }
    }
}
