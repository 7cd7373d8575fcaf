use memchr::memchr;
use proptest::prelude::*;

use super::*;
use crate::decode::escape;
use crate::decode::tests::{given, texts};

fn find(bytes: &[u8], at: usize) -> Option<usize> {
    memchr(b'=', bytes.get(at..)?).map(|next| at + next)
}

/// The same without a look before: whatever may begin an escape is read.
fn slowly(text: &str, sink: &mut Sink<'_>) -> Result<(), Exhausted> {
    let bytes = text.as_bytes();
    let (mut done, mut at) = (0, 0);
    while let Some(next) = find(bytes, at) {
        at = next + 1;
        let Some((size, _)) = read(bytes, next) else { continue };
        let (view, count, end) = undo_slowly(text, before(text, done, next), next + size);
        if count >= LEAST {
            sink(Piece { text: &view.text, from: From::Parts(&view.map), name: "quoted-printable" })?;
        }
        (done, at) = (end, end);
    }
    Ok(())
}

fn undo_slowly(text: &str, start: usize, mut last: usize) -> (View, usize, usize) {
    let bytes = text.as_bytes();
    let mut view = View::default();
    let (mut done, mut at, mut count) = (start, start, 0);
    let mut end = after(text, last);
    while let Some(next) = find(bytes, at) {
        if next >= end {
            end = end.max(after(text, last));
            if next >= end {
                break;
            }
        }
        at = next + 1;
        let Some((size, made)) = read(bytes, next) else { continue };
        view.copy(text, done..next);
        at = next + size;
        done = at;
        match made {
            Some(made) => {
                count += 1;
                view.put_char(made, next..at);
            }
            None => count += LEAST,
        }
        last = at;
    }
    let end = after(text, last).max(end).max(done);
    view.copy(text, done..end);
    (view, count, end)
}

/// What quoted-printable is made of, in any order.
const PARTS: &str = "(=|=|=\n|=\r\n|[0-9A-F]{2}|[0-9a-f]|%|&|\\\\|[a-z]{1,3}| |\n|\r|é|[a-z]{70}|[ ]{70}){0,40}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    /// What is passed over would not have been read.
    #[test]
    fn no_escape_is_passed_over(text in prop_oneof![texts(), PARTS.prop_map(|text| text)]) {
        let fast = given(|sink| each(&text, &Planes::of(&text), sink));
        prop_assert_eq!(&fast, &given(|sink| slowly(&text, sink)));
        let may_be = escape::each(&text, &Planes::of(&text), &mut |_| Ok(())).unwrap();
        prop_assert!(may_be || fast.is_empty(), "{:?}", fast);
    }
}
