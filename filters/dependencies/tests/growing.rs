//! Texts that grow: however they are cut, they bring in the same, and nothing leaves before it is told.

#![allow(clippy::unwrap_used, clippy::panic, clippy::string_slice, reason = "helpers of tests")]

use portcullis_dependencies::{Findings, Growing, Hint, MOST_FOUND, MOST_HELD, What, find};
use proptest::prelude::*;

/// What the machine is made to stumble over: parts of commands, manifests, blocks, disguises.
const PARTS: &[&str] = &[
    "pip",
    "pip install ",
    "npm i ",
    "\"pip\", \"install\", ",
    "requests==2.19.1",
    "lodash@4.17.20",
    " \\\n",
    "\n",
    "\r\n",
    "\r",
    "```",
    "```bash\n",
    "```toml\n",
    "```json\n",
    "~~~\n",
    "`",
    "\"",
    "'",
    "[dependencies]\n",
    "time = \"0.1.40\"\n",
    "[dependencies.x]\nversion = \"1\"\n",
    "[[package]]\nname = \"a\"\nversion = \"1.0\"\n",
    "source = \"registry+x\"\n",
    "\"dependencies\": {",
    "\"a\": \"1.0.0\"",
    "\"node_modules/b\": {\"version\": \"2.0.0\"",
    "\"packages\": [{\"name\": \"c/d\", ",
    "}",
    "]",
    "<dependency><groupId>g</groupId>",
    "<artifactId>a</artifactId>",
    "<version>1",
    "</version></dependency>",
    "<!--",
    "-->",
    "require (\n",
    "example.com/x v1.0.0\n",
    ")\n",
    "import x\n",
    "from y import z\n",
    "install_requires=[\n",
    "# /// script\n",
    "# dependencies = [\"q==1\"]\n",
    "# ///\n",
    "implementation(\"g:a:1.0\")\n",
    "gem 'x', '1.0'\n",
    "- pip:\n",
    "    - a==1.0\n",
    "- ",
    "1. ",
    "> ",
    "  ",
    " and ",
    ". ",
    ", ",
    "; ",
    " && ",
    "-x ",
    "=",
    "==",
    "\u{200B}",
    "ｐｉｐ ",
    "é",
    "go get ",
    "dotnet add x package y",
    "mvn dependency:get -Dartifact=a:b:1",
    "word ",
    "$NAME ",
    "xargs ",
    "echo evil",
    " >> requirements.txt",
    " | tee ",
];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![9 => proptest::sample::select(PARTS).prop_map(str::to_owned), 1 => "\\PC{1,3}"],
        0..24,
    )
    .prop_map(|parts| parts.concat())
}

/// Cuts a text, and checks what leaves. What was held back must cover what is told later.
fn in_pieces(text: &str, hint: Hint<'_>, cuts: &[usize]) -> Findings {
    let (mut growing, mut all) = (Growing::new(hint), Findings::default());
    let (mut came, mut left) = (0, 0);
    let mut take = |growing: &mut Growing, left: usize| {
        let findings = growing.take();
        for found in &findings.found {
            assert!(found.place.start >= left, "{text:?}: {found:?} is told when {left} bytes have left");
            assert!(text.get(found.place.clone()).is_some(), "{text:?}: {found:?}");
        }
        all.found.extend(findings.found);
        all.unreadable.extend(findings.unreadable);
        all.too_many |= findings.too_many;
    };
    let mut cuts = cuts.iter().cycle();
    while came < text.len() {
        let want = came + cuts.next().copied().unwrap_or(1).max(1);
        let end = (want..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        growing.push(&text[came..end]);
        came = end;
        take(&mut growing, left);
        let held = growing.held_from().unwrap_or(came);
        assert!(held <= came, "{text:?}");
        assert!(text.is_char_boundary(held), "{text:?} at {held}");
        left = left.max(held);
    }
    growing.end();
    take(&mut growing, left);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn cutting_changes_nothing(text in text(), cuts in proptest::collection::vec(1_usize..12, 1..8)) {
        let whole = find(&text, Hint::Answer);
        prop_assert_eq!(&in_pieces(&text, Hint::Answer, &cuts), &whole);
        prop_assert_eq!(&in_pieces(&text, Hint::Answer, &[1]), &whole);
    }

    #[test]
    fn cutting_a_file_changes_nothing(
        text in text(),
        cuts in proptest::collection::vec(1_usize..12, 1..8),
        name in proptest::sample::select(&[
            "requirements.txt", "Cargo.toml", "package.json", "go.mod", "Gemfile", "yarn.lock", "x.py", "x.yml", "x.gradle",
        ][..]),
    ) {
        let hint = Hint::File(name);
        prop_assert_eq!(in_pieces(&text, hint, &cuts), find(&text, hint));
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,200}", name in "[a-zA-Z.]{0,12}") {
        let _ = find(&text, Hint::Answer);
        let _ = find(&text, Hint::File(&name));
        let _ = find(&text, Hint::Language(&name));
    }
}

