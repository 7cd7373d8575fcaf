//! What the arguments of a call bring in by what stands beside each other in them.

use portcullis_dependencies::{Findings, Hint, Unreadable, What, find};

use super::{MOST_ARGUMENTS, merge};
use crate::json::Json;

/// So many bytes of them are read in all, where they stand within each other: a few times what there is.
const MOST_READ: usize = 8 * MOST_ARGUMENTS;

/// Keys of what is run, and of what it is given.
const COMMANDS: &[&str] = &["command", "cmd", "program", "executable", "bin", "tool", "name"];
const GIVEN: &[&str] = &["args", "arguments", "argv", "parameters", "params"];
/// Keys of a file's name, and of what is written to it.
const PATHS: &[&str] = &[
    "path",
    "filename",
    "file",
    "file_path",
    "filepath",
    "file_name",
    "target_file",
    "name",
    "uri",
    "targetfile",
    "relative_path",
    "destination",
];
const CONTENTS: &[&str] = &[
    "content",
    "contents",
    "text",
    "data",
    "body",
    "code",
    "source",
    "value",
    "file_text",
    "file_content",
    "new_str",
    "new_string",
    "new_content",
    "new_text",
    "newtext",
    "insert_text",
    "patch",
    "diff",
];

/// What whole arguments bring in by what stands beside each other in them.
pub(super) fn read(text: &str) -> Findings {
    let mut findings = Findings::default();
    let Ok(json) = Json::parse_text(text) else {
        // Prose in brackets begins with a word. Whoever runs this may read it otherwise than is judged here.
        if text.trim_start_matches(|c: char| c.is_whitespace() || "[{".contains(c)).starts_with('"') {
            findings.unreadable.push(Unreadable { what: What::Json, place: 0..text.len() });
        }
        return findings;
    };
    merge(&mut findings, in_values(text, &json));
    findings
}

/// What a call brings in whose arguments are a value.
pub(in crate::sca) fn of_call(arguments: &Json<'_>) -> Findings {
    in_values(&String::from_utf8_lossy(&arguments.to_bytes()), arguments)
}

/// What a value brings in, by its text and by what stands beside each other in it.
fn in_values(text: &str, value: &Json<'_>) -> Findings {
    let mut findings = without_form(find(text, Hint::Language("json")));
    together(value, None, &mut { MOST_READ }, &mut findings);
    findings
}

/// Looks through what stands beside each other; `above` is the file that what stands around it names, and `room` says how
/// much may yet be read.
fn together(json: &Json<'_>, above: Option<&str>, room: &mut usize, findings: &mut Findings) {
    let shell = |line: &str, findings: &mut Findings| merge(findings, find(line, Hint::Language("sh")));
    if let Some(items) = json.as_array() {
        if let Some(line) = joined(items, " ") {
            shell(&line, findings);
        }
        items.iter().for_each(|item| together(item, above, room, findings));
    }
    let entries = json.as_object().unwrap_or_default();
    let of = |keys: &'static [&str]| entries.iter().filter(|(key, _)| keys.iter().any(|k| key.eq_ignore_ascii_case(k)));
    for command in of(COMMANDS).filter_map(|(_, value)| value.as_str()) {
        for (_, given) in of(GIVEN) {
            let given = given.as_str().map(str::to_owned).or_else(|| joined(given.as_array()?, " "));
            if let Some(given) = given {
                shell(&format!("{command} {given}"), findings);
            }
        }
    }
    let own: Vec<&str> = of(PATHS).filter_map(|(_, value)| value.as_str()).collect();
    // Edits of a file stand below its name.
    let file = own.iter().find(|path| path.contains('.')).copied().or(above);
    for path in own.iter().copied().chain(above.filter(|_| own.is_empty())) {
        let named = |key: &str| CONTENTS.iter().any(|content| key.eq_ignore_ascii_case(content));
        // What an edit takes away brings nothing in.
        let taken = |key: &str| key.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("old"));
        for (key, value) in entries.iter().filter(|(key, _)| !taken(key)) {
            let text = match value {
                Json::String(text) if named(key) || text.contains('\n') => text.to_string(),
                Json::Array(items) if named(key) => joined(items, "\n").unwrap_or_default(),
                Json::Object(_) => String::from_utf8_lossy(&value.to_bytes()).into_owned(),
                _ => continue,
            };
            let Some(left) = room.checked_sub(text.len()) else {
                return findings.unreadable.push(Unreadable { what: What::Long, place: 0..text.len() });
            };
            *room = left;
            merge(findings, without_form(find(&text, Hint::File(path))));
        }
    }
    for (key, value) in entries {
        // `{"requirements.txt": "what it holds"}`
        if let (true, Json::String(text)) = (key.contains('.'), value) {
            let Some(left) = room.checked_sub(text.len()) else {
                return findings.unreadable.push(Unreadable { what: What::Long, place: 0..text.len() });
            };
            *room = left;
            merge(findings, without_form(find(text, Hint::File(key))));
        }
        together(value, file, room, findings);
    }
}

/// The strings of an array, if it has nothing else.
fn joined(items: &[Json<'_>], with: &str) -> Option<String> {
    let strings: Option<Vec<&str>> = items.iter().map(Json::as_str).collect();
    strings.filter(|strings| !strings.is_empty()).map(|strings| strings.join(with))
}

/// Without what is only no whole file: a part of one is none.
fn without_form(mut findings: Findings) -> Findings {
    findings.unreadable.retain(|unreadable| !matches!(unreadable.what, What::Json | What::Toml | What::Xml));
    findings
}
