use proptest::prelude::*;

use super::*;

fn version(ecosystem: Ecosystem, text: &str) -> Version {
    Version::parse(ecosystem, text).unwrap_or_else(|| panic!("{ecosystem} `{text}`"))
}

fn ascending(ecosystem: Ecosystem, texts: &[&str]) {
    let versions: Vec<Version> = texts.iter().map(|text| version(ecosystem, text)).collect();
    for (i, a) in versions.iter().enumerate() {
        for (j, b) in versions.iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j), "{ecosystem} `{a}` and `{b}`");
        }
    }
}

fn same(ecosystem: Ecosystem, texts: &[&str]) {
    for text in texts {
        assert_eq!(version(ecosystem, text), version(ecosystem, texts[0]), "{ecosystem} `{text}` and `{}`", texts[0]);
    }
}

/// Semantic Versioning 2.0.0, section 11, and what npm's loose mode takes.
#[test]
fn semver() {
    for ecosystem in [Ecosystem::CratesIo, Ecosystem::Npm, Ecosystem::Go] {
        ascending(
            ecosystem,
            &[
                "0.0.0-0",
                "0.0.0",
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-beta",
                "1.0.0-beta.2",
                "1.0.0-beta.11",
                "1.0.0-rc.1",
                "1.0.0",
                "1.0.1",
                "1.2.0",
                "1.10.0",
                "2.0.0-0",
                "2.0.0",
            ],
        );
        same(ecosystem, &["1.2.0", "v1.2.0", "1.2", "1.2.0+build.5", "v1.2"]);
        for text in ["", "v", "1.2.3.4", "1..2", "1.x", "latest", "1.2.3-", "1.2.3-a..b", "1.2.3-ä", "-1"] {
            assert_eq!(Version::parse(ecosystem, text), None, "{text}");
        }
    }
    same(Ecosystem::Npm, &["1.2.3-beta1", "1.2.3beta1", "=1.2.3-beta1"]);
}

/// <https://go.dev/ref/mod#versions>, <https://go.dev/ref/mod#pseudo-versions>, <https://go.dev/doc/toolchain#version>
#[test]
fn go() {
    ascending(
        Ecosystem::Go,
        &[
            "v0.0.0-20180101000000-abcdefabcdef",
            "v0.0.0-20190101000000-000000000000",
            "v1.2.3",
            "v1.2.4-0.20191109021931-daa7c04131f5",
            "v1.2.4-pre",
            "v1.2.4-pre.0.20191109021931-daa7c04131f5",
            "v1.2.4",
            "v2.0.0+incompatible",
        ],
    );
    same(Ecosystem::Go, &["v2.0.0+incompatible", "v2.0.0", "2.0.0"]);
    ascending(Ecosystem::Go, &["1.21.0-0", "go1.21rc1", "go1.21rc2", "go1.21rc10", "go1.21.0", "go1.21.1"]);
    same(Ecosystem::Go, &["go1.21rc2", "1.21.0-rc.2"]);
}

/// The examples of PEP 440.
#[test]
fn python() {
    ascending(
        Ecosystem::PyPi,
        &[
            "1.dev0",
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a12.dev456",
            "1.0a12",
            "1.0b1.dev456",
            "1.0b2",
            "1.0b2.post345.dev456",
            "1.0b2.post345",
            "1.0rc1.dev456",
            "1.0rc1",
            "1.0",
            "1.0+abc.5",
            "1.0+abc.7",
            "1.0+5",
            "1.0.post456.dev34",
            "1.0.post456",
            "1.0.15",
            "1.1.dev1",
            "1!0.1",
        ],
    );
    same(Ecosystem::PyPi, &["1.0", "1", "1.0.0", "v1.0", " 1.0 "]);
    same(Ecosystem::PyPi, &["1.0rc1", "1.0-RC1", "1.0c1", "1.0.pre1"]);
    assert_eq!(version(Ecosystem::PyPi, "2.0.1+cu118").published(), version(Ecosystem::PyPi, "2.0.1"));
    assert_eq!(Version::parse(Ecosystem::PyPi, "2.0.0-final"), None);
}