#[test]
fn prose_is_not_delayed() {
    let text = "Here is how it works: the people who go there like to talk about pipes, cargo and gems.\n\
        1. First, open the door.\n- Then \"say\" hello; it's 5 o'clock, isn't it?\n\n# A heading\nThe end.\n";
    let mut growing = Growing::new(Hint::Answer);
    // A word that may become a tool is held, and so is what may begin a line of code; the rest leaves at once.
    let (mut came, mut longest) = (0, 0);
    for c in text.chars() {
        growing.push(c.encode_utf8(&mut [0; 4]));
        came += c.len_utf8();
        longest = longest.max(came - growing.held_from().unwrap_or(came));
    }
    assert!(longest <= "dependencies".len(), "{longest}");
    assert_eq!(growing.held_from(), None);
    growing.end();
    assert!(growing.take().is_empty());
}

#[test]
fn a_command_is_held_from_its_tool_on() {
    let mut growing = Growing::new(Hint::Answer);
    growing.push("Just run pi");
    assert_eq!(growing.held_from(), Some(9));
    growing.push("p install requests==2.19");
    assert_eq!(growing.held_from(), Some(9));
    assert!(growing.take().is_empty());
    growing.push(".1 ");
    growing.push("and then ");
    let found = growing.take().found;
    assert_eq!(found.len(), 1);
    assert!(found[0].place.start == 9 && found[0].package.name() == "requests");
    assert_eq!(growing.held_from(), None);
}

#[test]
fn ten_thousand_are_told_and_then_too_many() {
    let mut text = String::new();
    for index in 0..MOST_FOUND {
        text.push_str(&format!("p{index}==1.0\n"));
    }
    let found = find(&text, Hint::File("requirements.txt"));
    assert!(found.found.len() == MOST_FOUND && !found.too_many);
    text.push_str("last==1.0\n");
    let found = find(&text, Hint::File("requirements.txt"));
    assert!(found.found.len() == MOST_FOUND && found.too_many);
}

#[test]
fn longer_lines_than_may_be_held_are_told() {
    let long = format!("```\npip install {} evil==1.0\n```\n", "x".repeat(MOST_HELD));
    let found = in_pieces(&long, Hint::Answer, &[1000]);
    assert_eq!(found.unreadable[0].what, What::Long);
    // A paragraph without a command is no such line.
    let prose = "word and word. ".repeat(2 * MOST_HELD / 15);
    assert!(in_pieces(&prose, Hint::Answer, &[999]).is_empty());
    // A command behind a long paragraph is found.
    let found = in_pieces(&format!("{prose}pip install evil"), Hint::Answer, &[777]);
    assert_eq!(found.found.len(), 1);
    // An entry that never ends is not held for ever.
    let stanza = format!("```toml\n[[package]]\nname = \"x\"\n{}", "# y\n".repeat(MOST_HELD / 2));
    assert_eq!(in_pieces(&stanza, Hint::Answer, &[4096]).unreadable[0].what, What::Long);
    // An address is not told at any length for each of many packages.
    let index = format!("--index-url https://{}.example\nevil\nworse\n", "x".repeat(1 << 20));
    for found in find(&index, Hint::File("requirements.txt")).found {
        assert!(found.remote.unwrap().address().len() <= 2048);
    }
    // Names that no registry takes.
    let name = "n".repeat(4000);
    for text in [
        format!("{{\"dependencies\": {{\"{name}\": \"1.0.0\"}}}}"),
        format!("```toml\n[dependencies]\n{name} = \"1\"\n```\n"),
        format!("```toml\n[dependencies.{name}]\nversion = \"1\"\n```\n"),
        format!("`pip install {name}`"),
        format!("`cargo add x@{}`", "1".repeat(4000)),
    ] {
        assert_eq!(find(&text, Hint::Answer).unreadable[0].what, What::Name);
    }
}

