//! Where a rule's expression must hold one of a few fixed strings, so that it need only look there.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use crate::keywords::Keyword;

/// How many strings stand for one place of an expression, and how long they are.
const MOST: usize = 96;
const LONGEST: usize = 48;

/// Classes of so many characters are spelled out where a string is too short otherwise.
const WIDE: usize = 16;

/// Shorter strings are found too often.
const SHORT: usize = 3;

/// A string that every match has at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) keyword: Keyword,
    /// How far before it a match begins, at least and at most.
    pub(super) before: (usize, usize),
}

/// The anchors of an expression.
pub(super) struct Anchored {
    pub(super) anchors: Vec<Anchor>,
    /// What every match has before any of them, where that is one part of the expression.
    pub(super) before: Option<Hir>,
    /// Whether every match ends with one of them, and with none that another one begins with.
    pub(super) last: bool,
}

/// Finds strings such that every match has one of them, and with it one of the `keywords`, if there are any.
pub(super) fn anchors(hir: &Hir, keywords: &[String]) -> Option<Anchored> {
    let narrow = anchors_of(hir, keywords, false);
    let short = |found: &Anchored| found.anchors.iter().any(|anchor| anchor.keyword.text.len() < SHORT);
    let found = match narrow {
        Some(found) if !short(&found) => Some(found),
        narrow => anchors_of(hir, keywords, true).filter(|found| !short(found)).or(narrow),
    };
    found.filter(|found| found.anchors.iter().all(|anchor| anchor.keyword.text.len() >= 2))
}

/// Without its optional and lazy beginning an expression matches at the same places, only shorter. Says whether
/// it had one.
pub(super) fn stripped(hir: Hir) -> (Hir, bool) {
    match hir.kind() {
        HirKind::Concat(parts) => {
            let count = parts.iter().take_while(|part| is_lazy(part)).count();
            let rest: Vec<Hir> = parts.iter().skip(count).cloned().collect();
            (Hir::concat(rest), count > 0)
        }
        HirKind::Alternation(branches) => {
            let branches: Vec<_> = branches.iter().cloned().map(stripped).collect();
            let any = branches.iter().any(|(_, stripped)| *stripped);
            (Hir::alternation(branches.into_iter().map(|(branch, _)| branch).collect()), any)
        }
        _ => (hir, false),
    }
}

/// What stands before its only group, and that, if all matches of an expression end with it and it is a
/// [word](is_in_word).
pub(super) fn word_at_end(hir: &Hir) -> Option<(Hir, &Hir)> {
    let HirKind::Concat(parts) = hir.kind() else { return None };
    let (last, before) = parts.split_last()?;
    let HirKind::Capture(group) = last.kind() else { return None };
    let ends = hir.properties().explicit_captures_len() == 1 && is_word(&group.sub);
    ends.then(|| (Hir::concat(before.to_vec()), &*group.sub))
}

fn is_word(part: &Hir) -> bool {
    match part.kind() {
        HirKind::Literal(literal) => literal.0.iter().all(|byte| is_in_word(*byte)),
        HirKind::Class(Class::Bytes(class)) => class.ranges().iter().all(|r| (r.start()..=r.end()).all(is_in_word)),
        HirKind::Repetition(repetition) => is_word(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(is_word),
        _ => false,
    }
}

/// Whether all that an expression matches is of letters, digits, and what stands between those of a token.
pub(super) fn is_in_run(part: &Hir) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.~".contains(&byte);
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.iter().all(|byte| is_token(*byte)),
        HirKind::Class(Class::Bytes(class)) => class.ranges().iter().all(|r| (r.start()..=r.end()).all(is_token)),
        HirKind::Class(Class::Unicode(_)) => false,
        HirKind::Repetition(repetition) => is_in_run(&repetition.sub),
        HirKind::Capture(capture) => is_in_run(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(is_in_run),
    }
}

/// What stands in a value without quotes.
pub(super) fn is_in_word(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\')
}

/// As many ways to go on are many.
const MANY: usize = 4;

