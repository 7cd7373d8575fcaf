//! `portcullis scan` on files, directories and standard input: what is found, where, and what is left out.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use portcullis_firewall::{Direction, Origin, Rules, Scratch, Selection, Text, draw};
use portcullis_tests::portcullis;
use serde_json::Value;

/// A token that no one ever had.
pub fn token(seed: u64) -> String {
    draw("glpat-{b62:20}", seed).unwrap()
}

/// A folder with files to scan.
pub struct Folder(tempfile::TempDir);

/// What a scan said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// `portcullis scan` in this folder.
    pub fn scan(&self, args: &[&str]) -> Said {
        self.scan_input(args, b"")
    }

    /// The same with this on standard input.
    pub fn scan_input(&self, args: &[&str], input: &[u8]) -> Said {
        let mut command = Command::new(portcullis());
        command.current_dir(self.path()).arg("scan").args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // It may end before it has read everything.
            scope.spawn(move || stdin.write_all(input));
            Said::of(&child.wait_with_output().unwrap())
        })
    }

    /// The findings in these files.
    pub fn found(&self, args: &[&str]) -> Vec<Value> {
        let said = self.scan(&[&["--json"], args].concat());
        assert!(said.code <= 1, "{}", said.err);
        said.findings()
    }
}

impl Said {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    pub fn findings(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// File, line and column of findings.
pub fn places(findings: &[Value]) -> Vec<(&str, u64, u64)> {
    let place = |f: &Value| (f["line"].as_u64().unwrap(), f["column"].as_u64().unwrap());
    findings.iter().map(|f| (f["file"].as_str().unwrap(), place(f).0, place(f).1)).collect()
}

#[test]
fn a_finding_says_where_and_never_what() {
    let folder = Folder::new();
    let token = token(1);
    folder.write("src/a.py", format!("import os\r\nseñal, tok = 1, \"{token}\"\r\n"));
    let said = folder.scan(&["--json", "src/a.py"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let findings = said.findings();
    assert_eq!(places(&findings), [("src/a.py", 2, 18)]);
    let finding = &findings[0];
    for (field, expected) in [
        ("rule", "gitlab-token"),
        ("code", "firewall.secret"),
        ("level", "L4"),
        ("kind", "secret"),
        ("through", "plain"),
    ] {
        assert_eq!(finding[field], expected, "{finding}");
    }
    assert_eq!((&finding["end_line"], &finding["end_column"]), (&2.into(), &(18 + token.len()).into()));
    assert_eq!((finding["score"].as_u64(), finding["fingerprint"].as_str().map(str::len)), (Some(100), Some(32)));
    assert!(!finding["description"].as_str().unwrap().is_empty());
    let table = folder.scan(&["src/a.py"]);
    assert!(table.out.starts_with("src/a.py:2:18  gitlab-token  L4  "), "{}", table.out);
    for said in [said, table] {
        assert!(!said.out.contains(&token[8..]) && !said.err.contains(&token[8..]));
    }
}

#[test]
fn standard_input_is_read_when_nothing_is_named() {
    let folder = Folder::new();
    let text = format!("the key is {}\n", token(2));
    for args in [&["--json"][..], &["--json", "-"]] {
        let said = folder.scan_input(args, text.as_bytes());
        assert_eq!((said.code, places(&said.findings())), (1, vec![("<stdin>", 1, 12)]));
    }
    let said = folder.scan_input(&["--json", "--stdin-name", "prompt.txt"], text.as_bytes());
    assert_eq!(places(&said.findings()), [("prompt.txt", 1, 12)]);
    let clean = folder.scan_input(&[], b"nothing in here\n");
    assert_eq!((clean.code, &*clean.out), (0, ""), "{}", clean.err);
    // A zero byte makes a file binary, but what is piped in is there to be judged.
    let said = folder.scan_input(&["--json"], format!("\0\n{text}").as_bytes());
    assert_eq!(places(&said.findings()), [("<stdin>", 2, 12)]);
}

#[test]
fn directories_are_walked_as_people_expect() {
    let folder = Folder::new();
    let text = format!("{}\n", token(3));
    for name in [
        "src/deep/er/x.rs",
        ".env",
        ".env.local",
        "web/.npmrc",
        ".github/workflows/ci.yml", // in it
        ".git/config",
        ".cache/x",
        ".hidden",
        "build/out.txt",
        "debug.log", // out of it
    ] {
        folder.write(name, &text);
    }
    folder.write(".gitignore", "build/\n*.log\n");
    folder.write("picture.png", format!("\x7f\0\0{text}"));
    let elsewhere = Folder::new();
    elsewhere.write("secret.txt", &text);
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("secret.txt"), folder.path().join("link.txt")).unwrap();
    let files = |args: &[&str]| -> Vec<String> {
        folder.found(args).iter().map(|f| f["file"].as_str().unwrap().to_owned()).collect()
    };
    let usual = [".env", ".env.local", ".github/workflows/ci.yml", "src/deep/er/x.rs", "web/.npmrc"];
    assert_eq!(files(&["."]), usual);
    assert_eq!(files(&[folder.path().to_str().unwrap()]), usual);
    let all = files(&["--no-ignore", "--hidden", "."]);
    assert!([".cache/x", ".hidden", "build/out.txt", "debug.log"].iter().all(|f| all.contains(&(*f).to_owned())));
    assert_eq!(all.len(), usual.len() + 4, "{all:?}");
    // What is named is scanned, whatever it is called.
    assert_eq!(files(&["build/out.txt", "link.txt"]), ["build/out.txt", "link.txt"]);
    let said = folder.scan(&["--max-size", "10B", "src"]);
    assert!(said.code == 0 && said.err.contains("src/deep/er/x.rs: not scanned, it has"), "{}", said.err);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_scanned() {
    let folder = Folder::new();
    folder.write("good.txt", token(4));
    let said = folder.scan(&["--json", "missing.txt", "good.txt"]);
    assert_eq!((said.code, places(&said.findings())), (3, vec![("good.txt", 1, 1)]));
    assert!(said.err.contains("missing.txt: No such file"), "{}", said.err);
    // Readable by nobody; root reads it nevertheless.
    folder.write("closed.txt", token(4));
    let closed = folder.path().join("closed.txt");
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    if fs::read(&closed).is_err() {
        let said = folder.scan(&["."]);
        assert!(said.code == 3 && said.err.contains("closed.txt: Permission denied"), "{}", said.err);
    } else {
        eprintln!("skipped: a file that its owner may not read, since the superuser may");
    }
}

#[test]
fn wrong_usage_is_no_finding() {
    let folder = Folder::new();
    folder.write(
        "broken.toml",
        "[[rules]]\nid = \"fine\"\nregex = '''a'''\n\n[[rules]]\nid = \"odd\"\nregex = '''a(b'''\n",
    );
    folder.write("no.toml", "[[rules\n");
    for (args, reason) in [
        (&["--rules", "broken.toml", "."][..], "broken.toml:5: rule `odd`: its `regex` does not compile"),
        (&["--rules", "no.toml", "."], "no.toml:1: "),
        (&["--test-rules", "broken.toml"], "broken.toml:5: rule `odd`: "),
        (&["--no-builtin", "."], "--rules FILE"),
        (&["--levle", "L3"], "--level"),
        (&["--level", "L9", "."], "is not a data level"),
        (&["--threshold", "0", "."], "0"),
        (&["--write-baseline", "."], "--baseline"),
        (&["--json", "--sarif", "."], "cannot be used with"),
    ] {
        let said = folder.scan(args);
        assert!(said.code == 2 && said.err.contains(reason), "{args:?}: {} {}", said.code, said.err);
    }
    assert_eq!(folder.scan(&["--rules", "missing.toml", "."]).code, 3);
}

#[test]
fn texts_in_other_encodings_have_their_places() {
    let folder = Folder::new();
    let token = token(5);
    let text = format!("first\r\nschlüssel: {token}\r\n");
    let utf16: Vec<u16> = std::iter::once(0xfeff).chain(text.encode_utf16()).collect();
    folder.write("a-utf8-bom.txt", format!("\u{feff}{text}"));
    folder.write("b-utf16le.txt", utf16.iter().flat_map(|u| u.to_le_bytes()).collect::<Vec<_>>());
    folder.write("c-utf16be.txt", utf16.iter().flat_map(|u| u.to_be_bytes()).collect::<Vec<_>>());
    folder.write("d-latin1.txt", [b"first\nschl\xfcssel: ", token.as_bytes(), b"\n"].concat());
    folder.write("e-emoji.txt", format!("first\n\u{1f511}chlüssel: {token}"));
    let findings = folder.found(&["."]);
    let names = ["a-utf8-bom.txt", "b-utf16le.txt", "c-utf16be.txt", "d-latin1.txt", "e-emoji.txt"];
    assert_eq!(places(&findings), names.map(|name| (name, 2, 12)));
}

#[test]
fn a_huge_line_is_scanned_to_its_end() {
    let folder = Folder::new();
    let token = token(6);
    // Across the end of the first window of 4 MiB, in the overlap, and at the end.
    let mut text = "x ".repeat((4 << 20) / 2 - 10);
    let at = [text.len() - (32 << 10), text.len(), 9 << 20];
    text.replace_range(at[0]..at[0] + 1 + token.len(), &format!("{token} "));
    text.push_str(&format!("{token} "));
    text.push_str(&"é ".repeat(((9 << 20) - text.len()) / 3));
    let last = text.chars().count() + 1;
    text.push_str(&token);
    folder.write("huge.txt", &text);
    let findings = folder.found(&["huge.txt"]);
    let columns: Vec<_> = findings.iter().map(|f| usize::try_from(f["column"].as_u64().unwrap()).unwrap()).collect();
    assert_eq!(columns, [at[0] + 1, at[1] + 1, last]);
}

#[test]
fn a_comment_allows_a_secret_but_no_injection() {
    let folder = Folder::new();
    let token = token(7);
    folder.write(
        "rule.toml",
        "[[rules]]\nid = \"orders\"\nregex = '''obey me'''\nkeywords = ['obey']\nfw = {kind = 'injection'}\n",
    );
    folder.write("a.py", format!("a = '{token}'  # portcullis:allow\nb = '{token}'\nc = '{token}' // gitleaks:allow\nobey me # portcullis:allow\n"));
    let lines = |args: &[&str]| -> Vec<u64> {
        folder
            .found(&[args, &["--rules", "rule.toml", "a.py"]].concat())
            .iter()
            .map(|f| f["line"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(lines(&[]), [2, 4]);
    assert_eq!(lines(&["--no-inline-allow"]), [1, 2, 3, 4]);
    assert!(folder.scan(&["a.py"]).err.contains("2 allowed by a comment"));
}

#[test]
fn rules_are_added_taken_away_listed_and_tested() {
    let folder = Folder::new();
    folder.write(
        "own.toml",
        "[[rules]]\nid = \"internal\"\ndescription = \"An internal name\"\nregex = '''\\bproj-[a-z]{4}\\b'''\nkeywords = [\"proj-\"]\n\
         [rules.fw]\nlevel = \"L1\"\naction = \"flag\"\n[rules.fw.samples]\npositive = [\"see proj-{lower:4} now\"]\n",
    );
    folder.write("a.txt", format!("proj-abcd\n{}\n", token(8)));
    let rules = |args: &[&str]| -> Vec<String> {
        folder.found(&[args, &["a.txt"]].concat()).iter().map(|f| f["rule"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(rules(&["--rules", "own.toml"]), ["internal", "gitlab-token"]);
    assert_eq!(rules(&["--rules", "own.toml", "--no-builtin"]), ["internal"]);
    assert_eq!(rules(&["--rules", "own.toml", "--level", "L3"]), ["gitlab-token"]);
    assert_eq!(rules(&["--rules", "own.toml", "--disable", "gitlab-token"]), ["internal"]);
    let listed = folder.scan(&["--list-rules", "--json", "--rules", "own.toml"]).findings();
    let internal = listed.iter().find(|rule| rule["id"] == "internal").unwrap();
    assert_eq!(
        (&internal["kind"], &internal["level"], &internal["action"]),
        (&"secret".into(), &"L1".into(), &"flag".into())
    );
    assert!(listed.iter().any(|rule| rule["id"] == "gitlab-token" && rule["description"] != ""));
    let said = folder.scan(&["--test-rules", "own.toml"]);
    assert_eq!((said.code, &*said.out), (0, "own.toml: 1 rule in force; every sample is as it should be\n"));
    let own = fs::read_to_string(folder.path().join("own.toml")).unwrap().replace("{lower:4}", "{lower:5}");
    folder.write("own.toml", own);
    for args in [&["--test-rules", "own.toml"][..], &["--rules", "own.toml", "a.txt"]] {
        let said = folder.scan(args);
        assert!(said.code == 2 && said.err.contains("rule `internal`: it does not find its sample"), "{}", said.err);
    }
}

/// For every built-in rule a file with what it finds; in no form of the report is any of it.
#[test]
fn no_secret_is_in_any_output() {
    let folder = Folder::new();
    let rules = Rules::load(true, &[], &Selection { pii: true, ..Selection::default() });
    let rules = rules.unwrap_or_else(|_| panic!("the built-in rules load"));
    let (mut scratch, mut secrets) = (Scratch::default(), Vec::new());
    for (number, samples) in Rules::builtin_samples().iter().enumerate() {
        let Some(template) = samples.positive.first() else { continue };
        let text = draw(template, number as u64).unwrap();
        folder.write(&format!("all/{number}.txt"), &text);
        let texts = [Text { text: &text, origin: Origin::Unknown, flows: false }];
        let scanned = rules.scan(&texts, Direction::Both, &mut scratch, &mut |finding| {
            if matches!(finding.rule.kind.code(), "firewall.secret" | "firewall.pii") {
                secrets.push(text[finding.secret].to_owned());
            }
        });
        scanned.unwrap();
    }
    // What is as it stands in a rule's description is no secret.
    let described =
        |secret: &str| rules.iter().any(|rule| rule.description.contains(secret) || rule.id.contains(secret));
    secrets.retain(|secret| secret.len() >= 6 && !described(secret));
    assert!(secrets.len() > 100, "{}", secrets.len());
    let baseline = ["--pii", "--baseline", "b.json", "--write-baseline"];
    for args in [&["--pii", "--structural"][..], &["--pii", "--json"], &["--pii", "--sarif"], &baseline] {
        let said = folder.scan(&[args, &["all"]].concat());
        assert!(said.code <= 1, "{}", said.err);
        let baseline = fs::read_to_string(folder.path().join("b.json")).unwrap_or_default();
        for secret in &secrets {
            let told = [&said.out, &said.err, &baseline].iter().any(|text| text.contains(secret.as_str()));
            assert!(!told, "{args:?} tells a secret of {} bytes", secret.len());
        }
    }
}

#[test]
fn a_baseline_that_is_not_there_is_named_with_where_it_was_looked_for() {
    let folder = Folder::new();
    folder.write("a.txt", token(4));
    let said = folder.scan(&["--baseline", "known.json", "a.txt"]);
    let place = format!("`--baseline known.json`: there is no such file in `{}`", folder.path().display());
    assert!(said.code == 2 && said.err.contains(&place) && said.err.contains("--write-baseline"), "{}", said.err);
}

#[test]
fn a_key_that_does_nothing_is_a_warning() {
    let folder = Folder::new();
    folder.write("r.toml", "[[rules]]\nid = \"ours\"\nregex = '''ours_[a-z]{8}'''\nkeyword = [\"ours_\"]\n");
    folder.write("a.txt", "nothing");
    let warning = "r.toml:4: rule `ours`: the key `keyword` is unknown and does nothing, did you mean `keywords`?";
    let said = folder.scan(&["--rules", "r.toml", "a.txt"]);
    assert!(said.code == 0 && said.err.contains(warning), "{}", said.err);
    let said = folder.scan(&["--test-rules", "r.toml"]);
    assert!(said.code == 0 && said.out.contains(warning), "{}", said.out);
}
