//! The options of a command, and what they take.

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arg<'w> {
    /// An option and what it takes.
    Option(&'w str, &'w str),
    Plain(&'w str),
}

/// The arguments among words. Options that `takes` names take the next word.
pub(crate) fn args<'w>(words: &'w [String], takes: &[&str]) -> Vec<Arg<'w>> {
    let (mut args, mut words) = (Vec::new(), words.iter());
    while let Some(word) = words.next() {
        let word = word.as_str();
        if !word.starts_with('-') || word == "-" {
            args.push(Arg::Plain(word));
        } else if let Some((name, value)) = word.split_once('=') {
            args.push(Arg::Option(name, value));
        } else if takes.iter().any(|takes| takes.eq_ignore_ascii_case(word)) {
            args.push(Arg::Option(word, words.next().map_or("", String::as_str)));
        } else if let Some((name, value)) = joined(word, takes) {
            args.push(Arg::Option(name, value));
        } else {
            args.push(Arg::Option(word, ""));
        }
    }
    args
}

/// `-v1.2`: a short option and what it takes in one word.
fn joined<'w>(word: &'w str, takes: &[&str]) -> Option<(&'w str, &'w str)> {
    let (name, value) = word.split_at_checked(2)?;
    (takes.contains(&name) && !name.starts_with("--") && !value.is_empty()).then_some((name, value))
}