/// Whether a part of what an expression matches ends as soon as it can, in one of many ways: all are tried at each of
/// its bytes.
pub(super) fn ends_in_many_ways(part: &Hir) -> bool {
    let is_open = |part: &Hir| matches!(part.kind(), HirKind::Repetition(part) if !part.greedy && part.max.is_none());
    let is_many = |part: &Hir| matches!(part.kind(), HirKind::Alternation(ways) if ways.len() >= MANY);
    match part.kind() {
        HirKind::Repetition(repetition) => ends_in_many_ways(&repetition.sub),
        HirKind::Capture(capture) => ends_in_many_ways(&capture.sub),
        HirKind::Concat(parts) => {
            parts.windows(2).any(|next| matches!(next, [part, next] if is_open(part) && is_many(next)))
                || parts.iter().any(ends_in_many_ways)
        }
        HirKind::Alternation(parts) => parts.iter().any(ends_in_many_ways),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

fn is_lazy(part: &Hir) -> bool {
    match part.kind() {
        HirKind::Repetition(Repetition { min: 0, greedy: false, sub, .. }) => {
            sub.properties().explicit_captures_len() == 0
        }
        _ => false,
    }
}

/// A few strings that are all that a part of an expression matches.
#[derive(Clone)]
struct Strings {
    all: Vec<Vec<u8>>,
    any_case: bool,
}

fn anchors_of(hir: &Hir, keywords: &[String], wide: bool) -> Option<Anchored> {
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    let mut best: Option<Anchored> = None;
    let mut before = (0usize, Some(0usize));
    let mut first = 0;
    while let Some(rest) = parts.get(first..).filter(|rest| !rest.is_empty()) {
        let (run, count) = run(rest, wide);
        let found = match count {
            0 => rest.first().and_then(|part| within(part, keywords, wide, before)),
            _ => at(&run, keywords, before),
        };
        if let Some(anchors) = found.filter(|found| best.as_ref().is_none_or(|best| cost(found) < cost(&best.anchors)))
        {
            let stands = parts.iter().take(first).map(|part| Hir::clone(part));
            let before = (count > 0 && first > 0).then(|| Hir::concat(stands.collect()));
            let behind = rest.iter().skip(count.max(1)).all(|part| part.properties().maximum_len() == Some(0));
            let last = count > 0 && behind && !anchors.iter().any(|one| anchors.iter().any(|two| is_longer(two, one)));
            best = Some(Anchored { anchors, before, last });
        }
        // Keywords need not be found where the strings begin that are too many to go on.
        for part in rest.get(..count.max(1)).unwrap_or_default() {
            let most = part.properties().maximum_len();
            before.0 += part.properties().minimum_len().unwrap_or(0);
            before.1 = before.1.zip(most).map(|(all, more)| all + more);
        }
        first += count.max(1);
    }
    best
}

/// Whether an anchor begins with another one.
fn is_longer(one: &Anchor, other: &Anchor) -> bool {
    one.keyword.text.len() > other.keyword.text.len() && one.keyword.text.starts_with(&other.keyword.text)
}

/// What anchors cost: far from where matches begin is worst, then short.
fn cost(anchors: &[Anchor]) -> (usize, usize) {
    let far = anchors.iter().map(|anchor| anchor.before.1).max().unwrap_or(0);
    let short = anchors.iter().map(|anchor| anchor.keyword.text.len()).min().unwrap_or(0);
    // A keyword of one or two bytes is hardly one.
    (if short < SHORT { usize::MAX } else { far }, LONGEST.saturating_sub(short))
}

/// The parts of an expression that follow each other, without the brackets around them.
fn flatten<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        _ => parts.push(hir),
    }
}

/// What as many parts as possible match together, and how many they are.
fn run(parts: &[&Hir], wide: bool) -> (Strings, usize) {
    let mut all = Strings { all: vec![Vec::new()], any_case: false };
    let mut count = 0;
    for part in parts {
        let Some(next) = finite(part, wide).and_then(|strings| all.followed_by(&strings)) else {
            // The first of many.
            if let HirKind::Repetition(Repetition { min: 1.., sub, .. }) = part.kind()
                && let Some(next) = finite(sub, wide).filter(|_| wide && count > 0)
            {
                all = all.followed_by(&next).unwrap_or(all);
            }
            break;
        };
        all = next;
        count += 1;
    }
    (all, count)
}

