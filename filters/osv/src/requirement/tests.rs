use proptest::prelude::*;

use super::*;
use crate::wanted::Wanted;

/// A requirement, versions that fit it, and versions that do not.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

fn check(ecosystem: Ecosystem, cases: &[Case]) {
    for (text, inside, outside) in cases {
        let requirement = Requirement::parse(ecosystem, text).unwrap_or_else(|| panic!("{ecosystem} `{text}`"));
        let fits = |version: &str| requirement.contains(&Version::parse(ecosystem, version).unwrap());
        for version in *inside {
            assert!(fits(version), "{ecosystem} `{text}` lets `{version}` through");
        }
        for version in *outside {
            assert!(!fits(version), "{ecosystem} `{text}` holds `{version}` back");
        }
    }
}

fn refuses(ecosystem: Ecosystem, texts: &[&str]) {
    for text in texts {
        assert_eq!(Requirement::parse(ecosystem, text), None, "{ecosystem} `{text}`");
    }
}

/// <https://github.com/npm/node-semver#advanced-range-syntax>
#[test]
fn npm() {
    check(
        Ecosystem::Npm,
        &[
            ("1.2.3", &["1.2.3", "1.2.3+x"], &["1.2.4", "1.2.3-beta"]),
            ("1.2.3 - 2.3.4", &["1.2.3", "2.3.4"], &["1.2.2", "2.3.5"]),
            ("1.2 - 2.3", &["1.2.0", "2.3.9"], &["1.1.9", "2.4.0", "2.4.0-0"]),
            ("1.2.x", &["1.2.0", "1.2.9"], &["1.3.0", "1.1.0"]),
            ("1.X", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.9", "2.0.0-alpha"]),
            ("1", &["1.0.0", "1.9.9"], &["2.0.0"]),
            ("~1.2.3", &["1.2.3", "1.2.9"], &["1.2.2", "1.3.0"]),
            ("~1.2", &["1.2.0", "1.2.9"], &["1.3.0"]),
            ("~1", &["1.0.0", "1.9.0"], &["2.0.0"]),
            ("~ 1.2.3-beta.2", &["1.2.3-beta.2", "1.2.9"], &["1.2.3-beta.1", "1.3.0"]),
            ("^1.2.3", &["1.2.3", "1.9.9"], &["1.2.2", "2.0.0", "2.0.0-0"]),
            ("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0", "0.2.2"]),
            ("^0.0.3", &["0.0.3"], &["0.0.4", "0.0.2"]),
            ("^0.0", &["0.0.0", "0.0.9"], &["0.1.0"]),
            ("^0.x", &["0.0.0", "0.9.9"], &["1.0.0"]),
            ("^1.x", &["1.0.0"], &["2.0.0"]),
            (">=1.2.7 <1.3.0", &["1.2.7", "1.2.99"], &["1.2.6", "1.3.0"]),
            (">= 1.2.7   < 1.3.0", &["1.2.7"], &["1.3.0"]),
            ("1.2.7 || >=1.2.9 <2.0.0", &["1.2.7", "1.2.9", "1.4.6"], &["1.2.8", "2.0.0"]),
            (">1.2", &["1.3.0"], &["1.2.9"]),
            ("<=1.2", &["1.2.9"], &["1.3.0"]),
            ("<1.2", &["1.1.9"], &["1.2.0"]),
            (">1", &["2.0.0"], &["1.9.9"]),
            (">* || 1.x", &["1.2.3"], &["2.0.0"]),
            ("=1.2.3 ||v2.0.0", &["1.2.3", "2.0.0"], &["2.0.1"]),
        ],
    );
    for any in ["", "*", "x", "latest", "next", "beta", "||", " * "] {
        assert_eq!(Wanted::read(Ecosystem::Npm, any), Wanted::Any, "{any}");
    }
    assert_eq!(Wanted::read(Ecosystem::Npm, " =1.2.3"), Wanted::Exact("1.2.3".into()));
    assert_eq!(Wanted::read(Ecosystem::Npm, "<1.2.3"), Wanted::Range("<1.2.3".into()));
    refuses(
        Ecosystem::Npm,
        &[
            "git+ssh://example.org/a.git",
            "file:../a",
            "user/repo",
            "workspace:*",
            ">2 <1",
            "1.2.3.4",
            "^^1",
            ">*",
            "~>>1",
        ],
    );
}

