//! What is not held any more, what cannot be taken out, and what arrives as it was.

use super::*;

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

    /// Escapes that lie across frames are taken out as a whole.
    #[test]
    fn of_a_secret_in_escapes_nothing_is_left_in_frames_of_any_size(
        before in "[ a-zé\u{1f600}\\\\\"]{0,6} ", after in "[ ,.]([ a-zé\u{1f600}\\\\\"]{0,6})", seed in any::<u64>(),
        escaped in prop::collection::vec(any::<bool>(), 1..41), all in any::<bool>(), twice in any::<bool>(),
    ) {
        let judge = shapes(Some(RuleAction::Redact));
        let secret = draw("gha_{b62:36}", seed).unwrap();
        let escape = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        let escaped = escaped.iter().map(|one| *one || all).cycle();
        // Of a prefix that left within an escape the rest cannot be taken out: that is refused.
        let (prefix, rest) = secret.split_at("gha_".len());
        let chars = rest.chars().zip(escaped);
        let rest: String = chars.map(|(c, escaped)| if escaped { escape(c) } else { c.to_string() }).collect();
        let written = format!("{prefix}{rest}");
        let written_as = |c: char| if c.is_ascii_lowercase() { c.to_string() } else { escape(c) };
        let around = |text: &str| text.chars().map(written_as).collect::<String>();
        let second = if twice { format!("{written} ") } else { String::new() };
        let text = format!("{{\"x\":\"{}{second}{written}{}\"}}", around(&before), around(&after));
        for size in (1..14).chain([400]) {
            let pieces: Vec<&str> = text.as_bytes().chunks(size).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
            let (sent, refusal) = play(&judge, Format::Arguments, &pieces);
            let read = Format::Arguments.read(&sent);
            if let Some(refusal) = refusal {
                // What cannot be cut is refused, and then nothing of it has left.
                prop_assert_eq!(refusal.code, Code::FirewallOutputSecret, "{} {}", size, text);
                let part = &secret[4..10];
                let written: String = part.chars().map(escape).collect();
                prop_assert!(!read.contains(part) && !read.contains(&written), "{} {} left of {}", size, read, text);
                continue;
            }
            let json = Value::parse(read.as_bytes());
            let said = json.as_ref().ok().and_then(|json| json.get("x")?.as_str()).map(str::to_owned);
            // As everywhere, its prefix may have left, or the beginning of that.
            let left = said.map(|said| {
                let begun = ["gha_", "gha", "gh", "g"].map(|begun| format!(" {begun}[redacted:prefix]"));
                begun.iter().fold(said, |said, begun| said.replace(begun, " [redacted:prefix]"))
            });
            let second = if twice { "[redacted:prefix] " } else { "" };
            let expected = format!("{before}{second}[redacted:prefix]{after}");
            prop_assert_eq!(left, Some(expected), "{} {} left of {}", size, read, text);
        }
    }
}
