use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ecosystem::Ecosystem;
use crate::severity::Severity;
use crate::span::End;

fn parse(value: &serde_json::Value) -> Advisory {
    Advisory::parse(&value.to_string()).unwrap()
}

#[test]
fn keeps_what_judging_needs() {
    let advisory = parse(&json!({
        "schema_version": "1.6.0",
        "id": "GHSA-35jh-r3h4-6jhm",
        "modified": "2024-02-18T05:29:18.123456Z",
        "published": "2021-05-06T16:05:51Z",
        "aliases": ["CVE-2021-23337"],
        "summary": "Command Injection in lodash",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {"package": {"name": "lodash", "ecosystem": "npm", "purl": "pkg:npm/lodash"},
             "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.21"}]}],
             "versions": ["4.17.20", "4.18.0-odd", "4.17.19"]},
            {"package": {"name": "lodash-es", "ecosystem": "npm"},
             "ranges": [{"type": "GIT", "repo": "https://example.org", "events": [{"introduced": "0"}, {"fixed": "abc"}]}]},
            {"package": {"name": "lodash", "ecosystem": "Debian:12"}, "versions": ["1"]},
            {"package": {"name": "lodash", "ecosystem": "npm"},
             "ranges": [{"type": "SEMVER", "events": [{"introduced": "5.0.0"}, {"last_affected": "5.1.0"}]}]},
        ],
        "database_specific": {"severity": "HIGH", "cwe_ids": ["CWE-77"]},
        "references": [],
    }));
    assert_eq!(advisory.modified.as_deref(), Some("2024-02-18T05:29:18.123456Z"));
    let [lodash, es] = advisory.notices.as_slice() else { panic!("{advisory:?}") };
    assert_eq!(lodash.package, Package::new(Ecosystem::Npm, "lodash"));
    assert_eq!(lodash.aliases, ["CVE-2021-23337".into()]);
    assert_eq!(lodash.rating, Rating { severity: Severity::High, score: Some(72) });
    assert_eq!(
        lodash.spans,
        [
            Span { from: None, until: End::Fixed("4.17.21".into()) },
            Span { from: Some("5.0.0".into()), until: End::Last("5.1.0".into()) },
        ]
    );
    assert_eq!(lodash.versions, ["4.18.0-odd".into()], "the others are in the run");
    assert!(es.spans.is_empty() && es.mended && !es.doubtful);
}

#[test]
fn what_was_taken_back_says_nothing() {
    let advisory = parse(&json!({
        "id": "PYSEC-1", "withdrawn": "2022-02-22T16:15:07Z",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "p"}, "versions": ["1"]}],
    }));
    assert!(advisory.withdrawn && advisory.notices.is_empty());
    let advisory = parse(&json!({
        "id": "PYSEC-1", "withdrawn": null,
        "affected": [{"package": {"ecosystem": "PyPI", "name": "p"}, "versions": ["1"], "ranges": null}],
    }));
    assert_eq!((advisory.withdrawn, advisory.notices.len()), (false, 1));
}