/// <https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html>
#[test]
fn cargo() {
    check(
        Ecosystem::CratesIo,
        &[
            ("1.2.3", &["1.2.3", "1.9.0"], &["2.0.0", "1.2.2"]),
            ("1.2", &["1.2.0", "1.9.0"], &["2.0.0"]),
            ("0.2.3", &["0.2.3", "0.2.9"], &["0.3.0"]),
            ("0.0.3", &["0.0.3"], &["0.0.4"]),
            ("0.0", &["0.0.9"], &["0.1.0"]),
            ("0", &["0.9.0"], &["1.0.0"]),
            ("~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0"]),
            ("1.2.*", &["1.2.0", "1.2.9"], &["1.3.0"]),
            ("1.*", &["1.9.0"], &["2.0.0"]),
            ("=1.2.3", &["1.2.3"], &["1.2.4"]),
            ("=1.2", &["1.2.0", "1.2.9"], &["1.3.0"]),
            (">= 1.2, < 1.5", &["1.2.0", "1.4.9"], &["1.5.0", "1.1.0"]),
            (">1.2.0", &["1.2.1"], &["1.2.0"]),
        ],
    );
    assert_eq!(Wanted::read(Ecosystem::CratesIo, "1.2.3"), Wanted::Range("1.2.3".into()));
    assert_eq!(Wanted::read(Ecosystem::CratesIo, "=1.2.3"), Wanted::Exact("1.2.3".into()));
    assert_eq!(Wanted::read(Ecosystem::CratesIo, "*"), Wanted::Any);
    refuses(Ecosystem::CratesIo, &["path", "1,,2", "latest", "1.2.3.4"]);
}

/// PEP 440, and what Poetry adds.
#[test]
fn python() {
    check(
        Ecosystem::PyPi,
        &[
            ("==1.2.3", &["1.2.3", "1.2.3.0"], &["1.2.4", "1.2.3rc1"]),
            ("==1.2.*", &["1.2", "1.2.9", "1.2.dev0", "1.2rc1"], &["1.3", "1.3.dev0", "1.1.9"]),
            ("!=1.2.*, >=1", &["1.1", "1.3"], &["1.2.5", "1.2", "0.9"]),
            ("!=1.2", &["1.1", "1.2.1"], &["1.2", "1.2.0"]),
            ("~=2.2", &["2.2", "2.9", "2.2.post3"], &["3.0", "2.1"]),
            ("~=1.4.5", &["1.4.5", "1.4.9"], &["1.5", "1.4.4"]),
            ("~=1.4.5a4", &["1.4.5a4", "1.4.5"], &["1.5.0"]),
            (">=1.0,<2", &["1.0", "1.9.9"], &["2.0", "2.0rc1", "2.0.dev1", "0.9"]),
            ("<2.0rc2", &["2.0rc1", "1.9"], &["2.0rc2", "2.0"]),
            (">1.7", &["1.7.1", "1.8.dev1"], &["1.7", "1.7.post2"]),
            (">1.7.post1", &["1.7.post2"], &["1.7.post1"]),
            ("<=1.2", &["1.2", "1.2rc1"], &["1.2.1"]),
            ("(>=1.0)", &["1.0"], &["0.9"]),
            ("===1.0", &["1.0"], &["1.1"]),
            ("^1.2.3", &["1.2.3", "1.9"], &["2.0", "2.0a1"]),
            ("^0.2", &["0.2.9"], &["0.3"]),
            ("~1.2", &["1.2.9"], &["1.3"]),
            ("^1.0 || ^3.0", &["1.5", "3.1"], &["2.0"]),
            ("==1!1.0.*", &["1!1.0.5"], &["1.0.5", "1!1.1"]),
        ],
    );
    assert_eq!(Wanted::read(Ecosystem::PyPi, "== 1.2.3"), Wanted::Exact("1.2.3".into()));
    assert_eq!(Wanted::read(Ecosystem::PyPi, "==2.0.1+cu118"), Wanted::Exact("2.0.1".into()));
    assert_eq!(Wanted::read(Ecosystem::PyPi, "1.2.3"), Wanted::Exact("1.2.3".into()));
    assert_eq!(Wanted::read(Ecosystem::PyPi, ""), Wanted::Any);
    assert_eq!(Wanted::read(Ecosystem::PyPi, "*"), Wanted::Any);
    refuses(Ecosystem::PyPi, &["@ https://example.org/a.whl", "~=1", ">=1.*", "==", "=>1", ">2,<1", "<1.*"]);
}

