//! The eye on an answer: what it brings in is judged before the line that says so leaves.
//!
//! 1. Each growing text of an answer (choice, field, tool call) is looked through as it grows, every other one at once.
//! 2. What is found is looked up. What is at hand is judged at once; what has to be asked for is held until it came.
//! 3. The first dependency that may not come in ends the answer.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use portcullis_dependencies::{Findings, Found, Growing, Hint, How, What, find};
use portcullis_osv::{Ecosystem, Package};

use super::declared;
use super::dossier::{Lookup, Unavailable};
use super::doubt::Doubt;
use super::judge::{Judge, unavailable};
use super::settings::Handling;
use super::text;
use super::texts::{Texts, TooMany};
use super::weighing::{KEPT, Lost, Weighed, Weighing};
use crate::exchange::Noted;
use crate::filter::{Watch, block};
use crate::frame::{Channel, Frame, FrameBody, Piece};
use crate::json::{Json, fold_key};
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

/// The most dependencies that one answer may bring in.
const MOST: usize = 10_000;
/// The most findings of one answer that are told one by one.
const TOLD: usize = KEPT;
/// The keys under which calls carry their arguments: Ollama's, Anthropic's.
const ARGUMENTS: [&str; 2] = ["arguments", "input"];
/// A text that is shorter than this and stands for itself names nothing.
const SHORTEST: usize = 6;

/// The eye on one answer.
pub(super) struct AnswerWatch {
    judge: Arc<Judge>,
    /// Whether a tool of LLMesh answers.
    is_tool: bool,
    texts: Texts,
    /// What was looked up already: one dependency is judged once.
    known: HashSet<Asked>,
    /// What waits to be asked for, one after the other.
    waiting: VecDeque<Waiting>,
    /// What is being asked for.
    asked: Option<Question>,
    noted: Vec<Noted>,
    /// Whether anything beside its growing texts may have brought something in, in the last frame that was read.
    beside: bool,
}

/// What makes two dependencies one.
type Asked = (Package, String, (bool, bool, bool));

/// Dependencies that have to be asked for, or that are too many to be judged at once.
struct Waiting {
    /// The first frame that they lie in.
    since: u64,
    /// Whether they are brought in for sure, or code only hints at them.
    firm: bool,
    /// A future is no thing to be shared between threads; behind a lock it is.
    future: Mutex<BoxFuture<'static, Result<Weighed, Lost>>>,
}

/// A question that is out.
struct Question {
    since: u64,
    firm: bool,
    answer: Arc<Mutex<Option<Result<Weighed, Lost>>>>,
}

impl AnswerWatch {
    pub(super) fn new(judge: Arc<Judge>, is_tool: bool) -> Self {
        Self {
            judge,
            is_tool,
            texts: Texts::default(),
            known: HashSet::new(),
            waiting: VecDeque::new(),
            asked: None,
            noted: Vec::new(),
            beside: false,
        }
    }

    /// Takes a piece of the answer in.
    fn see(&mut self, number: u64, piece: &Piece<'_>) -> Result<(), Refusal> {
        match piece.channel {
            Channel::Single if names_nothing(piece.text) => Ok(()),
            Channel::Single => {
                let findings = at_once(piece.text);
                self.beside |= !findings.is_empty();
                self.take(number, findings)
            }
            Channel::Growing(place) => {
                let told = self.texts.add(place, number, piece);
                let told = told.map_err(|TooMany| Refusal::internal("sca", "the answer has too many texts"))?;
                told.into_iter().try_for_each(|(since, findings)| self.take(since, findings))
            }
        }
    }

    /// Looks through the arguments of calls that come as values, not as text: what stands beside each other in them
    /// belongs together.
    fn calls(&mut self, number: u64, json: &Json<'_>) -> Result<(), Refusal> {
        match json {
            Json::Array(items) => items.iter().try_for_each(|item| self.calls(number, item)),
            Json::Object(entries) => entries.iter().try_for_each(|(key, value)| {
                let call = ARGUMENTS.contains(&&*fold_key(key));
                if !call || value.as_array().is_none() && value.as_object().is_none() {
                    return self.calls(number, value);
                }
                let findings = text::of_call(value);
                self.beside |= !findings.is_empty();
                self.take(number, findings)
            }),
            Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => Ok(()),
        }
    }

