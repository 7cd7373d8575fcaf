//! What a scan finds in a text as it stands is held, though a reader sees it as a part of something else.

use super::*;

/// What stands on both sides of a token: for a reader it goes on a word, and as it stands it does not.
const SIDES: [(&str, &str); 10] = [
    ("\u{e9}", ""),
    ("caf\u{e9}", " is it"),
    ("x\u{200b}", "\u{200b}x"),
    ("\u{200b}x\u{200b}", "\u{200b}"),
    ("caf\u{e9}7\u{1b}", ""),
    ("caf\u{e9}7\u{1b}[31m", "\u{1b}[0m more"),
    ("see \u{43a}\u{43b}\u{44e}\u{447}_", "\u{430}\u{301} and more"),
    ("7\u{301}", "\u{301}x"),
    ("1\u{ff11}\u{336}", "\u{ff11}"),
    ("caf\u{e9} d\u{e9}j\u{e0} vu, a7\u{f1}", "\u{f1}b \u{f1}and more \u{e9}"),
];

/// A text in which a token stands as it is between such sides.
fn between(sides: (&str, &str), token: &str) -> String {
    format!("{}{token}{}", sides.0, sides.1)
}

#[test]
fn a_token_is_held_as_it_stands_between_what_goes_on_a_word() {
    let (rules, _) = builtin();
    let mut wrong = Vec::new();
    let mut all = 0;
    for (rule, template) in [
        ("aws-access-key-id", "AKIA{b32:16}"),
        ("github-token", "ghp_{b62:30}{crc32}"),
        ("gitlab-token", "glpat-{b62:20}"),
    ] {
        let token = draw(template, 5).unwrap();
        for sides in SIDES {
            for lead in ["", "Here it is: ", "d\u{e9}j\u{e0} vu, "] {
                let text = format!("{lead}{}", between(sides, &token));
                if !scanned(rules, rule, &text).is_some_and(|(_, stands)| stands) {
                    continue;
                }
                all += 1;
                wrong.extend(cuts(&text).iter().find_map(|pieces| mistake(rules, rule, &text, pieces)));
            }
        }
    }
    assert!(all > 40, "{all}");
    none_of(&wrong);
}

#[test]
fn of_every_rule_what_stands_between_such_sides_is_held() {
    let (rules, samples) = builtin();
    let (mut all, mut wrong) = (0, Vec::new());
    for rule in samples {
        for sample in texts(rule, 0..1) {
            for sides in SIDES {
                let text = between(sides, &sample);
                if !scanned(rules, &rule.rule, &text).is_some_and(|(_, stands)| stands) {
                    continue;
                }
                all += 1;
                let chars: Vec<&str> = text.split_inclusive(|_: char| true).collect();
                let half = text.ceil_char_boundary(text.len() / 2);
                let ways = [chars, vec![&text[..half], &text[half..]]];
                let mistake = ways.iter().find_map(|pieces| mistake(rules, &rule.rule, &text, pieces));
                wrong.extend(mistake.map(|mistake| format!("{}: {mistake}", rule.rule)));
            }
        }
    }
    assert!(all > 1000, "{all}");
    none_of(&wrong);
}

proptest! {
    /// As `finds_what_the_engine_finds_at_any_split`, with what a reader sees as something else around it.
    #[test]
    fn what_a_scan_finds_as_it_stands_is_held_at_any_split(
        before in "([ -~é\u{200b}\u{301}\u{1b}ñа７]|café|[a-z]{1,5} ){0,30}", which: prop::sample::Index, seed in 0u64..50,
        after in "([ -~é\u{200b}\u{301}\u{1b}ñа７]|[a-z]{1,5} ){0,20}", cut in prop::collection::vec(1usize..9, 1..20),
    ) {
        let (rules, samples) = builtin();
        let rule = which.get(samples);
        let sample = texts(rule, seed..seed + 1).swap_remove(0);
        let text = format!("{before}{sample}{after}");
        prop_assume!(scanned(rules, &rule.rule, &text).is_some_and(|(_, stands)| stands));
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        for size in cut.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, left) = rest.split_at(rest.ceil_char_boundary((*size).min(rest.len())));
            pieces.push(piece);
            rest = left;
        }
        prop_assert_eq!(mistake(rules, &rule.rule, &text, &pieces), None);
    }
}

