//! The eye on an answer that the request's own schemas bind.
//!
//! A value can be judged when it is whole, so the frames that bring one are held from its first piece: of an answer
//! that must fit a schema nothing leaves before its end; of one that may call tools, everything leaves up to the first
//! call. What is held is bounded by `gate.limits.held_bytes`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use portcullis_policies::Dialect;
use serde_json::Value;

use super::arguments::Arguments;
use super::asked::{Asked, Form};
use super::compiled::Schema;
use super::cut;
use super::fits_route;
use super::said::{self, Key, Opened, Said, Slot};
use crate::filter::{Watch, block};
use crate::frame::{Frame, FrameBody, Piece};
use crate::gate::Unread;
use crate::json::{Json, JsonErrorKind};
use crate::verdict::{Code, FilterError, Outcome, Refusal, Verdict};

const ODD: &str = "the answer has a form that the gate does not know";
/// What the value is that an answer's text holds.
const ANSWER: &str = "the answer";
/// The most values that one answer may hold: choices, parts, calls.
const MOST_SLOTS: usize = 512;
/// The most bytes of them. In `shadow` mode nothing else bounds them.
const MOST_BYTES: usize = 8 << 20;

/// The eye on one answer.
pub(super) struct AnswerWatch {
    asked: Arc<Asked>,
    /// What the operator holds whole answers of this route to.
    own: Option<Arc<Schema>>,
    /// Whether the answer comes in frames, of which each says a part.
    streams: bool,
    /// Whether it is in Ollama's own words, in which a model may be loaded and say nothing.
    loads: bool,
    /// The first frame that brought a piece of what must fit.
    from: Option<u64>,
    /// The blocks of Anthropic's streams that began, by their numbers.
    opened: BTreeMap<u64, Opened>,
    texts: BTreeMap<Slot, String>,
    calls: BTreeMap<Slot, (String, Arguments)>,
    /// How many bytes were gathered.
    gathered: usize,
    /// Texts that came as a whole.
    whole: Vec<String>,
    /// The answers and choices that called a tool.
    called: BTreeSet<(u64, u64)>,
    /// Whether anything came at all.
    came: bool,
    /// Whether the server says that it failed, or that it only loaded a model.
    excused: bool,
    /// Whether the server says that the answer was cut off.
    cut: bool,
    /// Whether the last frame said nothing that is looked at.
    free: bool,
    refusal: Option<Refusal>,
}

impl AnswerWatch {
    pub(super) fn new(asked: Arc<Asked>, own: Option<Arc<Schema>>, streams: bool, dialect: Dialect) -> Self {
        Self {
            asked,
            own,
            streams,
            loads: dialect == Dialect::Ollama,
            from: None,
            opened: BTreeMap::new(),
            texts: BTreeMap::new(),
            calls: BTreeMap::new(),
            gathered: 0,
            whole: Vec::new(),
            called: BTreeSet::new(),
            came: false,
            excused: false,
            cut: false,
            free: false,
            refusal: None,
        }
    }

    /// Whether anything must be said: where only nothing may be called, all else is free.
    fn judges(&self) -> bool {
        self.asked.asks() || self.own.is_some()
    }

    /// Whether clients read different keys in it, or take it for different events.
    fn is_ambiguous(event: Option<&str>, json: &Json<'_>) -> bool {
        let kind = json.get("type").and_then(Json::as_str);
        said::is_cased(json) || event.zip(kind).is_some_and(|(event, kind)| event != kind)
    }

