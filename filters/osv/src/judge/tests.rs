use super::*;
use crate::advisory::Advisory;
use crate::ecosystem::Ecosystem;

/// An advisory on `p` with these events, between commas: `introduced 0, fixed 1.2`.
fn notices(ecosystem: Ecosystem, id: &str, events: &str, versions: &[&str]) -> Vec<Notice> {
    let events: Vec<_> = events.split(", ").filter_map(|event| event.split_once(' ')).collect();
    let events: Vec<_> = events.iter().map(|(what, version)| serde_json::json!({ *what: version })).collect();
    let advisory = serde_json::json!({
        "id": id,
        "affected": [{
            "package": {"ecosystem": ecosystem.as_str(), "name": "p"},
            "ranges": [{"type": "ECOSYSTEM", "events": events}],
            "versions": versions,
        }],
    });
    Advisory::parse(&advisory.to_string()).unwrap().notices
}

fn because(ecosystem: Ecosystem, wanted: &Wanted, notices: &[Notice], unpinned: Unpinned) -> Option<Because> {
    let package = Package::new(ecosystem, "p");
    let mut hits = judge(&package, wanted, notices, Known::default(), unpinned);
    assert!(hits.len() <= 1);
    hits.pop().map(|hit| hit.because)
}

fn npm(requirement: &str, events: &str) -> Option<Because> {
    let wanted = Wanted::read(Ecosystem::Npm, requirement);
    because(Ecosystem::Npm, &wanted, &notices(Ecosystem::Npm, "GHSA-1", events, &[]), Unpinned::Newest)
}

fn exact(ecosystem: Ecosystem, version: &str, events: &str) -> bool {
    let wanted = Wanted::Exact(version.into());
    match because(ecosystem, &wanted, &notices(ecosystem, "GHSA-1", events, &[]), Unpinned::Newest) {
        None => false,
        Some(Because::Version) => true,
        Some(other) => panic!("{ecosystem} {version} {events}: {other:?}"),
    }
}

/// One range of real advisories in each ecosystem, at its ends.
#[test]
fn versions_are_judged_in_the_order_of_their_ecosystem() {
    let cases: [(Ecosystem, &str, &[&str], &[&str]); 9] = [
        // log4j, GHSA-jfh8-c2jp-5v3q
        (
            Ecosystem::Maven,
            "introduced 2.13.0, fixed 2.15.0, introduced 2.0-beta9, fixed 2.3.1",
            &["2.0-beta9", "2.0-rc1", "2.3", "2.14.1", "2.15.0-rc1"],
            &["2.0-beta8", "1.2.17", "2.3.1", "2.12.4", "2.15.0"],
        ),
        // lodash, GHSA-35jh-r3h4-6jhm
        (Ecosystem::Npm, "introduced 0, fixed 4.17.21", &["4.17.20", "0.1.0", "v4.17.20"], &["4.17.21", "5.0.0-0"]),
        // golang.org/x/text, GO-2022-1059
        (Ecosystem::Go, "introduced 0, fixed 0.3.8", &["v0.3.7", "v0.3.8-0.20220722155232-abcdefabcdef"], &["v0.3.8"]),
        (
            Ecosystem::Go,
            "introduced 0, fixed 1.19.9, introduced 1.20.0-0, fixed 1.20.4",
            &["1.20rc1", "go1.20", "1.19.8"],
            &["1.19.9", "go1.20.4"],
        ),
        (Ecosystem::Go, "introduced 0, fixed 4.0.0+incompatible", &["v3.2.0+incompatible"], &["v4.0.0+incompatible"]),
        (
            Ecosystem::RubyGems,
            "introduced 5.2.0, fixed 5.2.4.3",
            &["5.2.0", "5.2.4.2", "5.2.4.rc1"],
            &["5.2.4.3", "5.2.0.beta1"],
        ),
        (
            Ecosystem::NuGet,
            "introduced 0, fixed 13.0.1",
            &["12.0.3", "13.0.1-BETA2", "13.0.0.5"],
            &["13.0.1", "13.0.1.0"],
        ),
        (
            Ecosystem::Packagist,
            "introduced 8.0.0-beta1, fixed 8.9.18",
            &["v8.0.0-RC1", "8.9.17", "8.9.18-dev"],
            &["8.0.0-alpha9", "8.9.18"],
        ),
        (
            Ecosystem::PyPi,
            "introduced 2.0a1, fixed 2.0.5",
            &["2.0b1", "2.0.4.post1", "2.0.1+cu118"],
            &["2.0.dev1", "2.0.5", "2.0.5+x"],
        ),
    ];
    for (ecosystem, events, inside, outside) in cases {
        for version in inside {
            assert!(exact(ecosystem, version, events), "{ecosystem} {version} in {events}");
        }
        for version in outside {
            assert!(!exact(ecosystem, version, events), "{ecosystem} {version} not in {events}");
        }
    }
}