/// Where findings cannot be cut out of what is held: a part of them has left.
fn left_before(rules: &Rules, text: &str, size: usize) -> Vec<String> {
    let mut stream = Stream::new();
    let (mut wrong, mut held) = (Vec::new(), std::collections::VecDeque::new());
    let chars: Vec<char> = text.chars().collect();
    for piece in chars.chunks(size).map(String::from_iter) {
        held.push_back(stream.pushed());
        let first = held.front().copied().unwrap_or_default();
        let mut see = |f: StreamFinding<'_>| {
            if !f.exact || f.secret.start + f.prefix < first {
                wrong.push(format!("{} at {:?}, from {first} on in {text:?}", f.rule.id, f.secret));
            }
        };
        stream.push(rules, &piece, &|_| true, &mut see).unwrap();
        // A piece leaves as a whole, or not at all.
        while held.get(1).copied().unwrap_or(stream.pushed()) <= stream.open() && held.pop_front().is_some() {}
    }
    wrong
}

#[test]
fn what_ends_at_a_word_that_becomes_another_one_is_held_until_it_has() {
    let (rules, _) = builtin();
    let mut wrong = Vec::new();
    for template in [
        "creds: ann/{b62:16}",
        "db.password = {b62:20}",
        "Authorization: Token {hex:40}",
        "please revoke token {b62:32}",
        "SharedAccessKey={b64:43}=",
    ] {
        for word in [
            "=cl\u{e9}_priv\u{e9}e",
            "cl\u{e9}_priv\u{e9}e",
            "=\u{e9}t\u{e9}_2024",
            ".\u{f1}b7\u{e9}_a\u{f1}o_12",
            "\u{200b}cl\u{e9}_1",
        ] {
            let text = format!("It is {}{word} and so it goes on.", draw(template, 5).unwrap());
            wrong.extend([1, 2, 3, 5].into_iter().flat_map(|size| left_before(rules, &text, size)));
        }
    }
    none_of(&wrong);
}

#[test]
fn a_token_is_held_wherever_a_terminal_is_told_of_colours_in_it() {
    let (rules, _) = builtin();
    let mut wrong = Vec::new();
    for (rule, template) in [
        ("aws-access-key-id", "AKIA{b32:16}"),
        ("github-token", "ghp_{b62:30}{crc32}"),
        ("gitlab-token", "glpat-{b62:20}"),
    ] {
        let token = draw(template, 5).unwrap();
        let prefix = rules.prefix_of(rule, &token).unwrap();
        for sequence in ["\u{1b}[0m", "\u{1b}[38;5;196m", "\u{1b}"] {
            for at in [0, 2, prefix, prefix + 1, token.len() - 1] {
                let text = format!("see {}{sequence}{} and more", &token[..at], &token[at..]);
                assert!(scanned(rules, rule, &text).is_some(), "{text:?}");
                let may = "see ".len() + prefix + if at <= prefix { sequence.len() } else { 0 };
                wrong.extend(cuts(&text).iter().find_map(|pieces| {
                    let (gone, found) = play(rules, pieces);
                    let held = gone.len() <= may && !found.is_empty();
                    (!held).then(|| format!("{rule}: {gone:?} left of {pieces:?}, found {found:?}"))
                }));
            }
        }
    }
    none_of(&wrong);
}

