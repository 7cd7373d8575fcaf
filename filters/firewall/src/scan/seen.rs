//! What was decoded of one text, and says nothing: a row of numbers, given with and without its ends, comes to the same
//! again and again.

/// As many are remembered, and none that is longer.
const MOST: usize = 16;
const LONGEST: usize = 8 << 10;

/// Texts in which nothing was found, each with how far below it was looked. Reused from text to text.
#[derive(Default)]
pub(super) struct Seen<D> {
    all: Vec<(String, D)>,
    count: usize,
    /// Which of them is forgotten next.
    next: usize,
}

impl<D: Copy + PartialEq> Seen<D> {
    /// Begins with another text.
    pub(super) fn clear(&mut self) {
        (self.count, self.next) = (0, 0);
    }

    /// Whether nothing was found in this, as far below.
    pub(super) fn has(&self, text: &str, depth: D) -> bool {
        self.all.iter().take(self.count).any(|(seen, down)| seen == text && *down == depth)
    }

    /// Remembers that nothing was found in this.
    pub(super) fn add(&mut self, text: &str, depth: D) {
        if text.len() > LONGEST {
            return;
        }
        match self.all.get_mut(self.next) {
            Some((seen, down)) => {
                seen.clear();
                seen.push_str(text);
                *down = depth;
            }
            None => self.all.push((text.to_owned(), depth)),
        }
        self.next = (self.next + 1) % MOST;
        self.count = (self.count + 1).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_the_same_as_far_below_and_not_for_ever() {
        let mut seen = Seen::default();
        seen.add("one", 1);
        assert!(seen.has("one", 1) && !seen.has("one", 2) && !seen.has("on", 1));
        (0..MOST - 1).for_each(|number| seen.add(&number.to_string(), 1));
        assert!(seen.has("one", 1) && seen.has("0", 1));
        seen.add("two", 1);
        assert!(!seen.has("one", 1) && seen.has("0", 1) && seen.has("two", 1));
        seen.add(&"a".repeat(LONGEST + 1), 1);
        assert!(!seen.has(&"a".repeat(LONGEST + 1), 1) && seen.has("0", 1));
        seen.clear();
        assert!(!seen.has("two", 1));
        seen.add("three", 1);
        assert!(seen.has("three", 1) && !seen.has("0", 1));
    }
}