/// Twice the text takes twice the time, not four times: nothing is looked at again and again.
#[test]
#[ignore = "compares times; run it alone and in release"]
fn time_grows_with_the_text() {
    let patterns: &[(&str, &str)] = &[
        ("", "pip "),
        ("", "pip -a -a -a -a -a -a "),
        ("", "pip install a "),
        ("", "\"pip\", "),
        ("[", "\"pip\", \"install\", "),
        ("", "npm install \\\n"),
        ("```\n", "pip install \\\n"),
        ("```\n", "[\"pip\",\n"),
        ("```\n", "\"pip\", \"install\",\n"),
        ("```\n", "a \\\n"),
        ("", "x=="),
        ("", "x==1.0 "),
        ("", "'"),
        ("", "`pip install "),
        ("", "{\"dependencies\":"),
        ("{\"dependencies\": {", "\"a\": \"1\","),
        ("", "[["),
        ("```\n", "[[package]]\nname = \"a\"\n"),
        ("```toml\n", "a.b.c.d = [\n"),
        ("```toml\n[dependencies]\n", "a = {\n"),
        ("```\n", "<dependency><a>"),
        ("```\n", "<dependency>\n"),
        ("```\n<", "a"),
        ("```\n", "<!--"),
        ("```\n<a b=\"", ">"),
        ("```\n", "require (\nb.c/d v1\n"),
        ("```\n", "import a,"),
        ("```\n", "from a import b\n"),
        ("```\n", "require('"),
        ("```\n", "implementation('a:b:1"),
        ("```\n", "a@b,"),
        ("", "\u{200B}p"),
        ("", "ｐｉｐ "),
        ("", "```\n"),
        ("", "_pip"),
        ("", "________"),
        ("", "1. - > "),
        ("", "\\"),
        ("", "a/"),
        ("```\n", "&amp;"),
        ("```\n[HEADER]\n", "x=1\n"),
        ("```\n<HEADER", "\nx"),
        ("HEADER@1:\n", "  version \"1\"\n"),
        ("--index-url https://HEADER\n", "x==1\n"),
    ];
    let seconds = |text: &str, piece: usize| {
        let start = std::time::Instant::now();
        let mut growing = Growing::new(Hint::Answer);
        let mut rest = text;
        while !rest.is_empty() {
            let end = (piece..rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
            growing.push(&rest[..end]);
            let _ = growing.held_from();
            growing.take();
            rest = &rest[end..];
        }
        growing.end();
        let whole = std::time::Instant::now();
        let _ = find(text, Hint::Answer);
        let _ = find(text, Hint::File("x.toml"));
        let _ = find(text, Hint::File("x.xml"));
        (start.elapsed().as_secs_f64(), whole.elapsed().as_secs_f64())
    };
    let header = "a.".repeat(30_000);
    let mut slow = Vec::new();
    for (begin, pattern) in patterns {
        let begin = begin.replace("HEADER", &header);
        let text = |size: usize| format!("{begin}{}", pattern.repeat(size / pattern.len()));
        let (small, large) = (seconds(&text(1 << 19), 3), seconds(&text(1 << 20), 3));
        println!("{:?} {pattern:?}: {small:.3?} {large:.3?}", begin.get(..12));
        if large.0 > 3.0 * small.0 + 0.05 {
            slow.push(pattern);
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}

/// A line of many times what is held reads the same in one piece as in many: each part is looked at once.
#[test]
fn one_line_of_megabytes_is_read_in_one_piece() {
    let text = format!("{}pip install evil==1.0 ", "word and word. ".repeat(64 * MOST_HELD / 15));
    let found = in_pieces(&text, Hint::Answer, &[text.len()]);
    assert_eq!(found, in_pieces(&text, Hint::Answer, &[4096]));
    assert_eq!(found.found.len(), 1);
}

/// Many arguments in one line are each read once: 128 KiB of them took half a minute.
#[test]
fn many_arguments_in_one_line_are_read_once() {
    let count = 8000;
    let line: String = (0..count).map(|index| format!("install_requires=['p{index}'], ")).collect();
    let found = find(&format!("```python\nsetup({line})\n```\n"), Hint::Answer);
    assert_eq!((found.found.len(), found.too_many), (count, false));
    let open = "install_requires=(install_requires=[a],".repeat(4000);
    assert!(find(&format!("```python\n{open}\n```\n"), Hint::Answer).found.is_empty());
}

/// Nesting that no manifest has ends somewhere, and nothing overflows.
#[test]
fn depth_is_bounded() {
    for text in [
        format!("[dependencies]\n{}b = 1\n", "a.".repeat(30_000)),
        format!("[{}b]\nx = 1\n", "a.".repeat(30_000)),
        format!("a = {}{}\n", "[".repeat(30_000), "]".repeat(30_000)),
        format!("a = {}1{}\n", "{b = ".repeat(6_000), "}".repeat(6_000)),
        "{\"dependencies\": ".repeat(30_000),
        "[".repeat(60_000),
        "<dependency>".repeat(5_000),
        "<a>".repeat(20_000),
        "> ".repeat(30_000),
        "${".repeat(30_000),
    ] {
        for hint in [Hint::Answer, Hint::File("Cargo.toml"), Hint::File("package.json"), Hint::File("pom.xml")] {
            let _ = in_pieces(&text, hint, &[5000]);
            let _ = find(&format!("```\n{text}\n```\n"), hint);
        }
    }
}
