use std::sync::OnceLock;
use std::time::Duration;

use portcullis_firewall::{Origin, Rules, Selection, Source, Text, draw};
use portcullis_policies::StreamFormat;
use proptest::prelude::*;

use super::*;
use crate::chain::Observer;
use crate::filter::{Mode, Phase};
use crate::firewall::judge::Fingerprints;
use crate::firewall::settings::{FirewallSettings, RuleAction};
use crate::firewall::stance::Stance;
use crate::firewall::{FindingObserver, Value};
use crate::frame::Reading;
use crate::gate::{AnswerShape, Eye, Gate};

struct Deaf;

impl FindingObserver for Deaf {
    fn found(&self, _: &str, _: DataLevel, _: &'static str) {}
}

impl Observer for Deaf {
    fn ran(&self, _: &'static str, _: Phase, _: Duration) {}
    fn panicked(&self, filter: &'static str) {
        panic!("{filter} panicked");
    }
    fn shadowed(&self, _: &'static str, _: Code) {}
}

/// A few rules of every shape.
const SHAPES: &str = r#"
[[rules]]
id = "prefix"
regex = '''\b(gha_[A-Za-z0-9]{36})(?:[^A-Za-z0-9]|$)'''
keywords = ["gha_"]
[rules.fw.samples]
positive = ["token is gha_{b62:36} ok"]

[[rules]]
id = "value"
regex = '''(?i)(?:passwd|password)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|:)[\s'"=]{0,5}([\w.=+/-]{10,150})(?:[\s'";\\]|$)'''
keywords = ["passwd", "password"]
entropy = 3
[rules.fw.samples]
positive = ["db.password = '{b62:20}' is it"]

[[rules]]
id = "suffix"
regex = '''\b([0-9a-f]{32}-us[0-9]{1,2})\b'''
keywords = ["-us"]
[rules.fw.samples]
positive = ["it is {hex:32}-us12 then"]
"#;

fn samples() -> Vec<(String, String)> {
    let rule = |id: &str, template: &str| (id.to_owned(), template.to_owned());
    vec![
        rule("prefix", "token is gha_{b62:36} ok"),
        rule("value", "db.password = '{b62:20}' is it"),
        rule("suffix", "it is {hex:32}-us12 then"),
    ]
}

fn judge(rules: Rules, action: Option<RuleAction>) -> Arc<Judge> {
    let mut settings = FirewallSettings::default();
    if let Some(action) = action {
        settings.actions = rules.iter().map(|rule| (rule.id.to_string(), action)).collect();
    }
    let (stance, prints) = (Stance::new(settings), Fingerprints::new(b"a key").unwrap());
    Arc::new(Judge { rules: Arc::new(rules), stance, prints, observer: Arc::new(Deaf) })
}

/// Data about persons is taken out.
pub(super) fn judge_pii() -> Arc<Judge> {
    let settings =
        FirewallSettings { pii: portcullis_policies::policy::Handling::Redact, ..FirewallSettings::default() };
    let rules = Rules::load(true, &[], &settings.selection()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let (stance, prints) = (Stance::new(settings), Fingerprints::new(b"a key").unwrap());
    Arc::new(Judge { rules: Arc::new(rules), stance, prints, observer: Arc::new(Deaf) })
}

pub(super) fn shapes(action: Option<RuleAction>) -> Arc<Judge> {
    static BLOCKS: OnceLock<Arc<Judge>> = OnceLock::new();
    static REDACTS: OnceLock<Arc<Judge>> = OnceLock::new();
    static FLAGS: OnceLock<Arc<Judge>> = OnceLock::new();
    let one = match action {
        None | Some(RuleAction::Block) => &BLOCKS,
        Some(RuleAction::Redact) => &REDACTS,
        Some(_) => &FLAGS,
    };
    let load = || {
        let source = Source { name: "shapes.toml", text: SHAPES };
        let rules = Rules::load(false, &[source], &Selection::default()).map_err(|wrong| format!("{wrong:?}"));
        judge(rules.unwrap(), action)
    };
    Arc::clone(one.get_or_init(load))
}

/// How an answer is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Ollama's lines.
    Lines,
    /// OpenAI's events.
    Events,
    /// OpenAI's events, the arguments of a tool call.
    Arguments,
    /// Anthropic's events, the arguments of a tool call.
    Partial,
    /// One whole answer.
    Whole,
}

const STREAMED: [Format; 4] = [Format::Lines, Format::Events, Format::Arguments, Format::Partial];

impl Format {
    fn shape(self) -> AnswerShape {
        let stream = match self {
            Self::Lines => Some(StreamFormat::Ndjson),
            Self::Whole => None,
            _ => Some(StreamFormat::Sse),
        };
        let reading = stream.map_or(Reading::Json, Reading::of);
        AnswerShape { stream, reading, frame_bytes: 1 << 20, held_bytes: 1 << 20 }
    }

    pub(super) fn write(self, piece: &str) -> String {
        let quoted = serde_json::to_string(piece).unwrap();
        match self {
            Self::Lines => format!("{{\"message\":{{\"role\":\"assistant\",\"content\":{quoted}}},\"done\":false}}\n"),
            Self::Whole => format!("{{\"message\":{{\"role\":\"assistant\",\"content\":{quoted}}},\"done\":true}}\n"),
            Self::Events => format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{quoted}}},\"logprobs\":{{\"content\":[{{\"token\":{quoted},\"logprob\":-0.5,\"bytes\":[1,2]}}]}}}}]}}\n\n"
            ),
            Self::Arguments => format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":1,\"function\":{{\"arguments\":{quoted}}}}}]}}}}]}}\n\n"
            ),
            Self::Partial => format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":2,\"delta\":{{\"type\":\"input_json_delta\",\"partial_json\":{quoted}}}}}\n\n"
            ),
        }
    }

    /// The text as it stands in this format.
    pub(super) fn dress(self, text: &str) -> String {
        match self {
            Self::Arguments | Self::Partial => format!("{{\"x\":{}}}", serde_json::to_string(text).unwrap()),
            _ => text.to_owned(),
        }
    }

    /// What a client reads of the frames that left.
    pub(super) fn read(self, frames: &[String]) -> String {
        frames.iter().filter_map(|frame| self.read_one(frame)).collect()
    }

    fn read_one(self, frame: &str) -> Option<String> {
        let data = frame.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(frame);
        let json = Value::parse(data.as_bytes()).unwrap();
        let text = match self {
            Self::Lines | Self::Whole => json.get("message")?.get("content")?,
            Self::Partial => json.get("delta")?.get("partial_json")?,
            Self::Events => json.get("choices")?.as_array()?[0].get("delta")?.get("content")?,
            Self::Arguments => {
                let delta = json.get("choices")?.as_array()?[0].get("delta")?;
                delta.get("tool_calls")?.as_array()?[0].get("function")?.get("arguments")?
            }
        };
        Some(text.as_str()?.to_owned())
    }
}

