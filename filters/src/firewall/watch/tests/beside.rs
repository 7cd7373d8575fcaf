//! What is taken out of an answer takes along what lies within it, however the answer comes.

use std::sync::Mutex;

use super::*;
use crate::firewall::overlaps::{ACME, AROUND, acme, jwt, jwts, settings};

/// Counts what is found, and what was done.
#[derive(Default)]
struct Counted(Mutex<Vec<(String, &'static str)>>);

impl FindingObserver for Counted {
    fn found(&self, rule: &str, _: DataLevel, action: &'static str) {
        self.0.lock().unwrap().push((rule.to_owned(), action));
    }
}

fn judge_of(builtin: bool, more: &str, settings: FirewallSettings) -> (Arc<Judge>, Arc<Counted>) {
    let sources: Vec<_> =
        [more].iter().filter(|text| !text.is_empty()).map(|text| Source { name: "t", text }).collect();
    let rules = Rules::load(builtin, &sources, &settings.selection()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    assert!(rules.prepare_streams());
    let counted = Arc::new(Counted::default());
    let observer = Arc::clone(&counted) as Arc<dyn FindingObserver>;
    let prints = Fingerprints::new(b"a key").unwrap();
    (Arc::new(Judge::new(Arc::new(rules), Stance::new(settings), prints, observer)), counted)
}

fn redacts_jwt() -> Arc<Judge> {
    static ONE: OnceLock<Arc<Judge>> = OnceLock::new();
    Arc::clone(ONE.get_or_init(|| judge_of(true, "", settings(&[("jwt", RuleAction::Redact)])).0))
}

fn redacts_acme() -> Arc<Judge> {
    static ONE: OnceLock<Arc<Judge>> = OnceLock::new();
    Arc::clone(ONE.get_or_init(|| judge_of(true, ACME, FirewallSettings::default()).0))
}

fn pieces(text: &str, size: usize) -> Vec<&str> {
    text.as_bytes().chunks(size).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect()
}

/// What is wrong with what left of a text of which this secret of a rule was to be taken out.
fn wrong(judge: &Arc<Judge>, format: Format, (rule, token): (&str, &str), text: &str, cut: &[&str]) -> Option<String> {
    let (sent, refusal) = play(judge, format, cut);
    if let Some(refusal) = refusal {
        return Some(format!("refused: {}", refusal.detail));
    }
    let read = format.read(&sent);
    let start = text.find(token).unwrap();
    let may = start + judge.rules.prefix_of(rule, token).unwrap();
    let mark = format!("[redacted:{rule}]");
    let Some((before, after)) = read.split_once(&mark) else { return Some(format!("no mark in {read}")) };
    let right = after == &text[start + token.len()..]
        && text.starts_with(before)
        && (start..=may).contains(&before.len())
        && !sent.concat().contains(&text[may..start + token.len()]);
    (!right).then_some(read)
}

#[test]
fn it_goes_with_what_is_taken_out_in_any_format_in_any_pieces() {
    let all = [(redacts_jwt(), "jwt", jwt()), (redacts_jwt(), "jwt", jwts()), (redacts_acme(), "acme-token", acme())];
    for (judge, rule, token) in all {
        for around in AROUND {
            let said = around.replace("{}", &token);
            for format in STREAMED.into_iter().chain([Format::Whole]) {
                let text = format.dress(&said);
                let sizes = if format == Format::Whole { &[4000][..] } else { &[1, 2, 5, 16, 63, 64, 70, 100, 4000] };
                for size in sizes {
                    let wrong = wrong(&judge, format, (rule, &token), &text, &pieces(&text, *size));
                    assert_eq!(wrong, None, "{rule} {format:?} in pieces of {size}: {around}");
                }
            }
        }
    }
}

#[test]
fn it_goes_with_it_wherever_the_text_is_cut_in_two() {
    for (judge, rule, token) in [(redacts_jwt(), "jwt", jwt()), (redacts_acme(), "acme-token", acme())] {
        for around in ["token: {} and more", "my password is {}", "{\"api_key\": \"{}\"}, see"] {
            // Long enough before and after for its pieces to be judged as whole texts, too.
            for filler in ["", "words that say nothing, "] {
                let text = format!("{}{} {}", filler.repeat(4), around.replace("{}", &token), filler.repeat(4));
                for cut in cuts(&text) {
                    let wrong = wrong(&judge, Format::Lines, (rule, &token), &text, &cut);
                    assert_eq!(wrong, None, "{rule}: {cut:?}");
                }
            }
        }
    }
}

#[test]
fn it_is_counted_and_noted_once_as_taken_out() {
    let text = format!("words, token: {} and more words, which say nothing at all\n", jwt());
    for size in [1, 7, 64, 90, 4000] {
        let (judge, counted) = judge_of(true, "", settings(&[("jwt", RuleAction::Redact)]));
        let mut watch = AnswerWatch::new(Arc::clone(&judge));
        for (number, piece) in (0..).zip(pieces(&text, size)) {
            let raw = Bytes::from(Format::Lines.write(piece));
            let said =
                crate::frame::with_frame(&raw, Reading::of(StreamFormat::Ndjson), |frame| watch.frame(number, frame));
            assert!(matches!(said, Ok(Ok(Verdict::Pass))));
        }
        assert!(matches!(watch.end(), Ok(None)));
        let mut counts = counted.0.lock().unwrap().clone();
        counts.sort();
        let of = |rule: &str| counts.iter().filter(|(counted, _)| counted == rule).count();
        assert!(counts.iter().all(|(_, action)| *action == "redact"), "in pieces of {size}: {counts:?}");
        assert_eq!((of("jwt"), of("assigned-secret")), (1, 1), "in pieces of {size}: {counts:?}");
        assert!(watch.findings().iter().all(|noted| noted.action == "redact"), "{:?}", watch.findings());
        assert_eq!(watch.level(), DataLevel::L4);
    }
}

/// Rules of which one lies within, around or across the other.
const NESTED: &str = r#"
[[rules]]
id = "inner"
regex = '''inner_([a-z0-9]{8})'''
keywords = ["inner_"]
[rules.fw]
action = "redact"
[[rules]]
id = "long"
regex = '''long_([a-z0-9]{8}x[a-z0-9]{8})'''
keywords = ["long_"]
[rules.fw]
action = "redact"
[[rules]]
id = "early"
regex = '''ong_([a-z0-9]{8})'''
keywords = ["ong_"]
[[rules]]
id = "outer"
regex = '''outer\(([^)]{4,80})\)'''
keywords = ["outer("]
"#;

#[test]
fn what_reaches_beyond_it_ends_the_answer() {
    let (judge, _) = judge_of(false, NESTED, FirewallSettings::default());
    for text in ["see outer(inner_12345678) there", "outer(see inner_12345678)", "outer(inner_12345678) inner_87654321"]
    {
        for cut in cuts(text) {
            let (sent, refusal) = play(&judge, Format::Lines, &cut);
            assert_eq!(refusal.map(|refusal| refusal.detail).as_deref(), Some("rule outer"), "{cut:?}");
            assert!(Format::Lines.read(&sent).len() <= text.find('(').unwrap() + 1, "{sent:?}");
        }
    }
}

#[test]
fn what_is_found_first_waits_for_what_may_take_it_out() {
    let (judge, _) = judge_of(false, NESTED, FirewallSettings::default());
    let text = "see long_12345678x12345678 there";
    for cut in cuts(text) {
        let (sent, refusal) = play(&judge, Format::Lines, &cut);
        assert_eq!(refusal, None, "{cut:?}");
        assert_eq!(Format::Lines.read(&sent), "see long_[redacted:long] there", "{cut:?}");
    }
    // Nothing of it leaves if it does not come.
    for text in ["see long_12345678x12345 there", "see long_12345678 there", "see long_12345678"] {
        for cut in cuts(text) {
            let (sent, refusal) = play(&judge, Format::Lines, &cut);
            assert_eq!(refusal.map(|refusal| refusal.detail).as_deref(), Some("rule early"), "{cut:?}");
            assert!("see long_".starts_with(&Format::Lines.read(&sent)), "{sent:?}");
        }
    }
}

#[test]
fn what_waits_is_decided_when_its_text_is_quiet() {
    let (judge, _) = judge_of(false, NESTED, FirewallSettings::default());
    let thought = |text: &str| format!("{{\"message\":{{\"thinking\":\"{text}\",\"content\":\"\"}},\"done\":false}}\n");
    let mut frames = vec![thought("see long_12345678x")];
    frames.extend((0..40).map(|number| Format::Lines.write(&format!("{number} "))));
    let (sent, refusal) = send(&judge, Format::Lines, &frames);
    assert_eq!(refusal.map(|refusal| refusal.detail).as_deref(), Some("rule early"));
    assert!(!sent.concat().contains("long_1"), "{sent:?}");
}

#[test]
fn a_text_that_stands_for_itself_loses_both() {
    let judge = redacts_jwt();
    let frame = |text: &str| format!("{{\"message\":{{\"note\":\"{text}\",\"content\":\"x\"}},\"done\":false}}\n");
    let (sent, refusal) = send(&judge, Format::Lines, &[frame(&format!("token: {}", jwt()))]);
    assert_eq!(refusal, None);
    assert_eq!(Value::parse(sent[0].as_bytes()), Value::parse(frame("token: [redacted:jwt]").as_bytes()));
    let key = frame("x").replace("note", &format!("token: {}", jwt()));
    assert!(send(&judge, Format::Lines, &[key]).1.is_some());
}

#[test]
fn many_are_taken_out_of_one_frame() {
    let jwt = jwt();
    let (text, clean): (String, String) =
        (0..200).map(|n| (format!("token: {jwt} of {n}\n"), format!("token: [redacted:jwt] of {n}\n"))).unzip();
    for format in [Format::Lines, Format::Whole] {
        let (sent, refusal) = play(&redacts_jwt(), format, &[&text]);
        assert_eq!(refusal, None);
        assert_eq!(format.read(&sent), clean);
    }
    let other = draw("{b62:32}", 3).unwrap();
    let (sent, refusal) = play(&redacts_jwt(), Format::Whole, &[&format!("{text}password = {other}\n")]);
    assert!(refusal.is_some() && sent.is_empty());
}

#[test]
fn marks_that_vanish_take_nothing_out_of_what_is_cut() {
    let judge = redacts_acme();
    let token = acme();
    for (at, mark) in [(6, "\u{301}"), (8, "\u{301}"), (12, "\u{301}\u{200b}"), (20, "\u{336}")] {
        for many in [1, 2, 8] {
            let said = format!("token: {}{}{} and more", &token[..at], mark.repeat(many), &token[at..]);
            for format in [Format::Lines, Format::Events, Format::Whole] {
                let sizes = if format == Format::Whole { &[4000][..] } else { &[1, 2, 3, 5, 16, 4000] };
                for size in sizes {
                    let chars: Vec<char> = said.chars().collect();
                    let pieces: Vec<String> = chars.chunks(*size).map(String::from_iter).collect();
                    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
                    let (sent, refusal) = play(&judge, format, &pieces);
                    let read = format.read(&sent);
                    let whole = refusal.is_some() || read.ends_with("[redacted:acme-token] and more");
                    assert!(whole, "{format:?} in pieces of {size}: {read} of {said}");
                    assert!(!read.contains(&token[token.len() - 4..]), "{format:?} in pieces of {size}: {read}");
                }
            }
        }
    }
}
