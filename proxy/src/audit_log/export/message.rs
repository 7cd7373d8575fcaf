//! Entries as syslog messages (RFC 5424), each counted as the transport asks for (RFC 5425, and RFC 6587 without TLS).

use portcullis_audit::{Line, Value};

use super::Sender;
use crate::audit_log::Concern;
use crate::config::Format;

/// The facility "log audit".
const FACILITY: u8 = 13;
/// The longest name of a host, of a program, and of a kind of message (RFC 5424, section 6).
const MAX_HOST: usize = 255;
const MAX_PROCESS: usize = 128;
const MAX_ID: usize = 32;
/// What stands where there is nothing to say.
const NIL: &str = "-";
/// The number that RFC 5612 sets aside for those who have none of their own.
const ENTERPRISE: u32 = 32_473;
/// What stands before a text that is not ASCII alone (RFC 5424, section 6.4).
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Everything that is the same in all messages of a gate.
pub(super) struct Writer {
    format: Format,
    host: String,
    process: String,
    id: String,
    name: String,
}

/// How much a message should worry somebody (RFC 5424, section 6.2.1).
#[derive(Clone, Copy)]
enum Severity {
    Critical = 2,
    Error = 3,
    Warning = 4,
    Notice = 5,
    Informational = 6,
}

impl Writer {
    pub(super) fn new(format: Format, sender: &Sender) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            format,
            host: word(&host, MAX_HOST),
            process: word(&std::process::id().to_string(), MAX_PROCESS),
            id: sender.id.clone(),
            name: sender.name.clone(),
        }
    }

    /// Adds a line of the log, without its newline, as a counted message.
    pub(super) fn write(&self, line: &[u8], frames: &mut Vec<u8>) {
        let message = self.message(line);
        frames.extend_from_slice(message.len().to_string().as_bytes());
        frames.push(b' ');
        frames.extend_from_slice(&message);
    }

    fn message(&self, bytes: &[u8]) -> Vec<u8> {
        let line = Line::read(bytes);
        let priority = FACILITY * 8 + severity(line.as_ref()) as u8;
        let (time, what) = line.as_ref().map_or((NIL, NIL), |line| (line.timestamp, line.event_type));
        let mut head = format!(
            "<{priority}>1 {time} {} portcullis {} {} [origin software=\"portcullis\" swVersion=\"{}\"][portcullis@{ENTERPRISE}",
            self.host,
            self.process,
            word(what, MAX_ID),
            env!("CARGO_PKG_VERSION"),
        );
        parameter(&mut head, "node", &self.id);
        parameter(&mut head, "name", &self.name);
        if let Some(line) = &line {
            parameter(&mut head, "seq", &line.seq_no.to_string());
        }
        head.push_str("] ");
        let cef = (self.format == Format::Cef).then(|| crate::cli::as_cef(bytes)).flatten();
        let said = cef.as_deref().map_or(bytes, str::as_bytes);
        let mut message = head.into_bytes();
        if !said.is_ascii() {
            message.extend_from_slice(MARK);
        }
        message.extend_from_slice(said);
        message
    }
}

fn severity(line: Option<&Line<'_>>) -> Severity {
    let Some(line) = line else { return Severity::Error };
    let decision = line.field("policy_decision").and_then(|value| value.text());
    let shadow = matches!(line.field("shadow"), Some(Value::Truth(true)));
    match (decision.as_deref(), Concern::of(line.event_type)) {
        (Some("BLOCK"), _) => Severity::Warning,
        _ if shadow => Severity::Notice,
        (_, Concern::Alarm) => Severity::Critical,
        (_, Concern::Trouble) => Severity::Error,
        (_, Concern::None) => Severity::Informational,
    }
}

/// A text as a word of the header: printable ASCII without blanks.
fn word(text: &str, most: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { NIL.to_owned() } else { word }
}

/// Adds a parameter of structured data; `"`, `\` and `]` are escaped, and nothing else (RFC 5424, section 6.3.3).
fn parameter(head: &mut String, name: &str, value: &str) {
    head.push(' ');
    head.push_str(name);
    head.push_str("=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            head.push('\\');
        }
        head.push(c);
    }
    head.push('"');
}

#[cfg(test)]
mod tests {
    use portcullis_audit::{Chain, Entry, Position, Seal, SealKey};
    use proptest::prelude::*;

    use super::*;

