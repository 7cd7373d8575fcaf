//! Blocks of code in Markdown: where they begin and end, and what they say they are.

/// An open block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    mark: char,
    /// As many marks as end it.
    count: usize,
}

impl Fence {
    /// The block that a line opens, and what the line says of it. The line has neither indentation nor the marks of
    /// lists and quotes any more.
    pub(crate) fn open(line: &str) -> Option<(Self, &str)> {
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = line.trim_start_matches(mark);
        let count = line.len() - info.len();
        // Backticks that close again in the same line are code within it.
        (count >= 3 && !(mark == '`' && info.contains('`'))).then_some((Self { mark, count }, info.trim()))
    }

    /// Whether a line ends the block.
    pub(crate) fn closes(self, line: &str) -> bool {
        let line = line.trim_matches([' ', '\t', '>']);
        line.chars().count() >= self.count && line.chars().all(|c| c == self.mark)
    }
}

/// Where the content of a line begins, behind its indentation and the marks of lists, quotes and prompts.
pub(crate) fn content(line: &str) -> usize {
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = digits.len() < rest.len() && rest.len() - digits.len() < 10;
        let next = if let Some(next) = rest.strip_prefix('>') {
            next
        } else if let Some(next) = ["- ", "* ", "+ ", "$ ", "% ", "• "].iter().find_map(|mark| rest.strip_prefix(mark))
        {
            next
        } else if numbered && let Some(next) = [". ", ") "].iter().find_map(|mark| digits.strip_prefix(mark)) {
            next
        } else if (numbered && matches!(digits, "" | "." | ")")) || matches!(rest, "*" | "+" | "$" | "%") {
            // It may become such a mark.
            ""
        } else {
            return line.len() - rest.len();
        };
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_open_and_close() {
        assert_eq!(Fence::open("```python title=x").map(|(_, info)| info), Some("python title=x"));
        assert!(Fence::open("```pip install x```").is_none());
        assert!(Fence::open("``").is_none());
        let (fence, _) = Fence::open("~~~~").unwrap();
        assert!(fence.closes("  > ~~~~~") && !fence.closes("~~~") && !fence.closes("````") && !fence.closes("~~~~ x"));
    }

    #[test]
    fn content_begins_behind_marks() {
        for (line, content_of) in [
            ("  - a", "a"),
            ("> > 1. ```", "```"),
            ("12) $ pip", "pip"),
            ("-r x", "-r x"),
            ("-", "-"),
            ("1", ""),
            ("1. ", ""),
            ("1.2", "1.2"),
            ("", ""),
        ] {
            assert_eq!(&line[content(line)..], content_of, "{line:?}");
        }
    }
}
