//! The options of a command, and what they take.

use super::options::Takes;

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arg<'w> {
    /// An option and what it takes.
    Option(&'w str, &'w str),
    /// What the option before takes with some tools only: with the others it is an argument of its own.
    Perhaps(&'w str),
    Plain(&'w str),
}

/// The arguments among words. Options that `takes` names take the next word.
pub(super) fn args<'w>(words: &'w [String], takes: Takes) -> Vec<Arg<'w>> {
    let (mut args, mut words) = (Vec::new(), words.iter().map(String::as_str).peekable());
    while let Some(word) = words.next() {
        if !word.starts_with('-') || word == "-" {
            args.push(Arg::Plain(word));
        } else if let Some((name, value)) = word.split_once('=') {
            args.push(Arg::Option(name, value));
        } else if takes.always.iter().any(|takes_it| is(word, takes_it, takes.any_case)) {
            args.push(Arg::Option(word, words.next().unwrap_or_default()));
        } else if takes.perhaps.contains(&word) {
            let value = words.next_if(|next| !next.starts_with('-')).unwrap_or_default();
            args.extend([Arg::Option(word, value), Arg::Perhaps(value)]);
        } else if let Some((name, value)) = joined(word, takes) {
            args.push(Arg::Option(name, value));
        } else {
            args.push(Arg::Option(word, ""));
        }
    }
    args
}

/// Whether a word is an option. `-P` and `-p` are two everywhere.
fn is(word: &str, option: &str, any_case: bool) -> bool {
    word == option || (any_case && option.len() > 2 && option.eq_ignore_ascii_case(word))
}

/// `-v1.2`: a short option and what it takes in one word.
fn joined(word: &str, takes: Takes) -> Option<(&str, &str)> {
    let (name, value) = word.split_at_checked(2)?;
    let known = takes.always.contains(&name) || takes.perhaps.contains(&name);
    (known && !name.starts_with("--") && !value.is_empty()).then_some((name, value))
}