/// <https://ossf.github.io/osv-schema/#evaluation>
#[test]
fn events_mean_the_same_in_any_order() {
    for events in [
        "introduced 1.0, fixed 2.0, introduced 2.5, last_affected 3.0",
        "last_affected 3.0, fixed 2.0, introduced 2.5, introduced 1.0",
    ] {
        for version in ["1.0", "1.9", "2.5", "3.0"] {
            assert!(exact(Ecosystem::PyPi, version, events), "{version}");
        }
        for version in ["0.9", "2.0", "2.4", "3.0.1", "4"] {
            assert!(!exact(Ecosystem::PyPi, version, events), "{version}");
        }
    }
    assert!(exact(Ecosystem::Npm, "4.4.2", "introduced 4.4.2, last_affected 4.4.2"));
    assert!(!exact(Ecosystem::Npm, "4.4.3", "introduced 4.4.2, last_affected 4.4.2"));
    // Where one run ends and the next begins, both in any order.
    for events in ["introduced 1, fixed 2, introduced 2, fixed 3", "introduced 2, fixed 3, introduced 1, fixed 2"] {
        assert!(exact(Ecosystem::PyPi, "2.5", events) && exact(Ecosystem::PyPi, "1.5", events), "{events}");
    }
    assert!(!exact(Ecosystem::PyPi, "1", "introduced 1, fixed 1"));
    assert!(exact(Ecosystem::PyPi, "1.9", "introduced 0, limit 2.0"));
    assert!(!exact(Ecosystem::PyPi, "2.0", "introduced 0, limit 2.0"));
    assert!(exact(Ecosystem::PyPi, "2.9", "introduced 0, limit 2.0, limit 3.0"));
    assert!(exact(Ecosystem::PyPi, "9", "introduced 0, limit *"));
}

#[test]
fn listed_versions_are_compared_as_versions() {
    let notices = notices(Ecosystem::PyPi, "PYSEC-1", "", &["1.0.0", "2.0.0-final"]);
    let judged = |version: &str| because(Ecosystem::PyPi, &Wanted::Exact(version.into()), &notices, Unpinned::Newest);
    assert_eq!(judged("1"), Some(Because::Version));
    assert_eq!(judged("1.0.0+local"), Some(Because::Version));
    assert_eq!(judged("1.0.1"), None);
    // Neither of these can be read; one is listed as it is.
    assert_eq!(judged("2.0.0-final"), Some(Because::Version));
    assert_eq!(judged("2.0.0-finish"), Some(Because::Unreadable));
}

