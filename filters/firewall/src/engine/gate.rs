//! What a match must come to before anything else: most of what has a keyword shows within a few bytes that it is
//! none, at a fraction of what an automaton takes.
//!
//! Told from the expression alone. Of some signs (`@`, or `:` and `=`) it is asked what a match may have before the
//! first of them; where it cannot do without one, whatever else comes first ends it.

use std::ops::Range;

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;

/// No more bytes are looked at; what goes on as long may be a match.
const FAR: usize = 64;

/// Signs without one of which a match may be impossible. Each is asked about with and without all that is not ASCII.
const SIGNS: [&[u8]; 12] =
    [b"@", b":", b"=", b":=", b":=,", b":=>", b":=,>", b":>", b":=,>|(", b"/", b"'\"`", b":='\"`"];

/// As likely must it be, in percent, that what comes first is no sign.
const WORTH: u32 = 30;

/// What may stand between the beginning of a match and the first of some signs.
pub(super) struct Gate {
    /// As many bytes begin every match, and are not looked at.
    skip: usize,
    kinds: Box<[Kind; 256]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Between,
    Sign,
    Other,
}

impl Gate {
    /// Of an expression whose matches have at least so many bytes, if that tells much.
    pub(super) fn new(nfa: &NFA, skip: usize) -> Option<Self> {
        let begin = beginning(nfa, skip)?;
        let of = |signs: &[u8], high: bool| {
            let is_sign = |byte: u8| signs.contains(&byte) || (high && !byte.is_ascii());
            Some(Self { skip, kinds: kinds(nfa, &begin, is_sign)? })
        };
        let gates = SIGNS.iter().flat_map(|signs| [of(signs, false), of(signs, true)]).flatten();
        gates.filter(|gate| gate.strength() >= WORTH).max_by_key(Self::strength)
    }

    /// Whether these bytes may begin a match.
    #[inline]
    pub(super) fn is_open(&self, bytes: &[u8]) -> bool {
        self.is_open_at(bytes, 0, &mut (0..0))
    }

    /// Whether a match may begin at a place of a text. `between` is where nothing but what may stand before a sign was seen last: where one
    /// look after the other goes on over the same bytes, each is looked at once.
    #[inline]
    pub(super) fn is_open_at(&self, text: &[u8], at: usize, between: &mut Range<usize>) -> bool {
        let begin = at + self.skip;
        let far = begin.saturating_add(FAR);
        let known = if between.contains(&begin) { between.end } else { begin };
        if known == begin {
            *between = begin..begin;
        }
        let more = text.get(known..far.max(known).min(text.len())).unwrap_or_default();
        let count = more.iter().take_while(|byte| self.kinds.get(usize::from(**byte)) == Some(&Kind::Between)).count();
        between.end = known + count;
        match text.get(between.end.min(far)) {
            Some(_) if between.end >= far => true,
            Some(byte) => self.kinds.get(usize::from(*byte)) == Some(&Kind::Sign),
            None => false,
        }
    }

    /// How likely it is, in percent, that what comes first is no sign.
    fn strength(&self) -> u32 {
        let all = |kind: Kind| {
            (0..=255)
                .zip(self.kinds.iter())
                .filter(|(_, of)| **of == kind)
                .map(|(byte, _)| commonness(byte))
                .sum::<u32>()
        };
        let (signs, others) = (all(Kind::Sign), all(Kind::Other));
        100 * others / (signs + others).max(1)
    }
}

/// The states in which an automaton may be behind so many bytes; `None` where a match may have fewer.
fn beginning(nfa: &NFA, skip: usize) -> Option<Vec<StateID>> {
    let mut states = vec![nfa.start_anchored()];
    for _ in 0..skip {
        let mut next = Vec::new();
        walk(nfa, states, |_, _| false, |_, _, to| next.push(to))?;
        next.sort_unstable();
        next.dedup();
        states = next;
    }
    Some(states)
}

/// Which bytes may stand before the first sign, if every match has one.
fn kinds(nfa: &NFA, begin: &[StateID], is_sign: impl Fn(u8) -> bool) -> Option<Box<[Kind; 256]>> {
    let mut kinds = Box::new([Kind::Other; 256]);
    // As many bytes up to each are no signs.
    let mut known = 0u16;
    let between: [u16; 256] = std::array::from_fn(|byte| {
        known += u16::from(!is_sign(byte as u8));
        known
    });
    let upto = |byte: u8| between.get(usize::from(byte)).copied().unwrap_or(0);
    let any_between = |from: u8, to: u8| upto(to) > from.checked_sub(1).map_or(0, upto);
    walk(nfa, begin.to_vec(), any_between, |from, to, _| {
        kinds.get_mut(usize::from(from)..=usize::from(to)).unwrap_or_default().fill(Kind::Between);
    })?;
    for (byte, kind) in (0..=255).zip(kinds.iter_mut()) {
        *kind = if is_sign(byte) { Kind::Sign } else { *kind };
    }
    Some(kinds)
}