    /// An entry as the log has it, number 7, without its newline.
    fn line(policy_decision: &str, event_type: &'static str, shadow: bool) -> String {
        let entry = Entry { event_type, policy_decision, shadow, ..Entry::default() };
        let before = Position { next_seq: 7, previous: Seal::GENESIS };
        let mut line = Vec::new();
        Chain::resume(SealKey::new(&[1; 32]).unwrap(), before).seal(&entry.draft(), 1_795_248_000_123_456, &mut line);
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    fn writer(format: Format, name: &str) -> Writer {
        let sender = Sender { id: "did:key:z6Mk".to_owned(), name: name.to_owned() };
        Writer { host: "host.example".to_owned(), process: "42".to_owned(), ..Writer::new(format, &sender) }
    }

    /// Takes counted messages apart as a receiver does.
    fn unframe(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let blank = bytes.iter().position(|b| *b == b' ').unwrap();
            let length: usize = std::str::from_utf8(&bytes[..blank]).unwrap().parse().unwrap();
            assert_ne!(bytes[0], b'0', "a length has no leading zero");
            messages.push(bytes[blank + 1..blank + 1 + length].to_vec());
            bytes = &bytes[blank + 1 + length..];
        }
        messages
    }

    /// The parameters of the element that is the gate's own, and the message after it.
    fn read(message: &str) -> (Vec<(String, String)>, String) {
        let own = format!("[portcullis@{ENTERPRISE}");
        let mut chars = message[message.find(&own).unwrap() + own.len()..].chars();
        let mut parameters = Vec::new();
        loop {
            match chars.next().unwrap() {
                ']' => break,
                ' ' => {}
                c => panic!("{c}"),
            }
            let name: String = chars.by_ref().take_while(|c| *c != '=').collect();
            assert_eq!(chars.next(), Some('"'));
            let mut value = String::new();
            loop {
                match chars.next().unwrap() {
                    '\\' => value.push(chars.next().unwrap()),
                    '"' => break,
                    c => value.push(c),
                }
            }
            parameters.push((name, value));
        }
        assert_eq!(chars.next(), Some(' '));
        (parameters, chars.collect())
    }

    #[test]
    fn a_message_reads_as_the_standard_says() {
        let entry = line("BLOCK", "request", false);
        let mut frames = Vec::new();
        writer(Format::Json, "gate").write(entry.as_bytes(), &mut frames);
        let messages = unframe(&frames);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            String::from_utf8(messages[0].clone()).unwrap(),
            format!(
                "<108>1 2026-11-21T08:00:00.123456+00:00 host.example portcullis 42 request [origin software=\"portcullis\" \
                 swVersion=\"{version}\"][portcullis@32473 node=\"did:key:z6Mk\" name=\"gate\" seq=\"7\"] {entry}"
            )
        );
    }

    #[test]
    fn the_severity_follows_the_decision() {
        for (decision, event, shadow, expected) in [
            ("BLOCK", "request", false, "<108>"),
            ("ALLOW", "request", false, "<110>"),
            ("ALLOW", "request", true, "<109>"),
            ("", "audit.segment", false, "<110>"),
            ("", "audit.recovered", false, "<107>"),
            ("", "audit.repaired", false, "<107>"),
            ("", "audit.read_anew", false, "<107>"),
            ("", "audit.witness_conflict", false, "<106>"),
        ] {
            let message = writer(Format::Json, "gate").message(line(decision, event, shadow).as_bytes());
            assert!(String::from_utf8_lossy(&message).starts_with(expected), "{decision} {event}");
        }
        let message = writer(Format::Json, "gate").message(b"no entry");
        assert!(message.starts_with(b"<107>1 - host.example portcullis 42 - ["));
    }

    #[test]
    fn a_mark_stands_before_what_is_not_ascii() {
        for (text, marked) in [("plain", false), ("gr\u{fc}n", true)] {
            let message = writer(Format::Json, "gate").message(text.as_bytes());
            assert!(message.ends_with(text.as_bytes()));
            let end = message.len() - text.len();
            assert_eq!(message[..end].ends_with(MARK), marked, "{text}");
        }
        let cef = writer(Format::Cef, "gate").message(line("", "request", false).as_bytes());
        assert!(String::from_utf8(cef).unwrap().contains("] CEF:0|Portcullis|Portcullis|"));
    }

    proptest! {
        #[test]
        fn any_lines_and_names_come_back(
            lines in prop::collection::vec("[^\n]{0,200}", 0..8),
            name in "\\PC{0,40}",
        ) {
            let (mut frames, writer) = (Vec::new(), writer(Format::Json, &name));
            lines.iter().for_each(|line| writer.write(line.as_bytes(), &mut frames));
            let messages = unframe(&frames);
            prop_assert_eq!(messages.len(), lines.len());
            for (message, line) in messages.iter().zip(&lines) {
                let message = std::str::from_utf8(message).unwrap();
                let (parameters, said) = read(message);
                prop_assert_eq!(&parameters[1], &("name".to_owned(), name.clone()));
                prop_assert_eq!(said.strip_prefix('\u{feff}').unwrap_or(&said), line);
                prop_assert_eq!(said.starts_with('\u{feff}') || line.starts_with('\u{feff}'), !line.is_ascii());
            }
        }
    }
}
