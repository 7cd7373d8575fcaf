//! The part of the tour about who may do what, for how long and how much.

use data_encoding::BASE64;
use portcullis_certs::{NodeKey, device};
use serde_json::json;

use super::super::caller::Caller;
use super::super::{Failure, Outcome, Stage, say};
use super::{Tour, get, post};
use crate::keyring::now;

impl Tour<'_> {
    pub(super) fn rights(&mut self) -> Outcome {
        let stage = self.stage;
        say!();
        say!("Who may do what, for how long and how much:");
        let (hello, look) = (self.chat(false, "Hello!"), get(self.version()));
        // First, so that its end comes while the others have their turn.
        let guest = self.guest(&look)?;

        let nobody = stage.nobody()?;
        let ci = stage.key("ci", &["--models", &stage.server.model])?;
        self.until(|| nobody.send(&ci.on(&look)), |r| r.code() != "identity.invalid")?;
        self.step("an API key for this model alone", "allow", true, nobody.send(&ci.on(&hello))?);
        let other = json!({"model": "another", "messages": [{"role": "user", "content": "Hello!"}]});
        let other = post(self.route(), &other);
        self.step("the same key, for another model", "policy.model_denied", true, nobody.send(&ci.on(&other))?);
        let made_up = Key(format!("pck_{}", "A1b2C3d4".repeat(6)));
        self.step("an API key that somebody made up", "identity.invalid", true, nobody.send(&made_up.on(&hello))?);
        let impostor = stage.caller("alice")?;
        self.step("another key under the name of alice", "identity.key_changed", true, impostor.send(&hello)?);

        let slow = stage.key("slow", &["--requests", "1/h"])?;
        let first = self.until(|| nobody.send(&slow.on(&look)), |r| r.status == 200)?;
        self.step("an API key for one request an hour", "allow", false, first);
        let second = nobody.send(&slow.on(&hello))?;
        let again = second.retry_after.clone();
        self.step("its second request", "ratelimit.requests", true, second);
        match again {
            Some(seconds) => self.note(&format!("     Retry-After: {seconds}")),
            None => return Err(Failure::no("a caller who asks too often was not told when to come again")),
        }
        self.device(&nobody)?;

        self.until(|| guest.send(&look), |r| r.status != 200)?;
        self.step("the guest again, whose grant has ended", "policy.expired", true, guest.send(&hello)?);
        Ok(())
    }

    /// A caller who may nothing but what a grant says, for some seconds.
    fn guest(&mut self, look: &[u8]) -> Outcome<Caller> {
        let guest = self.stage.caller("guest")?;
        guest.send(look)?;
        // No rule names this profile.
        self.stage.command(&["peers", "approve", &guest.id, "--grant", "visitor"])?;
        let reply = self.until(|| guest.send(look), |r| r.code() != "identity.pending")?;
        self.step("a guest, approved, whom no rule names", "policy.route_denied", false, reply);
        self.stage.command(&["grants", "add", &guest.id, "--routes", "inference,read", "--for", "4s"])?;
        let reply = self.until(|| guest.send(look), |r| r.status == 200)?;
        self.step("the guest with a grant for four seconds", "allow", false, reply);
        Ok(guest)
    }

    /// A stock Ollama's device key, and its signature a second time.
    fn device(&mut self, nobody: &Caller) -> Outcome {
        let key = NodeKey::generate().map_err(|e| Failure::broken(e.to_string()))?;
        let path = format!("{}?ts={}", self.version(), now());
        let (proof, id) = signed(&key, &format!("GET,{path}"))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {proof}\r\n\r\n").into_bytes();
        nobody.send(&request)?;
        self.stage.command(&["peers", "approve", &id])?;
        // The first request that is let in uses the signature up.
        let reply = self.until(|| nobody.send(&request), |r| r.status == 200)?;
        self.step("a stock Ollama that signs with its device key, approved", "allow", false, reply);
        let again = nobody.send(&request)?;
        self.step("its request, recorded and sent again", "signature.replayed", false, again);
        Ok(())
    }
}

impl Stage {
    /// Makes an API key of this name.
    fn key(&self, name: &str, more: &[&str]) -> Outcome<Key> {
        self.command(&[&["keys", "add", name], more].concat()).map(Key)
    }
}

/// An API key.
struct Key(String);

impl Key {
    /// The same request, showing it.
    fn on(&self, request: &[u8]) -> Vec<u8> {
        let line = format!("\r\nAuthorization: Bearer {}\r\n", self.0);
        String::from_utf8_lossy(request).replacen("\r\n", &line, 1).into_bytes()
    }
}

/// What `Authorization` says for a request that is signed as this text, and whose signature that is.
fn signed(key: &NodeKey, text: &str) -> Outcome<(String, String)> {
    let public = key.public();
    let mut blob = Vec::new();
    for part in [b"ssh-ed25519".as_slice(), public.as_bytes().as_slice()] {
        blob.extend_from_slice(&u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        blob.extend_from_slice(part);
    }
    let proof = format!("{}:{}", BASE64.encode(&blob), BASE64.encode(&key.sign(text.as_bytes())));
    let device = device::verify(&proof, text).map_err(|e| Failure::broken(e.to_string()))?;
    Ok((proof, device.identity.to_string()))
}