/// What left, as it was sent, and why it ended.
pub(super) fn play(judge: &Arc<Judge>, format: Format, pieces: &[&str]) -> (Vec<String>, Option<Refusal>) {
    let frames: Vec<String> = pieces.iter().map(|piece| format.write(piece)).collect();
    send(judge, format, &frames)
}

pub(super) fn send(judge: &Arc<Judge>, format: Format, frames: &[String]) -> (Vec<String>, Option<Refusal>) {
    let eye = Eye::new("firewall", Mode::Enforce, Box::new(AnswerWatch::new(Arc::clone(judge))));
    let mut gate = Gate::new(vec![eye], format.shape(), Arc::new(Deaf));
    let mut out = Vec::new();
    let mut said = Ok(());
    for frame in frames {
        said = gate.push(frame.as_bytes(), &mut out);
        if said.is_err() {
            break;
        }
    }
    let said = said.and_then(|()| gate.finish(&mut out));
    let sent = out.into_iter().map(|frame| String::from_utf8(frame.into_bytes().to_vec()).unwrap());
    (sent.collect(), said.err())
}

/// All ways to cut a text in two, and one that cuts it into characters.
fn cuts(text: &str) -> Vec<Vec<&str>> {
    let inner = text.char_indices().map(|(at, _)| at).skip(1);
    let mut all: Vec<Vec<&str>> = inner.map(|at| vec![&text[..at], &text[at..]]).collect();
    all.push(text.split_inclusive(|_: char| true).collect());
    all
}

