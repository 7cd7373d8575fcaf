//! What takes longest of texts of a prompt's size: keywords again and again, what almost is a secret, any short piece.

use std::hint::black_box;
use std::time::{Duration, Instant};

use portcullis_policies::DataLevel;

use super::{ROUNDS, builtin, gitleaks, size, worked};
use crate::{Direction, Kind, Origin, Rules, Scratch, Standing, Text, draw};

/// Calls `found` with the worst that keywords can do: each alone, all of them, and what almost is a sample.
fn worst(rules: &Rules, bytes: usize, found: &mut dyn FnMut(String, &str)) {
    let fill = |piece: &str| piece.repeat(bytes / piece.len() + 1).chars().take(bytes).collect::<String>();
    let mut all = String::new();
    for (name, keyword) in rules.engine.anchors() {
        all += &keyword;
        all.push(' ');
        found(format!("{name} {keyword:?}"), &fill(&keyword));
        found(format!("{name} {keyword:?} ="), &fill(&format!("{keyword} = a1b2c3d4e5 ")));
        found(format!("{name} {keyword:?} run"), &fill(&format!("{keyword}{}", "aB3dE5gH7jK9mN1p".repeat(4))));
    }
    found("all".to_owned(), &fill(&all));
    for samples in Rules::builtin_samples() {
        for (number, template) in samples.positive.iter().enumerate() {
            let drawn: Vec<_> = (0..200).filter_map(|seed| draw(template, seed).ok()).collect();
            found(format!("{} sample {number}", samples.rule), &fill(&drawn.join(" ")));
            let cut = drawn.iter().map(|text| text.char_indices().next_back().map_or("", |(last, _)| &text[..last]));
            found(format!("{} near {number}", samples.rule), &fill(&cut.collect::<Vec<_>>().join("!")));
        }
    }
    for piece in
        ["a", "=", "\n", " ", "eyJ", "-----BEGIN ", "://", "{", "\"", "password=", "\\u0061", "%41", "&#65;", "é"]
    {
        found(format!("only {piece:?}"), &fill(piece));
    }
}

pub(super) fn adversarial(name: &str, rules: &Rules, bytes: usize, show: usize) {
    let mut scratch = Scratch::default();
    let mut outcomes = Vec::new();
    worst(rules, bytes, &mut |what, text| {
        let texts = [Text { text, origin: Origin::User, flows: false }];
        let mut best = (Duration::MAX, "");
        for _ in 0..if bytes >= 1 << 20 { 1 } else { ROUNDS } {
            let mut blocked = false;
            let began = Instant::now();
            // As a gate does: what blocks settles it.
            let judged = rules.scan_until_settled(black_box(&texts), Direction::Request, &mut scratch, &mut |found| {
                blocked |= found.rule.kind == Kind::Secret && found.rule.level >= DataLevel::L3;
                if blocked { Standing::Settled } else { Standing::Open }
            });
            let verdict = match judged {
                _ if blocked => "blocked",
                Err(_) => "refused",
                Ok(()) => "passed",
            };
            best = best.min((began.elapsed(), verdict));
        }
        outcomes.push((best, what));
    });
    outcomes.sort();
    // What takes too much work is refused for it; of the others it matters how long they take.
    for verdict in ["passed", "blocked", "refused"] {
        let those = || outcomes.iter().rev().filter(|((_, said), _)| *said == verdict);
        println!("{name}, {bytes} bytes: the slowest of {} that are {verdict}", those().count());
        for ((time, _), what) in those().take(show) {
            println!("    {:10.1} us {what}", time.as_secs_f64() * 1e6);
        }
    }
}

#[test]
#[ignore = "measures"]
fn speed_of_the_worst_texts() {
    for (name, rules) in [("built in", Some(builtin(false))), ("gitleaks", gitleaks())] {
        if let Some(rules) = rules {
            adversarial(name, &rules, 4 << 10, 12);
        }
    }
}

/// Signs of which pieces are drawn, the kinds alike often.
const KINDS: [&str; 6] = [
    "0123456789",
    "abcdefopqrstxyzABCDEKXYZ",
    "_-=:/+.",
    "\"'\\{}[]()<>&%#;,!?@$*|~^`",
    "аеорсх",
    "éá\u{301}\u{200B}\n \t\u{1B}ａ",
];

/// Short pieces by chance: what repeats them is what nobody thought of.
fn chance(count: usize) -> Vec<String> {
    let mut state = std::env::var("PORTCULLIS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1u64);
    let mut below = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most
    };
    let mut sign = move |size: &mut bool| {
        if *size {
            *size = false;
            return Err(2 + below(5));
        }
        let kind: Vec<char> = KINDS[below(KINDS.len())].chars().collect();
        Ok(kind[below(kind.len())])
    };
    (0..count)
        .map(|_| {
            let size = sign(&mut true).unwrap_err();
            (0..size).filter_map(|_| sign(&mut false).ok()).collect()
        })
        .collect()
}

/// What it takes to judge a piece again and again, and whether that is done.
fn repeated(rules: &Rules, piece: &str, bytes: usize) -> (Duration, bool) {
    let text = piece.repeat(bytes / piece.len() + 1);
    let texts = [Text { text: &text, origin: Origin::User, flows: false }];
    let before = worked();
    let judged = rules.scan(black_box(&texts), Direction::Request, &mut Scratch::default(), &mut |_| {});
    (worked().saturating_sub(before), judged.is_ok())
}

/// A piece as it is given: of `a*9` each line is nine of them.
fn given(piece: &str) -> String {
    let times = piece.split_once('*').and_then(|(piece, times)| Some((piece, times.parse().ok()?)));
    times.map_or_else(|| piece.to_owned(), |(piece, times): (&str, usize)| piece.repeat(times) + "\n")
}

/// `PORTCULLIS_PIECES` is how many, or pieces with a blank between them.
#[test]
#[ignore = "measures"]
fn speed_of_repeated_pieces() {
    let rules = builtin(std::env::var_os("PORTCULLIS_PII").is_some());
    let given = std::env::var("PORTCULLIS_PIECES").unwrap_or_default();
    let pieces = match given.parse() {
        Ok(count) => chance(count),
        Err(_) if given.is_empty() => chance(2000),
        Err(_) => given.split(' ').map(self::given).collect(),
    };
    let small = if given.contains(' ') { size() } else { 64 << 10 };
    let mut outcomes: Vec<_> = pieces.into_iter().map(|piece| (repeated(&rules, &piece, small), piece)).collect();
    outcomes.sort();
    let median = outcomes.get(outcomes.len() / 2).map_or(Duration::ZERO, |((time, _), _)| *time);
    println!(
        "{small} bytes of {} pieces: usually {median:?}; the slowest first, and four times as much of them",
        outcomes.len()
    );
    for ((time, judged), piece) in outcomes.iter().rev().take(40) {
        let (more, judged_more) = repeated(&rules, piece, 4 * small);
        let verdict = |judged: bool| if judged { "judged " } else { "refused" };
        println!(
            "    {:8.1} ms {} {:8.1} ms {} {:?}",
            time.as_secs_f64() * 1e3,
            verdict(*judged),
            more.as_secs_f64() * 1e3,
            verdict(judged_more),
            piece.chars().take(20).collect::<String>()
        );
    }
}