    fn hear(&mut self, number: u64, said: Said<'_>) {
        if let Said::Text(..) | Said::WholeText(_) = said
            && self.asked.answer.is_empty()
        {
            return;
        }
        if !self.judges() && matches!(said, Said::Odd(_) | Said::Opens(..) | Said::Declined) {
            return;
        }
        self.free = false;
        if let Said::Text(_, piece) | Said::Call(_, _, piece) = &said {
            self.gathered += piece.len();
        }
        if self.gathered > MOST_BYTES {
            let message = "the answer holds more structured text than the gate can judge";
            self.refusal.get_or_insert(Refusal::new("schema", Code::SchemaTooLarge, message));
            return;
        }
        let heard = match said {
            Said::Text(_, "") => return,
            Said::Opens(index, opened) => self.open(index, opened),
            Said::Text(slot, piece) => self.gather(slot, piece),
            Said::WholeText(text) => {
                self.whole.push(text.to_owned());
                Ok(())
            }
            Said::Declined => {
                self.excused = true;
                Ok(())
            }
            Said::Odd(what) => Err(misfit(ODD).with_detail(what)),
            Said::TooMany => Err(too_many()),
            Said::OddCalls => Err(misfit(ODD).with_detail("calls that are no list")),
            _ if self.asked.is_mute() => Err(unasked()),
            // A call, from here on.
            _ if self.asked.tools.is_none() => return,
            Said::Call(slot, name, piece) => {
                self.from.get_or_insert(number);
                match self.block(slot) {
                    // The server answers it itself, and it was judged by its kind.
                    Some(Some(Opened::Own)) => Ok(()),
                    None | Some(Some(Opened::Call)) => self.call_piece(slot, name, piece),
                    Some(_) => Err(misfit(ODD).with_detail("arguments in a block of another kind")),
                }
            }
            Said::WholeCall(slot, name, arguments) => {
                self.from.get_or_insert(number);
                let name = name.map(str::to_owned).or_else(|| self.calls.get(&slot).map(|(name, _)| name.clone()));
                self.note_call(slot).and_then(|()| self.call(&name.unwrap_or_default(), arguments))
            }
            Said::Called(slot, name, arguments) => {
                self.from.get_or_insert(number);
                self.note_call(slot).and_then(|()| self.judge_call(name, &arguments.to_value()))
            }
            Said::Own(kind) => {
                self.from.get_or_insert(number);
                if self.asked.brings(kind) { Ok(()) } else { Err(not_offered()) }
            }
        };
        if let Err(refusal) = heard {
            self.refusal.get_or_insert(refusal);
        }
    }

    /// Looks for calls in text: there are clients that read JSON, or a stream of it, whatever it is said to be.
    fn read_text(&mut self, number: u64, text: &str) {
        if let Ok(json) = Json::parse_text(text.trim()) {
            return said::each(&json, &mut |said| self.hear(number, said));
        }
        for line in text.lines() {
            let line = line.trim();
            let line = line.strip_prefix("data:").unwrap_or(line).trim_start();
            if line.starts_with(['{', '['])
                && let Ok(json) = Json::parse_text(line)
            {
                said::each(&json, &mut |said| self.hear(number, said));
            }
        }
    }

    /// A block begins. One that began before goes on as what it is.
    fn open(&mut self, index: u64, opened: Opened) -> Result<(), Refusal> {
        if self.opened.len() >= MOST_SLOTS {
            return Err(too_many());
        }
        match self.opened.insert(index, opened) {
            None => Ok(()),
            Some(_) => Err(misfit(ODD).with_detail("a block that begins twice")),
        }
    }

    /// What the block that a value stands in began as, where values stand in blocks.
    fn block(&self, (key, way, index, _): Slot) -> Option<Option<Opened>> {
        (key == Key::Event && way == 0).then(|| self.opened.get(&index).copied())
    }

    /// Takes in a piece of a text.
    fn gather(&mut self, slot: Slot, piece: &str) -> Result<(), Refusal> {
        if self.block(slot).is_some_and(|opened| opened != Some(Opened::Text)) {
            return Err(misfit(ODD).with_detail("a text in a block of another kind"));
        }
        if self.texts.len() >= MOST_SLOTS && !self.texts.contains_key(&slot) {
            return Err(too_many());
        }
        self.texts.entry(slot).or_default().push_str(piece);
        Ok(())
    }