/// Where a rule finds the secret of a text, and from where on it must not leave.
fn secret_of(judge: &Judge, rule: &str, text: &str) -> Option<(Range<usize>, usize)> {
    let texts = [Text { text, origin: Origin::Answer, flows: false }];
    let mut found = None;
    let said = single::whole(&judge.rules, &texts, &mut |finding| {
        if *finding.rule.id == *rule {
            found.get_or_insert(finding.secret);
        }
    });
    said.ok()?;
    let secret = found?;
    let may = judge.rules.prefix_of(rule, &text[secret.clone()])?;
    Some((secret.clone(), secret.start + may))
}

#[test]
fn of_a_secret_nothing_past_its_prefix_leaves_in_any_format_at_any_split() {
    let judge = shapes(None);
    for (rule, template) in samples() {
        let text = draw(&template, 7).unwrap();
        for format in STREAMED {
            let text = format.dress(&text);
            let (_, may) = secret_of(&judge, &rule, &text).unwrap();
            for pieces in cuts(&text) {
                let (sent, refusal) = play(&judge, format, &pieces);
                assert_eq!(refusal.map(|r| r.code), Some(Code::FirewallOutputSecret), "{rule} {format:?} {pieces:?}");
                assert!(format.read(&sent).len() <= may, "{rule} {format:?} {pieces:?}: {sent:?}");
            }
        }
        let (sent, refusal) = play(&judge, Format::Whole, &[&text]);
        assert_eq!((sent.len(), refusal.unwrap().code), (0, Code::FirewallOutputSecret));
    }
}

#[test]
fn a_secret_is_taken_out_and_the_rest_arrives() {
    let judge = shapes(Some(RuleAction::Redact));
    for (rule, template) in samples() {
        let text = draw(&template, 3).unwrap();
        for format in STREAMED.into_iter().chain([Format::Whole]) {
            let text = format.dress(&text);
            let (secret, may) = secret_of(&judge, &rule, &text).unwrap();
            let mark = format!("[redacted:{rule}]");
            let all = if format == Format::Whole { vec![vec![text.as_str()]] } else { cuts(&text) };
            for pieces in all {
                let (sent, refusal) = play(&judge, format, &pieces);
                assert_eq!(refusal, None, "{rule} {format:?} {pieces:?}");
                assert_eq!(sent.len(), pieces.len());
                let read = format.read(&sent);
                let (before, after) = read.split_once(&mark).unwrap_or_else(|| panic!("no mark in {read}"));
                assert_eq!(after, &text[secret.end..], "{rule} {format:?} {pieces:?}");
                assert!(text.starts_with(before) && (secret.start..=may).contains(&before.len()), "{read}");
                assert!(!sent.concat().contains(&text[may..secret.end]), "{sent:?}");
                if matches!(format, Format::Arguments | Format::Partial) {
                    Value::parse(read.as_bytes()).unwrap();
                }
            }
        }
    }
}

/// The rules about secrets in the program that look at answers, each with texts that it must find.
fn built_in(seeds: &Range<u64>) -> (Arc<Judge>, Vec<(String, Vec<String>)>) {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let samples = Rules::builtin_samples();
    let watched = rules.iter().filter(|rule| rule.kind == Kind::Secret && rule.direction.covers(Direction::Response));
    let texts = |rule: &str| {
        let templates = samples.iter().find(|samples| samples.rule == *rule).map_or(&[][..], |s| &s.positive);
        let mut texts: Vec<String> =
            seeds.clone().flat_map(|seed| templates.iter().map(move |t| draw(t, seed).unwrap())).collect();
        match rule {
            "age-key" => texts.push(bech32("age-secret-key-").to_uppercase()),
            "age-pq-key" => texts.push(bech32("age-secret-key-pq-").to_uppercase()),
            "nostr-key" => texts.push(bech32("nsec")),
            "extended-private-key" => texts.push(draw("xprv{b62:108}", 3).unwrap().replace(['0', 'O', 'I', 'l'], "w")),
            _ => assert!(!texts.is_empty(), "{rule} has no samples"),
        }
        texts
    };
    let texts = watched.map(|rule| (rule.id.to_string(), texts(&rule.id))).collect();
    (judge(rules, Some(RuleAction::Block)), texts)
}

