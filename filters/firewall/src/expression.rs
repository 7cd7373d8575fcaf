//! Regular expressions as gitleaks means them: those of Go, of ASCII.

use regex_automata::meta::Regex;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::Hir;

/// The memory that what is compiled of some expressions may take.
const LARGEST: usize = 16 << 20;

/// Reads an expression. What `\w`, `\d` and `\b` mean is of ASCII, and a brace that is no quantifier is a brace.
pub(crate) fn parse(expression: &str) -> Result<Hir, String> {
    // A parser that has failed must not be used again.
    let parser = || ParserBuilder::new().unicode(false).utf8(false).build();
    parser().parse(expression).or_else(|error| parser().parse(&braces_escaped(expression)).map_err(|_| reason(&error)))
}

/// One that matches where any of these does; `None` for none.
pub(crate) fn any(expressions: &[String]) -> Result<Option<Regex>, String> {
    if expressions.is_empty() {
        return Ok(None);
    }
    let parsed = expressions
        .iter()
        .map(|text| parse(text).map_err(|reason| format!("`{text}` does not compile: {reason}")))
        .collect::<Result<Vec<_>, _>>()?;
    let config = Regex::config().nfa_size_limit(Some(LARGEST)).utf8_empty(false);
    let built = Regex::builder().configure(config).build_many_from_hir(&parsed);
    built.map(Some).map_err(|error| format!("expressions do not compile: {error}"))
}

/// The reason in one line: the whole error draws the expression.
fn reason(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => format!("{} (at {})", error.kind(), error.span().start.offset),
        regex_syntax::Error::Translate(error) => format!("{} (at {})", error.kind(), error.span().start.offset),
        other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    }
}

/// Braces that stand for themselves in Go, written as Rust wants them.
fn braces_escaped(expression: &str) -> String {
    let mut escaped = String::with_capacity(expression.len() + 8);
    let mut in_class = false;
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '\\' => escape_length(rest),
            '{' if !in_class => match quantifier_length(rest) {
                Some(length) => length,
                None => {
                    escaped.push('\\');
                    1
                }
            },
            '}' if !in_class => {
                escaped.push('\\');
                1
            }
            '[' if !in_class => {
                in_class = true;
                // A bracket that comes first closes nothing.
                rest.strip_prefix("[^]").or(rest.strip_prefix("[]")).map_or(1, |after| rest.len() - after.len())
            }
            '[' => rest.strip_prefix("[:").and_then(|name| name.find(":]")).map_or(1, |end| end + 4),
            ']' => {
                in_class = false;
                1
            }
            other => other.len_utf8(),
        };
        let (piece, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        escaped.push_str(piece);
        rest = after;
    }
    escaped
}

/// The length of an escape such as `\n`, `\x60` or `\p{Greek}`.
fn escape_length(rest: &str) -> usize {
    let mut chars = rest.chars().skip(1);
    let Some(kind) = chars.next() else { return 1 };
    let braced = matches!(kind, 'x' | 'p' | 'P' | 'u' | 'U') && chars.next() == Some('{');
    match rest.find('}') {
        Some(end) if braced => end + 1,
        _ => 1 + kind.len_utf8(),
    }
}

/// The length of a quantifier such as `{3}`, `{3,}` or `{3,5}`.
fn quantifier_length(rest: &str) -> Option<usize> {
    let (inside, _) = rest.strip_prefix('{')?.split_once('}')?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(inside.len() + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(expression: &str, text: &str) -> bool {
        super::any(&[expression.to_owned()]).unwrap().unwrap().is_match(text)
    }

    #[test]
    fn braces_that_are_no_quantifiers_are_braces() {
        assert!(matches(r"^\${(?:[A-Z_]+|[a-z_]+)}$", "${HOME}"));
        assert!(matches(r"^\$(?:\d+|{\d+})$", "${12}"));
        assert!(matches(r"^[{}]{2}x{$", "{}x{"));
        assert!(matches(r"import[ \t]+{[ \t\w,]+}[ \t]+from", "import { a, b } from"));
        assert!(matches(r"^[]a]{$", "]{"));
        assert!(matches(r"^\x{41}[[:digit:]](?u:\p{L}){$", "A1b{"));
    }

    #[test]
    fn means_ascii() {
        assert!(!matches(r"^\w$", "é"));
        assert!(matches(r"a\b", "aé"));
    }

    #[test]
    fn says_why_in_one_line() {
        assert_eq!(parse("a(b").unwrap_err(), "unclosed group (at 1)");
        assert_eq!(parse(r"(a)\1").unwrap_err(), "backreferences are not supported (at 3)");
    }

    proptest! {
        #[test]
        fn never_breaks(text in r"([a-z\[\]{}\\^:x0-9,-]|\PC){0,24}") {
            let _ = parse(&text);
        }
    }
}