fn at(run: &Strings, keywords: &[String], before: (usize, Option<usize>)) -> Option<Vec<Anchor>> {
    let most = before.1?;
    let holds = |text: &Vec<u8>| {
        let text = text.to_ascii_lowercase();
        keywords.is_empty() || keywords.iter().any(|word| memchr::memmem::find(&text, word.as_bytes()).is_some())
    };
    let usable = run.all.iter().all(|text| !text.is_empty() && holds(text));
    let anchor = |text: &Vec<u8>| Anchor {
        keyword: Keyword { text: text.clone(), any_case: run.any_case },
        before: (before.0, most),
    };
    usable.then(|| run.all.iter().map(anchor).collect())
}

/// Anchors inside of one part: in each of its branches, or where it is repeated for the first time.
fn within(part: &Hir, keywords: &[String], wide: bool, before: (usize, Option<usize>)) -> Option<Vec<Anchor>> {
    let mut found = Vec::new();
    match part.kind() {
        HirKind::Alternation(branches) => {
            for branch in branches {
                found.extend(anchors_of(branch, keywords, wide)?.anchors);
            }
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            found = anchors_of(&repetition.sub, keywords, wide)?.anchors;
        }
        _ => return None,
    }
    for anchor in &mut found {
        anchor.before.0 += before.0;
        anchor.before.1 += before.1?;
    }
    (found.len() <= MOST).then_some(found)
}

/// All that a part matches, where that is a few strings.
fn finite(hir: &Hir, wide: bool) -> Option<Strings> {
    let one = |text: Vec<u8>| Some(Strings { all: vec![text], any_case: false });
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => one(Vec::new()),
        HirKind::Literal(literal) => one(literal.0.to_vec()),
        HirKind::Class(Class::Bytes(class)) => {
            let bytes: Vec<u8> = class.ranges().iter().flat_map(|range| range.start()..=range.end()).take(64).collect();
            spelled(&bytes, if wide { WIDE } else { 4 })
        }
        HirKind::Class(Class::Unicode(class)) => {
            let ascii = class.ranges().iter().all(|range| range.end().is_ascii());
            let bytes = class.ranges().iter().flat_map(|range| range.start()..=range.end()).take(64);
            let bytes: Vec<u8> = bytes.filter_map(|c| u8::try_from(c).ok()).collect();
            ascii.then(|| spelled(&bytes, if wide { WIDE } else { 4 })).flatten()
        }
        HirKind::Repetition(Repetition { min, max: Some(max), sub, .. }) if max <= &8 => {
            let sub = finite(sub, wide)?;
            let mut times = Strings { all: vec![Vec::new()], any_case: sub.any_case };
            let mut all = Vec::new();
            for time in 0..=*max {
                if time >= *min {
                    all.extend(times.all.iter().cloned());
                }
                if time < *max {
                    times = times.followed_by(&sub)?;
                }
            }
            Strings { all, any_case: sub.any_case }.bounded()
        }
        HirKind::Repetition(_) => None,
        HirKind::Capture(capture) => finite(&capture.sub, wide),
        HirKind::Concat(parts) => {
            let mut all = Strings { all: vec![Vec::new()], any_case: false };
            for part in parts {
                all = all.followed_by(&finite(part, wide)?)?;
            }
            Some(all)
        }
        HirKind::Alternation(branches) => {
            let mut all = Strings { all: Vec::new(), any_case: false };
            for branch in branches {
                let branch = finite(branch, wide)?;
                all.any_case |= branch.any_case;
                all.all.extend(branch.all);
            }
            all.bounded()
        }
    }
}

/// The characters of a class, letters in both cases as one.
fn spelled(bytes: &[u8], most: usize) -> Option<Strings> {
    let both = |byte: &u8| byte.is_ascii_alphabetic() && bytes.contains(&(byte ^ 0x20));
    let any_case = bytes.iter().any(both);
    let mut all: Vec<Vec<u8>> =
        bytes.iter().map(|byte| vec![if any_case { byte.to_ascii_lowercase() } else { *byte }]).collect();
    all.sort_unstable();
    all.dedup();
    (!all.is_empty() && all.len() <= most).then_some(Strings { all, any_case })
}

impl Strings {
    fn followed_by(&self, next: &Self) -> Option<Self> {
        if self.all.len() * next.all.len() > MOST {
            return None;
        }
        let all = self.all.iter().flat_map(|one| next.all.iter().map(move |two| [&one[..], &two[..]].concat()));
        Self { all: all.collect(), any_case: self.any_case || next.any_case }.bounded()
    }

