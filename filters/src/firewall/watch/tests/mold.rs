//! A frame that is not read is judged as if it had been.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::gate::ClearedFrame;

/// An eye that reads every frame.
struct Reads(AnswerWatch);

impl Watch for Reads {
    fn frame(&mut self, number: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        self.0.frame(number, frame)
    }
    fn holds(&self) -> Option<u64> {
        self.0.holds()
    }
    fn amends(&self, number: u64) -> bool {
        self.0.amends(number)
    }
    fn amend(&mut self, number: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        self.0.amend(number, frame)
    }
    fn end(&mut self) -> Result<Option<Refusal>, FilterError> {
        self.0.end()
    }
    fn level(&self) -> DataLevel {
        self.0.level()
    }
    fn findings(&self) -> &[Noted] {
        self.0.findings()
    }
    fn redactions(&self) -> u32 {
        self.0.redactions()
    }
}

/// What became of an answer: what left behind each frame, why it ended, and what was noted of it.
type Became = (Vec<Vec<ClearedFrame>>, Option<Refusal>, Vec<Noted>, u32, crate::dialect::Usage);

fn became(judge: &Arc<Judge>, format: Format, frames: &[String], reads: bool) -> Became {
    let watch = AnswerWatch::new(Arc::clone(judge));
    let watch: Box<dyn Watch> = if reads { Box::new(Reads(watch)) } else { Box::new(watch) };
    let mut gate = Gate::new(vec![Eye::new("firewall", Mode::Enforce, watch)], format.shape(), Arc::new(Deaf));
    let (mut left, mut refusal) = (Vec::new(), None);
    for frame in frames {
        let mut out = Vec::new();
        refusal = gate.push(frame.as_bytes(), &mut out).err();
        left.push(out);
        if refusal.is_some() {
            break;
        }
    }
    let mut out = Vec::new();
    refusal = refusal.or_else(|| gate.finish(&mut out).now_or_never().expect("nothing is asked").err());
    left.push(out);
    (left, refusal, gate.findings(), gate.redactions(), gate.usage())
}

/// An eye that counts the frames that it need not read.
struct Counts(AnswerWatch, Arc<AtomicUsize>);

