//! What breaks on command, so that the tests can watch the gate stay shut: a filter, and a clock. Debug
//! builds only, and only where `PORTCULLIS_TEST_FAULT` or `PORTCULLIS_TEST_CLOCK` is set.

use async_trait::async_trait;
use bytes::Bytes;
use portcullis_filters::exchange::{Facts, Head, Request};
use portcullis_filters::frame::Frame;
use portcullis_filters::gate::AnswerShape;
use portcullis_filters::{Filter, FilterError, Outcome, Phase, Verdict, Watch};

use crate::clock::{System, Time};

/// Breaks in the way that the request's body or the answer names: `fault: panic`, `fault: error`,
/// `fault: hang`, `fault: panic in the answer`.
pub(crate) struct TestFault;

struct FaultyEye;

/// The machine's clock, off by as many milliseconds as the file says that `PORTCULLIS_TEST_CLOCK` names.
pub(crate) struct SteppedTime(std::path::PathBuf);

impl SteppedTime {
    /// The clock, where a test asks for it.
    pub(crate) fn asked_for() -> Option<Self> {
        std::env::var_os("PORTCULLIS_TEST_CLOCK").map(|path| Self(path.into()))
    }
}

impl Time for SteppedTime {
    fn wall_ms(&self) -> i64 {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        System.wall_ms().saturating_add(text.trim().parse().unwrap_or_default())
    }

    fn boot_ms(&self) -> i64 {
        System.boot_ms()
    }
}

fn holds(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|w| w == word.as_bytes())
}

#[async_trait]
impl Filter for TestFault {
    fn name(&self) -> &'static str {
        "test_fault"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Body, Phase::Reply]
    }

    #[expect(clippy::panic, reason = "panicking is what it is for")]
    async fn body(&self, request: &Request<'_>, _: &mut Facts) -> Outcome<Bytes> {
        if holds(request.body, "fault: panic now") {
            panic!("the test asked for it");
        }
        if holds(request.body, "fault: error") {
            return Err(FilterError::Failed("the test asked for it".to_owned()));
        }
        if holds(request.body, "fault: hang") {
            std::future::pending::<()>().await;
        }
        Ok(Verdict::Pass)
    }

    fn watch(&self, _: &Head, _: &Facts, _: &AnswerShape) -> Result<Option<Box<dyn Watch>>, FilterError> {
        Ok(Some(Box::new(FaultyEye)))
    }
}

impl Watch for FaultyEye {
    #[expect(clippy::panic, reason = "panicking is what it is for")]
    fn frame(&mut self, _: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        if holds(frame.raw, "fault: panic in the answer") {
            panic!("the test asked for it");
        }
        Ok(Verdict::Pass)
    }
}