#[test]
fn a_requirement_is_judged_by_the_newest_version_that_fits() {
    let fixed = "introduced 0, fixed 4.17.21";
    for fine in ["", "latest", "*", "^4.0.0", "~4.17.0", ">=4.17.21", "4.17.21 || 3.x", "4.x", "<=4.17.21", "5.x"] {
        assert_eq!(npm(fine, fixed), None, "{fine}");
    }
    for bad in ["<4.17.21", "~4.16.0", "^3.0.0", "4.17.0 - 4.17.20", "3.x || 2.x", "<4", "<=4.17.20"] {
        assert_eq!(npm(bad, fixed), Some(Because::Range), "{bad}");
    }
    assert_eq!(npm("4.17.20", fixed), Some(Because::Version));
    // No fix at all.
    for bad in ["", "^4.0.0", ">=1", "latest"] {
        assert_eq!(npm(bad, "introduced 0"), Some(Because::Range), "{bad}");
        assert_eq!(
            npm(bad, "introduced 0, last_affected 4.2.0"),
            if bad == ">=1" || bad == "^4.0.0" || bad.is_empty() || bad == "latest" {
                Some(Because::NoFix)
            } else {
                None
            },
            "{bad}"
        );
    }
    assert_eq!(npm("<4", "introduced 4.0.0"), None);
    assert_eq!(npm(">=5.0.0", "introduced 0, last_affected 4.2.0"), None);
    // The newest major version is affected, an older one would do: the newest is what would be installed.
    assert_eq!(npm(">=1", "introduced 5.0.0"), Some(Because::Range));
    // Nothing fits above the affected versions, as releases have three numbers.
    assert_eq!(npm(">=1.2.0 <1.2.5", "introduced 0, last_affected 1.2.4"), Some(Because::Range));
    assert_eq!(npm("git+https://example.org/p", fixed), Some(Because::Unreadable));
}

#[test]
fn strict_judges_every_version_that_fits() {
    let strict = |requirement: &str, events: &str| {
        let wanted = Wanted::read(Ecosystem::PyPi, requirement);
        because(Ecosystem::PyPi, &wanted, &notices(Ecosystem::PyPi, "PYSEC-1", events, &[]), Unpinned::Strict)
    };
    assert_eq!(strict(">=1.0", "introduced 0, fixed 1.2"), Some(Because::Possible));
    assert_eq!(strict("", "introduced 0, fixed 1.2"), Some(Because::Possible));
    assert_eq!(strict(">=1.2", "introduced 0, fixed 1.2"), None);
    assert_eq!(strict("<1.2", "introduced 0, fixed 1.2"), Some(Because::Range));
}

#[test]
fn known_versions_say_what_a_requirement_comes_to() {
    let versions: Vec<Box<str>> = ["1.0.0", "1.1.0", "1.2.0-beta.1", "0.9.0"].map(Box::from).to_vec();
    let known = Known { versions: &versions, established: false };
    let judged = |ecosystem: Ecosystem, requirement: &str, events: &str, unpinned| {
        let notices = notices(ecosystem, "GHSA-1", events, &[]);
        let wanted = Wanted::read(ecosystem, requirement);
        let mut hits = judge(&Package::new(ecosystem, "p"), &wanted, &notices, known, unpinned);
        hits.pop().map(|hit| hit.because)
    };
    let resolved = |version: &str| Some(Because::Resolved(version.into()));
    let newest = Unpinned::Newest;
    assert_eq!(judged(Ecosystem::Npm, "^1.0.0", "introduced 0, fixed 1.1.0", newest), None);
    assert_eq!(judged(Ecosystem::Npm, "^1.0.0", "introduced 0, fixed 1.1.1", newest), resolved("1.1.0"));
    assert_eq!(judged(Ecosystem::Npm, "", "introduced 0, last_affected 1.0.0", newest), None);
    assert_eq!(judged(Ecosystem::Npm, "<1.0.0", "introduced 0.9.0, fixed 1.0.0", newest), resolved("0.9.0"));
    // A pre-release only where it is asked for.
    assert_eq!(judged(Ecosystem::Npm, ">=1.2.0-beta.1", "introduced 1.2.0-0", newest), resolved("1.2.0-beta.1"));
    assert_eq!(judged(Ecosystem::Npm, ">=1.0.0", "introduced 1.2.0-0", newest), None);
    assert_eq!(
        judged(Ecosystem::Npm, "^1.0.0", "introduced 0, fixed 1.1.0", Unpinned::Strict),
        Some(Because::Possible)
    );
    // NuGet takes the lowest.
    assert_eq!(judged(Ecosystem::NuGet, "[1.0,2.0)", "introduced 0, fixed 1.1.0", newest), resolved("1.0.0"));
    assert_eq!(judged(Ecosystem::NuGet, "1.*", "introduced 0, fixed 1.1.0", newest), None);
    // An index that knows of none that fits says nothing.
    assert_eq!(judged(Ecosystem::Npm, "^2.0.0", "introduced 0, fixed 3.0.0", newest), Some(Because::Range));
}