/// Marks of other scripts than those that letters of ASCII have.
const MARKS: [char; 12] = [
    '\u{5b0}',
    '\u{610}',
    '\u{640}',
    '\u{64b}',
    '\u{670}',
    '\u{730}',
    '\u{93f}',
    '\u{94d}',
    '\u{e34}',
    '\u{2de0}',
    '\u{a66f}',
    '\u{11046}',
];

/// A secret with a mark behind every so many of its letters and digits.
fn marked(secret: &str, mark: char, each: usize) -> String {
    let mut count = 0;
    let mut put = |c: char| {
        count += usize::from(c.is_ascii_alphanumeric());
        let marks = c.is_ascii_alphanumeric() && count % each == 0;
        [Some(c), Some(mark).filter(|_| marks)]
    };
    secret.chars().flat_map(&mut put).flatten().collect()
}

/// What is wrong with how a text is held whose secret has such marks, cut as is said; nothing where it is not found
/// without them.
fn mistake_with_marks(
    rule: &str,
    text: &str,
    mark: char,
    each: usize,
    cut: impl Fn(&str) -> Vec<Vec<&str>>,
) -> Option<Option<String>> {
    let (rules, _) = builtin();
    let secret = secret_of(rules, rule, text)?;
    scanned(rules, rule, text)?;
    let prefix = rules.prefix_of(rule, &text[secret.clone()])?;
    let hidden = format!("{}{}", &text[..secret.start], marked(&text[secret.clone()], mark, each));
    let hidden = format!("{hidden}{}", &text[secret.end..]);
    if scanned(rules, rule, &hidden).is_none() {
        return Some(Some(format!("{rule}: not found in {hidden:?}")));
    }
    // What is dropped lies behind the prefix.
    let most = secret.start + marked(&text[secret.start..secret.start + prefix], mark, each).len();
    Some(cut(&hidden).iter().find_map(|pieces| {
        let (gone, found) = play(rules, pieces);
        let first = pieces.first().map_or(0, |first| if is_first(first) { first.len() } else { 0 });
        let held = gone.len() <= most.max(first) && !found.is_empty();
        (!held).then(|| format!("{rule}: {gone:?} left of {pieces:?}, found {found:?}"))
    }))
}

#[test]
fn a_token_is_held_at_any_cut_whatever_marks_of_other_scripts_are_in_it() {
    let (mut all, mut wrong) = (0, Vec::new());
    for (rule, template) in [
        ("aws-access-key-id", "AKIA{b32:16}"),
        ("github-token", "ghp_{b62:30}{crc32}"),
        ("gitlab-token", "glpat-{b62:20}"),
    ] {
        let text = format!("see {} and more", draw(template, 5).unwrap());
        for mark in MARKS {
            for each in [1, 3, 7] {
                let mistake = mistake_with_marks(rule, &text, mark, each, cuts);
                all += usize::from(mistake.is_some());
                wrong.extend(mistake.flatten());
            }
        }
    }
    assert_eq!(all, 3 * MARKS.len() * 3);
    none_of(&wrong);
}

#[test]
fn of_every_rule_what_has_marks_of_other_scripts_in_it_is_held() {
    let (_, samples) = builtin();
    let (mut all, mut wrong) = (0, Vec::new());
    for (number, rule) in samples.iter().enumerate() {
        for text in texts(rule, 0..1) {
            for (step, each) in [(0, 1), (5, 2), (10, 3), (3, 9)] {
                let mark = MARKS[(number + step) % MARKS.len()];
                let mistake = mistake_with_marks(&rule.rule, &text, mark, each, few_cuts);
                all += usize::from(mistake.is_some());
                wrong.extend(mistake.flatten());
            }
        }
    }
    println!("{all} texts");
    assert!(all > 1000, "{all}");
    none_of(&wrong);
}

/// A text in characters, and in halves.
fn few_cuts(text: &str) -> Vec<Vec<&str>> {
    let half = text.ceil_char_boundary(text.len() / 2);
    vec![text.split_inclusive(|_: char| true).collect(), vec![&text[..half], &text[half..]]]
}
