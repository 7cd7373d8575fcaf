//! How a package is spelt where it is asked for.
//!
//! OSV's API compares names to the letter (it brings only those of PyPI into one form), so `serde-json` finds nothing of
//! `serde_json`. Where a registry takes several spellings for one package, all the likely ones are asked for.

use portcullis_osv::{Ecosystem, Package};

/// Names with as many separators as this are asked for in every mixture of them; longer ones, of which there are few,
/// in fewer.
const MIXED: usize = 4;
/// The most spellings of one package.
const MOST: usize = 40;

/// The spellings of a package, the one that was written first.
pub(super) fn spellings(package: &Package) -> Vec<String> {
    let (written, name) = (package.written(), package.name());
    let mut all = match package.ecosystem() {
        // Case and separators do not count, and the canonical form is the one that OSV has.
        Ecosystem::PyPi => vec![name.to_owned()],
        Ecosystem::CratesIo => [mixtures(written), mixtures(name)].concat(),
        Ecosystem::NuGet => vec![written.to_owned(), name.to_owned(), capitals(written), capitals(name)],
        Ecosystem::Packagist => vec![name.to_owned(), written.to_owned()],
        _ => vec![name.to_owned()],
    };
    let mut seen = std::collections::HashSet::new();
    all.retain(|spelling| seen.insert(spelling.clone()));
    all.truncate(MOST);
    all
}

/// A crate's name with dashes and underscores in the places of its separators: all of the one, all of the other, and
/// mixtures.
fn mixtures(name: &str) -> Vec<String> {
    let is_separator = |c: char| matches!(c, '-' | '_');
    let separators = name.chars().filter(|c| is_separator(*c)).count();
    let spelt = |dash: &dyn Fn(usize) -> bool| -> String {
        let mut number = 0;
        name.chars()
            .map(|c| {
                if !is_separator(c) {
                    return c;
                }
                number += 1;
                if dash(number - 1) { '-' } else { '_' }
            })
            .collect()
    };
    let mut all = vec![name.to_owned(), spelt(&|_| true), spelt(&|_| false)];
    if separators <= MIXED {
        all.extend((0..1u32 << separators).map(|bits| spelt(&|number| bits >> number & 1 == 1)));
    } else {
        // A name is mostly put together of one that has dashes and one that has underscores.
        let from = (1..separators.min(MOST)).flat_map(|at| [(at, true), (at, false)]);
        all.extend(from.map(|(at, dash)| spelt(&|number| (number < at) == dash)));
    }
    all
}

/// A name whose parts begin with capital letters, as most packages of .NET are called.
fn capitals(name: &str) -> String {
    let mut begins = true;
    let capital = |c: char| {
        let c = if begins { c.to_ascii_uppercase() } else { c };
        begins = matches!(c, '.' | '-' | '_');
        c
    };
    name.chars().map(capital).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(ecosystem: Ecosystem, name: &str) -> Vec<String> {
        spellings(&Package::new(ecosystem, name))
    }

    #[test]
    fn each_registry_has_its_own_spellings() {
        assert_eq!(of(Ecosystem::PyPi, "Py_YAML"), ["py-yaml"]);
        assert_eq!(of(Ecosystem::Npm, "JSONStream"), ["JSONStream"]);
        assert_eq!(of(Ecosystem::CratesIo, "serde_json"), ["serde_json", "serde-json"]);
        assert_eq!(of(Ecosystem::CratesIo, "serde-json"), ["serde-json", "serde_json"]);
        assert_eq!(of(Ecosystem::CratesIo, "Inflector"), ["Inflector", "inflector"]);
        assert!(of(Ecosystem::CratesIo, "a-b-c").contains(&"a_b-c".to_owned()));
        assert_eq!(of(Ecosystem::NuGet, "newtonsoft.json"), ["newtonsoft.json", "Newtonsoft.Json"]);
        let snowflake = ["snowflake.Data", "snowflake.data", "Snowflake.Data"];
        assert_eq!(of(Ecosystem::NuGet, "snowflake.Data"), snowflake);
        assert_eq!(of(Ecosystem::Packagist, "GuzzleHttp/Guzzle"), ["guzzlehttp/guzzle", "GuzzleHttp/Guzzle"]);
        assert_eq!(of(Ecosystem::Go, "github.com/!burnt!sushi/toml"), ["github.com/BurntSushi/toml"]);
    }

    #[test]
    fn a_name_of_separators_alone_is_no_flood() {
        let name = "-a".repeat(300);
        let all = of(Ecosystem::CratesIo, &name);
        assert!(all.len() == MOST && all.contains(&"_a".repeat(300)));
    }

    proptest! {
        #[test]
        fn every_spelling_means_the_same_package(name in "[a-zA-Z][a-zA-Z0-9._/-]{0,20}") {
            for ecosystem in Ecosystem::ALL {
                let package = Package::new(ecosystem, &name);
                let all = spellings(&package);
                prop_assert!(!all.is_empty() && all.len() <= MOST);
                for spelling in all {
                    prop_assert_eq!(&Package::new(ecosystem, &spelling), &package);
                }
            }
        }

        #[test]
        fn every_mixture_of_a_short_name_is_asked_for(parts in prop::collection::vec("[a-z]{1,3}", 1..=5), bits in 0u32..16) {
            let mut name = String::new();
            for (number, part) in parts.iter().enumerate() {
                if number > 0 {
                    name.push(if bits >> number & 1 == 1 { '-' } else { '_' });
                }
                name.push_str(part);
            }
            prop_assert!(of(Ecosystem::CratesIo, &parts.join("-")).contains(&name));
        }
    }
}
