//! What the output gate costs: a tool's answer that is held to its schema, and words that are looked through for
//! dependencies, each beside reading the same JSON. Run it by `cargo xtask bench --output-gate`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use portcullis_osv::{Ecosystem, Package};
use portcullis_policies::StreamFormat;
use serde_json::json;

use crate::chain::Observer;
use crate::filter::{Filter, Mode, Phase, Watch};
use crate::frame::{Frame, FrameBody, Piece, Reading};
use crate::gate::{AnswerShape, Eye, Gate};
use crate::json::Json;
use crate::sca::{Advisories, Dossier, Lookup, Sca, ScaObserver, ScaSettings, Standing};
use crate::schema::measured;
use crate::verdict::{Code, FilterError, Refusal};

/// How many times a batch is measured; the median counts.
const ROUNDS: usize = 101;

fn median(mut run: impl FnMut()) -> Duration {
    let mut took: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    took.sort();
    took[ROUNDS / 2]
}

#[test]
#[ignore = "measures: cargo xtask bench --output-gate"]
fn a_tool_s_answer_of_4_kb() {
    let (answer, mut judge) = measured(4096);
    let bytes: Bytes = answer.into();
    let read = median(|| drop(black_box(Json::parse(&bytes).unwrap())));
    let judged = median(|| judge(&bytes));
    println!(
        "a tool's answer of {} bytes: read {:.1} us, read and judged {:.1} us, {:.1} times",
        bytes.len(),
        read.as_secs_f64() * 1e6,
        judged.as_secs_f64() * 1e6,
        judged.as_secs_f64() / read.as_secs_f64()
    );
}

struct Nobody;

impl Observer for Nobody {
    fn ran(&self, _: &'static str, _: Phase, _: Duration) {}
    fn panicked(&self, _: &'static str) {}
    fn shadowed(&self, _: &'static str, _: Code) {}
}

impl ScaObserver for Nobody {
    fn found(&self, _: Ecosystem, _: &'static str) {}
    fn unnamed(&self) {}
}

impl Advisories for Nobody {
    fn look_up(&self, packages: Vec<Package>) -> Lookup {
        let dossier = |package| Dossier { package, notices: vec![], versions: vec![], standing: Standing::Ordinary };
        Lookup::Now(Ok(packages.into_iter().map(dossier).collect()))
    }
}

/// Reads frames, and nothing else. Whether those that are alike need not be read.
struct Reads(bool);

impl Watch for Reads {
    fn frame(&mut self, _: u64, frame: &Frame<'_>) -> crate::Outcome<Bytes> {
        if let FrameBody::Json(json) = &frame.body {
            black_box(json);
        }
        Ok(crate::Verdict::Pass)
    }

    fn likens(&self) -> bool {
        self.0
    }

    fn glance(&mut self, _: u64, texts: &[(usize, Piece<'_>)]) -> Result<Option<Refusal>, FilterError> {
        black_box(texts);
        Ok(None)
    }
}

#[test]
#[ignore = "measures: cargo xtask bench --output-gate"]
fn the_frames_of_a_stream() {
    let words =
        "The dependency manager reads what a project needs, looks each name up, and writes down what it chose. ";
    let code = "```python\nimport os\n\ndef add(a, b):\n    return a + b\n```\n";
    let text = [words.repeat(20), code.repeat(10)].concat();
    let tokens: Vec<_> = text.split_inclusive(' ').collect();
    let frame = |token: &&str| {
        let message = json!({"role": "assistant", "content": token});
        format!(
            "{}\n",
            json!({"model": "tiny", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false})
        )
    };
    let frames: Vec<String> = tokens.iter().map(frame).collect();
    let filter = Sca::new(ScaSettings::default(), Arc::new(Nobody), Arc::new(Nobody));
    let (stream, reading) = (Some(StreamFormat::Ndjson), Reading::Json);
    let shape = AnswerShape { stream, reading, frame_bytes: 1 << 20, held_bytes: 1 << 20, success: true };
    let run = |watches: Vec<Box<dyn Watch>>| {
        let eyes = watches.into_iter().map(|watch| Eye::new("sca", Mode::Enforce, watch)).collect();
        let mut gate = Gate::new(eyes, shape, Arc::new(Nobody));
        let mut out = Vec::new();
        for frame in &frames {
            gate.push(frame.as_bytes(), &mut out).unwrap();
        }
        gate.finish(&mut out).now_or_never().unwrap().unwrap();
        assert_eq!(out.len(), frames.len());
    };
    assert_eq!(filter.name(), "sca");
    let read = median(|| run(vec![Box::new(Reads(false))]));
    let judged = median(|| run(vec![filter.eye()]));
    let by_two = median(|| run(vec![filter.eye(), Box::new(Reads(true))]));
    // One that must see every frame makes all of them be read.
    let all_read = median(|| run(vec![filter.eye(), Box::new(Reads(false))]));
    let each = |took: Duration| took.as_secs_f64() * 1e6 / frames.len() as f64;
    println!(
        "a frame of a stream: read {:.2} us, read and looked through {:.2} us, {:.1} times",
        each(read),
        each(judged),
        judged.as_secs_f64() / read.as_secs_f64()
    );
    println!(
        "the same under two watches {:.2} us, where one of them must see every frame {:.2} us",
        each(by_two),
        each(all_read)
    );
}