#[test]
fn the_lowest_that_fits_counts_where_the_ecosystem_takes_it() {
    let nuget = |requirement: &str, events: &str| {
        let wanted = Wanted::read(Ecosystem::NuGet, requirement);
        because(Ecosystem::NuGet, &wanted, &notices(Ecosystem::NuGet, "GHSA-1", events, &[]), Unpinned::Newest)
    };
    assert_eq!(nuget("[1.0,)", "introduced 0, fixed 2.0"), Some(Because::Range));
    assert_eq!(nuget("[2.0,)", "introduced 3.0"), None);
    assert_eq!(nuget("1.0", "introduced 0, fixed 2.0"), Some(Because::Version));
    assert_eq!(nuget("1.*", "introduced 0, fixed 1.5"), None);
}

#[test]
fn malicious_packages_are_hit_whatever_else_is_said() {
    let ecosystem = Ecosystem::PyPi;
    let all = notices(ecosystem, "MAL-2024-1", "", &[]);
    let some = notices(ecosystem, "MAL-2024-2", "", &["1.0.0"]);
    let judged = |wanted: Wanted, notices: &[Notice], established| {
        let known = Known { versions: &[], established };
        judge(&Package::new(ecosystem, "p"), &wanted, notices, known, Unpinned::Newest).pop().map(|hit| hit.because)
    };
    assert_eq!(judged(Wanted::Any, &all, true), Some(Because::Range));
    assert_eq!(judged(Wanted::Exact("7".into()), &all, true), Some(Because::Version));
    assert_eq!(judged(Wanted::Exact("1.0".into()), &some, true), Some(Because::Version));
    assert_eq!(judged(Wanted::Exact("1.1".into()), &some, false), None);
    // One bad release of a package that everybody uses is over; of one that nobody knows it is all there is.
    assert_eq!(judged(Wanted::Any, &some, false), Some(Because::NoFix));
    assert_eq!(judged(Wanted::Any, &some, true), None);
    assert_eq!(judged(Wanted::read(ecosystem, "<=1.0"), &some, true), Some(Because::Range));
}

#[test]
fn a_hit_names_the_version_to_take() {
    let notices = notices(Ecosystem::Npm, "GHSA-1", "introduced 0, fixed 1.4.2, introduced 2.0.0, fixed 2.1.3", &[]);
    let fixed = |requirement: &str| {
        let wanted = Wanted::read(Ecosystem::Npm, requirement);
        let hits = judge(&Package::new(Ecosystem::Npm, "p"), &wanted, &notices, Known::default(), Unpinned::Newest);
        hits.first().and_then(|hit| hit.fixed.clone())
    };
    assert_eq!(fixed("1.4.1").as_deref(), Some("1.4.2"));
    assert_eq!(fixed("2.0.0").as_deref(), Some("2.1.3"));
    assert_eq!(fixed("~1.3.0").as_deref(), Some("1.4.2"));
    assert_eq!(fixed("~2.0.0").as_deref(), Some("2.1.3"));
}

#[test]
fn other_packages_are_let_alone() {
    let notices = notices(Ecosystem::Npm, "GHSA-1", "introduced 0", &[]);
    for package in [Package::new(Ecosystem::Npm, "q"), Package::new(Ecosystem::PyPi, "p")] {
        assert_eq!(judge(&package, &Wanted::Any, &notices, Known::default(), Unpinned::Strict), Vec::new());
    }
}

#[test]
fn what_cannot_be_read_is_taken_to_be_affected() {
    let notices = notices(Ecosystem::Npm, "GHSA-1", "introduced 0, fixed not-a-version", &[]);
    assert!(notices[0].doubtful);
    for wanted in [Wanted::Any, Wanted::Exact("1.0.0".into()), Wanted::Exact("?".into()), Wanted::Range("?".into())] {
        assert_eq!(because(Ecosystem::Npm, &wanted, &notices, Unpinned::Newest), Some(Because::Unreadable), "{wanted}");
    }
}