/// <https://guides.rubygems.org/patterns/#pessimistic-version-constraint>
#[test]
fn gems() {
    check(
        Ecosystem::RubyGems,
        &[
            ("~> 2.2", &["2.2", "2.9.9"], &["3.0", "2.1", "3.0.rc1"]),
            ("~> 2.2.0", &["2.2.0", "2.2.9"], &["2.3.0"]),
            ("~> 2", &["2.0", "2.9"], &["3.0"]),
            ("~> 2.0.0.rc1", &["2.0.0.rc1", "2.0.9"], &["2.1"]),
            ("~> 1.2, >= 1.2.5", &["1.2.5", "1.9"], &["1.2.4", "2.0"]),
            ("1.0", &["1.0", "1.0.0"], &["1.0.1"]),
            ("!= 1.5, > 1", &["1.4", "1.6"], &["1.5", "1.0"]),
            ("< 2.0", &["1.9"], &["2.0", "2.0.rc1"]),
            ("<= 2.0", &["2.0"], &["2.0.1"]),
        ],
    );
    assert_eq!(Wanted::read(Ecosystem::RubyGems, "= 1.2"), Wanted::Exact("1.2".into()));
    assert_eq!(Wanted::read(Ecosystem::RubyGems, ""), Wanted::Any);
    refuses(Ecosystem::RubyGems, &["~> x", "=> 1", "1 2"]);
}

/// <https://getcomposer.org/doc/articles/versions.md>
#[test]
fn composer() {
    check(
        Ecosystem::Packagist,
        &[
            ("1.0.2", &["1.0.2", "v1.0.2"], &["1.0.3"]),
            (">=1.0 <2.0", &["1.0", "1.9"], &["2.0", "2.0.0-beta1"]),
            (">=1.0,<1.1 || >=1.2", &["1.0.5", "1.3"], &["1.1"]),
            ("1.0 | 2.0", &["1.0", "2.0"], &["1.1"]),
            ("1.0 - 2.0", &["1.0", "2.0.9"], &["2.1", "0.9"]),
            ("1.0.0 - 2.1.0", &["2.1.0"], &["2.1.1"]),
            ("1.0.*", &["1.0.0", "1.0.9"], &["1.1", "0.9"]),
            ("~1.2", &["1.2", "1.9"], &["2.0", "1.1"]),
            ("~1.2.3", &["1.2.3", "1.2.9"], &["1.3"]),
            ("^1.2.3", &["1.2.3", "1.9"], &["2.0", "2.0-alpha1"]),
            ("^0.3", &["0.3.9"], &["0.4"]),
            ("^0.0.3", &["0.0.3"], &["0.0.4"]),
            ("!=1.5 >1", &["1.4", "1.6"], &["1.5", "1.0"]),
            (">=1.0@beta", &["1.0"], &["0.9"]),
        ],
    );
    for any in ["", "*", "@dev"] {
        assert_eq!(Wanted::read(Ecosystem::Packagist, any), Wanted::Any, "{any}");
    }
    assert_eq!(Wanted::read(Ecosystem::Packagist, "v1.2"), Wanted::Exact("v1.2".into()));
    refuses(Ecosystem::Packagist, &["dev-master", "self.version", "^x", ">=1.*"]);
}