    /// Judges what was found in the frames from `since` on.
    fn take(&mut self, since: u64, findings: Findings) -> Result<(), Refusal> {
        if findings.too_many || self.known.len() + findings.found.len() > MOST {
            let message = "the answer names more dependencies than the gate judges in one";
            return Err(Refusal::new("sca", Code::ScaUnavailable, message));
        }
        let (unnamed, unreadable): (Vec<_>, Vec<_>) =
            findings.unreadable.iter().partition(|unreadable| unreadable.what == What::Unnamed);
        let doubtful = self.judge.settings().unavailable == Handling::Block;
        if let Some(unreadable) = unreadable.first().filter(|_| doubtful) {
            let message = "the answer holds a manifest or a line that may bring something in, and cannot be read";
            return Err(Refusal::new("sca", Code::ScaUnavailable, message).with_detail(unreadable.what.to_string()));
        }
        if !unreadable.is_empty() {
            self.note(Doubt::Unreadable);
        }
        if !unnamed.is_empty() {
            self.unnamed()?;
        }
        let mut found = findings.found;
        found.retain(|found| {
            // A hint at a package says nothing of its installation.
            let kind = (found.remote.is_some(), found.how == How::Import, found.how == How::Perhaps);
            self.known.insert((found.package.clone(), found.wanted.to_string(), kind))
        });
        // Each ecosystem by itself: one that cannot be looked up must not hide what is known of another.
        let mut groups: BTreeMap<(Ecosystem, bool), Vec<Found>> = BTreeMap::new();
        for found in found {
            // Nothing is installed by a name in code: where it cannot be looked up, that is told.
            let firm = found.how.is_firm();
            groups.entry((found.package.ecosystem(), firm)).or_default().push(found);
        }
        let mut refused: Option<Refusal> = None;
        for ((_, firm), found) in groups {
            let Err(no) = self.look_up(since, found, firm) else { continue };
            // What is known to be bad says more than what is not known.
            if refused.as_ref().is_none_or(|known| known.code == Code::ScaUnavailable) {
                refused = Some(no);
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn look_up(&mut self, since: u64, found: Vec<Found>, firm: bool) -> Result<(), Refusal> {
        if found.is_empty() {
            return Ok(());
        }
        // A text may name many versions of one package: it is asked for once.
        let mut distinct = HashSet::new();
        let packages = found.iter().map(|found| &found.package).filter(|package| distinct.insert(*package));
        let packages = packages.cloned().collect();
        let judge = Arc::clone(&self.judge);
        let future: BoxFuture<'static, _> = match self.judge.advisories().look_up(packages) {
            Lookup::Now(told) => match Weighing::new(judge, found, told) {
                Err(lost) => return self.weighed(Err(lost), firm),
                Ok(mut weighing) => match weighing.now() {
                    Some(weighed) => return self.weighed(Ok(weighed), firm),
                    None => Box::pin(async move { Ok(weighing.by_and_by().await) }),
                },
            },
            Lookup::Later(told) => {
                Box::pin(async move { Ok(Weighing::new(judge, found, told.await)?.by_and_by().await) })
            }
        };
        self.waiting.push_back(Waiting { since, firm, future: Mutex::new(future) });
        Ok(())
    }

    /// Takes in what speaks against dependencies.
    fn weighed(&mut self, weighed: Result<Weighed, Lost>, firm: bool) -> Result<(), Refusal> {
        let weighed = match weighed {
            Ok(weighed) => weighed,
            Err(Lost::Differs) => {
                return Err(Refusal::internal("sca", "what was asked for and what was told differ"));
            }
            Err(Lost::Unavailable(_)) if !firm => {
                self.note(Doubt::Unavailable);
                return Ok(());
            }
            Err(Lost::Unavailable(why)) => return self.without(&why),
        };
        let room = TOLD.saturating_sub(self.noted.len());
        // What blocks is told first: there may be room for a few only.
        let findings = weighed.blocking.iter().chain(&weighed.flagged);
        self.noted.extend(findings.map(|finding| finding.noted()).take(room));
        match weighed.blocking.first() {
            None => Ok(()),
            Some(worst) => Err(worst.refuse(weighed.blocks.saturating_sub(1))),
        }
    }

    /// What becomes of dependencies that cannot be looked up.
    fn without(&mut self, why: &Unavailable) -> Result<(), Refusal> {
        match self.judge.settings().unavailable {
            Handling::Block => Err(unavailable(why)),
            Handling::Off => Ok(()),
            Handling::Flag => {
                self.note(Doubt::Unavailable);
                Ok(())
            }
        }
    }

    /// What becomes of a command that installs what only its run will name: it is as doubtful as a name that nobody
    /// knows.
    fn unnamed(&mut self) -> Result<(), Refusal> {
        let handling = self.judge.settings().unknown;
        let told = self.noted.iter().any(|noted| &*noted.rule == Doubt::Unnamed.id());
        if handling != Handling::Off && !told {
            self.judge.count_unnamed();
        }
        match handling {
            Handling::Block => {
                let message =
                    "the answer brings in what may not come in: a package that only the run of a command names";
                Err(Refusal::new("sca", Code::ScaVulnerable, message).with_detail(Doubt::Unnamed.id()))
            }
            Handling::Off => Ok(()),
            Handling::Flag => {
                self.note(Doubt::Unnamed);
                Ok(())
            }
        }
    }

    /// Notes that something could not be judged, once.
    fn note(&mut self, doubt: Doubt) {
        if self.noted.len() < TOLD && self.noted.iter().all(|noted| &*noted.rule != doubt.id()) {
            self.noted.push(Noted {
                filter: "sca",
                rule: doubt.id().into(),
                code: doubt.code(),
                level: portcullis_policies::DataLevel::L0,
                action: "flag",
                fingerprint: String::new(),
                about: Some(doubt.sentence().into()),
            });
        }
    }

    /// What a tool declares, and what its code uses.
    fn declared(&mut self, answer: &Json<'_>) -> Result<(), Refusal> {
        let Some(found) = declared::of(answer) else {
            return self.without(&Unavailable::Language);
        };
        self.take(0, Findings { found, ..Findings::default() })?;
        let text = |key: &str| answer.get(key).and_then(Json::as_str);
        let language = text("language").unwrap_or_default();
        let code = text("code").or_else(|| text("tests_code")).unwrap_or_default();
        self.take(0, find(code, Hint::Language(language)))
    }
}

/// Whether a text that stands for itself is a name, a time or a number: every frame has some of them.
fn names_nothing(text: &str) -> bool {
    text.len() < SHORTEST
        || !text.bytes().any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'=' | b'@')) && text.is_ascii()
}

