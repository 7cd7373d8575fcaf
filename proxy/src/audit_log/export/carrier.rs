//! The thread of one sink: takes what is durable, hands it to the outlet, keeps the place of what arrived.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::batch::{Batch, Bounds, Source};
use super::place::Kept;
use super::standing::{self, Astray};
use super::{AuditLog, Closing, Outlet, Sender, Sink, Trouble, first_at, outlet};
use crate::metrics::Metrics;

/// After a failure the sink is left alone for so long; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest that it is left alone.
const LAST_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Carrier {
    log: Arc<AuditLog>,
    sink: Arc<Sink>,
    /// All of them: together they say what retention may delete.
    sinks: Vec<Arc<Sink>>,
    file: std::path::PathBuf,
    kept: Kept,
    /// Whether its place is known to be one in this log. Nobody is told of it before.
    settled: bool,
    sender: Sender,
    source: Source,
    outlet: Box<dyn Outlet>,
    metrics: Arc<Metrics>,
    closing: Arc<Closing>,
    pause: Duration,
}

impl Carrier {
    pub(super) fn new(
        log: Arc<AuditLog>,
        (sink, sinks): (Arc<Sink>, Vec<Arc<Sink>>),
        file: PathBuf,
        kept: Kept,
        sender: &Sender,
        metrics: Arc<Metrics>,
        closing: Arc<Closing>,
    ) -> Self {
        let outlet = outlet(&sink.settings, sender, log.dir(), &kept);
        let source = Source::new(log.dir(), kept.place);
        let (settled, sender, pause) = (false, sender.clone(), FIRST_PAUSE);
        Self { log, sink, sinks, file, kept, settled, sender, source, outlet, metrics, closing, pause }
    }

    /// Holds the place that was kept against the log, once, and tells others of it.
    ///
    /// # Errors
    /// When the log cannot be read, or a new place cannot be kept: until that succeeds, the sink has got nothing.
    pub(super) fn settle(&mut self) -> Result<(), Trouble> {
        if !self.settled {
            let astray = standing::astray(self.log.dir(), &self.kept.place, self.log.durable());
            match astray.map_err(Trouble::Compare)? {
                Some(why) => self.begin_anew(why)?,
                None => self.publish(),
            }
            self.settled = true;
        }
        Ok(())
    }

    /// The log is another one than what was passed on: all of it goes out, from its oldest entry on.
    fn begin_anew(&mut self, why: Astray) -> Result<(), Trouble> {
        let kept = Kept { place: standing::oldest(self.log.dir())?, until: None };
        kept.save(&self.file)?;
        let (sink, segment) = (&self.sink.settings.name, self.kept.place.cursor.segment);
        tracing::error!(
            sink, %why, segment,
            "The place of this sink is none in the audit log, which was replaced or cut; it is passed on from its oldest entry on."
        );
        self.metrics.export_gaps(sink, 1);
        self.kept = kept;
        self.source = Source::new(self.log.dir(), kept.place);
        self.outlet = outlet(&self.sink.settings, &self.sender, self.log.dir(), &kept);
        self.publish();
        Ok(())
    }

    /// Tells others of the place that is kept, and retention of what all have got.
    fn publish(&self) {
        let place = self.kept.place;
        self.sink.next.store(place.entries.unwrap_or(0), Ordering::Relaxed);
        let before = self.sink.segment.swap(place.cursor.segment, Ordering::AcqRel);
        if before != place.cursor.segment
            && let Some(first) = first_at(&self.sinks)
        {
            self.log.exported(first);
        }
    }

    /// Passes the log on until the gate ends.
    pub(super) fn run(mut self) {
        while self.closing.until().is_none() {
            let passed = self.pass();
            let wait = self.account(passed);
            self.closing.wait(wait);
        }
        let last = self.pass().and_then(|()| self.outlet.finish()).and_then(|()| self.acknowledge());
        self.account(last);
    }

    /// Sends everything that is there.
    fn pass(&mut self) -> Result<(), Trouble> {
        self.settle()?;
        self.acknowledge()?;
        while !self.outlet.is_full() {
            let Some(batch) = self.gather()? else { break };
            let until = Some(batch.after.cursor);
            if self.outlet.repeats_exactly() && self.kept.until != until {
                self.kept.until = until;
                self.kept.save(&self.file)?;
            }
            self.outlet.send(&batch)?;
            self.acknowledge()?;
            if !batch.more || self.closing.until().is_some_and(|until| until <= Instant::now()) {
                break;
            }
        }
        self.outlet.rest(self.kept.place)
    }

    fn gather(&mut self) -> Result<Option<Batch>, Trouble> {
        let settings = &self.sink.settings;
        let mut bounds = Bounds {
            lines: settings.batch_lines,
            bytes: settings.batch_bytes,
            durable: self.log.durable(),
            until: self.kept.until,
        };
        let mut gathered = self.source.gather(&bounds);
        if let Err(Trouble::Astray(why)) = gathered {
            self.begin_anew(why)?;
            bounds.until = None;
            gathered = self.source.gather(&bounds);
        }
        self.metrics.export_gaps(&self.sink.settings.name, self.source.take_gaps());
        if self.source.entries().is_some() && self.kept.place.entries.is_none() {
            // The first that is there: what came before it is not waited for.
            let first = gathered.as_ref().ok().and_then(Option::as_ref).map(|batch| batch.first);
            self.sink.next.store(first.unwrap_or(0), Ordering::Relaxed);
        }
        gathered
    }

    /// Keeps the place of what arrived.
    fn acknowledge(&mut self) -> Result<(), Trouble> {
        let Some((place, lines)) = self.outlet.arrived()? else { return Ok(()) };
        self.kept = Kept { place, until: None };
        self.kept.save(&self.file)?;
        self.metrics.export_lines(&self.sink.settings.name, lines);
        self.publish();
        Ok(())
    }

    /// Tells how it went, and how long to wait.
    fn account(&mut self, passed: Result<(), Trouble>) -> Duration {
        let (name, every) = (&self.sink.settings.name, self.sink.settings.every);
        let mut failing = self.sink.failing();
        match passed {
            Ok(()) => {
                self.pause = FIRST_PAUSE;
                if failing.take().is_some() {
                    tracing::info!(sink = name, "The audit log is passed on again.");
                }
                let asked = self.outlet.ask_again().map(|at| at.saturating_duration_since(Instant::now()));
                asked.map_or(every, |asked| asked.min(every))
            }
            Err(trouble) => {
                let why = trouble.to_string();
                self.metrics.export_failed(name);
                if failing.as_ref() != Some(&why) {
                    tracing::warn!(sink = name, why, "The audit log cannot be passed on; it is tried again.");
                    *failing = Some(why);
                }
                self.outlet.reset();
                self.source.rewind(self.kept.place);
                let pause = self.pause;
                self.pause = (pause * 2).min(LAST_PAUSE);
                pause
            }
        }
    }
}