/// <https://maven.apache.org/pom.html#dependency-version-requirement-specification>
#[test]
fn maven() {
    check(
        Ecosystem::Maven,
        &[
            ("1.0", &["1.0"], &["1.1"]),
            ("[1.0]", &["1.0", "1"], &["1.1"]),
            ("(,1.0]", &["1.0", "0.1"], &["1.1"]),
            ("[1.2,1.3]", &["1.2", "1.3"], &["1.4"]),
            ("[1.0,2.0)", &["1.0", "1.9"], &["2.0"]),
            ("[1.5,)", &["1.5", "9"], &["1.4"]),
            ("(,1.0],[1.2,)", &["1.0", "1.2"], &["1.1"]),
            ("(,1.1),(1.1,)", &["1.0", "1.2"], &["1.1"]),
            ("1.+", &["1.0", "1.9"], &["2.0"]),
            ("]1.0,2.0[", &["1.5"], &["1.0", "2.0"]),
            ("1.2!!", &["1.2"], &["1.3"]),
        ],
    );
    assert_eq!(Wanted::read(Ecosystem::Maven, "[1.0]"), Wanted::Exact("1.0".into()));
    assert_eq!(Wanted::read(Ecosystem::Maven, "2.17.1"), Wanted::Exact("2.17.1".into()));
    for any in ["", "LATEST", "RELEASE", "latest.release", "+"] {
        assert_eq!(Wanted::read(Ecosystem::Maven, any), Wanted::Any, "{any}");
    }
    refuses(Ecosystem::Maven, &["${log4j.version}", "[1.0", "(1.0)", "[2,1]", "[1,2]x"]);
}

/// <https://learn.microsoft.com/nuget/concepts/package-versioning#version-ranges>
#[test]
fn nuget() {
    check(
        Ecosystem::NuGet,
        &[
            ("[1.0]", &["1.0"], &["1.0.1"]),
            ("(1.0,)", &["1.0.1"], &["1.0"]),
            ("(,1.0]", &["1.0"], &["1.1"]),
            ("[1.0,2.0)", &["1.0", "1.9"], &["2.0"]),
            ("1.2.*", &["1.2.0", "1.2.9"], &["1.3.0"]),
            ("1.*", &["1.0", "1.9"], &["2.0"]),
            ("1.2.0-*", &["1.2.0-alpha", "1.2.0"], &["1.3.0"]),
            ("1.2.0-rc.*", &["1.2.0-rc.5", "1.2.0"], &["1.2.0-beta", "1.3.0"]),
        ],
    );
    // The lowest version that will do is the one that is taken.
    assert_eq!(Wanted::read(Ecosystem::NuGet, "1.0"), Wanted::Exact("1.0".into()));
    assert_eq!(Wanted::read(Ecosystem::NuGet, "*"), Wanted::Any);
    assert!(Requirement::parse(Ecosystem::NuGet, "[1.0,2.0)").unwrap().lowest);
    assert!(!Requirement::parse(Ecosystem::NuGet, "1.*").unwrap().lowest);
    refuses(Ecosystem::NuGet, &["(1.0)", "[1.0", "[2.0,1.0]", "$(Version)"]);
}

/// <https://go.dev/ref/mod#version-queries>
#[test]
fn go() {
    check(
        Ecosystem::Go,
        &[
            ("v1", &["v1.0.0", "v1.9.0"], &["v2.0.0"]),
            ("v1.2", &["v1.2.0", "v1.2.9"], &["v1.3.0"]),
            (">=v1.2.3", &["v1.2.3"], &["v1.2.2"]),
            ("<v1.2.3", &["v1.2.2"], &["v1.2.3"]),
        ],
    );
    for exact in ["v1.2.3", "v0.0.0-20190101000000-000000000000", "v2.0.0+incompatible", "1.21"] {
        assert_eq!(Wanted::read(Ecosystem::Go, exact), Wanted::Exact(exact.into()));
    }
    assert_eq!(Wanted::read(Ecosystem::Go, "latest"), Wanted::Any);
    refuses(Ecosystem::Go, &["master", "abc1234"]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[-0-9a-z.,*|^~<>=!\\[\\]() +@]{0,30}") {
        for ecosystem in Ecosystem::ALL {
            if let Some(requirement) = Requirement::parse(ecosystem, &text) {
                prop_assert!(!requirement.pieces.is_empty() && requirement.pieces.iter().all(|piece| !piece.is_empty()));
            }
            let _ = Wanted::read(ecosystem, &text);
        }
    }

    #[test]
    fn an_exact_version_fits_its_own_requirement(a in 0u64..30, b in 0u64..30, c in 0u64..30) {
        let text = format!("{a}.{b}.{c}");
        for ecosystem in Ecosystem::ALL {
            let version = Version::parse(ecosystem, &text).unwrap();
            for operator in ["", "^", "~", ">=", "<="] {
                if let Some(requirement) = Requirement::parse(ecosystem, &format!("{operator}{text}")) {
                    prop_assert!(requirement.contains(&version), "{} {}{}", ecosystem, operator, text);
                }
            }
        }
    }
}
