use proptest::prelude::*;

use super::*;
use crate::json::{JsonError, slow};

/// What both read of a text: the same, or nothing.
fn compared(text: &str) -> Option<Json<'_>> {
    let (quick, slow): (_, Result<Json<'_>, JsonError>) = (read(text), slow(text));
    if let Some(quick) = &quick {
        assert_eq!(Ok(quick), slow.as_ref(), "{text}");
    }
    quick
}

/// JSON of every kind, written as others write it.
fn written() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        "[0-9eE.+-]{1,5}",
        "true|false|null|tru|nul",
        "\"([a-zA-Z0-9 é中\u{0}-\u{1f}\u{7f}]|\\\\[\"\\\\/bfnrtux]|\\\\u[0-9a-fD]{4}){0,24}\"",
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let space = "[ \n\t\r]{0,2}";
        let item = (inner, space).prop_map(|(value, space)| format!("{space}{value}{space}"));
        let key = "\"([a-cA-C]{0,3}|content|\\\\u0061|\u{17f}|\u{212a}|k)\"";
        prop_oneof![
            prop::collection::vec(item.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key, space, item), 0..5).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(k, space, v)| format!("{space}{k}{space}:{v}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

#[test]
fn what_servers_write_is_read_here() {
    for text in [
        r#"{"model":"m","message":{"role":"assistant","content":" the"},"done":false}"#,
        r#" {"choices":[{"index":0,"delta":{"content":"\"a\"\n\u00e9"},"logprobs":null,"p":-0.5e-3}]} "#,
        "[]",
        "{}",
        "\"é\"",
    ] {
        assert!(compared(text).is_some(), "{text}");
    }
}

#[test]
fn what_is_wrong_or_rare_is_left_to_the_other() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let many = |keys: usize| {
        let keys: Vec<_> = (0..keys).map(|key| format!("\"k{key}\":{key}")).collect();
        format!("{{{}}}", keys.join(","))
    };
    assert!(compared(&deep(DEEP)).is_some() && compared(&many(KEYS)).is_some());
    let long = format!("\"{}\"", "x".repeat(LARGE));
    for text in [
        deep(DEEP + 1).as_str(),
        &many(KEYS + 1),
        &long,
        "{\"a\":1,\"A\":2}",
        "{\"a\":1,\"a\":2}",
        "{\"\\u0061\":1}",
        "{\"\u{212a}\":1}",
        "",
        " ",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "01",
        "1 1",
        "{} x",
        "nulll",
        "\"a",
        "\"\\",
        "\"\n\"",
        "[1",
    ] {
        assert!(compared(text).is_none(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_document_is_read_as_the_other_reads_it(
        mut text in written(), at: prop::sample::Index, by in prop::option::of("[\"\\\\{}\\[\\]:, a0é\n]{0,2}"),
    ) {
        compared(&text);
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let at = *at.get(&places);
        if let Some(by) = by {
            let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
            text.replace_range(at..end, &by);
            compared(&text);
        }
    }

    #[test]
    fn every_byte_that_ends_a_plain_part_is_seen(text in "([ -~é中]{0,20}[\"\\\\\u{0}-\u{1f}!#\\[\\]\u{7f}\u{80}]){0,3}", from in 0usize..20) {
        let slow = text.bytes().enumerate().skip(from).find(|(_, byte)| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        prop_assert_eq!(Reader { text: &text, at: 0 }.ends(from), slow.map(|(at, _)| at));
    }
}