/// A key of this kind with its checksum, which no template draws.
fn bech32(kind: &str) -> String {
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let key: Vec<u8> = (0..52).map(|at: u8| at.wrapping_mul(23) % 32).collect();
    let step = |sum: u32, value: u32| {
        let bits = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let high = (0..5).filter(|bit| (sum >> (25 + bit)) & 1 == 1).map(|bit: usize| bits[bit]);
        high.fold(((sum & 0x1ff_ffff) << 5) ^ value, |sum, bits| sum ^ bits)
    };
    let sum = kind.bytes().fold(1, |sum, byte| step(sum, u32::from(byte) >> 5));
    let sum = kind.bytes().fold(step(sum, 0), |sum, byte| step(sum, u32::from(byte) & 31));
    let sum = key.iter().chain(&[0; 6]).fold(sum, |sum, value| step(sum, u32::from(*value))) ^ 1;
    let check = (0..6).map(|at| (sum >> (5 * (5 - at))) as usize & 31);
    let data = key.iter().map(|value| usize::from(*value)).chain(check);
    format!("{kind}1{}", data.map(|value| LETTERS[value] as char).collect::<String>())
}

/// From where on the secret of a text must not leave, as it stands in a format: also where only decoding the
/// format finds it.
fn may_leave(judge: &Judge, format: Format, rule: &str, text: &str) -> Option<usize> {
    let dressed = format.dress(text);
    let (secret, may) = secret_of(judge, rule, text)?;
    let mut quoted = serde_json::to_string(&text[secret.clone()]).unwrap();
    if dressed == text {
        return Some(may);
    }
    quoted.pop();
    let prefix = serde_json::to_string(&text[secret.start..may]).unwrap().len() - 2;
    Some(dressed.find(&quoted[1..])? + prefix)
}

/// What leaves of a text whatever it is: a short number at its very beginning.
fn first(pieces: &[&str]) -> usize {
    pieces
        .first()
        .filter(|first| first.len() <= 4 && !first.contains(char::is_alphabetic))
        .map_or(0, |first| first.len())
}

/// Plays every rule's texts in three formats, each rule in one of them at up to `most` cuts, and says what
/// went wrong.
fn leaks(seeds: &Range<u64>, most: usize, every: bool) -> Vec<String> {
    let (judge, rules) = built_in(seeds);
    let mut wrong = Vec::new();
    for (number, (rule, texts)) in rules.iter().enumerate() {
        for (at, format) in [Format::Lines, Format::Events, Format::Arguments].into_iter().enumerate() {
            let mistake = texts.iter().find_map(|text| {
                let Some(may) = may_leave(&judge, format, rule, text) else {
                    return Some(format!("its sample is not found: {text:?}"));
                };
                let dressed = format.dress(text);
                let all = cuts(&dressed);
                let most = if every || number % 3 == at { most } else { most.min(3) };
                let step = all.len().div_ceil(most);
                let pieces = all.iter().rev().take(1).chain(all.iter().skip(number % step).step_by(step));
                pieces.into_iter().find_map(|pieces| {
                    let (sent, refusal) = play(&judge, format, pieces);
                    let read = format.read(&sent);
                    match refusal.map(|refusal| refusal.code) {
                        None => Some(format!("not refused in {pieces:?}")),
                        Some(Code::FirewallOutputSecret) if read.len() <= may.max(first(pieces)) => None,
                        Some(code) => {
                            Some(format!("{} {:?} left of {pieces:?}", code.as_str(), &read[may.min(read.len())..]))
                        }
                    }
                })
            });
            wrong.extend(mistake.map(|mistake| format!("{rule} {format:?}: {mistake}")));
        }
    }
    wrong
}