/// <https://maven.apache.org/pom.html#version-order-specification> and the tests of Maven's `ComparableVersion`.
#[test]
fn maven() {
    ascending(
        Ecosystem::Maven,
        &[
            "1-alpha2snapshot",
            "1-alpha2",
            "1-alpha-123",
            "1-beta-2",
            "1-beta123",
            "1-m2",
            "1-m11",
            "1-rc",
            "1-cr2",
            "1-rc123",
            "1-SNAPSHOT",
            "1",
            "1-sp",
            "1-sp2",
            "1-sp123",
            "1-abc",
            "1-def",
            "1-pom-1",
            "1-1-snapshot",
            "1-1",
            "1-2",
            "1-123",
        ],
    );
    ascending(
        Ecosystem::Maven,
        &[
            "2.0", "2.0.a", "2-1", "2.0.2", "2.0.123", "2.1.0", "2.1-a", "2.1b", "2.1-c", "2.1-1", "2.1.0.1", "2.2",
            "2.123", "11.a2", "11.a11", "11.b2", "11.b11", "11.m2", "11.m11", "11", "11.a", "11b", "11c", "11m",
        ],
    );
    ascending(Ecosystem::Maven, &["6.1.0rc3", "6.1.0", "6.1H.5-beta"]);
    ascending(Ecosystem::Maven, &["1-foo2", "1-foo10", "1-1", "1.1"]);
    ascending(Ecosystem::Maven, &["1-ga.1", "1-sp.1"]);
    ascending(Ecosystem::Maven, &["1-sp-1", "1-ga-1"]);
    ascending(Ecosystem::Maven, &["20190126.230843", "1234567890.12345", "123456789012345.1H.5-beta"]);
    ascending(Ecosystem::Maven, &["2.0.0.X1", "2.0.0-X2", "2.0.1"]);
    ascending(Ecosystem::Maven, &["9.4.43.v20210629", "9.4.44.v20210927", "10.0.0-alpha1", "10.0.0"]);
    ascending(Ecosystem::Maven, &["31.1-android", "31.1-jre", "32.0-android"]);
    ascending(Ecosystem::Maven, &["4.1.0.Beta1", "4.1.0.CR1", "4.1.0.Final", "4.1.1.Final"]);
    same(
        Ecosystem::Maven,
        &["1", "1.0", "1.0.0", "1-0", "1.0-0", "1-ga", "1.ga", "1-final", "1.0.RELEASE", "1-release"],
    );
    same(Ecosystem::Maven, &["1-a1", "1-alpha-1", "1a1", "1.0.0-ALPHA1"]);
    same(Ecosystem::Maven, &["1-x", "1x", "1.0.0-x", "1.0.0X", "1.x"]);
    same(Ecosystem::Maven, &["1-b2", "1beta2"]);
    same(Ecosystem::Maven, &["1-cr1", "1rc1", "1-rc-1"]);
    for text in ["", "${project.version}", "[1.0]", "1 0"] {
        assert_eq!(Version::parse(Ecosystem::Maven, text), None, "{text}");
    }
}

/// The documentation and tests of `Gem::Version`.
#[test]
fn gems() {
    ascending(
        Ecosystem::RubyGems,
        &[
            "1.0.A",
            "1.0.a",
            "1.0.a.2",
            "1.0.a10",
            "1.0.b1",
            "1.0.rc1",
            "1.0",
            "1.0.1.pre",
            "1.0.1",
            "1.8.2.a9",
            "1.8.2.a10",
            "1.8.2.b",
            "1.8.2",
            "1.9.0.dev",
            "5.2.4.rc1",
            "5.2.4",
        ],
    );
    same(Ecosystem::RubyGems, &["1", "1.0", "1.0.0"]);
    same(Ecosystem::RubyGems, &["1.0.0.a", "1.a", "1.0.a"]);
    same(Ecosystem::RubyGems, &["1.0.b1", "1.b1", "1.0.b.1"]);
    ascending(Ecosystem::RubyGems, &["1.0.0-1", "1.0.0", "1.0.0.1"]);
    same(Ecosystem::RubyGems, &["1.15.0", "1.15.0-x86_64-linux", "1.15.0-java"]);
    for text in ["", "junk", "1.0\n2.0", "1..2", "1.2_3", "1.ä"] {
        assert_eq!(Version::parse(Ecosystem::RubyGems, text), None, "{text}");
    }
}

