//! What is about a person, taken out of answers: all of it, however it comes.

use super::builtin::first;
use super::*;

/// Addresses, and texts around them. What stands before an address is none of it.
const MAIL: [(&str, &str, &str); 9] = [
    ("Write to ", "christina.montgomery-hawthorne@acme-corp.de", " now."),
    ("Write to ", "bob.miller@acme-corp.de", ", or call."),
    ("", "anna@acme-corp.de", ""),
    ("it is <", "anne-marie-louise-dupont@acme-corp.fr", ">"),
    ("Schreiben Sie an ", "j\u{fc}rgen.m\u{fc}ller@acme-corp.de", " oder rufen Sie an."),
    ("\u{fc}ber ", "\u{f8}yvind+\u{e6}ble@acme-corp.no", "!"),
    (
        "\u{43d}\u{430}: ",
        "\u{438}\u{432}\u{430}\u{43d}.\u{43f}\u{435}\u{442}\u{440}\u{43e}\u{432}@acme-corp.ru",
        " \u{44f}",
    ),
    ("\u{8bf7}\u{53d1}\u{90ae}\u{4ef6}\u{5230}", "zhang.wei@acme-corp.cn", "\u{3002}"),
    ("\u{ff0c}", "\u{7530}\u{4e2d}@acme-corp.jp", "\u{3002}"),
];

#[test]
fn of_an_address_nothing_leaves_in_any_format_at_any_split() {
    let judge = judge_pii();
    for (before, address, after) in MAIL {
        let text = format!("{before}{address}{after}");
        let cut = format!("{before}[redacted:pii-email]{after}");
        for format in STREAMED.into_iter().chain([Format::Whole]) {
            let (dressed, expected) = (format.dress(&text), format.dress(&cut));
            let all = if format == Format::Whole { vec![vec![dressed.as_str()]] } else { cuts(&dressed) };
            for pieces in all {
                let (sent, refusal) = play(&judge, format, &pieces);
                assert_eq!(refusal, None, "{format:?} {pieces:?}");
                assert_eq!(format.read(&sent), expected, "{format:?} {pieces:?}");
            }
        }
    }
}

/// A whole answer is cut as a request is, however long it is.
#[test]
fn a_whole_answer_is_cut_as_a_request_is() {
    let judge = judge_pii();
    let filler = "And so it goes on, and on, and on, until nobody reads it any more; ";
    for (before, address, after) in MAIL {
        let text = format!("{filler}{before}{address}{after} {filler}");
        let (sent, refusal) = play(&judge, Format::Whole, &[&text]);
        assert_eq!(refusal, None, "{text}");
        assert_eq!(Format::Whole.read(&sent), format!("{filler}{before}[redacted:pii-email]{after} {filler}"));
    }
}

/// Only the word at the end waits: what stands before it has left.
#[test]
fn a_word_that_may_become_an_address_waits_for_its_end() {
    let judge = judge_pii();
    let mut watch = AnswerWatch::new(Arc::clone(&judge));
    let mut held = Vec::new();
    for (number, piece) in (0..).zip(["See ", "bob", ".mil", "ler", " now", ", ", "\u{6211}\u{4eec}", " "]) {
        let frame = Bytes::from(Format::Lines.write(piece));
        let said =
            crate::frame::with_frame(&frame, Reading::of(StreamFormat::Ndjson), |frame| watch.frame(number, frame));
        assert!(matches!(said, Ok(Ok(Verdict::Pass))));
        held.push(watch.holds());
    }
    assert_eq!(held, [None, Some(1), Some(1), Some(1), Some(4), None, Some(6), None]);
}
/// Every rule about persons, by its own samples: of what it finds nothing leaves, at any split.
#[test]
fn every_rule_about_persons_takes_all_of_it_out() {
    let judge = judge_pii();
    let samples = Rules::builtin_samples();
    let rules = judge.rules.iter().filter(|rule| rule.kind == Kind::Pii && rule.direction.covers(Direction::Response));
    let (mut wrong, mut played) = (Vec::new(), 0);
    for rule in rules {
        let own = samples.iter().find(|samples| samples.rule == *rule.id).map_or(&[][..], |s| &s.positive);
        for text in own.iter().map(|template| draw(template, 1).unwrap()) {
            let (whole, refusal) = play(&judge, Format::Whole, &[&text]);
            assert_eq!(refusal, None, "{text}");
            let expected = Format::Whole.read(&whole);
            assert!(expected.contains("[redacted:"), "{} {text}: {expected}", rule.id);
            for pieces in cuts(&text) {
                played += 1;
                let (sent, refusal) = play(&judge, Format::Lines, &pieces);
                let read = Format::Lines.read(&sent);
                let most = first(&pieces);
                let begin = text.bytes().zip(expected.bytes()).take_while(|(one, other)| one == other).count();
                // All of it is taken out, but for its prefix and a short number at the text's beginning.
                let left = read.find("[redacted:").unwrap_or(read.len()).saturating_sub(begin);
                let rest = expected.split_at(begin).1;
                let may = judge.rules.prefix_of(&rule.id, text.split_at(begin).1).unwrap_or(0);
                let fine = refusal.is_none() && (left <= may || begin + left <= most) && read.ends_with(rest);
                if !fine {
                    wrong.push(format!(
                        "{} {pieces:?}: {read:?}, expected {expected:?}, prefix {may}, {refusal:?}",
                        rule.id
                    ));
                }
            }
        }
    }
    assert!(played > 500, "{played}");
    assert!(wrong.is_empty(), "{} mistakes:\n{}", wrong.len(), wrong[..wrong.len().min(30)].join("\n"));
}

/// Of several rules that find the same, whichever says so first.
#[test]
fn the_same_text_has_the_same_mark_in_requests_and_answers() {
    let wanted = ["jwt", "assigned-secret", "told-secret"].map(|rule| (rule.to_owned(), RuleAction::Redact));
    let settings = FirewallSettings { actions: wanted.into_iter().collect(), ..FirewallSettings::default() };
    let rules = Rules::load(true, &[], &settings.selection()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let samples = Rules::builtin_samples();
    let template = samples.iter().find(|samples| samples.rule == "jwt").unwrap().positive.first().unwrap().clone();
    let (stance, prints) = (Stance::new(settings), Fingerprints::new(b"a key").unwrap());
    let judge = Arc::new(Judge::new(Arc::new(rules), stance, prints, Arc::new(Deaf)));
    let drawn = draw(&template, 1).unwrap();
    let token = &drawn[drawn.find("eyJ").unwrap()..];
    let token = token.split([' ', '"', '\n']).next().unwrap();
    let text = format!("token: {token} is it");
    for format in STREAMED.into_iter().chain([Format::Whole]) {
        let dressed = format.dress(&text);
        let all = if format == Format::Whole { vec![vec![dressed.as_str()]] } else { cuts(&dressed) };
        for pieces in all {
            let (sent, refusal) = play(&judge, format, &pieces);
            assert_eq!(refusal, None, "{format:?} {pieces:?}");
            assert!(format.read(&sent).contains("[redacted:jwt] is it"), "{format:?} {pieces:?}: {sent:?}");
        }
    }
}