    fn bounded(mut self) -> Option<Self> {
        if self.any_case {
            self.all.iter_mut().for_each(|text| text.make_ascii_lowercase());
        }
        self.all.sort_unstable();
        self.all.dedup();
        (self.all.len() <= MOST && self.all.iter().all(|text| text.len() <= LONGEST)).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Anchors, each with how far before it a match begins; `~` marks those in any case.
    fn of(expression: &str, keywords: &[&str]) -> Option<Vec<String>> {
        let (hir, _) = stripped(crate::expression::parse(expression).unwrap());
        let keywords: Vec<String> = keywords.iter().map(ToString::to_string).collect();
        let shown = |anchor: &Anchor| {
            let text = String::from_utf8_lossy(&anchor.keyword.text);
            let case = if anchor.keyword.any_case { "~" } else { "" };
            format!("{text}{case} {}-{}", anchor.before.0, anchor.before.1)
        };
        anchors(&hir, &keywords).map(|found| found.anchors.iter().map(shown).collect())
    }

    #[test]
    fn knows_what_ends_in_a_word() {
        let ends = |expression: &str| word_at_end(&crate::expression::parse(expression).unwrap()).is_some();
        assert!(ends(r#"a=([!-~&&[^"'`<>\\]]{6,})"#));
        for expression in
            [r#"a=([a-z]{6,})"?"#, r"a=([a-z]{6})\b", r"(a)=([a-z]{6})", r"a=(.{6})", r#"a=(["a]{6})"#, "a=[a-z]{6}"]
        {
            assert!(!ends(expression), "{expression}");
        }
    }

    #[test]
    fn begins_with_fixed_strings() {
        assert_eq!(
            of(r"\b(gh[op]_[A-Za-z0-9]{36})(?:[^A-Za-z0-9]|$)", &["gho_", "ghp_"]).unwrap(),
            ["gho_ 0-0", "ghp_ 0-0"]
        );
        assert_eq!(
            of(r"\b((?:sk|rk)_(?:test|live)_[a-z]{10,99})", &["sk_live"]),
            None,
            "a match may have none of the keywords"
        );
        assert_eq!(
            of(r"(?i)[\w.-]{0,50}?(?:passw(?:or)?d)[^a]([a-z]{9})", &["passw"]).unwrap(),
            ["passwd~ 0-0", "password~ 0-0"]
        );
    }

    #[test]
    fn looks_before_and_inside() {
        assert_eq!(of(r"(?i)[a-z0-9]{14}\.(?-i:atlasv1)\.[a-z]{60,70}", &["atlasv1"]).unwrap(), [".atlasv1. 14-14"]);
        assert_eq!(
            of(r"\b((?:hvs\.[\w-]{90,120}|s\.(?i:[a-z0-9]{24})x))", &["hvs.", "s."]).unwrap(),
            ["hvs. 0-0", "s. 0-0"]
        );
        assert_eq!(of("[a-z]+://x", &["://"]), None, "it may begin anywhere before");
        assert_eq!(of(r"\b(pat[a-z]{14})", &["airtable"]), None);
        assert_eq!(of(r"[a-z]{3,9}", &[]), None);
    }

    #[test]
    fn spells_out_what_is_short() {
        let digits: Vec<String> = (0..10).map(|digit| format!("{digit}Q~ 3-3")).collect();
        assert_eq!(of(r"([a-z~.]{3}\dQ~[a-z]{31})", &["q~"]).unwrap(), digits);
        assert_eq!(of("SK[0-9a-f]{32}", &["sk"]).unwrap().len(), 16);
    }

    #[test]
    fn strips_what_is_optional_and_lazy() {
        let strips = |expression| stripped(crate::expression::parse(expression).unwrap()).1;
        assert!(strips(r"[\w.-]{0,50}?(?i:[\w.-]{0,50}?(?:key))=(a+)"));
        assert!(!strips(r"(?:[\w.-]{0,50})key=(a+)"), "greedy: it is taken in");
        assert!(!strips(r"([\w.-]{0,50}?)key=(a+)"), "a group");
    }
}