/// Goes from these states over all bytes of which any is let through, and calls `each` with the first and the last byte
/// of every step and where it leads. `None` where that comes to the end of a match.
fn walk(
    nfa: &NFA,
    mut left: Vec<StateID>,
    through: impl Fn(u8, u8) -> bool,
    mut each: impl FnMut(u8, u8, StateID),
) -> Option<()> {
    let mut seen = vec![false; nfa.states().len()];
    while let Some(id) = left.pop() {
        if std::mem::replace(seen.get_mut(id.as_usize())?, true) {
            continue;
        }
        let mut step = |from: u8, to: u8, next: StateID, left: &mut Vec<StateID>| {
            each(from, to, next);
            if through(from, to) {
                left.push(next);
            }
        };
        match nfa.states().get(id.as_usize())? {
            State::ByteRange { trans } => step(trans.start, trans.end, trans.next, &mut left),
            State::Sparse(sparse) => {
                sparse.transitions.iter().for_each(|trans| step(trans.start, trans.end, trans.next, &mut left));
            }
            // It is not known what they lead to.
            State::Dense(_) | State::Match { .. } => return None,
            State::Look { next, .. } | State::Capture { next, .. } => left.push(*next),
            State::Union { alternates } => left.extend(alternates.iter().copied()),
            State::BinaryUnion { alt1, alt2 } => left.extend([*alt1, *alt2]),
            State::Fail => {}
        }
    }
    Some(())
}

/// Roughly how often a byte is seen.
fn commonness(byte: u8) -> u32 {
    match byte {
        b' ' => 150,
        b'a'..=b'z' => 30,
        b'\n' | b'_' | b'.' | b',' | b'(' | b')' | b':' | b';' | b'/' => 15,
        b'A'..=b'Z' | b'0'..=b'9' => 5,
        b'!'..=b'~' => 6,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_automata::nfa::thompson::Compiler;
    use regex_automata::nfa::thompson::pikevm::PikeVM;
    use regex_automata::{Anchored, Input};

    use super::*;

    fn gate(expression: &str, skip: usize) -> Option<Gate> {
        Gate::new(&Compiler::new().build_from_hir(&crate::expression::parse(expression).unwrap()).unwrap(), skip)
    }

    #[test]
    fn ends_what_comes_to_something_else() {
        let url = gate("://[^ /:@]{0,100}:[^ /]{3,200}@[a-z]", 3).unwrap();
        assert!(url.is_open(b"://user:pass@host") && url.is_open(format!("://{}", "a".repeat(FAR + 1)).as_bytes()));
        assert!(!url.is_open(b"://host:8080/me@x") && !url.is_open(b"://host") && !url.is_open(b""));
        let told = gate("(?:key|token)[^\n:=.;]*?(?::|\u{2014})[ \n]{0,3}[a-z]{5,}", 3).unwrap();
        assert!(told.is_open(b"token of mine: abcdef") && told.is_open("key \u{2014} abcdef".as_bytes()));
        assert!(!told.is_open(b"token = a: b") && !told.is_open(b"key\n: abcdef"));
        assert!(gate("ghp_[a-z0-9]{9}(?:[^a-z]|$)", 4).is_none(), "it may do without any sign");
        assert!(gate("ab", 3).is_none());
    }

    proptest! {
        #[test]
        fn lets_every_match_through(
            expression in "([a-c:=@.]|\\(a:\\|b@\\|=\\)|\\[ab:\\]|\\[\\^:@\\]|a\\{2,3\\}|\\(b\\|@[+*?]\\)[+*?]|[:=@]){1,8}",
            text in "[abc:=@ ]{0,24}",
            skip in 0usize..4,
        ) {
            if let Ok(hir) = crate::expression::parse(&expression) {
                let vm = PikeVM::new_from_nfa(Compiler::new().build_from_hir(&hir).unwrap()).unwrap();
                // As a gate is chosen, and any other.
                let input = Input::new(&text).anchored(Anchored::Yes);
                let is_match = vm.is_match(&mut vm.create_cache(), input);
                prop_assert!(!is_match || Gate::new(vm.get_nfa(), skip).is_none_or(|gate| gate.is_open(text.as_bytes())));
                for signs in SIGNS {
                    let begin = beginning(vm.get_nfa(), skip);
                    let kinds = begin.and_then(|begin| kinds(vm.get_nfa(), &begin, |byte| signs.contains(&byte)));
                    let open = kinds.is_none_or(|kinds| Gate { skip, kinds }.is_open(text.as_bytes()));
                    prop_assert!(!is_match || open, "{signs:?}");
                }
            }
        }

        #[test]
        fn what_was_seen_is_not_forgotten(
            text in "[a:=@]{0,9}([a ]{0,90}[:=]?){0,4}", skip in 0usize..4, places in prop::collection::vec(0usize..300, 1..9), ordered: bool,
        ) {
            let kinds = |byte: usize| match byte as u8 {
                b':' => Kind::Sign,
                b'=' | b'@' => Kind::Other,
                _ => Kind::Between,
            };
            let gate = Gate { skip, kinds: Box::new(std::array::from_fn(kinds)) };
            let mut places = places;
            if ordered {
                places.sort_unstable();
            }
            let mut between = 0..0;
            for at in places {
                let rest = text.as_bytes().get(at..).unwrap_or_default();
                let first = rest.iter().skip(skip).take(FAR).position(|byte| *byte != b'a' && *byte != b' ');
                let slow = first.map_or(rest.len() > skip + FAR, |first| rest[skip + first] == b':');
                prop_assert_eq!(gate.is_open_at(text.as_bytes(), at, &mut between), slow, "{:?} at {}", text, at);
            }
        }
    }
}
