//! Secrets in pieces, in every format that answers come in.

use std::sync::OnceLock;
use std::time::Duration;

use futures::FutureExt as _;
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

mod beside;
mod builtin;
mod end;
mod mold;
mod person;

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
    Arc::new(Judge::new(Arc::new(rules), stance, prints, Arc::new(Deaf)))
}

/// Data about persons is taken out.
pub(super) fn judge_pii() -> Arc<Judge> {
    let settings =
        FirewallSettings { pii: portcullis_policies::policy::Handling::Redact, ..FirewallSettings::default() };
    let rules = Rules::load(true, &[], &settings.selection()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let (stance, prints) = (Stance::new(settings), Fingerprints::new(b"a key").unwrap());
    Arc::new(Judge::new(Arc::new(rules), stance, prints, Arc::new(Deaf)))
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
        AnswerShape { stream, reading, frame_bytes: 1 << 20, held_bytes: 1 << 20, success: true }
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
    let watch = match format {
        Format::Whole => AnswerWatch::whole(Arc::clone(judge)),
        _ => AnswerWatch::new(Arc::clone(judge)),
    };
    let eye = Eye::new("firewall", Mode::Enforce, Box::new(watch));
    let mut gate = Gate::new(vec![eye], format.shape(), Arc::new(Deaf));
    let mut out = Vec::new();
    let mut said = Ok(());
    for frame in frames {
        said = gate.push(frame.as_bytes(), &mut out);
        if said.is_err() {
            break;
        }
    }
    let said = said.and_then(|()| gate.finish(&mut out).now_or_never().expect("nothing is asked"));
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