#[test]
fn every_rule_in_the_program_holds_its_secrets_in_every_format() {
    let wrong = leaks(&(0..2), 8, false);
    assert!(wrong.is_empty(), "{} mistakes:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every cut in every format:
///   cargo test --release -p portcullis-filters --lib every_cut -- --ignored
#[test]
#[ignore = "takes minutes without --release"]
fn every_cut_of_every_secret_holds_it_in_every_format() {
    let wrong = leaks(&(0..4), usize::MAX, true);
    assert!(wrong.is_empty(), "{} mistakes:\n{}", wrong.len(), wrong.join("\n"));
}

/// Notes how long eyes took.
#[derive(Default)]
struct Clock(std::sync::Mutex<Duration>);

impl Observer for Clock {
    fn ran(&self, _: &'static str, _: Phase, took: Duration) {
        *self.0.lock().unwrap() += took;
    }
    fn panicked(&self, _: &'static str) {}
    fn shadowed(&self, _: &'static str, _: Code) {}
}

/// What a frame of clean prose costs:
///   cargo test --release -p portcullis-filters --lib clean_frame -- --ignored --nocapture
#[test]
#[ignore = "a measurement, not a check"]
fn what_a_clean_frame_costs() {
    let (judge, _) = built_in(&(0..1));
    let text = include_str!("../../../../docs/architecture.md");
    let text: Vec<char> = text.chars().filter(char::is_ascii).collect();
    let pieces: Vec<String> = text.chunks(4).map(|piece| piece.iter().collect()).collect();
    println!("a text: {} bytes, and {} for each piece that is held", size_of::<Growing>(), growing::PIECE);
    for format in STREAMED {
        let frames: Vec<String> = pieces.iter().map(|piece| format.write(piece)).collect();
        let (mut best, mut whole, mut ended) = (Duration::MAX, Duration::MAX, 0);
        for _ in 0..15 {
            let (clock, began) = (Arc::new(Clock::default()), std::time::Instant::now());
            let eye = Eye::new("firewall", Mode::Enforce, Box::new(AnswerWatch::new(Arc::clone(&judge))));
            let mut gate = Gate::new(vec![eye], format.shape(), Arc::clone(&clock) as Arc<dyn Observer>);
            let mut out = Vec::with_capacity(frames.len());
            ended = frames.iter().take_while(|frame| gate.push(frame.as_bytes(), &mut out).is_ok()).count();
            drop(gate);
            whole = whole.min(began.elapsed());
            best = best.min(*clock.0.lock().unwrap());
        }
        let each = |took: Duration| took.as_nanos() / ended.max(1) as u128;
        println!("{format:?}: {} ns a frame, with cutting and parsing {} ns, {ended} frames", each(best), each(whole));
    }
}

#[test]
fn tokens_beside_a_text_go_with_it() {
    let judge = shapes(Some(RuleAction::Redact));
    let text = draw("x gha_{b62:36} ok", 5).unwrap();
    let pieces = [&text[..10], &text[10..30], &text[30..]];
    let (sent, refusal) = play(&judge, Format::Events, &pieces);
    assert_eq!(refusal, None);
    assert!(sent.iter().all(|frame| frame.contains("\"logprobs\":null")), "{sent:?}");
    let mut frames: Vec<String> = pieces.iter().map(|piece| Format::Lines.write(piece)).collect();
    frames.push("{\"done\":true,\"context\":[1,2,3],\"eval_count\":3}\n".to_owned());
    let (sent, _) = send(&judge, Format::Lines, &frames);
    assert_eq!(sent[3], "{\"done\":true,\"context\":[],\"eval_count\":3}\n");
}

#[test]
fn what_cannot_be_taken_out_ends_the_answer() {
    let judge = shapes(Some(RuleAction::Redact));
    let text = draw("{b62:0-0}gha_{b62:36}", 5).unwrap();
    for frame in [
        format!("data: {{\"x\":{{\"{text}\":1}}}}\n\n"),
        format!(": {text}\ndata: {{\"x\":1}}\n\n"),
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"arguments\":\"{{{text} \"}}}}]}}\n\n"),
    ] {
        let (sent, refusal) = send(&judge, Format::Events, std::slice::from_ref(&frame));
        assert!(sent.is_empty() && refusal.is_some(), "{frame}");
    }
    let (sent, refusal) = send(&judge, Format::Events, &[format!("data: {{\"name\":\"{text}\",\"n\":1.5}}\n\n")]);
    assert_eq!((sent, refusal), (vec!["data: {\"name\":\"[redacted:prefix]\",\"n\":1.5}\n\n".to_owned()], None));
}

#[test]
fn a_value_of_a_key_is_judged_with_it() {
    let text = draw("{b62:20}", 2).unwrap();
    let frame = format!("{{\"message\":{{\"tool_calls\":[{{\"function\":{{\"password\":\"{text}\"}}}}]}}}}\n");
    let (sent, refusal) = send(&shapes(None), Format::Lines, &[frame]);
    assert_eq!((sent.len(), refusal.unwrap().code), (0, Code::FirewallOutputSecret));
}

#[test]
fn a_thought_that_stops_in_a_beginning_does_not_hold_the_answer() {
    let judge = shapes(None);
    let mut watch = AnswerWatch::new(Arc::clone(&judge));
    let mut show = |number: u64, frame: String| {
        let said = crate::frame::with_frame(&frame.into(), Reading::Json, |frame| watch.frame(number, frame));
        assert!(matches!(said.unwrap().unwrap(), Verdict::Pass));
        watch.holds()
    };
    assert_eq!(show(0, "{\"message\":{\"thinking\":\"so it is gha_x\"}}\n".to_owned()), Some(0));
    let held: Vec<_> = (1..40).map(|n| show(n, "{\"message\":{\"content\":\"word \"}}\n".to_owned())).collect();
    assert_eq!(held[10], Some(0));
    assert_eq!(held[30], None);
}

#[test]
fn what_was_given_up_is_not_taken_out_any_more() {
    let judge = shapes(Some(RuleAction::Redact));
    let text = draw("gha_{b62:36} ", 9).unwrap();
    let think = |piece: &str| format!("{{\"message\":{{\"thinking\":\"{piece}\"}}}}\n");
    let mut frames = vec![think(&text[..10])];
    frames.extend((0..30).map(|_| "{\"message\":{\"content\":\"word \"}}\n".to_owned()));
    frames.push(think(&text[10..]));
    let (sent, refusal) = send(&judge, Format::Lines, &frames);
    assert_eq!(refusal.unwrap().code, Code::FirewallOutputSecret);
    assert_eq!(sent.len(), 31);
}

#[test]
fn an_answer_has_so_many_texts_and_no_more() {
    let choices: Vec<String> = (0..300).map(|n| format!("{{\"index\":{n},\"delta\":{{\"content\":\"a\"}}}}")).collect();
    let frame = format!("data: {{\"choices\":[{}]}}\n\n", choices.join(","));
    let (sent, refusal) = send(&shapes(None), Format::Events, &[frame]);
    assert_eq!((sent.len(), refusal.unwrap().code), (0, Code::Internal("firewall")));
}

proptest! {
    #[test]
    fn clean_text_arrives_whole_at_any_split(words in prop::collection::vec("[ -~äß\u{4e2d}\n]{0,12}", 0..30)) {
        let judge = shapes(None);
        let pieces: Vec<&str> = words.iter().map(String::as_str).collect();
        for format in STREAMED {
            let (sent, refusal) = play(&judge, format, &pieces);
            if refusal.is_none() {
                let expected: Vec<String> = pieces.iter().map(|piece| format.write(piece)).collect();
                prop_assert_eq!(sent, expected);
            }
        }
    }

    #[test]
    fn what_is_left_of_arguments_is_json(
        before in "\\PC{0,10}", after in "\\PC{0,10}", seed in any::<u64>(), size in 1usize..12,
    ) {
        let judge = shapes(Some(RuleAction::Redact));
        let text = format!("{before} {} {after}", draw("token gha_{b62:36} \\", seed).unwrap());
        let text = Format::Arguments.dress(&text);
        let chars: Vec<char> = text.chars().collect();
        let pieces: Vec<String> = chars.chunks(size).map(|chunk| chunk.iter().collect()).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let (sent, refusal) = play(&judge, Format::Arguments, &pieces);
        prop_assert_eq!(refusal, None);
        let read = Format::Arguments.read(&sent);
        prop_assert!(Value::parse(read.as_bytes()).is_ok(), "{}", read);
        prop_assert!(read.contains("[redacted:prefix]"), "{}", read);
    }
}
