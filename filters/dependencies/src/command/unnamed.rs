//! Commands whose packages only their run will name: by variables, other commands, their input.

/// So far back it is looked for what hands a command its arguments, in bytes.
const LOOK_BACK: usize = 256;
/// Programs that run a command with what they read.
const FEEDERS: [&str; 2] = ["parallel", "xargs"];
/// What compares versions, or begins an extra or a marker: the name stands before it.
const BEHIND_NAME: &[char] = &['=', '<', '>', '~', '!', '[', ';'];
/// Folders that everybody has: what lies in them was not brought in.
const FOLDERS: [&str; 6] = ["$HOME/", "${HOME}/", "$PWD/", "${PWD}/", "$(pwd)/", "%CD%\\"];
/// Endings of packages that lie there already.
const ARCHIVES: [&str; 5] = [".whl", ".tgz", ".gz", ".zip", ".nupkg"];

/// Whether a word in the place of a package's name is made when the command runs: `$NAME`, `$(cat names)`, `a{b,c}`,
/// `%NAME%`. A version that is made leaves the name.
pub(super) fn is_made(word: &str) -> bool {
    let own = FOLDERS.iter().any(|folder| word.starts_with(folder))
        || word.starts_with(['/', '.', '~'])
        || ARCHIVES.iter().any(|end| word.ends_with(end));
    if own || word.contains("://") {
        return false;
    }
    if matches!(word, "$@" | "$*") {
        return true;
    }
    // An npm name may begin with the sign that parts name and version.
    let from = word.len() - word.trim_start_matches('@').len();
    let rest = word.get(from..).unwrap_or_default();
    let name = rest.split('@').next().unwrap_or(rest).split(BEHIND_NAME).next().unwrap_or(rest);
    let variable = name.match_indices('$').any(|(at, _)| {
        let next = name.get(at + 1..).and_then(|rest| rest.chars().next());
        next.is_some_and(|c| c.is_alphanumeric() || "_{(".contains(c))
    });
    let percent = name.len() > 2 && name.starts_with('%') && name.ends_with('%');
    variable || percent || name.contains('{')
}

/// Takes out what stands in backticks: another command, whose words are no packages. Whether there was any.
pub(super) fn take_inner(words: &mut Vec<String>) -> bool {
    let (mut within, mut any) = (false, false);
    words.retain(|word| {
        let begins = word.strip_prefix('`').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()));
        let inner = within || begins;
        any |= begins;
        within = inner && !(word.len() > 1 && word.ends_with('`'));
        !inner
    });
    any
}

/// Whether a list is read from what is handed in, not from a file that lies there.
pub(super) fn is_input(file: &str) -> bool {
    file == "-" || file == "/dev/stdin" || file.starts_with("/dev/fd/") || file.starts_with("<(")
}

/// Whether a list of a command's words in code has one that is no string: `[\"pip\", \"install\", name]`.
pub(super) fn has_variable(text: &str) -> bool {
    // The first word's quote stands before the text.
    let mut quote = None;
    let mut first = true;
    let mut escaped = false;
    // What stands outside of strings, each of which is one sign.
    let mut code = String::new();
    for c in text.chars() {
        match quote {
            None if first => first = !matches!(c, '"' | '\''),
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => code.push(c),
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => {
                quote = None;
                code.push('"');
            }
            Some(_) => {}
        }
    }
    // An argument by name is an option of what runs the command.
    code.split(',').map(str::trim).any(|item| {
        let item = item.trim_start_matches('*').trim_end_matches([')', ']', '}']);
        let name = item.split(['.', '(', '[']).next().unwrap_or(item).trim();
        !item.contains('"')
            && !item.contains('=')
            && name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !matches!(name, "True" | "False" | "None" | "true" | "false" | "null")
    })
}

/// Whether what stands before a command in its line hands it arguments: `cat names | xargs pip install`.
pub(crate) fn is_fed(before: &str) -> bool {
    let from = (before.len().saturating_sub(LOOK_BACK)..=before.len()).find(|at| before.is_char_boundary(*at));
    let near = before.get(from.unwrap_or_default()..).unwrap_or_default();
    let command = near.rsplit(['|', ';', '&', '`', '(', '\n']).next().unwrap_or(near);
    command.split_whitespace().any(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        FEEDERS.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_made_is_told_from_a_version_that_is() {
        for made in
            ["$PKG", "${PKG}", "$(cat", "\"$@\"", "a$B", "$PKG==1.0", "{a,b}", "lib{x}", "%NAME%", "@$SCOPE/x", "$a/b"]
        {
            assert!(is_made(made.trim_matches('"')), "{made}");
        }
        for named in [
            "requests==$VERSION",
            "lodash@$V",
            "a[$EXTRA]",
            "./$DIR",
            "$HOME/x",
            "$DIR/x.whl",
            "a",
            "a$",
            "50%",
            "@types/node@^1",
            "git+https://x.example/$ORG/x.git",
        ] {
            assert!(!is_made(named), "{named}");
        }
    }

    #[test]
    fn what_hands_arguments_stands_before_the_command() {
        for before in ["cat names | xargs ", "xargs -n1 sudo ", "$ echo x | /usr/bin/xargs -I{} ", "ls | parallel "] {
            assert!(is_fed(before), "{before}");
        }
        for before in ["", "xargs ls; ", "echo xargs && ", "cat x | "] {
            assert!(!is_fed(before), "{before}");
        }
        assert!(!is_fed(&format!("xargs {}", "é".repeat(LOOK_BACK))));
    }

    #[test]
    fn what_is_no_string_in_a_list_is_a_variable() {
        for text in [
            "pip\", \"install\", name",
            "pip', 'install', *names",
            "pip\", \"install\", args.package",
            "npm\", \"i\", pick()",
        ] {
            assert!(has_variable(text), "{text}");
        }
        for text in
            ["pip\", \"install\", \"x\"", "pip', 'install', 'x', check=True", "pip\", \"install\", f\"x\"", "pip"]
        {
            assert!(!has_variable(text), "{text}");
        }
    }
}