#[test]
fn the_worst_rating_counts_wherever_it_stands() {
    let rated = |advisory: serde_json::Value, affected: serde_json::Value| {
        let mut package = json!({"package": {"ecosystem": "npm", "name": "p"}});
        package.as_object_mut().unwrap().extend(affected.as_object().unwrap().clone());
        let mut whole = json!({"id": "GHSA-1", "affected": [package]});
        whole.as_object_mut().unwrap().extend(advisory.as_object().unwrap().clone());
        parse(&whole).notices[0].rating.severity
    };
    assert_eq!(rated(json!({}), json!({})), Severity::Unrated);
    assert_eq!(rated(json!({"database_specific": {"severity": "MODERATE"}}), json!({})), Severity::Medium);
    assert_eq!(rated(json!({}), json!({"ecosystem_specific": {"severity": "High"}})), Severity::High);
    assert_eq!(
        rated(json!({}), json!({"database_specific": {"cvss": "AV:N/AC:L/Au:N/C:C/I:C/A:C"}})),
        Severity::Critical
    );
    assert_eq!(rated(json!({}), json!({"severity": [{"type": "CVSS_V3", "score": "9.8"}]})), Severity::Critical);
    assert_eq!(
        rated(
            json!({"severity": [{"type": "x", "score": 5.5}, {"type": "y", "score": "low"}, {"type": "z"}]}),
            json!({})
        ),
        Severity::Medium
    );
    let both = json!({"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}], "database_specific": {"severity": "LOW"}});
    assert_eq!(rated(both, json!({})), Severity::Critical);
    assert_eq!(
        rated(json!({"severity": [{"type": "CVSS_V3", "score": "CVSS:9/nonsense"}]}), json!({})),
        Severity::Unrated
    );
}

#[test]
fn tells_malice_from_neglect() {
    let nature = |id: &str, aliases: &[&str], specific: serde_json::Value| {
        let package = json!({"ecosystem": "crates.io", "name": "p"});
        let affected = json!([{"package": package, "database_specific": specific}]);
        let advisory = parse(&json!({"id": id, "aliases": aliases, "affected": affected}));
        (advisory.notices[0].nature, advisory.notices[0].spans.as_slice() == [Span::ALL])
    };
    assert_eq!(nature("MAL-2024-1", &[], json!({})), (Nature::Malicious, true));
    assert_eq!(nature("GHSA-1", &["MAL-2024-1"], json!(null)), (Nature::Malicious, true));
    assert_eq!(nature("RUSTSEC-1", &[], json!({"categories": ["malicious"]})), (Nature::Malicious, true));
    assert_eq!(nature("RUSTSEC-1", &[], json!({"informational": "unmaintained"})), (Nature::Informational, false));
    assert_eq!(nature("RUSTSEC-1", &[], json!({"informational": "unsound"})), (Nature::Vulnerability, false));
    assert_eq!(nature("PYSEC-1", &[], json!({})), (Nature::Vulnerability, false));
}

#[test]
fn says_what_is_broken() {
    let message = |text: &str| Advisory::parse(text).unwrap_err().to_string();
    assert!(message("{").contains("line 1"), "{}", message("{"));
    assert!(message("{}").contains("`id`"), "{}", message("{}"));
    assert!(message(r#"{"id": " "}"#).contains("`id` is empty"));
    assert!(message(r#"{"id": "a", "affected": {}}"#).contains("expected a sequence"));
    assert!(message(r#"{"id": "a", "affected": [{"package": {"ecosystem": "npm", "name": ""}}]}"#).contains("name"));
    let long = format!(r#"{{"id": "{}"}}"#, "a".repeat(200));
    assert!(message(&long).contains("too long"));
    assert!(message(&" ".repeat(MAX_ADVISORY + 1)).contains("at most"));
}

fn like_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        (-5i32..20).prop_map(|n| json!(n)),
        "[0-9a-zA-Z.*^~+-]{0,8}".prop_map(|s| json!(s)),
        prop_oneof!["npm", "PyPI", "Maven", "SEMVER", "ECOSYSTEM", "GIT"].prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let key = prop_oneof![
            "id",
            "affected",
            "package",
            "name",
            "ecosystem",
            "ranges",
            "events",
            "introduced",
            "fixed",
            "versions",
            "last_affected",
            "limit",
            "type",
            "severity",
            "score",
            "aliases",
            "withdrawn",
            "database_specific",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(|list| json!(list)),
            proptest::collection::btree_map(key, inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_read_or_refused(value in like_json(), events in like_json(), text in "\\PC{0,60}") {
        let _ = Advisory::parse(&value.to_string());
        let _ = Advisory::parse(&text);
        let whole = json!({"id": "a", "affected": [{
            "package": {"ecosystem": "npm", "name": "p"}, "ranges": [{"type": "SEMVER", "events": events}],
        }]});
        let _ = Advisory::parse(&whole.to_string());
    }
}