/// <https://learn.microsoft.com/nuget/concepts/package-versioning#normalized-version-numbers>
#[test]
fn nuget() {
    ascending(
        Ecosystem::NuGet,
        &[
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-Alpha.Beta",
            "1.0.0-beta",
            "1.0.0",
            "1.0.0.1",
            "1.0.1-rc.2",
            "1.0.1-rc.10",
            "1.0.1",
        ],
    );
    same(Ecosystem::NuGet, &["1.0.0", "1", "1.0", "1.00", "01.0.0.0", "1.0.0+build"]);
    same(Ecosystem::NuGet, &["1.0.0-RC.1", "1.0.0-rc.1", "1.0.0.0-Rc.1+x"]);
    for text in ["", "1.2.3.4.5", "1.a", "1.0.0-", "1.*"] {
        assert_eq!(Version::parse(Ecosystem::NuGet, text), None, "{text}");
    }
}

/// The tests of Composer's `VersionParser` and `Comparator`.
#[test]
fn composer() {
    ascending(
        Ecosystem::Packagist,
        &[
            "1.0.0-dev",
            "1.0.0-alpha",
            "1.0.0-alpha1",
            "1.0.0-alpha2",
            "1.0.0-beta",
            "1.0.0-beta2-dev",
            "1.0.0-beta2",
            "1.0.0-RC1",
            "1.0.0",
            "1.0.0-patch1",
            "1.0.0-p2",
            "1.0.0.1",
            "1.0.1",
            "1.1",
            "1.10",
            "1.x-dev",
            "2.0",
        ],
    );
    same(Ecosystem::Packagist, &["1.0.0", "v1.0.0", "1", "1.0", "1.0.0.0", "1.0.0-stable", "1.0.0+foo", "1.0.0@dev"]);
    same(Ecosystem::Packagist, &["1.0.0-alpha1", "1.0.0a1", "1.0.0.a1", "1.0.0-ALPHA.1", "1.0.0_alpha1"]);
    same(Ecosystem::Packagist, &["1.0.0-RC3", "1.0.0rc3", "1.0.0RC.3"]);
    same(Ecosystem::Packagist, &["1.0.0-patch2", "1.0.0-pl2", "1.0.0p2"]);
    same(Ecosystem::Packagist, &["2010.01.02", "2010-01-02", "2010:01:02"]);
    for text in ["", "dev-master", "feature/foo-dev", "1.0.0-meh", "1.0.0.0.0", "8.x-1.0", "a"] {
        assert_eq!(Version::parse(Ecosystem::Packagist, text), None, "{text}");
    }
}

/// Texts that look like versions of some ecosystem.
fn like_a_version() -> impl Strategy<Value = String> {
    prop_oneof![
        "v?[0-9]{1,2}(\\.[0-9]{1,2}){0,3}",
        "[0-9]{1,2}(\\.[0-3]){0,3}[-.]?(a|b|alpha|beta|rc|RC|dev|post|sp|ga|final|snapshot|x|pre|patch|foo)[-.]?[0-9]{0,2}",
        "[0-2](-[0-2]|\\.[0-2]|\\.?(a|sp|ga|x|alpha|snapshot)|-(a|sp|ga|x|alpha)){0,5}",
        "[0-9a-zA-Z.+~_!:-]{0,12}",
    ]
}

proptest! {
    #[test]
    fn every_order_is_total(texts in proptest::collection::vec(like_a_version(), 3)) {
        for ecosystem in Ecosystem::ALL {
            let versions: Vec<Version> = texts.iter().filter_map(|text| Version::parse(ecosystem, text)).collect();
            for a in &versions {
                prop_assert_eq!(a.cmp(a), Ordering::Equal);
                for b in &versions {
                    prop_assert_eq!(a.cmp(b), b.cmp(a).reverse(), "{} `{}` `{}`", ecosystem, a, b);
                    prop_assert_eq!(a == b, a.cmp(b).is_eq());
                    for c in &versions {
                        if a <= b && b <= c {
                            prop_assert!(a <= c, "{} `{}` `{}` `{}`", ecosystem, a, b, c);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
        for ecosystem in Ecosystem::ALL {
            if let Some(version) = Version::parse(ecosystem, &text) {
                prop_assert_eq!(Version::parse(ecosystem, version.as_str()), Some(version.clone()));
            }
        }
    }
}
