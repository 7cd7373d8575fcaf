//! How fast texts are judged: for people to look at, not for the suite.
//!
//! `cargo test --release -p portcullis-firewall speed -- --ignored --nocapture`; `PORTCULLIS_TEXTS` is a
//! directory of ordinary text (sources, documentation).

mod huge;
mod worst;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::engine::Hits;
use crate::{Direction, Origin, Rules, Scratch, Selection, Source, Standing, Text};

const PROMPT: usize = 4 << 10;
const MOST: usize = 6 << 20;
/// Each text is judged so often; its fastest is its time, since everything else is the machine.
const ROUNDS: usize = 5;

/// As much ordinary text as is measured with, in prompts.
fn prompts() -> Vec<String> {
    let Some(root) = std::env::var_os("PORTCULLIS_TEXTS") else {
        println!("skipped: PORTCULLIS_TEXTS names no directory");
        return Vec::new();
    };
    let (mut prompts, mut bytes) = (Vec::new(), 0);
    let mut left = vec![PathBuf::from(root)];
    while let Some(path) = left.pop().filter(|_| bytes < MOST) {
        if path.is_dir() {
            let mut inside: Vec<_> = fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path()).collect();
            inside.sort();
            left.extend(inside);
            continue;
        }
        let ordinary = path.extension().is_some_and(|kind| ["rs", "md", "toml"].iter().any(|known| kind == *known));
        let Some(text) = ordinary.then(|| fs::read_to_string(&path).ok()).flatten() else { continue };
        bytes += text.len();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let cut = (0..4).map(|more| PROMPT + more).find(|cut| rest.is_char_boundary(*cut)).unwrap_or(rest.len());
            let (prompt, after) = rest.split_at(cut);
            prompts.push(prompt.to_owned());
            rest = after;
        }
    }
    prompts.retain(|prompt| prompt.len() > PROMPT / 2);
    prompts
}

fn report(name: &str, texts: &[String], mut judge: impl FnMut(&str)) {
    let mut times = vec![Duration::MAX; texts.len()];
    for _ in 0..ROUNDS {
        for (text, time) in texts.iter().zip(&mut times) {
            let began = Instant::now();
            judge(black_box(text));
            *time = (*time).min(began.elapsed());
        }
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    let total: Duration = times.iter().sum();
    let slowest = times.iter().zip(texts).max().map_or("", |(_, text)| text);
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "{name:24} {:8.1} MB/s  p50 {:8.1}  p99 {:8.1}  max {:8.1} us  ({} texts) {:?}",
        bytes as f64 / 1e6 / total.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
        texts.len(),
        slowest.chars().take(24).collect::<String>(),
    );
}

fn stages(name: &str, rules: &Rules, texts: &[String]) {
    let mut hits = Hits::default();
    let (mut count, mut visits) = (0usize, 0usize);
    report(&format!("{name}: keywords"), texts, |text| rules.engine.hits(text, &mut count));
    count = 0;
    texts.iter().for_each(|text| rules.engine.hits(text, &mut count));
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("    one keyword in {:.0} bytes", bytes as f64 / count.max(1) as f64);
    report(&format!("{name}: engine"), texts, |text| {
        hits.begin(text.len());
        let _ = black_box(rules.engine.scan(text, &mut hits, &mut |_| {
            visits += 1;
            Standing::Open
        }));
    });
    let mut scratch = Scratch::default();
    report(&format!("{name}: all"), texts, |text| {
        let texts = [Text { text, origin: Origin::User, flows: false }];
        let _ = black_box(rules.scan(&texts, Direction::Request, &mut scratch, &mut |_| {}));
    });
}

fn builtin(pii: bool) -> Rules {
    Rules::load(true, &[], &Selection { pii, ..Selection::default() }).map_err(|w| format!("{w:?}")).unwrap()
}

fn gitleaks() -> Option<Rules> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/gitleaks.toml"));
    let text = fs::read_to_string(path).ok()?;
    let began = Instant::now();
    let rules = Rules::load(false, &[Source { name: "gitleaks.toml", text: &text }], &Selection::default()).ok()?;
    println!("gitleaks: {} rules loaded in {:?}", rules.report().active, began.elapsed());
    Some(rules)
}

/// How large the huge texts are.
fn size() -> usize {
    std::env::var("PORTCULLIS_SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(1 << 20)
}

/// What the processor did for this thread, whoever else uses it.
fn worked() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

#[test]
#[ignore = "measures"]
fn speed_of_ordinary_texts() {
    let texts = prompts();
    if texts.is_empty() {
        return;
    }
    let began = Instant::now();
    let rules = builtin(false);
    println!("built in: {} rules loaded in {:?}", rules.report().active, began.elapsed());
    stages("built in", &rules, &texts);
    stages("with pii", &builtin(true), &texts);
    if let Some(rules) = gitleaks() {
        stages("gitleaks", &rules, &texts);
    }
}
