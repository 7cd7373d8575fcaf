//! Patterns with `*` and `?`, matched in linear time.

/// A pattern: `*` stands for any run of characters, `?` for one. Letters match in either case (ASCII),
/// as Ollama compares names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Glob(String);

impl<'de> serde::Deserialize<'de> for Glob {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(from)?))
    }
}

impl Glob {
    /// A pattern as it is written.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_ascii_lowercase())
    }

    /// The pattern, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has no wildcard.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether the whole text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        fits(self.0.as_bytes(), text.as_bytes(), |byte| byte.to_ascii_lowercase())
    }

    /// Whether every text that fits the other pattern fits this one, as far as that is easily seen.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

/// A pattern of identities: as [`Glob`], but letters match in their own case alone. Two identities
/// that differ in case are two callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExactGlob(Box<str>);

impl ExactGlob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        fits(self.0.as_bytes(), text.as_bytes(), |byte| byte)
    }
}

/// What every text that fits a pattern begins with, and whether that is the whole of it.
pub(crate) fn beginning(pattern: &str) -> (&str, bool) {
    pattern.split_once(['*', '?']).map_or((pattern, true), |(beginning, _)| (beginning, false))
}

fn fits(pattern: &[u8], text: &[u8], fold: impl Fn(u8) -> u8) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stood, and how much text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                t += 1;
            }
            Some(wanted) if *wanted == fold(*byte) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    p = at + 1;
                    t = taken + 1;
                    star = Some((at, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

impl std::str::FromStr for Glob {
    type Err = std::convert::Infallible;

    fn from_str(pattern: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_texts() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*", "x", true),
            ("llama3*", "llama3:latest", true),
            ("llama3*", "xllama3", false),
            ("*:7b", "qwen:7b", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("LLaMA", "llama", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn identities_are_compared_in_their_own_case() {
        assert!(ExactGlob::new("key:ci").matches("key:ci") && !ExactGlob::new("key:ci").matches("key:CI"));
        assert!(ExactGlob::new("jwt:i#*").matches("jwt:i#A") && !ExactGlob::new("jwt:i#a*").matches("jwt:i#Ab"));
        assert_eq!((beginning("spiffe://td/*"), beginning("key:ci")), (("spiffe://td/", false), ("key:ci", true)));
        assert!(
            Glob::new("llama*").covers(&Glob::new("llama3*")) && !Glob::new("llama3*").covers(&Glob::new("llama*"))
        );
    }

    #[test]
    fn many_stars_take_no_longer_than_they_must() {
        let glob = Glob::new(&"a*".repeat(200));
        assert!(!glob.matches(&format!("{}b", "a".repeat(4000)).replace('b', "")[..0]));
        assert!(glob.matches(&"a".repeat(4000)));
    }
}
