use std::sync::Mutex;

use futures::FutureExt as _;
use portcullis_osv::{Advisory, Ecosystem, Notice, Package};
use portcullis_policies::StreamFormat;
use serde_json::json;

use super::*;
use crate::exchange::Noted;
use crate::filter::Mode;
use crate::frame::Reading;
use crate::gate::{Eye, Gate};
use crate::testkit::Deaf;
use crate::verdict::{Code, Refusal};
use portcullis_dependencies::{Hint, find};
use weighing::{Weighed, Weighing};

impl ScaObserver for Deaf {
    fn found(&self, _: Ecosystem, _: &'static str) {}
    fn unnamed(&self) {}
}

/// Knows a few advisories, at once or when it is asked.
struct Known {
    notices: Vec<Notice>,
    later: bool,
    away: bool,
    asked: Mutex<Vec<String>>,
}

fn advisory(id: &str, ecosystem: &str, name: &str, fixed: &str, score: &str) -> Vec<Notice> {
    let events =
        if fixed.is_empty() { json!([{"introduced": "0"}]) } else { json!([{"introduced": "0"}, {"fixed": fixed}]) };
    let text = json!({
        "id": id, "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-0001"],
        "severity": if score.is_empty() { json!([]) } else { json!([{"type": "CVSS_V3", "score": score}]) },
        "affected": [{"package": {"ecosystem": ecosystem, "name": name},
            "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
    });
    Advisory::parse(&text.to_string()).unwrap().notices
}

const CRITICAL: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
const LOW: &str = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N";

impl Known {
    fn new() -> Self {
        let mut notices = advisory("GHSA-crit", "PyPI", "django", "3.2.14", CRITICAL);
        notices.extend(advisory("GHSA-low", "PyPI", "flask", "2.0", LOW));
        notices.extend(advisory("PYSEC-none", "PyPI", "moin", "1.9", ""));
        notices.extend(advisory("MAL-2026-1", "npm", "left-pat", "", ""));
        notices.extend(advisory("GHSA-npm", "npm", "lodash", "4.17.21", CRITICAL));
        Self { notices, later: false, away: false, asked: Mutex::default() }
    }
}

impl Advisories for Known {
    fn look_up(&self, packages: Vec<Package>) -> Lookup {
        self.asked.lock().unwrap().extend(packages.iter().map(ToString::to_string));
        if self.away || packages.iter().any(|package| package.ecosystem() == Ecosystem::Go) {
            return Lookup::Now(Err(Unavailable::Away("the database is away".to_owned())));
        }
        let standing = |package: &Package| match package.name() {
            "reqeusts" => Standing::Unknown(Some("requests".into())),
            "made-up" => Standing::Unknown(None),
            _ => Standing::Ordinary,
        };
        let dossiers = packages.into_iter().map(|package| Dossier {
            notices: self.notices.iter().filter(|notice| notice.package == package).cloned().collect(),
            versions: Vec::new(),
            standing: standing(&package),
            package,
        });
        let told = Ok(dossiers.collect());
        if self.later { Lookup::Later(Box::pin(async { told })) } else { Lookup::Now(told) }
    }
}

/// What of an answer leaves, chunk by chunk, and how it ends.
fn run(
    settings: ScaSettings,
    known: impl Into<Arc<Known>>,
    is_tool: bool,
    stream: Option<StreamFormat>,
    chunks: &[String],
) -> (Vec<String>, Result<Vec<Noted>, Refusal>) {
    let judge = Arc::new(Judge::new(settings, known.into(), Arc::new(Deaf)));
    let reading = stream.map_or(Reading::Json, Reading::of);
    let shape = AnswerShape { stream, reading, frame_bytes: 4 << 20, held_bytes: 1 << 20, success: true };
    let eyes = vec![Eye::new("sca", Mode::Enforce, Box::new(watch::AnswerWatch::new(judge, is_tool)))];
    let mut gate = Gate::new(eyes, shape, Arc::new(Deaf));
    let mut left = Vec::new();
    let mut take = |out: Vec<crate::gate::ClearedFrame>| {
        left.push(out.iter().map(|frame| String::from_utf8(frame.bytes().to_vec()).unwrap()).collect::<String>());
    };
    for chunk in chunks {
        let mut out = Vec::new();
        let mut said = gate.push(chunk.as_bytes(), &mut out);
        if said.is_ok() {
            said = gate.settle(&mut out).now_or_never().expect("the answers are there");
        }
        take(out);
        if let Err(refusal) = said {
            return (left, Err(refusal));
        }
    }
    let mut out = Vec::new();
    let said = gate.finish(&mut out).now_or_never().expect("the answers are there");
    take(out);
    (left, said.map(|()| gate.findings()))
}

fn chat(text: &str) -> String {
    json!({"message": {"role": "assistant", "content": text}, "done": true}).to_string()
}

fn whole(settings: ScaSettings, text: &str) -> Result<Vec<String>, (Code, String)> {
    let (_, said) = run(settings, Known::new(), false, None, &[chat(text)]);
    said.map(|noted| noted.iter().map(|noted| noted.rule.to_string()).collect())
        .map_err(|no| (no.code, no.message.into_owned()))
}

#[test]
fn what_is_bad_enough_ends_the_answer_and_says_what_mends_it() {
    let settings = ScaSettings::default();
    let (code, message) = whole(settings, "Run this:\n```sh\npip install django==3.2.1\n```\n").unwrap_err();
    assert_eq!(code, Code::ScaVulnerable);
    for words in ["`django` 3.2.1", "PyPI", "GHSA-crit", "CVE-2026-0001", "critical", "mended in 3.2.14"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(whole(settings, "pip install django==3.2.14"), Ok(vec![]));
    assert_eq!(whole(settings, "pip install Flask==1.0"), Ok(vec!["GHSA-low".to_owned()]));
    let strict = ScaSettings { block_at: portcullis_osv::Severity::Low, ..settings };
    assert_eq!(whole(strict, "pip install Flask==1.0").unwrap_err().0, Code::ScaVulnerable);
    let (code, message) = whole(settings, "npm install left-pat").unwrap_err();
    assert_eq!(code, Code::ScaMalicious, "{message}");
    assert!(message.contains("MAL-2026-1") && message.contains("is malicious"), "{message}");
}

#[test]
fn what_nobody_rated_or_knows_is_told_unless_the_operator_blocks_it() {
    let settings = ScaSettings::default();
    for (text, rules) in [
        ("pip install moin==1.8", vec!["PYSEC-none"]),
        ("pip install reqeusts", vec!["unknown-package", "resembling-name"]),
        ("pip install made-up", vec!["unknown-package"]),
        ("pip install git+https://example.com/x.git", vec!["remote-source"]),
    ] {
        assert_eq!(whole(settings, text), Ok(rules.into_iter().map(str::to_owned).collect()), "{text}");
    }
    let block = Handling::Block;
    let all = ScaSettings { unrated: block, unknown: block, typosquat: block, remote: block, ..settings };
    for text in ["pip install moin==1.8", "pip install made-up", "pip install git+https://example.com/x.git"] {
        assert_eq!(whole(all, text).unwrap_err().0, Code::ScaVulnerable, "{text}");
    }
    let off = Handling::Off;
    let none = ScaSettings { unknown: off, typosquat: off, remote: off, ..settings };
    assert_eq!(whole(none, "pip install reqeusts\npip install git+https://example.com/x.git"), Ok(vec![]));
}

#[test]
fn without_a_database_nothing_that_brings_something_in_passes() {
    let away = || Known { away: true, ..Known::new() };
    let ask = |settings, text: &str| run(settings, away(), false, None, &[chat(text)]).1;
    let no = ask(ScaSettings::default(), "pip install requests").unwrap_err();
    assert_eq!((no.code, no.detail.as_str()), (Code::ScaUnavailable, "the database is away"));
    assert!(ask(ScaSettings::default(), "Hello. No packages here.").unwrap().is_empty());
    // Code that uses something installs nothing.
    let told = ask(ScaSettings::default(), "```python\nimport numpy\n```").unwrap();
    assert_eq!(told.iter().map(|noted| &*noted.rule).collect::<Vec<_>>(), ["unavailable"]);
    let told =
        ask(ScaSettings { unavailable: Handling::Flag, ..ScaSettings::default() }, "pip install requests").unwrap();
    assert_eq!(told.iter().map(|noted| &*noted.rule).collect::<Vec<_>>(), ["unavailable"]);
}

fn pieces(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars
        .chunks(size)
        .map(|piece| format!("{}\n", json!({"message": {"content": piece.iter().collect::<String>()}, "done": false})))
        .collect()
}

#[test]
fn a_stream_is_cut_before_the_line_that_names_it() {
    for later in [false, true] {
        for size in [1, 2, 3, 7, 40] {
            let text = "Here you are:\n```sh\ncd app\npip install django==3.2.1\npython app.py\n```\nDone.";
            let known = Known { later, ..Known::new() };
            let (left, said) =
                run(ScaSettings::default(), known, false, Some(StreamFormat::Ndjson), &pieces(text, size));
            assert_eq!(said.unwrap_err().code, Code::ScaVulnerable);
            let left = left.concat();
            assert!(!left.contains("pip") && !left.contains("django"), "{size} {later}: {left}");
            let text = text.replace("3.2.1", "4.0");
            let known = Known { later, ..Known::new() };
            let chunks = pieces(&text, size);
            let (left, said) = run(ScaSettings::default(), known, false, Some(StreamFormat::Ndjson), &chunks);
            assert_eq!((left.concat(), said.is_ok()), (chunks.concat(), true), "{size} {later}");
        }
    }
}

#[test]
fn clean_prose_is_not_held() {
    let text = "A dependency manager keeps track of what a project needs, and says so in a file. ";
    let chunks = pieces(text, 4);
    let (left, said) = run(ScaSettings::default(), Known::new(), false, Some(StreamFormat::Ndjson), &chunks);
    assert!(said.is_ok());
    let held = left.iter().zip(&chunks).filter(|(left, chunk)| left != chunk).count();
    // The end of a piece may be the beginning of a command: then it waits for the next piece, and no longer.
    assert!(held <= chunks.len() / 2, "{held} of {}: {left:?}", chunks.len());
    let waited = left.windows(3).any(|three| three.iter().all(String::is_empty));
    assert!(!waited, "{left:?}");
}

#[test]
fn calls_of_tools_bring_things_in_too() {
    let call = |arguments: serde_json::Value| {
        json!({"choices": [{"message": {"tool_calls": [{"function": {"name": "shell", "arguments": arguments.to_string()}}]}}]})
            .to_string()
    };
    for arguments in [
        json!({"command": "cd app && pip install 'django==3.2.1'"}),
        json!({"path": "requirements.txt", "content": "flask==2.1\ndjango==3.2.1\n"}),
        json!({"path": "package.json", "content": json!({"dependencies": {"lodash": "4.17.20"}}).to_string()}),
        json!({"argv": ["pip", "install", "django==3.2.1"]}),
    ] {
        let (_, said) = run(ScaSettings::default(), Known::new(), false, None, &[call(arguments.clone())]);
        assert_eq!(said.map(|_| ()).unwrap_err().code, Code::ScaVulnerable, "{arguments}");
    }
    let ollama = json!({"message": {"tool_calls": [{"function": {"name": "sh", "arguments": {"cmd": "npm i lodash@4.17.20"}}}]}});
    let (_, said) = run(ScaSettings::default(), Known::new(), false, None, &[ollama.to_string()]);
    assert_eq!(said.unwrap_err().code, Code::ScaVulnerable);
}

#[test]
fn what_a_tool_declares_is_judged() {
    let answer = |language: &str, dependency: &str, code: &str| {
        json!({"language": language, "dependencies_added": [dependency], "code": code}).to_string()
    };
    for (answer, code) in [
        (answer("python", "django==3.2.1", ""), Some(Code::ScaVulnerable)),
        (answer("python", "django==4.0", ""), None),
        (answer("typescript", "left-pat", ""), Some(Code::ScaMalicious)),
        (answer("cpp", "boost", ""), Some(Code::ScaUnavailable)),
        (answer("typescript", "react", "import x from 'left-pat';\n"), Some(Code::ScaMalicious)),
    ] {
        let (_, said) = run(ScaSettings::default(), Known::new(), true, None, std::slice::from_ref(&answer));
        assert_eq!(said.err().map(|no| no.code), code, "{answer}");
    }
}

#[test]
fn ten_thousand_dependencies_are_too_many() {
    let list = |count: usize| -> String { (0..count).map(|n| format!("package-{n}==1.0\n")).collect() };
    let text = format!("```requirements.txt\n{}```\n", list(10_001));
    assert_eq!(whole(ScaSettings::default(), &text).unwrap_err().0, Code::ScaUnavailable);
    let text = format!("```requirements.txt\n{}```\n", list(500));
    assert_eq!(whole(ScaSettings::default(), &text), Ok(vec![]));
}

#[test]
fn every_advisory_of_the_sample_blocks_or_is_told_as_its_severity_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/osv");
    let (mut blocked, mut told) = (0, 0);
    for file in ["pypi.jsonl", "crates-io.jsonl"] {
        let Ok(text) = std::fs::read_to_string(format!("{folder}/{file}")) else {
            eprintln!("skipped: the sample of advisories needs ../shared/data/osv beside the repository");
            return;
        };
        for notice in text.lines().flat_map(|line| Advisory::parse(line).unwrap().notices) {
            let package = notice.package.clone();
            let Some(first) = notice.spans.first() else { continue };
            let version = first.from.clone().unwrap_or_else(|| "0.0.0".into());
            let judge = Judge::new(ScaSettings::default(), Arc::new(Known::new()), Arc::new(Deaf));
            let found = portcullis_dependencies::Found {
                written: package.name().to_owned(),
                ascii: true,
                wanted: portcullis_osv::Wanted::Exact(version),
                place: 0..0,
                how: portcullis_dependencies::How::Command,
                remote: None,
                package: package.clone(),
            };
            let (severity, nature) = (notice.rating.severity, notice.nature);
            let dossier = Dossier { package, notices: vec![notice], versions: vec![], standing: Standing::Ordinary };
            let findings = judge.weigh(&found, &dossier);
            let [finding] = findings.as_slice() else { panic!("{found:?}: {findings:?}") };
            use portcullis_osv::{Nature, Severity};
            let blocks = match nature {
                Nature::Malicious => true,
                Nature::Informational => false,
                Nature::Vulnerability => severity >= Severity::High,
            };
            assert_eq!(finding.blocks, blocks, "{found:?}: {finding:?}");
            *(if blocks { &mut blocked } else { &mut told }) += 1;
        }
    }
    assert!(blocked > 150 && told > 150, "{blocked} blocked, {told} told");
}

#[test]
fn what_cannot_be_looked_up_hides_nothing_else() {
    let text = "go get example.com/a/b@v1.0.0\nnpm install left-pat\npip install requests";
    for unavailable in [Handling::Block, Handling::Flag, Handling::Off] {
        let settings = ScaSettings { unavailable, ..ScaSettings::default() };
        assert_eq!(whole(settings, text).unwrap_err().0, Code::ScaMalicious, "{unavailable:?}");
    }
    let text = "go get example.com/a/b@v1.0.0";
    assert_eq!(whole(ScaSettings::default(), text).unwrap_err().0, Code::ScaUnavailable);
}

#[test]
fn a_command_that_is_cut_over_several_texts_is_one() {
    let pieces: Vec<_> = "run\npip install left\nnpm install left-pat\nok\n".chars().collect();
    for shape in 0..4 {
        let frame = |(number, c): (usize, &char)| {
            let c = c.to_string();
            let odd = number % 2 == 1;
            let choice = match shape {
                0 if odd => json!({"index": 0, "delta": {"content": c}}),
                0 => json!({"index": "0", "delta": {"content": c}}),
                1 if odd => json!({"index": 0, "delta": {"content": c}}),
                1 => json!({"index": 0, "message": {"content": c}}),
                2 => json!({"index": 0, "delta": {"content_index": number, "content": c}}),
                _ if odd => json!({"index": 0, "delta": {"Content": c}}),
                _ => json!({"index": 0, "delta": {"content": c}}),
            };
            format!("data: {}\n\n", json!({"choices": [choice]}))
        };
        let chunks: Vec<_> = pieces.iter().enumerate().map(frame).collect();
        let (left, said) = run(ScaSettings::default(), Known::new(), false, Some(StreamFormat::Sse), &chunks);
        assert_eq!(said.unwrap_err().code, Code::ScaMalicious, "{shape}");
        assert!(left.len() < chunks.len(), "{shape}");
    }
}

#[test]
fn arguments_that_are_values_are_read_as_those_that_are_text() {
    let call =
        |key: &str, arguments: serde_json::Value| json!({"message": {"tool_calls": [{"function": {key: arguments}}]}});
    for (arguments, code) in [
        (json!({"command": ["npm", "i", "left-pat"]}), Some(Code::ScaMalicious)),
        (json!({"args": "install django==3.2.1", "command": "pip"}), Some(Code::ScaVulnerable)),
        (json!({"path": "requirements.txt", "content": "django==3.2.1\n"}), Some(Code::ScaVulnerable)),
        (
            json!({"path": "package.json", "content": {"dependencies": {"lodash": "4.17.20"}}}),
            Some(Code::ScaVulnerable),
        ),
        (json!([{"deep": {"command": ["bash", "-lc", "pip install django==3.2.1"]}}]), Some(Code::ScaVulnerable)),
        (json!({"command": ["ls", "-l"]}), None),
        (json!({}), None),
    ] {
        for key in ["arguments", "Arguments", "argument\u{17F}", "input"] {
            let whole = call(key, arguments.clone());
            let (_, said) = run(ScaSettings::default(), Known::new(), false, None, &[whole.to_string()]);
            assert_eq!(said.err().map(|no| no.code), code, "{whole}");
            let line = format!("{whole}\n");
            let stream = Some(StreamFormat::Ndjson);
            let (left, said) = run(ScaSettings::default(), Known::new(), false, stream, &[line.clone(), line]);
            assert_eq!(said.err().map(|no| no.code), code, "{whole}");
            assert!(code.is_none() || left.concat().is_empty(), "{left:?}");
        }
    }
}

#[test]
fn whatever_is_told_says_what_it_is() {
    let (_, said) = run(ScaSettings::default(), Known::new(), false, None, &[chat("pip install $NAME")]);
    let told = said.unwrap();
    assert_eq!(told[0].about.as_deref(), Some("a command installs what only its run will name"));
    for doubt in Doubt::ALL {
        assert_eq!(Doubt::of(doubt.id()), Some(doubt));
        assert!(!doubt.sentence().is_empty());
    }
    assert_eq!(Doubt::of("GHSA-crit"), None);
    for reason in [Reason::Disguised, Reason::Remote, Reason::Resembles("x".into()), Reason::Unknown] {
        assert!(Doubt::of(reason.id()).is_some(), "{}", reason.id());
    }
}

#[test]
fn what_only_the_run_of_a_command_names_is_as_doubtful_as_an_unknown_name() {
    let told = |unknown: Handling, text: &str| whole(ScaSettings { unknown, ..ScaSettings::default() }, text);
    let text = "```sh\nNAME=evil\npip install $NAME\npip install $NAME\n```\n";
    assert_eq!(told(Handling::Flag, text), Ok(vec!["unnamed-package".to_owned()]), "told once");
    assert_eq!(told(Handling::Off, text), Ok(vec![]));
    let (code, message) = told(Handling::Block, text).unwrap_err();
    assert_eq!(code, Code::ScaVulnerable);
    assert!(message.contains("only the run of a command names"), "{message}");
    assert_eq!(told(Handling::Block, "```sh\npip install flask==3.0 --target $DIR\n```\n"), Ok(vec![]));
    // A list that a shell writes is a list.
    let (code, _) = told(Handling::Flag, "```sh\necho 'django==3.2.1' >> requirements.txt\n```\n").unwrap_err();
    assert_eq!(code, Code::ScaVulnerable);
}

/// A list of many versions of one package was looked up as often, and all of it judged in one go.
#[test]
fn many_versions_of_one_package_are_asked_for_once() {
    let known = Arc::new(Known::new());
    let list: String = (0..300).map(|n| format!("flask==3.{n}\n")).collect();
    let text = chat(&format!("```requirements.txt\n{list}```\n"));
    let (_, said) = run(ScaSettings::default(), Arc::clone(&known), false, None, &[text]);
    assert!(said.unwrap().is_empty());
    assert_eq!(*known.asked.lock().unwrap(), ["PyPI:flask"]);
}

/// Asks for the number of turns that weighing takes.
fn turns(weighing: Weighing) -> (usize, Weighed) {
    let mut future = std::pin::pin!(weighing.by_and_by());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut turns = 1;
    loop {
        if let std::task::Poll::Ready(weighed) = future.as_mut().poll(&mut context) {
            return (turns, weighed);
        }
        turns += 1;
    }
}

#[test]
fn many_dependencies_are_judged_by_and_by() {
    let weighing = |count: usize, score: &str| {
        let list: String = (0..count).map(|n| format!("bigflow==1.{n}\n")).collect();
        let found = find(&list, Hint::File("requirements.txt")).found;
        let advisories = (0..99).flat_map(|n| advisory(&format!("GHSA-{n}"), "PyPI", "bigflow", "2.0", score));
        let package = Package::new(Ecosystem::PyPi, "bigflow");
        let dossier =
            Dossier { package, notices: advisories.collect(), versions: vec![], standing: Standing::Ordinary };
        let judge = Arc::new(Judge::new(ScaSettings::default(), Arc::new(Known::new()), Arc::new(Deaf)));
        Weighing::new(judge, found, Ok(vec![dossier])).unwrap()
    };
    assert!(weighing(40, LOW).now().is_some());
    let mut much = weighing(200, LOW);
    assert!(much.now().is_none(), "20,000 comparisons are too many for one turn");
    // 41 dependencies of 100 comparisons each fill a turn.
    let (count, weighed) = turns(much);
    assert_eq!((count, weighed.blocks, weighed.flagged.len()), (5, 0, weighing::KEPT));
    // Once something blocks, the rest is not looked at.
    let (count, weighed) = turns(weighing(200, CRITICAL));
    assert_eq!((count, weighed.blocks, weighed.blocking.len()), (1, 41 * 99, weighing::KEPT));
}

#[test]
fn a_text_that_does_not_grow_has_bounded_lines() {
    let text = format!("```python\nx = [{}]\n```\n", "1, ".repeat(portcullis_dependencies::MOST_HELD / 2));
    let answer = json!({"message": {"summary": text}}).to_string();
    let (_, said) = run(ScaSettings::default(), Known::new(), false, None, &[answer]);
    let no = said.unwrap_err();
    assert_eq!(no.code, Code::ScaUnavailable);
    assert!(no.detail.contains("longer than may be held"), "{}", no.detail);
}

/// With one tool the option takes a word, with another one nothing.
#[test]
fn a_word_that_may_be_a_package_counts_by_its_advisories_alone() {
    let block = Handling::Block;
    let settings = ScaSettings { unknown: block, typosquat: block, ..ScaSettings::default() };
    assert_eq!(whole(settings, "`pnpm add -w left-pat`").unwrap_err().0, Code::ScaMalicious);
    assert_eq!(whole(settings, "`pipenv install -d reqeusts`"), Ok(vec![]));
    assert_eq!(whole(settings, "`pipenv install reqeusts`").unwrap_err().0, Code::ScaVulnerable);
}

#[test]
fn what_a_configuration_starts_is_installed() {
    let text = "```json\n{\"mcpServers\": {\"x\": {\"command\": \"npx\",\n \"args\": [\"-y\", \"left-pat\"]}}}\n```\n";
    assert_eq!(whole(ScaSettings::default(), text).unwrap_err().0, Code::ScaMalicious);
    let chunks = pieces(text, 3);
    let (left, said) = run(ScaSettings::default(), Known::new(), false, Some(StreamFormat::Ndjson), &chunks);
    assert_eq!(said.unwrap_err().code, Code::ScaMalicious);
    assert!(!left.concat().contains("left"), "{left:?}");
}