impl Watch for Counts {
    fn frame(&mut self, number: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        self.0.frame(number, frame)
    }
    fn likens(&self) -> bool {
        self.0.likens()
    }
    fn glance(&mut self, number: u64, texts: &[(usize, Piece<'_>)]) -> Result<Option<Refusal>, FilterError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.glance(number, texts)
    }
}

/// How many of these frames are not read.
fn glanced(judge: &Arc<Judge>, format: Format, frames: &[String]) -> usize {
    let glanced = Arc::new(AtomicUsize::new(0));
    let watch = Counts(AnswerWatch::new(Arc::clone(judge)), Arc::clone(&glanced));
    let mut gate =
        Gate::new(vec![Eye::new("firewall", Mode::Enforce, Box::new(watch))], format.shape(), Arc::new(Deaf));
    for frame in frames {
        gate.push(frame.as_bytes(), &mut Vec::new()).unwrap();
    }
    glanced.load(Ordering::Relaxed)
}

/// A frame of Ollama's, as it comes.
fn timed(piece: &str, beside: &str) -> String {
    let frame = Format::Lines.write(piece);
    frame.replacen('{', &format!("{{\"model\":\"llama3.2:3b\",{beside},"), 1)
}

#[test]
fn of_frames_that_are_alike_one_is_read() {
    let judge = shapes(None);
    for format in STREAMED {
        let frames: Vec<String> =
            ["", "The", " sky", " is", "", " bl\u{fc}e", "."].map(|piece| format.write(piece)).into();
        assert_eq!(glanced(&judge, format, &frames), 6, "{format:?}");
    }
    let times = ["07.12", "07.123456789", "07.5", "08.1", "08.2"];
    let times = times.map(|time| timed("so", &format!("\"created_at\":\"2026-11-21T09:08:{time}Z\"")));
    assert_eq!(glanced(&judge, Format::Lines, &times), 3);
    // What ends a string or begins an escape, another key, and what lists tokens.
    let told = [
        timed("a", "\"x\":1"),
        timed("a\"", "\"x\":1"),
        timed("\\", "\"x\":1"),
        timed("a", "\"x\":2"),
        timed("a", "\"context\":[1]"),
        timed("b", "\"context\":[1]"),
    ];
    assert_eq!(glanced(&judge, Format::Lines, &told), 0);
    // What leaves beside the document.
    for beside in BESIDE {
        let frames = ["so", " it", " goes"].map(|piece| format!("{beside}{}", Format::Events.write(piece)));
        assert_eq!(glanced(&judge, Format::Events, &frames), 0, "{beside}");
    }
}

#[test]
fn an_event_that_leaves_with_more_than_its_document_is_judged_as_a_whole() {
    let judge = judge_pii();
    let secret = draw("{b62:40}", 9).unwrap();
    for beside in BESIDE {
        // A colon ends the word: it does not wait for what may make an address of it.
        let frames = ["so", " it", " goes:", &secret, " and more"];
        let frames = frames.map(|piece| format!("{beside}data: {{\"token\":\"{piece}\"}}\n\n"));
        let (left, refusal, ..) = became(&judge, Format::Events, &frames, false);
        let gone = left.iter().flatten().count();
        assert_eq!((gone, refusal.map(|refusal| refusal.code)), (3, Some(Code::FirewallOutputSecret)), "{beside}");
    }
}

/// Lines of an event that are no part of its document, but leave with it.
const BESIDE: [&str; 3] = ["id: 7\n", ": so\n", "event: a\nevent: b\n"];

proptest! {
    #[test]
    fn what_is_not_read_is_judged_as_what_is(
        format in prop::sample::select(STREAMED.to_vec()),
        action in prop::sample::select(vec![RuleAction::Block, RuleAction::Redact, RuleAction::Flag]),
        parts in prop::collection::vec((0usize..3, 0usize..60, 0usize..60, "[ -~é\n]{0,5}"), 1..4),
        sizes in prop::collection::vec(0usize..9, 1..6),
        beside in prop::collection::vec((0usize..7, "[0-9]{1,10}"), 1..4),
        line in prop::option::of(prop::sample::select(BESIDE.to_vec())),
        change in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\"\\\\{}:,a0\n]{0,2}")),
    ) {
        let judge = shapes(Some(action));
        let text: String = parts.iter().map(|(sample, from, size, noise)| {
            let text = draw(&samples()[*sample].1, 7).unwrap();
            text.chars().skip(*from).take(*size).collect::<String>() + noise
        }).collect();
        let text: Vec<char> = format.dress(&text).chars().collect();
        let secret = draw("gha_{b62:36}", 5).unwrap();
        let (mut rest, mut frames) = (&text[..], Vec::new());
        for (size, (way, digits)) in sizes.iter().cycle().zip(beside.iter().cycle()).take(60) {
            let (piece, left) = rest.split_at((*size).min(rest.len()));
            let frame = format.write(&piece.iter().collect::<String>());
            let with = |beside: &str| frame.replacen('{', &format!("{{{beside},"), 1);
            let frame = match way {
                0 => with(&format!("\"created_at\":\"2026-11-21T09:08:07.{digits}Z\"")),
                1 => with(&format!("\"created_at\":\"2026-11-21T09:08:07.{digits}\", \"id\":\"{secret}\"")),
                2 => with(&format!("\"eval_count\":{digits},\"context\":[{digits}]").replace(":0", ":1").replace("[0", "[1")),
                3 => with("\"text\":\"gh\""),
                _ => frame,
            };
            let line = line.filter(|_| format != Format::Lines).unwrap_or_default();
            frames.push(format!("{line}{frame}"));
            rest = left;
        }
        if let Some((number, at, by)) = change {
            let frame = number.index(frames.len());
            let places: Vec<usize> = frames[frame].char_indices().map(|(at, _)| at).collect();
            let at = *at.get(&places);
            let end = at + frames[frame][at..].chars().next().unwrap().len_utf8();
            frames[frame].replace_range(at..end, &by);
        }
        let (read, glanced) = (became(&judge, format, &frames, true), became(&judge, format, &frames, false));
        prop_assert_eq!(read, glanced, "{:?}", frames);
    }
}
