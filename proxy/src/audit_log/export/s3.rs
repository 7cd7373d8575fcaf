//! A bucket of objects on a server that speaks Amazon's S3.
//!
//! Requests are signed in their address (Signature Version 4), so an address is as good as a key until it expires: it
//! stands in no log and in no error.

use std::time::Duration;

use data_encoding::BASE64;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use sha2::{Digest as _, Sha256};

use super::archive::Shelf;
use crate::config;
use crate::web;

/// How long one request may take: the largest batch over a slow line.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an address holds: a request's time, and clocks that differ.
const HOLDS: Duration = Duration::from_secs(600);
/// How much of an answer that says no is read.
const MAX_ANSWER: u64 = 16 << 10;
/// The digest that the server checks and keeps.
const CHECKSUM: &str = "x-amz-checksum-sha256";

pub(super) struct Store {
    settings: config::Bucket,
    credentials: Credentials,
    /// Made when it is first needed: authorities may not be there before.
    open: Option<(Bucket, ureq::Agent)>,
}

impl Store {
    pub(super) fn new(settings: &config::Bucket) -> Self {
        let credentials = Credentials::new(settings.access_key.expose(), settings.secret_key.expose());
        Self { settings: settings.clone(), credentials, open: None }
    }

    fn open(&self) -> Result<(Bucket, ureq::Agent), String> {
        let settings = &self.settings;
        let agent = web::agent(settings.ca.as_deref(), PATIENCE)?;
        let usual = format!("https://s3.{}.amazonaws.com", settings.region);
        let endpoint = settings.endpoint.as_ref().unwrap_or(&usual);
        let endpoint: url::Url = endpoint.parse().map_err(|_| format!("`{endpoint}` is no address"))?;
        // A certificate for `*.s3.…` does not fit a name with a dot in it.
        let own_host = settings.endpoint.is_none() && !settings.name.contains('.');
        let style = if own_host { UrlStyle::VirtualHost } else { UrlStyle::Path };
        let bucket = Bucket::new(endpoint, style, settings.name.clone(), settings.region.clone());
        Ok((bucket.map_err(|error| format!("`{}` is no bucket: {error}", settings.name))?, agent))
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.settings.prefix)
    }
}

impl Shelf for Store {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<bool, String> {
        let key = self.key(name);
        let failed = |why: String| format!("cannot put `{key}` into the bucket: {why}");
        let open = match self.open.take() {
            Some(open) => open,
            None => self.open().map_err(&failed)?,
        };
        let (bucket, agent) = self.open.insert(open);
        let digest = BASE64.encode(&Sha256::digest(bytes));
        let mut action = bucket.put_object(Some(&self.credentials), &key);
        action.headers_mut().insert("if-none-match", "*");
        action.headers_mut().insert(CHECKSUM, digest.as_str());
        let address = action.sign(HOLDS);
        let request = agent.put(address.as_str()).header("if-none-match", "*").header(CHECKSUM, &digest);
        let mut answer = request.send(bytes).map_err(|error| failed(said(&error)))?;
        match answer.status().as_u16() {
            200 => Ok(true),
            412 => Ok(false),
            status => Err(failed(refusal(status, &mut answer))),
        }
    }

    fn get(&mut self, name: &str, most: usize) -> Result<Vec<u8>, String> {
        let key = self.key(name);
        let failed = |why: String| format!("cannot see whether `{key}` in the bucket holds the same entries: {why}");
        let open = match self.open.take() {
            Some(open) => open,
            None => self.open().map_err(&failed)?,
        };
        let (bucket, agent) = self.open.insert(open);
        let address = bucket.get_object(Some(&self.credentials), &key).sign(HOLDS);
        let mut answer = agent.get(address.as_str()).call().map_err(|error| failed(said(&error)))?;
        match answer.status().as_u16() {
            200 => {
                let body = answer.body_mut().with_config().limit(most as u64 + 1).read_to_vec();
                body.map_err(|error| failed(said(&error)))
            }
            status => Err(failed(refusal(status, &mut answer))),
        }
    }
}

/// What went wrong, without the address.
fn said(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "its address is none".to_owned(),
        error => error.to_string(),
    }
}

/// What the server says instead: its status, and the code in its answer.
fn refusal(status: u16, answer: &mut http::Response<ureq::Body>) -> String {
    let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().unwrap_or_default();
    match code(&text) {
        Some(code) => format!("the server answered {status} `{code}`"),
        None => format!("the server answered {status}"),
    }
}

/// The code in an answer that says no: one word. The rest of it may repeat the request.
fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let word = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    word.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_that_says_no_only_the_code_is_told() {
        let text =
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>X-Amz-Signature=abc</Message></Error>";
        assert_eq!(code(text), Some("AccessDenied"));
        for text in ["", "<Code></Code>", "<Code>a b</Code>", "<Code>X-Amz-Signature=abc</Code>", "<Code>open"] {
            assert_eq!(code(text), None, "{text}");
        }
    }
}
