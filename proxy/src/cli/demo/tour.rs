//! The tour: what is sent, what must become of it, and what did.

use portcullis_policies::UpstreamKind;
use serde_json::{Value, json};

use super::caller::{Caller, Reply};
use super::{Outcome, Stage, colour, say};

mod rights;
mod signatures;

/// What became of one request.
pub(super) struct Told {
    pub(super) code: String,
    /// The request's id.
    pub(super) id: String,
    pub(super) as_expected: bool,
    /// Whether it was a prompt for the model.
    pub(super) is_prompt: bool,
}

impl Told {
    /// Whether the model saw it: it was let in, and at most its answer was refused.
    pub(super) fn reaches_the_model(&self) -> bool {
        ["allow", "firewall.output_secret", "schema.response", "sca.vulnerable", "upstream.invalid"]
            .contains(&self.code.as_str())
    }
}

/// What one request is about.
struct Step<'s> {
    what: &'s str,
    expected: &'s str,
    is_prompt: bool,
}

/// Walks the tour and tells of every step as it goes.
pub(super) fn walk(stage: &Stage, attack: bool) -> Outcome<Vec<Told>> {
    let mut tour = Tour { stage, told: Vec::new() };
    let alice = stage.caller("alice")?;
    let bytes = tour.chat(false, "Hello! Who are you?");
    tour.step("a caller whom nobody knows yet", "identity.pending", true, alice.send(&bytes)?);
    tour.note("     its fingerprint is shown, and the operator says yes: portcullis peers approve");
    // By a name that nobody else can claim from now on.
    tour.approve(&alice, &["--name", "alice"])?;
    tour.step("the same caller, approved: one whole answer", "allow", true, alice.send(&bytes)?);
    let streamed = tour.chat(true, "Hello! Who are you?");
    let reply = alice.send(&streamed)?;
    let (first, frames) = (reply.first, reply.body.lines().filter(|l| !l.trim().is_empty()).count());
    tour.step("a streamed answer", "allow", true, reply);
    tour.note(&format!("     first token after {:.1} ms, {frames} frames", first.as_secs_f64() * 1000.0));
    tour.step("the list of models", "allow", false, alice.send(&get(tour.list()))?);
    if attack {
        tour.rights()?;
        tour.signatures(&alice)?;
        tour.attack(&alice)?;
    }
    Ok(tour.told)
}

struct Tour<'s> {
    stage: &'s Stage,
    told: Vec<Told>,
}