/// What a text brings in that does not grow. Its lines are bounded as those of one that does.
fn at_once(text: &str) -> Findings {
    let mut growing = Growing::new(Hint::Answer);
    growing.push(text);
    growing.end();
    growing.take()
}

fn into_inner<T>(held: Mutex<T>) -> T {
    held.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Watch for AnswerWatch {
    fn frame(&mut self, number: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        let mut refused = None;
        self.beside = self.is_tool;
        if let FrameBody::Json(json) = &frame.body {
            if self.is_tool {
                refused = self.declared(json).err();
            }
            refused = refused.or_else(|| self.calls(number, json).err());
        }
        frame.each_piece(&mut |piece| {
            if refused.is_none() {
                refused = self.see(number, &piece).err();
            }
        });
        refused.map_or(Ok(Verdict::Pass), block)
    }

    fn likens(&self) -> bool {
        !self.beside
    }

    fn glance(&mut self, number: u64, texts: &[(usize, Piece<'_>)]) -> Result<Option<Refusal>, FilterError> {
        Ok(texts.iter().find_map(|(_, piece)| self.see(number, piece).err()))
    }

    fn asks(&mut self) -> Option<BoxFuture<'static, ()>> {
        let Waiting { since, firm, future } = self.waiting.pop_front()?;
        let answer = Arc::new(Mutex::new(None));
        self.asked = Some(Question { since, firm, answer: Arc::clone(&answer) });
        Some(Box::pin(async move {
            let told = into_inner(future).await;
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        }))
    }

    fn told(&mut self) -> Result<Option<Refusal>, FilterError> {
        let Some(Question { firm, answer, .. }) = self.asked.take() else { return Ok(None) };
        let told = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let told = told.ok_or_else(|| FilterError::Failed("a lookup ended without an answer".to_owned()))?;
        Ok(self.weighed(told, firm).err())
    }

    fn holds(&self) -> Option<u64> {
        let asked = self.waiting.iter().map(|w| w.since).chain(self.asked.as_ref().map(|q| q.since));
        self.texts.holds().into_iter().chain(asked).min()
    }

    fn end(&mut self) -> Result<Option<Refusal>, FilterError> {
        for (since, findings) in self.texts.end() {
            if let Err(refusal) = self.take(since, findings) {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    fn findings(&self) -> &[Noted] {
        &self.noted
    }
}
