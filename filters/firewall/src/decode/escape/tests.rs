use memchr::memchr3;
use proptest::prelude::*;

use super::*;
use crate::decode::tests::{given, texts};

fn find(bytes: &[u8], at: usize) -> Option<usize> {
    memchr3(b'%', b'\\', b'&', bytes.get(at..)?).map(|next| at + next)
}

/// The same without a look before: whatever may begin an escape is read.
fn slowly(text: &str, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let bytes = text.as_bytes();
    let (mut done, mut at) = (0, 0);
    while let Some(next) = find(bytes, at) {
        at = next + 1;
        let Some(escape) = read(bytes, next) else { continue };
        at = next + escape.size;
        if escape.strong {
            let name = match bytes[next] {
                b'%' => "percent",
                b'&' => "html",
                _ => "backslash",
            };
            let (view, end) = undo_slowly(text, before(text, done, next), at);
            sink(Piece { text: &view.text, from: From::Parts(&view.map), name })?;
            (done, at) = (end, end);
        }
    }
    Ok(())
}

fn undo_slowly(text: &str, start: usize, mut last: usize) -> (View, usize) {
    let bytes = text.as_bytes();
    let mut view = View::default();
    let (mut done, mut at) = (start, start);
    let mut end = after(text, last);
    while let Some(next) = find(bytes, at) {
        if next >= end {
            end = end.max(after(text, last));
            if next >= end {
                break;
            }
        }
        at = next + 1;
        let Some(escape) = read(bytes, next) else { continue };
        view.copy(text, done..next);
        at = put(&mut view, bytes, next, &escape);
        done = at;
        if escape.strong {
            last = at;
        }
    }
    let end = after(text, last).max(end).max(done);
    view.copy(text, done..end);
    (view, end)
}

/// What escapes are made of, in any order.
const PARTS: &str = "(\\\\|%|&|=|#|\\$|u|x|U|n|t|r|amp;|lowbar;|[0-9a-f]{1,4}|[0-9a-f]{8}|\\{41\\}|\"|'|/|;| |\n|\r\n|é|a-b_1c-d_2e|[a-z]{70}){0,40}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    /// An escape that is passed over would have been no reason to look.
    #[test]
    fn no_escape_that_matters_is_passed_over(text in prop_oneof![texts(), PARTS.prop_map(|text| text), tables()]) {
        let fast = given(|sink| each(&text, &Planes::of(&text), sink).map(|_| ()));
        prop_assert_eq!(fast, given(|sink| slowly(&text, sink)));
    }
}

/// Foreign letters as escapes, between quotes or almost, and other escapes near them.
fn tables() -> impl Strategy<Value = String> {
    let letter = ("[\\u{430}-\\u{44F}\\u{100}-\\u{17F}\\u{A4D0}-\\u{A4FF}\\u{200B}\\u{FF21}é中ﬃ😀]", 0u8..4).prop_map(
        |(letter, way)| {
            let each = |write: &dyn Fn(u8) -> String| letter.bytes().map(write).collect::<String>();
            let code = letter.chars().next().map_or(0, u32::from);
            match way {
                0 => format!("\\u{{{code:X}}}"),
                1 => format!("&#{code};"),
                2 => each(&|byte| format!("\\x{byte:02X}")),
                _ => each(&|byte| format!("%{byte:02X}")),
            }
        },
    );
    let around = prop::sample::select(vec!["'", "'", "\"", "(", ", ", "", " ", "-"]);
    let part = (around.clone(), letter, around, "|..=|[a-z0-9]{0,70}|\\\\n|\\\\u0041|%41");
    proptest::collection::vec(part, 0..6)
        .prop_map(|parts| parts.into_iter().map(|(a, b, c, d)| [a, &b, c, &d].concat()).collect())
}