    /// Takes in a piece of a call.
    fn call_piece(&mut self, slot: Slot, name: Option<&str>, piece: &str) -> Result<(), Refusal> {
        if self.calls.len() >= MOST_SLOTS && !self.calls.contains_key(&slot) {
            return Err(too_many());
        }
        let named = name.filter(|name| !name.is_empty());
        // Some servers give every call the same number: what is whole has ended where another name comes.
        if named.is_some()
            && let Some((known, arguments)) = self.calls.get(&slot)
            && !known.is_empty()
            && arguments.is_whole()
            && let Some((known, arguments)) = self.calls.remove(&slot)
        {
            self.note_call(slot)?;
            self.call(&known, arguments.as_str())?;
        }
        let (known, arguments) = self.calls.entry(slot).or_default();
        // Servers repeat the name, or leave it out, in later pieces.
        if known.is_empty() {
            known.push_str(named.unwrap_or_default());
        }
        arguments.push(piece);
        match named {
            Some(name) if name != known => Err(misfit("a call of a tool changes its name midway")),
            _ => Ok(()),
        }
    }

    /// Judges what was gathered.
    fn judge(&mut self) -> Result<(), Refusal> {
        let (texts, calls) = (std::mem::take(&mut self.texts), std::mem::take(&mut self.calls));
        let whole = std::mem::take(&mut self.whole);
        for (slot, (name, arguments)) in &calls {
            self.note_call(*slot)?;
            self.call(name, arguments.as_str())?;
        }
        let texts = texts.iter().map(|(slot, text)| (choice(*slot), text));
        let mut nothing = self.called.is_empty();
        for (choice, text) in texts.chain(whole.iter().map(|text| ((0, 0), text))) {
            nothing = false;
            // Words beside a call are no answer yet; a value is one.
            if !self.called.contains(&choice) || text.trim_start().starts_with(['{', '[']) {
                self.text(text)?;
            }
        }
        if !self.asked.answer.is_empty() && nothing && !self.excused {
            return Err(if self.cut {
                cut::refusal(Code::SchemaResponse, "")
            } else {
                misfit("the answer holds no value, and the request asks for one")
            });
        }
        Ok(())
    }

    /// Notes that a choice calls a tool.
    fn note_call(&mut self, slot: Slot) -> Result<(), Refusal> {
        self.called.insert(choice(slot));
        if self.called.len() > MOST_SLOTS { Err(too_many()) } else { Ok(()) }
    }

    /// Judges the answer's text.
    fn text(&self, text: &str) -> Result<(), Refusal> {
        let value = self.read(text, ANSWER)?;
        self.asked
            .answer
            .iter()
            .try_for_each(|form| fits(form, &value, "the answer does not fit the schema that the request asks for"))
    }

    /// Judges a call with its arguments as text. Without any, models say nothing at all.
    fn call(&self, name: &str, arguments: &str) -> Result<(), Refusal> {
        if matches!(self.asked.tools.as_ref().and_then(|tools| tools.get(name)), Some(Form::Text)) {
            return Ok(());
        }
        // A tool without parameters is called with nothing, or with `null`.
        let value = if matches!(arguments.trim(), "" | "null") {
            Value::Object(serde_json::Map::new())
        } else {
            self.read(arguments, "the arguments of a tool call")?
        };
        self.judge_call(name, &value)
    }

    /// Reads a value that came as text.
    fn read(&self, text: &str, what: &str) -> Result<Value, Refusal> {
        Json::parse_text(text.trim()).map(|json| json.to_value()).map_err(|error| {
            // The server's answer is JSON; it is the value in it that is none.
            let refusal = if self.cut && error.kind == JsonErrorKind::Syntax {
                cut::refusal(Code::SchemaResponse, if what == ANSWER { "" } else { " within a tool call" })
            } else {
                Refusal::new(
                    "schema",
                    Code::SchemaResponse,
                    format!("{what} must be JSON, and {}", no_json(error.kind)),
                )
            };
            refusal.with_detail(error.to_string())
        })
    }

    fn judge_call(&self, name: &str, arguments: &Value) -> Result<(), Refusal> {
        let Some(form) = self.asked.tools.as_ref().and_then(|tools| tools.get(name)) else {
            return Err(not_offered());
        };
        fits(form, arguments, "the arguments of a tool call do not fit the tool's parameters")
    }
}

