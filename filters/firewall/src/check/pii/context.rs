//! The words beside a number that say what it is.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::Candidate;

/// How far a word may stand before a number and behind it, in bytes.
const BEFORE: usize = 80;
const BEHIND: usize = 48;

/// The words, by what they name. A word in small letters stands for every way of writing it in ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Card,
    Network,
    Person,
    Phone,
}

const WORDS: &[(Topic, &[&str])] = &[
    (
        Topic::Card,
        &[
            "card",
            "visa",
            "mastercard",
            "amex",
            "american express",
            "maestro",
            "discover",
            "diners",
            "unionpay",
            "jcb",
            "rupay",
            "credit",
            "debit",
            "payment",
            "pay ",
            "paid",
            "charge",
            "billing",
            "cvv",
            "cvc",
            "expir",
            "exp.",
            "exp:",
            "exp ",
            "valid thru",
            "checkout",
            "purchase",
            "bank",
            "karte",
            "kredit",
            "tarjeta",
            "crédito",
            "carte",
            "bancaire",
            "carta",
            "cartão",
            "cartao",
            "kaart",
            "karta",
            "kart ",
            "карта",
            "карты",
            "карту",
            "картой",
            "卡",
            "信用",
            "銀聯",
            "カード",
            "카드",
            "بطاقة",
            "कार्ड",
            "kartu",
        ],
    ),
    (Topic::Network, &["ip", "addr", "host", "client", "remote", "visitor", "from"]),
    (
        Topic::Person,
        &[
            "ssn",
            "social sec",
            "social-sec",
            "social_sec",
            "socialsec",
            "my social",
            "tax",
            "cpf",
            "cnpj",
            "cadastro",
            "contribuinte",
            "empresa",
            "resident",
            "주민",
            "rrn",
            "registration",
            "снилс",
            "snils",
            "страхов",
            "sécu",
            "secu",
            "insee",
            "nir ",
            "nir:",
            "身份",
            "id card",
            "identity",
            "birth",
            "patient",
            "employee",
            "taxpayer",
        ],
    ),
    (
        Topic::Phone,
        &[
            "phone",
            "tel",
            "mobile",
            "cell",
            "call",
            "fax",
            "whatsapp",
            "sms",
            "text me",
            "dial",
            "ring ",
            "contact",
            "reach",
            "handy",
            "nummer",
            "móvil",
            "movil",
            "celular",
            "teléfono",
            "portable",
            "appel",
            "joign",
            "cellulare",
            "telefone",
            "ligue",
            "тел",
            "мобил",
            "звон",
            "電話",
            "电话",
            "手机",
            "携帯",
            "전화",
            "휴대",
            "फोन",
            "मोबाइल",
            "هاتف",
            "جوال",
            "hp ",
            "hp:",
            "wa ",
            "wa:",
            "ponsel",
            "hubungi",
        ],
    ),
];

/// All words at once, and of each its topic.
static AUTOMATON: LazyLock<(Option<AhoCorasick>, Vec<Topic>)> = LazyLock::new(|| {
    let words = || WORDS.iter().flat_map(|(topic, words)| words.iter().map(move |word| (*word, *topic)));
    let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(words().map(|(word, _)| word));
    (automaton.ok(), words().map(|(_, topic)| topic).collect())
});

/// The text before a candidate's secret, and the text behind it.
pub(super) fn around<'t>(candidate: &Candidate<'t>) -> (&'t [u8], &'t [u8]) {
    // The secret is a part of the text: its place is how far it lies behind the beginning.
    let start = (candidate.secret.as_ptr() as usize).saturating_sub(candidate.text.as_ptr() as usize);
    let end = start.saturating_add(candidate.secret.len());
    let text = candidate.text.as_bytes();
    (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default())
}

/// Whether a candidate is all that its text says: the value of a field, where no word can stand beside it.
pub(super) fn whole(candidate: &Candidate<'_>) -> bool {
    let (before, after) = around(candidate);
    before.trim_ascii().is_empty() && after.trim_ascii().is_empty()
}

/// Whether a word of this topic stands beside a candidate.
pub(super) fn beside(candidate: &Candidate<'_>, topic: Topic) -> bool {
    let (before, after) = around(candidate);
    let before = before.get(before.len().saturating_sub(BEFORE)..).unwrap_or_default();
    let after = after.get(..BEHIND).unwrap_or(after);
    let (Some(automaton), topics) = &*AUTOMATON else { return false };
    [before, after].iter().any(|side| {
        automaton.find_overlapping_iter(side).any(|hit| {
            topics.get(hit.pattern().as_usize()) == Some(&topic)
                // A word begins where it stands, or `tel` would be in `hotel`.
                && !side.get(hit.start().wrapping_sub(1)).is_some_and(u8::is_ascii_alphabetic)
        })
    })
}

/// A number with its usual separators speaks for itself. One of bare digits needs a word beside it.
pub(super) fn named(candidate: &Candidate<'_>) -> bool {
    candidate.secret.bytes().any(|byte| matches!(byte, b'-' | b'.' | b'/'))
        || whole(candidate)
        || beside(candidate, Topic::Person)
}
