//! gitleaks' own rule file, unchanged, and the mistakes that a rule file can have.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;

use portcullis_firewall::{Direction, Finding, Origin, Rules, Scratch, Selection, Source, Text};
use portcullis_policies::DataLevel;

fn gitleaks() -> Option<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/gitleaks.toml");
    fs::read_to_string(path).inspect_err(|error| println!("skipped: {path}: {error}")).ok()
}

fn load(text: &str) -> Rules {
    let wrong =
        |wrong: Vec<_>| wrong.iter().map(|w: &portcullis_firewall::Diagnostic| format!("{w}\n")).collect::<String>();
    Rules::load(false, &[Source { name: "rules.toml", text }], &Selection::default()).map_err(wrong).unwrap()
}

fn mistakes(text: &str) -> Vec<String> {
    let loaded = Rules::load(false, &[Source { name: "x.toml", text }], &Selection::default());
    loaded.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn found<'r>(rules: &'r Rules, text: &str, path: Option<&str>) -> Vec<Finding<'r>> {
    let mut found = Vec::new();
    let mut scratch = Scratch::default();
    scratch.set_path(path);
    let texts = [Text { text, origin: Origin::User, flows: false }];
    rules.scan(&texts, Direction::Request, &mut scratch, &mut |finding| found.push(finding)).unwrap();
    found
}

fn names(rules: &Rules, text: &str, path: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> = found(rules, text, path).iter().map(|finding| finding.rule.id.to_string()).collect();
    names.sort();
    names.dedup();
    names
}

/// A body that no two rules take for a word, put together at run time.
fn body(template: &str) -> String {
    portcullis_firewall::draw(template, 11).unwrap()
}

#[test]
fn gitleaks_rules_load_unchanged() {
    let Some(text) = gitleaks() else { return };
    let rules = load(&text);
    let report = rules.report();
    assert!(report.active >= 219, "{}", report.active);
    let inactive: Vec<String> = report.inactive.iter().map(ToString::to_string).collect();
    assert_eq!(report.active + inactive.len(), 222);
    assert_eq!(inactive.len(), 1, "{inactive:?}");
    assert!(inactive[0].contains("rule `pkcs12-file`: it has no `regex`"), "{inactive:?}");
    assert_eq!(report.unknown_keys, []);
    let level = |name: &str| rules.iter().find(|rule| *rule.id == *name).unwrap().level;
    assert_eq!(level("github-pat"), DataLevel::L4);
    assert_eq!(level("generic-api-key"), DataLevel::L3);
}

#[test]
fn gitleaks_rules_find_and_allow_what_gitleaks_does() {
    let Some(text) = gitleaks() else { return };
    let rules = load(&text);
    let token = body("ghp_{b62:36}");
    assert_eq!(names(&rules, &format!("use {token} here"), None), ["github-pat"]);
    // The list of paths of the rule itself, and that of the file.
    assert!(names(&rules, &token, Some("node/@octokit/auth-token/README.md")).is_empty());
    assert!(names(&rules, &token, Some("web/package-lock.json")).is_empty());
    assert_eq!(names(&rules, &token, Some("src/main.rs")), ["github-pat"]);

    let secret = body("my_api_key = \"{lownum:40}\"");
    assert_eq!(names(&rules, &secret, None), ["generic-api-key"]);
    let hit = found(&rules, &secret, None).remove(0);
    assert_eq!(secret.get(hit.secret), secret.split('"').nth(1), "the value alone");
    // `regexTarget = "match"` sees the name before the keyword, though the engine's match begins later.
    assert!(names(&rules, &body("public_key = \"{lownum:40}\""), None).is_empty());
    // `regexTarget = "line"`
    assert!(names(&rules, &format!("--mount=type=secret, {secret}"), None).is_empty());
    // A stop word in the secret.
    assert!(names(&rules, &body("my_api_key = \"zend-{lownum:30}\""), None).is_empty());
    // The file's own expressions: what is set to a variable is no secret.
    assert!(names(&rules, "api_key = ${SOME_LONG_VARIABLE}", None).is_empty());

    // Rules for some files.
    let terraform = body("password = \"{lownum:16}\"\n");
    assert!(names(&rules, &terraform, Some("main.tf")).contains(&"hashicorp-tf-password".to_owned()));
    assert!(!names(&rules, &terraform, None).contains(&"hashicorp-tf-password".to_owned()));

    // A keyword that stands anywhere, not in the match.
    let airtable = body("pat{b62:14}.{hex:64}");
    assert!(!names(&rules, &airtable, None).contains(&"airtable-personnal-access-token".to_owned()));
    let near = format!("airtable says {airtable} is it");
    assert!(names(&rules, &near, None).contains(&"airtable-personnal-access-token".to_owned()));
}

