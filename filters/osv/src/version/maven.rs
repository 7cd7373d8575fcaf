//! Versions of Maven.

use std::cmp::Ordering;

use super::number::Number;

/// A version in the order of <https://maven.apache.org/pom.html#version-order-specification>: tokens between dots,
/// dashes, and changes from digits to letters, without the empty ones at the end and before a dash. What is missing
/// is [`Token::Nothing`].
#[derive(Clone, Debug)]
pub(super) struct Maven(Vec<Token>);

/// A token, the lowest first: a name for what comes before a release, the release itself, a service pack, any other
/// name, a number after a dash, a number after a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    Alpha,
    Beta,
    Milestone,
    Candidate,
    Snapshot,
    Nothing,
    ServicePack,
    Name(Box<str>),
    Dashed(Number),
    Dotted(Number),
}

impl Maven {
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Anything is a version of Maven; of one with other characters than these, nothing useful can be said.
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b)) {
            return None;
        }
        let text = text.to_ascii_lowercase();
        let mut tokens = Vec::new();
        let mut dashed = false;
        let mut rest = text.as_str();
        loop {
            let digits = rest.starts_with(|c: char| c.is_ascii_digit());
            let end = rest.find(|c: char| c == '.' || c == '-' || c.is_ascii_digit() != digits).unwrap_or(rest.len());
            let (run, after) = rest.split_at_checked(end)?;
            let before_digit = after.starts_with(|c: char| c.is_ascii_digit());
            let token = match run {
                "" => numbered(dashed, Number::default()),
                run if digits => numbered(dashed, Number::parse(run)?),
                run => Token::named(run, before_digit),
            };
            // A name after a dot counts as one after a dash.
            if dashed || !matches!(token, Token::Dotted(_)) {
                trim(&mut tokens);
            }
            tokens.push(token);
            let Some(separator) = after.chars().next() else { break };
            dashed = separator != '.';
            rest = after.strip_prefix(['.', '-']).unwrap_or(after);
            if rest.is_empty() {
                break;
            }
        }
        trim(&mut tokens);
        Some(Self(tokens))
    }

    pub(super) fn is_prerelease(&self) -> bool {
        self.0.iter().any(|token| *token < Token::Nothing)
    }

    fn at(&self, i: usize) -> &Token {
        self.0.get(i).unwrap_or(&Token::Nothing)
    }
}

fn numbered(dashed: bool, number: Number) -> Token {
    if dashed { Token::Dashed(number) } else { Token::Dotted(number) }
}

/// Takes away the tokens at the end that say nothing.
fn trim(tokens: &mut Vec<Token>) {
    while tokens.last().is_some_and(Token::is_nothing) {
        tokens.pop();
    }
}

impl Token {
    fn named(name: &str, before_digit: bool) -> Self {
        match name {
            "alpha" => Self::Alpha,
            "a" if before_digit => Self::Alpha,
            "beta" => Self::Beta,
            "b" if before_digit => Self::Beta,
            "milestone" => Self::Milestone,
            "m" if before_digit => Self::Milestone,
            "rc" | "cr" => Self::Candidate,
            "snapshot" => Self::Snapshot,
            "final" | "ga" | "release" => Self::Nothing,
            "sp" => Self::ServicePack,
            name => Self::Name(name.into()),
        }
    }

    fn is_nothing(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Dashed(number) | Self::Dotted(number) => number.is_zero(),
            _ => false,
        }
    }
}

impl PartialEq for Maven {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Maven {}

impl PartialOrd for Maven {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Maven {
    fn cmp(&self, other: &Self) -> Ordering {
        let longest = self.0.len().max(other.0.len());
        (0..longest).map(|i| self.at(i).cmp(other.at(i))).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}