impl Watch for AnswerWatch {
    fn frame(&mut self, number: u64, frame: &Frame<'_>) -> Outcome<Bytes> {
        self.came = true;
        self.free = self.streams && self.asked.answer.is_empty();
        let json = match &frame.body {
            FrameBody::Json(json) => json,
            // Text where JSON is due says nothing that could be judged.
            FrameBody::Text(_) if !self.streams && self.judges() => return block(misfit("the answer is no JSON")),
            FrameBody::Text(text) => {
                self.read_text(number, text);
                return Ok(self.refusal.take().map_or(Verdict::Pass, Verdict::Block));
            }
            FrameBody::Empty | FrameBody::End => return Ok(Verdict::Pass),
        };
        if let Some(schema) = self.own.as_ref().filter(|_| !self.streams)
            && let Err(refusal) = fits_route(schema, json)
        {
            return block(refusal);
        }
        if !self.asked.answer.is_empty() {
            self.from.get_or_insert(number);
        }
        self.cut |= cut::is_cut(json);
        if self.judges() && Self::is_ambiguous(frame.event, json) {
            return block(misfit(ODD).with_detail("a key, or the name of an event, that not all clients read"));
        }
        said::each(json, &mut |said| self.hear(number, said));
        let reason = json.get("done_reason").filter(|_| self.loads).and_then(Json::as_str);
        self.excused |= json.get("error").is_some_and(|error| *error != Json::Null);
        self.excused |= matches!(reason, Some("load" | "unload"));
        if !self.streams
            && let Err(refusal) = self.judge()
        {
            self.refusal.get_or_insert(refusal);
        }
        Ok(self.refusal.take().map_or(Verdict::Pass, Verdict::Block))
    }

    fn likens(&self) -> bool {
        self.free
    }

    /// Words are not looked at where only calls must fit, and a frame that brings a call stands for no other.
    fn glance(&mut self, _: u64, _: &[(usize, Piece<'_>)]) -> Result<Option<Refusal>, FilterError> {
        Ok(None)
    }

    fn unread(&self, what: Unread) -> Option<Refusal> {
        let not_json =
            || Refusal::new("schema", Code::SchemaNotJson, "the answer must be JSON with each key once, and is not");
        let must_be = !self.asked.answer.is_empty() || (self.own.is_some() && !self.streams);
        (what == Unread::NotJson && must_be).then(not_json)
    }

    fn holds(&self) -> Option<u64> {
        self.from.filter(|_| self.streams)
    }

    fn end(&mut self) -> Result<Option<Refusal>, FilterError> {
        if !self.streams {
            return Ok((!self.came && self.judges()).then(|| misfit("the answer is empty")));
        }
        let judged = self.judge().err();
        self.from = None;
        Ok(judged)
    }
}

/// Why a value is none that the gate takes. Two readers may each take another one of two keys.
fn no_json(kind: JsonErrorKind) -> &'static str {
    match kind {
        JsonErrorKind::DuplicateKey => "a key stands twice in it",
        JsonErrorKind::SimilarKeys => "two keys of it differ only in case",
        JsonErrorKind::TooDeep => "it is nested too deep",
        JsonErrorKind::TooMany => "it holds too many values",
        JsonErrorKind::Syntax => "is not",
    }
}

/// In which answer and choice a value stands. Anthropic's and Responses' answers have one.
fn choice((key, answer, choice, _): Slot) -> (u64, u64) {
    if key == Key::Event { (0, 0) } else { (answer, choice) }
}

fn fits(form: &Form, value: &Value, what: &'static str) -> Result<(), Refusal> {
    match form {
        Form::Any | Form::Text => Ok(()),
        Form::Object if value.is_object() => Ok(()),
        Form::Object => Err(misfit(what).with_detail("it is no object")),
        Form::Fits(schema) => schema.check(value).map_err(|why| misfit(what).with_detail(why.to_string())),
    }
}

fn misfit(message: &'static str) -> Refusal {
    Refusal::new("schema", Code::SchemaResponse, message)
}

fn unasked() -> Refusal {
    misfit("the answer calls a tool, and the request offers none")
}

fn not_offered() -> Refusal {
    misfit("the answer calls a tool that the request does not offer")
}

fn too_many() -> Refusal {
    misfit("the answer holds more values than the gate can judge")
}