impl Tour<'_> {
    fn attack(&mut self, alice: &Caller) -> Outcome {
        let stage = self.stage;
        say!();
        say!("And now everything that must not pass:");
        let hello = self.chat(false, "Hello!");
        self.step("no credential at all", "identity.required", true, stage.nobody()?.send(&hello)?);
        self.step("a stranger with a key of his own", "identity.pending", true, stage.caller("mallory")?.send(&hello)?);

        let bob = stage.caller("bob")?;
        self.step("another one, before the operator lets him in", "identity.pending", true, bob.send(&hello)?);
        self.approve(&bob, &[])?;
        let mut line = bob.line()?;
        line.send(&get(self.version()))?;
        stage.command(&["peers", "revoke", &bob.id])?;
        let reply = self.until(|| line.send(&get(self.version())), |r| r.status != 200)?;
        self.step("the same, trust taken back, on the connection he has open", "identity.revoked", false, reply);

        let ollama = stage.server.kind == UpstreamKind::Ollama;
        let (admin, body) = if ollama { ("/api/pull", json!({"model": "evil"})) } else { ("/props", json!({})) };
        self.step(
            "managing the server, which no grant allows",
            "policy.route_denied",
            false,
            alice.send(&post(admin, &body))?,
        );
        self.step(
            "a route that nobody knows",
            "policy.unknown_route",
            false,
            alice.send(&post("/api/nonsense", &json!({})))?,
        );
        self.step("the path in disguise: //api/chat", "request.malformed", false, alice.send(&with_path(&hello, "/"))?);
        if ollama {
            let cloud = json!({"model": "Demo:120B-CLOUD", "messages": [{"role": "user", "content": "Hello!"}]});
            self.step(
                "a model that would run elsewhere",
                "policy.egress_denied",
                true,
                alice.send(&post("/api/chat", &cloud))?,
            );
        } else {
            let image = json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://192.0.2.1/x.png"}}]}]});
            self.step(
                "an image that the server would fetch",
                "policy.egress_denied",
                true,
                alice.send(&post("/v1/chat/completions", &image))?,
            );
        }
        let twice = self.chat_raw(r#""model":"a","MODEL":"b","#);
        self.step("two models in one request", "request.malformed", true, alice.send(&twice)?);
        let text = self.chat_as("text/plain");
        self.step(
            "JSON that says it is text, as a web page would send it",
            "request.unsupported_media",
            true,
            alice.send(&text)?,
        );
        let large = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 17825792\r\n\r\n",
            self.route()
        );
        self.step("17 MiB, announced", "request.too_large", true, alice.send(large.as_bytes())?);
        let (field, code) =
            if ollama { ("_debug_render_only", "policy.field_denied") } else { ("lora", "policy.field_denied") };
        let denied = self.chat_raw(&format!("\"{field}\":true,"));
        self.step("a field that shows what is not one's own", code, true, alice.send(&denied)?);

        let key = format!("AKIA{}", "Q7ZXM2KD5VTWHN3L");
        let plain = self.chat(false, &format!("Why does {key} not work?"));
        self.step("a secret in the prompt", "firewall.secret", true, alice.send(&plain)?);
        let escaped = String::from_utf8_lossy(&plain).replace("AKIA", "\\u0041KIA");
        let escaped = sized(&escaped);
        self.step("the same behind JSON escapes", "firewall.secret", true, alice.send(&escaped)?);
        if stage.server.demo.is_some() {
            let leak = self.chat(true, "demo: leak a secret");
            let reply = alice.send(&leak)?;
            let out = reply.body.contains("firewall.output_secret") && !reply.body.contains("ghp_");
            self.cut("an answer that would leak a token, cut off in mid-stream", "firewall.output_secret", reply, out);
            let form = json!({"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]});
            let asked = json!({"model": stage.server.model, "stream": false, "format": form,
                "messages": [{"role": "user", "content": "How old are you?"}]});
            let reply = alice.send(&post(self.route(), &asked))?;
            self.step("an answer that does not fit the schema that was asked for", "schema.response", true, reply);
            let install = self.chat(true, "demo: install something");
            let reply = alice.send(&install)?;
            let out = reply.body.contains("sca.vulnerable") && !reply.body.contains("pip");
            self.cut("an answer that installs a vulnerable package, cut off before", "sca.vulnerable", reply, out);
            let broken = self.chat(false, "demo: answer with broken json");
            self.step("an answer that is not what it should be", "upstream.invalid", true, alice.send(&broken)?);
        }
        Ok(())
    }

    /// Tells of one step.
    fn step(&mut self, what: &str, expected: &str, is_prompt: bool, reply: Reply) {
        let code = reply.code().to_owned();
        self.tell(&Step { what, expected, is_prompt }, code, &reply);
    }

    /// Tells of a stream that was allowed at first and cut off: the code stands in its last frame.
    fn cut(&mut self, what: &str, code: &str, reply: Reply, as_expected: bool) {
        let got = if as_expected { code.to_owned() } else { reply.verdict.clone() };
        self.tell(&Step { what, expected: code, is_prompt: true }, got, &reply);
    }

    fn tell(&mut self, step: &Step<'_>, code: String, reply: &Reply) {
        let as_expected = code == step.expected;
        let number = self.told.len() + 1;
        let (on, off) = match (colour(), as_expected, code == "allow") {
            (false, _, _) => ("", ""),
            (true, false, _) => ("\u{1b}[35m", "\u{1b}[0m"),
            (true, true, true) => ("\u{1b}[32m", "\u{1b}[0m"),
            (true, true, false) => ("\u{1b}[31m", "\u{1b}[0m"),
        };
        let filter = code.split_once('.').map_or("-", |(filter, _)| filter);
        let millis = reply.took.as_secs_f64() * 1000.0;
        let remark = if as_expected { "as expected".to_owned() } else { format!("NOT as expected: {}", step.expected) };
        say!(
            "{number:>3}. {:<58} {on}{:<26}{off} {filter:<9} {} {millis:>8.1} ms  {remark}",
            step.what,
            code,
            reply.status
        );
        self.told.push(Told { code, id: reply.id.clone(), as_expected, is_prompt: step.is_prompt });
    }

    fn note(&self, text: &str) {
        say!("{text}");
    }

    /// Has the operator approve a caller, and waits until it bites.
    fn approve(&self, caller: &Caller, more: &[&str]) -> Outcome {
        self.stage.command(&[&["peers", "approve", caller.id.as_str()], more].concat())?;
        self.until(|| caller.send(&get(self.version())), |r| r.status == 200).map(drop)
    }

    /// Asks again until the answer is the one that is waited for, for at most five seconds.
    fn until(&self, mut ask: impl FnMut() -> Outcome<Reply>, done: impl Fn(&Reply) -> bool) -> Outcome<Reply> {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        loop {
            let reply = ask()?;
            if done(&reply) || std::time::Instant::now() > until {
                return Ok(reply);
            }
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
    }

    fn ollama(&self) -> bool {
        self.stage.server.kind == UpstreamKind::Ollama
    }

    fn route(&self) -> &'static str {
        if self.ollama() { "/api/chat" } else { "/v1/chat/completions" }
    }

    fn list(&self) -> &'static str {
        if self.ollama() { "/api/tags" } else { "/v1/models" }
    }

    fn version(&self) -> &'static str {
        if self.ollama() { "/api/version" } else { "/v1/models" }
    }

    fn chat(&self, stream: bool, words: &str) -> Vec<u8> {
        let body = json!({
            "model": self.stage.server.model, "stream": stream, "messages": [{"role": "user", "content": words}],
            "max_tokens": 64, "options": {"num_predict": 64},
        });
        post(self.route(), &body)
    }

    /// A chat request with these fields written in by hand.
    fn chat_raw(&self, fields: &str) -> Vec<u8> {
        let model = if fields.contains("\"model\"") {
            String::new()
        } else {
            format!("\"model\":{},", json!(self.stage.server.model))
        };
        let body =
            format!("{{{fields}{model}\"stream\":false,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello!\"}}]}}");
        sized(&format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n{body}",
            self.route()
        ))
    }

    fn chat_as(&self, media: &str) -> Vec<u8> {
        String::from_utf8_lossy(&self.chat(false, "Hello!")).replace("application/json", media).into_bytes()
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn post(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request with something put in front of its path.
fn with_path(request: &[u8], front: &str) -> Vec<u8> {
    String::from_utf8_lossy(request).replacen(" /", &format!(" {front}/"), 1).into_bytes()
}

/// A request with its Content-Length made right.
fn sized(request: &str) -> Vec<u8> {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return request.as_bytes().to_vec() };
    let head: Vec<String> = head
        .split("\r\n")
        .map(|line| {
            if line.to_ascii_lowercase().starts_with("content-length:") {
                format!("Content-Length: {}", body.len())
            } else {
                line.to_owned()
            }
        })
        .collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n")).into_bytes()
}
