//! Blocks of code in Markdown: where they begin and end, and what they say they are.

/// An open block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    mark: char,
    /// As many marks as end it.
    count: usize,
    /// It stands in a quotation: each of its lines begins with the mark of one.
    quoted: bool,
}

impl Fence {
    /// The block that a line opens, and what the line says of it.
    pub(crate) fn open(line: &str) -> Option<(Self, &str)> {
        let (marks, line) = line.split_at_checked(content(line))?;
        let quoted = marks.contains('>');
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = line.trim_start_matches(mark);
        let count = line.len() - info.len();
        // Backticks that close again in the same line are code within it.
        (count >= 3 && !(mark == '`' && info.contains('`'))).then_some((Self { mark, count, quoted }, info.trim()))
    }

    /// Whether it stands in a quotation.
    pub(crate) fn is_quoted(self) -> bool {
        self.quoted
    }

    /// A line of the block without the marks of a quotation.
    pub(crate) fn inner(self, line: &str) -> &str {
        let mut line = line;
        while self.quoted
            && let Some(rest) = line.trim_start_matches(' ').strip_prefix('>')
        {
            line = rest.strip_prefix(' ').unwrap_or(rest);
        }
        line
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
