//! Scanning the texts of one request: each as it stands, as it looks, and as it reads when decoded,
//! and all of them as the model reads them, one after the other.

use crate::engine::Hits;
use crate::finding::{Finding, Through};
use crate::rule::Direction;
use crate::rules::Rules;

/// One text of a request or an answer.
#[derive(Clone, Copy, Debug)]
pub struct Text<'t> {
    /// What it says, decoded from the format it came in.
    pub text: &'t str,
    /// Who says it.
    pub origin: Origin,
    /// Whether the model reads it as the continuation of the one before it.
    pub flows: bool,
}

/// Who says a text. An order in a web page weighs more than one by the person who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The model, now or in an earlier turn.
    Answer,
    /// Whoever wrote the application: a system prompt, a tool's description.
    System,
    /// What a tool, a page or a document says.
    Tool,
    /// Nobody knows.
    #[default]
    Unknown,
    /// The person who asks.
    User,
}

/// What is reused from scan to scan, so that clean texts cost no allocation.
#[derive(Default)]
pub struct Scratch {
    hits: Hits,
}

impl Scratch {
    /// Says from which file the texts of the next scans are, for rules about certain files; from none, at first.
    pub fn set_path(&mut self, path: Option<&str>) {
        self.hits.path = path.map(ToOwned::to_owned);
    }
}

/// The texts take more work than texts of their size may take. They are not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text takes more work to judge than a text of its size may take")]
pub struct Exhausted;

impl Rules {
    /// Scans texts that go `way`, in the order in which they are read.
    ///
    /// # Errors
    /// [`Exhausted`]: the texts are not judged, and must not pass.
    pub fn scan<'r>(
        &'r self,
        texts: &[Text<'_>],
        way: Direction,
        scratch: &mut Scratch,
        found: &mut dyn FnMut(Finding<'r>),
    ) -> Result<(), Exhausted> {
        scratch.hits.begin();
        for (number, text) in texts.iter().enumerate() {
            self.engine.scan(text.text, &mut scratch.hits, &mut |hit| {
                if hit.rule.direction.covers(way) {
                    found(Finding {
                        rule: hit.rule,
                        text: number,
                        span: hit.span,
                        secret: hit.secret,
                        through: Through::Plain,
                        score: 100,
                    });
                }
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Selection, Source};

    #[test]
    fn finds_what_the_rules_say() {
        let rules = Rules::load(true, &[], &Selection::default()).map_err(|w| format!("{w:?}")).unwrap();
        let text = format!("so glpat-{} it is", "aB3dE5gH7jK9mN1pQ3sT");
        let mut found = Vec::new();
        let texts = [Text { text: &text, origin: Origin::User, flows: false }];
        rules.scan(&texts, Direction::Request, &mut Scratch::default(), &mut |f| found.push(f)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(&text[found[0].secret.clone()], "glpat-aB3dE5gH7jK9mN1pQ3sT");
    }

    #[test]
    fn a_broken_file_says_where() {
        let text = "[[rules]]\nid = \"one\"\nregex = '''a(b'''\n";
        let wrong = Rules::load(false, &[Source { name: "x.toml", text }], &Selection::default()).err().unwrap();
        assert!(wrong[0].to_string().starts_with("x.toml:1: rule `one`: its `regex` does not compile"), "{}", wrong[0]);
    }
}
