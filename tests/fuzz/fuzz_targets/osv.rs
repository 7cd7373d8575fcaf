//! Advisories, versions and requirements: nothing panics, versions have an order, and what an advisory names is hit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_osv::{Advisory, Ecosystem, Known, Package, Popular, Unpinned, Version, Wanted, judge};

fuzz_target!(|text: &str| {
    // An advisory, and lines of versions and requirements after it.
    let (advisory, rest) = text.split_once("\n\n").unwrap_or((text, text));
    let lines: Vec<&str> = rest.lines().take(8).collect();
    for ecosystem in Ecosystem::ALL {
        let package = Package::new(ecosystem, rest);
        assert_eq!(Package::new(ecosystem, package.name()), package);
        let _ = Popular::shipped().resembled(&package);
        let versions: Vec<Version> = lines.iter().filter_map(|line| Version::parse(ecosystem, line)).collect();
        for a in &versions {
            for b in &versions {
                assert_eq!(a.cmp(b), b.cmp(a).reverse());
                assert!(versions.iter().all(|c| !(a <= b && b <= c) || a <= c));
            }
        }
    }
    let Ok(advisory) = Advisory::parse(advisory) else { return };
    assert!(!advisory.withdrawn || advisory.notices.is_empty());
    for notice in &advisory.notices {
        let ecosystem = notice.package.ecosystem();
        let of = std::slice::from_ref(notice);
        for line in &lines {
            let known = [Box::from(*line)];
            for wanted in [Wanted::read(ecosystem, line), Wanted::Exact((*line).into()), Wanted::Any] {
                for versions in [&[][..], &known] {
                    let known = Known { versions, established: true };
                    let newest = judge(&notice.package, &wanted, of, known, Unpinned::Newest);
                    let strict = judge(&notice.package, &wanted, of, known, Unpinned::Strict);
                    assert!(newest.len() <= strict.len(), "whoever is strict sees more");
                }
            }
        }
        for version in &notice.versions {
            let hits = judge(&notice.package, &Wanted::Exact(version.clone()), of, Known::default(), Unpinned::Newest);
            assert_eq!(hits.len(), 1, "a version that is named is hit");
        }
    }
});
