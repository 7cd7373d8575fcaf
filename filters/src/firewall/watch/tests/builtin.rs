//! The rules in the program, each with its samples, in every format.

use super::*;

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
pub(super) fn first(pieces: &[&str]) -> usize {
    pieces
        .first()
        .filter(|first| first.len() <= 4 && !first.contains(char::is_alphabetic))
        .map_or(0, |first| first.len())
}

/// Plays every rule's texts in three formats: a character at a time, and cut in two at as many places as `most`,
/// drawn by a fixed seed. Says what went wrong.
fn leaks(seeds: &Range<u64>, most: usize) -> Vec<String> {
    let (judge, rules) = built_in(seeds);
    let mut state = 5u64;
    let mut chance = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut wrong = Vec::new();
    for (rule, texts) in &rules {
        for format in [Format::Lines, Format::Events, Format::Arguments] {
            let mistake = texts.iter().find_map(|text| {
                let Some(may) = may_leave(&judge, format, rule, text) else {
                    return Some(format!("its sample is not found: {text:?}"));
                };
                let dressed = format.dress(text);
                let mut all = cuts(&dressed);
                let characters = all.pop();
                while all.len() > most {
                    all.swap_remove(chance(all.len()));
                }
                all.iter().chain(&characters).find_map(|pieces| {
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
    let wrong = leaks(&(0..2), 5);
    assert!(wrong.is_empty(), "{} mistakes:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every cut in every format:
///   cargo test --release -p portcullis-filters --lib every_cut -- --ignored
#[test]
#[ignore = "takes minutes without --release"]
fn every_cut_of_every_secret_holds_it_in_every_format() {
    let wrong = leaks(&(0..4), usize::MAX);
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
    let text = include_str!("../../../../../docs/architecture.md");
    let text: Vec<char> = text.chars().filter(char::is_ascii).collect();
    let pieces: Vec<String> = text.chunks(4).map(|piece| piece.iter().collect()).collect();
    println!("a text: {} bytes, and {} for each piece that is held", size_of::<Growing>(), growing::PIECE);
    // What servers say beside the text, of which the time is new in every frame.
    let beside = |number: usize, frame: String| {
        let time = format!("\"created_at\":\"2026-11-21T09:08:07.{number:06}Z\"");
        frame.replacen('{', &format!("{{\"model\":\"llama3.2:3b\",{time},"), 1)
    };
    let bare = STREAMED.into_iter().map(|format| (format, false));
    for (format, timed) in bare.chain([(Format::Lines, true)]) {
        let frames = pieces.iter().map(|piece| format.write(piece)).enumerate();
        let frames: Vec<String> =
            frames.map(|(number, frame)| if timed { beside(number, frame) } else { frame }).collect();
        let (mut best, mut whole, mut ended) = (Duration::MAX, Duration::MAX, 0);
        for _ in 0..100 {
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
        let timed = if timed { ", timed" } else { "" };
        println!("{format:?}{timed}: {} ns a frame, with cutting and parsing {} ns", each(best), each(whole));
    }
}