#[test]
fn every_mistake_of_a_file_is_told() {
    let text = r#"
[[rules]]
id = "group"
regex = '''a(b'''

[[rules]]
id = "back"
regex = '''(a)\1'''

[[rules]]
id = "key"
regex = '''ab'''
[rules.fw]
lvel = "L4"

[[rules]]
id = "level"
regex = '''ab'''
[rules.fw]
level = "L9"

[[rules]]
id = "check"
regex = '''ab'''
keywords = [""]
[rules.fw]
checks = ["no-such-check", "nor-this"]

[[rules]]
id = "check"
regex = '''ab'''
secretGroup = 2

[[rules]]
regex = '''ab'''

[[rules]]
id = "list"
regex = '''ab'''
[[rules.allowlists]]
regexes = ['''(''']

[[allowlists]]
regexes = [''')''']

[extend]
path = "other.toml"
"#;
    let wrong = mistakes(text);
    let expected = [
        "x.toml:2: rule `group`: its `regex` does not compile: unclosed group (at 1)",
        "x.toml:6: rule `back`: its `regex` does not compile: backreferences are not supported (at 3)",
        "x.toml:14: rule `key`: unknown field `lvel`",
        "x.toml:20: rule `level`: unknown variant `L9`",
        "x.toml:22: rule `check`: there is no check `no-such-check`",
        "x.toml:22: rule `check`: there is no check `nor-this`",
        "x.toml:22: rule `check`: one of its `keywords` is empty",
        "x.toml:29: rule `check`: there is a rule of this name in the file already",
        "x.toml:29: rule `check`: its `regex` has no group 2, which `secretGroup` names",
        "x.toml:34: missing field `id`",
        "x.toml:37: rule `list`: its allow list's `(` does not compile: unclosed group (at 0)",
        "x.toml:43: its allow list's `)` does not compile: unopened group (at 0)",
        "x.toml:46: `[extend]` must not name other files",
    ];
    for start in expected {
        assert!(wrong.iter().any(|said| said.starts_with(start)), "{start}\n{wrong:#?}");
    }
    assert_eq!(wrong.len(), expected.len(), "{wrong:#?}");
    let broken = mistakes("[[rules]]\nid = 3\n\nx = = 2");
    assert!(broken[0].starts_with("x.toml:4: "), "{broken:?}");
}

#[test]
fn files_add_to_and_take_from_those_before() {
    let first = "[[rules]]\nid = 'one'\nregex = '''ab_[0-9]{4}'''\nkeywords = ['ab_']\n[[rules]]\nid = 'two'\nregex = '''cd_[0-9]{4}'''\n";
    let load = |second: &str| {
        let files = [Source { name: "first.toml", text: first }, Source { name: "second.toml", text: second }];
        Rules::load(false, &files, &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap()
    };
    let text = "x ab_1234 cd_5678";
    assert_eq!(names(&load("[[rules]]\nid = 'three'\nregex = 'zz'"), text, None), ["one", "two"]);
    assert_eq!(names(&load("[extend]\ndisabledRules = ['one']"), text, None), ["two"]);
    assert_eq!(names(&load("[[allowlists]]\ntargetRules = ['two']\nregexes = ['5678']"), text, None), ["one"]);
    assert_eq!(names(&load("[allowlist]\nregexes = ['5678']"), text, None), ["one", "two"], "for its own rules");
    assert_eq!(names(&load("[extend]\nuseDefault = true\n[allowlist]\nregexes = ['5678']"), text, None), ["one"]);
    assert_eq!(names(&load("[[rules]]\nid = 'one'\nregex = 'zz'"), text, None), ["two"], "the later one");
}

#[test]
fn tells_which_names_to_disable_no_rule_has() {
    let all = ["github-token", "pii-email", "structure-bidi", "injection-roles", "githb-token"];
    let selection = Selection { disabled: all.map(String::from).to_vec(), ..Selection::default() };
    let rules = Rules::load(true, &[], &selection).unwrap();
    assert_eq!(rules.report().unknown, ["githb-token"]);
    assert!(!rules.iter().any(|rule| all.contains(&&*rule.id)));
}

#[test]
fn keys_that_nobody_knows_are_told() {
    let text = "title = \"ours\"\nminVersion = \"v8.25.0\"\nauthor = \"we\"\n\n[[rules]]\nid = \"ours\"\n\
                regex = '''ours_[a-z0-9]{8}'''\nkeyword = [\"ours_\"]\ntags = [\"ci\"]\nskipReport = false\n\
                [[rules.required]]\nid = \"other\"\n[[rules.allowlists]]\nstopword = [\"x\"]\nregexes = ['''y''']\n\
                [rules.fw]\nlevel = \"L3\"\n[allowlist]\ndescription = \"all\"\npath = ['''z''']\n\
                [extend]\nuseDefaults = true\n";
    let rules = load(text);
    let told: Vec<String> = rules.report().unknown_keys.iter().map(ToString::to_string).collect();
    let unknown = |place: &str, key: &str, meant: &str| {
        format!("rules.toml:{place}the key `{key}` is unknown and does nothing, {meant}")
    };
    let meant = |key: &str| format!("did you mean `{key}`?");
    let mut expected = vec![
        unknown("8: rule `ours`: ", "keyword", &meant("keywords")),
        unknown("14: rule `ours`: ", "stopword", &meant("stopwords")),
        unknown("20: ", "path", &meant("paths")),
        unknown("22: ", "useDefaults", &meant("useDefault")),
    ];
    let all = "expected one of `allowlist`, `allowlists`, `description`, `extend`, `minVersion`, `rules`, `title`";
    expected.push(unknown("3: ", "author", all));
    let (mut told, line) = (told, |said: &String| said.split(':').nth(1).unwrap().parse::<usize>().unwrap());
    told.sort_by_key(line);
    expected.sort_by_key(line);
    assert_eq!(told, expected);
    // A file that says nothing else is refused for it.
    let said = mistakes("[[rule]]\nid = \"x\"\nregex = '''abcd'''\n");
    assert!(
        said.iter()
            .any(|said| said.contains("x.toml:1: the key `rule` is unknown and does nothing, did you mean `rules`?")),
        "{said:?}"
    );
    // Ours are all known.
    assert_eq!(Rules::load(true, &[], &Selection::default()).ok().unwrap().report().unknown_keys, []);
}
