//! How one name may be taken for another.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// In what way a name resembles another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// It looks the same: `requеsts` with a Cyrillic letter, `nurnpy`, `Express`.
    Looks,
    /// One letter is more, less, another, or in the place of the next one: `reqeusts`.
    OneEdit,
    /// Only dashes, dots, underscores and the like are different: `crossenv`.
    Separators,
}

/// Letters of other scripts that look like these, of those that fonts do not tell apart.
const LOOKALIKES: [(&str, char); 22] = [
    ("аαɑ", 'a'),
    ("ЬƄ", 'b'),
    ("сϲ", 'c'),
    ("ԁđ", 'd'),
    ("еєҽɛ", 'e'),
    ("ɡց", 'g'),
    ("һհ", 'h'),
    ("іıιɩ", 'i'),
    ("јϳ", 'j'),
    ("кκ", 'k'),
    ("ӏłǀ", 'l'),
    ("мм", 'm'),
    ("пո", 'n'),
    ("оοօøσ", 'o'),
    ("рρ", 'p'),
    ("ԛզ", 'q'),
    ("ѕꜱ", 's'),
    ("тτ", 't'),
    ("υսц", 'u'),
    ("νѵ", 'v'),
    ("хχ", 'x'),
    ("уүγ", 'y'),
];

/// What is seen of a name: the same for names that can only be told apart by looking closely.
pub(crate) fn plain(name: &str) -> String {
    let decomposed = name.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    let seen: String = decomposed.map(lookalike).collect();
    seen.replace("rn", "m").replace("vv", "w").replace(['i', '1'], "l").replace('0', "o")
}

fn lookalike(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    LOOKALIKES.iter().find(|(alike, _)| alike.contains(c)).map_or(c, |(_, plain)| *plain)
}

/// The letters and digits of a name.
pub(crate) fn without_separators(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Whether one character more, less or other makes one name the other, or two neighbours that change places. A digit
/// more, less or other makes no imitation: it is the next version of something (`markdown2`, `arrow2`).
pub(crate) fn is_one_edit_apart(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    match (a, b) {
        ([x, y, a @ ..], [v, w, b @ ..]) if x == w && y == v && a == b => true,
        ([x, ..], [y, ..]) if a.len() == b.len() => {
            a.get(1..) == b.get(1..) && !(x.is_ascii_digit() && y.is_ascii_digit())
        }
        ([more, longer @ ..], shorter) | (shorter, [more, longer @ ..]) if longer.len() == shorter.len() => {
            longer == shorter && !more.is_ascii_digit()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b) in [("abc", "abcd"), ("abc", "bc"), ("abc", "axc"), ("abcd", "abdc"), ("abcd", "bacd"), ("ab", "ba")]
        {
            assert!(is_one_edit_apart(a, b) && is_one_edit_apart(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("abc", "abc"),
            ("abc", "cba"),
            ("abc", "abcde"),
            ("abcd", "badc"),
            ("boto2", "boto3"),
            ("arrow", "arrow2"),
            ("", "ab"),
        ] {
            assert!(!is_one_edit_apart(a, b) && !is_one_edit_apart(b, a), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn one_edit_is_one_edit(name in "[a-z]{1,8}", at in 0usize..8, letter in "[a-z]") {
            let at = at % name.len();
            let letter = letter.chars().next().unwrap();
            let mut longer = name.clone();
            longer.insert(at, letter);
            prop_assert!(is_one_edit_apart(&name, &longer));
            let mut other: Vec<char> = name.chars().collect();
            other[at] = letter;
            let other: String = other.into_iter().collect();
            prop_assert_eq!(is_one_edit_apart(&name, &other), name != other);
        }

        #[test]
        fn any_name_can_be_compared(a in "\\PC{0,20}", b in "\\PC{0,20}") {
            prop_assert_eq!(is_one_edit_apart(&a, &b), is_one_edit_apart(&b, &a));
            let _ = (plain(&a), without_separators(&b));
        }
    }
}
