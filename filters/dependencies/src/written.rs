//! What a shell is told to write into a manifest: `echo evil >> requirements.txt`, also through `tee`.

use crate::format::{Format, Hint};
use crate::found::{Found, How, Spec};
use crate::lines::{Line, Out};

/// What may stand before a command without being one: steps of a Dockerfile, a prompt, what runs another command.
const BEFORE: [&str; 12] = ["$", "%", ">", "command", "do", "else", "env", "exec", "run", "sudo", "then", "time"];

/// A command of a line, as far as it writes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Command {
    words: Vec<String>,
    /// The files that its output goes to.
    files: Vec<String>,
    /// Whether its output is the next one's input.
    piped: bool,
}

/// Tells what the line writes into manifests.
pub(crate) fn line(line: &Line<'_>, out: &mut Out<'_>) {
    // Nearly all lines write nothing.
    if !line.text.contains('>') && !line.text.contains("tee ") {
        return;
    }
    let commands = commands(line.text);
    for (position, command) in commands.iter().enumerate() {
        let Some(text) = command.says() else { continue };
        let tee = commands.get(position + 1).filter(|_| command.piped).map(Command::tee).unwrap_or_default();
        for file in one_of_each(command.files.iter().map(String::as_str).chain(tee)) {
            for found in crate::find(&text, Hint::File(file)).found {
                let how = found.how;
                out.add(spec(found), how, line.place.clone());
            }
        }
    }
}

/// What was found in a text within another one, as an entry of that.
pub(crate) fn spec(found: Found) -> Spec {
    let spec = Spec::new(found.package.ecosystem(), &found.written, found.wanted);
    Spec { remote: found.remote, hint: found.how == How::Import, perhaps: found.how == How::Perhaps, ..spec }
}

/// The manifests among files, one of each kind: a text reads the same in all of a kind, and a line may name thousands.
fn one_of_each<'f>(files: impl Iterator<Item = &'f str>) -> Vec<&'f str> {
    let (mut kinds, mut one) = (Vec::new(), Vec::new());
    for file in files {
        if let Some(format) = Format::of(Hint::File(file)).filter(|format| is_manifest(*format))
            && !kinds.contains(&format)
        {
            kinds.push(format);
            one.push(file);
        }
    }
    one
}

/// Whether a file of this kind lists what a project needs. Programs and texts do not.
fn is_manifest(format: Format) -> bool {
    matches!(
        format,
        Format::GoMod
            | Format::Gradle
            | Format::Json
            | Format::Requirements
            | Format::Ruby
            | Format::Toml
            | Format::Xml
            | Format::Yaml
    )
}

impl Command {
    /// What it writes, if it is one that does.
    fn says(&self) -> Option<String> {
        let mut words = self
            .words
            .iter()
            .map(String::as_str)
            .skip_while(|word| BEFORE.iter().any(|before| before.eq_ignore_ascii_case(word)));
        let with = match words.next()?.to_ascii_lowercase().as_str() {
            "echo" => " ",
            // Each argument stands in the place of a mark of the first.
            "printf" => "\n",
            _ => return None,
        };
        let words: Vec<&str> =
            words.skip_while(|word| matches!(*word, "-e" | "-n" | "-E" | "-en" | "-ne" | "--")).collect();
        Some(words.join(with))
    }

    /// The files that `tee` writes.
    fn tee(&self) -> Vec<&str> {
        let mut words = self.words.iter().map(String::as_str).skip_while(|word| *word == "sudo");
        if words.next() != Some("tee") {
            return Vec::new();
        }
        words.filter(|word| !word.starts_with('-')).collect()
    }
}

/// The commands of a line as a shell parts them.
fn commands(text: &str) -> Vec<Command> {
    let (mut all, mut command) = (Vec::new(), Command::default());
    let (mut word, mut begun, mut into, mut quote) = (String::new(), false, false, None);
    let mut chars = text.chars().peekable();
    // Ends the word: it is one of the command, or the file that a sign before it names.
    let put = |command: &mut Command, word: &mut String, begun: &mut bool, into: &mut bool| {
        if std::mem::take(begun) {
            let word = std::mem::take(word);
            if std::mem::take(into) { command.files.push(word) } else { command.words.push(word) }
        }
    };
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                // What `echo` and `printf` read as the end of a line.
                let next = chars.next();
                // The line goes on.
                if next == Some('\n') {
                    continue;
                }
                word.extend(if next == Some('n') && quote.is_some() { Some('\n') } else { next });
                begun = true;
            }
            ('\\', Some('\'')) if chars.peek() == Some(&'n') => {
                chars.next();
                word.push('\n');
            }
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => word.push(c),
            ('"' | '\'', None) => (quote, begun) = (Some(c), true),
            ('>', None) => {
                // `2>` and `&>`: which output it is.
                if word.chars().all(|c| c.is_ascii_digit()) {
                    (begun, word) = (false, String::new());
                }
                put(&mut command, &mut word, &mut begun, &mut into);
                into = true;
            }
            (';' | '|' | '&' | '\n', None) => {
                if c == '&' && (into || chars.peek() == Some(&'>')) {
                    continue;
                }
                put(&mut command, &mut word, &mut begun, &mut into);
                command.piped = c == '|' && chars.peek() != Some(&'|');
                into = false;
                all.push(std::mem::take(&mut command));
            }
            _ if c.is_whitespace() => put(&mut command, &mut word, &mut begun, &mut into),
            _ => {
                word.push(c);
                begun = true;
            }
        }
    }
    put(&mut command, &mut word, &mut begun, &mut into);
    all.push(command);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Vec<(String, Vec<String>)> {
        let writes = |command: &Command| Some((command.says()?, command.files.clone()));
        commands(text).iter().filter_map(writes).filter(|(_, files)| !files.is_empty()).collect()
    }

    #[test]
    fn what_is_written_where_is_read_as_a_shell_does() {
        let one = |text: &str, file: &str| vec![(text.to_owned(), vec![file.to_owned()])];
        for (text, writes) in [
            ("echo evil >> requirements.txt", one("evil", "requirements.txt")),
            ("echo 'evil==1.0'>requirements.txt", one("evil==1.0", "requirements.txt")),
            ("cd app && echo -e \"a\\nb\" >> 'my reqs.txt' && ls", one("a\nb", "my reqs.txt")),
            ("> requirements.txt echo evil", one("evil", "requirements.txt")),
            ("RUN sudo printf '%s\\n' a b >> r.txt", one("%s\n\na\nb", "r.txt")),
            ("echo it 2>&1 >> r.txt", one("it", "r.txt")),
            ("cat a > b; ls > c", vec![]),
            ("echo a\\>b", vec![]),
        ] {
            let said: Vec<_> = written(text)
                .into_iter()
                .map(|(text, files)| (text, files.into_iter().filter(|f| f != "1").collect::<Vec<_>>()))
                .collect();
            assert_eq!(said, writes, "{text}");
        }
        let all = commands("echo a | sudo tee -a x.txt y.txt");
        assert!(all[0].piped && all[1].tee() == ["x.txt", "y.txt"], "{all:?}");
    }
    /// A line of 64 KiB that named one list thousands of times was read thousands of times.
    #[test]
    fn a_text_is_read_once_for_each_kind_of_manifest() {
        let line = format!("echo evil{}", " > requirements.txt > Cargo.toml > notes.md".repeat(1000));
        let commands = commands(&line);
        assert_eq!(commands[0].files.len(), 3000);
        assert_eq!(one_of_each(commands[0].files.iter().map(String::as_str)), ["requirements.txt", "Cargo.toml"]);
    }
}
