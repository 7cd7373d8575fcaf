//! When a frame was made: what of it is new in every frame, and says nothing.

use std::ops::Range;

use super::Piece;

/// Under this key servers write when a frame was made, anew in each.
pub(crate) const TIME: &str = "created_at";
/// So much of a time says in which second.
pub(crate) const SECOND: usize = "2026-11-21T09:08:07".len();

/// The parts of a second in the time of a frame.
pub(crate) fn parts_of_second<'f>(piece: &Piece<'f>) -> Option<&'f str> {
    if piece.key != TIME || piece.is_key {
        return None;
    }
    piece.text.get(parts(piece.text)?).filter(|parts| !parts.is_empty())
}

/// Whether a text is a time as servers write it: `2026-11-21T09:08:07.123456789Z`, with or without parts of a
/// second, or with a difference in hours and minutes in the place of the `Z`.
pub(crate) fn is_time(text: &str) -> bool {
    parts(text).is_some()
}

/// Where the parts of a second stand in a time, if they do.
fn parts(text: &str) -> Option<Range<usize>> {
    let (date, rest) = text.as_bytes().split_at_checked(SECOND)?;
    let shaped = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                sign => byte == sign,
            })
    };
    let parts = match rest.strip_prefix(b".") {
        Some(parts) => parts.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count(),
        None => 0,
    };
    let (parts, zone) = if parts > 0 { (SECOND + 1..SECOND + 1 + parts, rest.get(parts + 1..)?) } else { (0..0, rest) };
    let zoned = zone == b"Z" || shaped(zone, b"+00:00") || shaped(zone, b"-00:00");
    (shaped(date, b"0000-00-00T00:00:00") && zoned).then_some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_what_has_its_shape(
            text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,11})?(Z|[+-][0-9]{2}:[0-9]{2})?",
            at in 0usize..40, with in prop::option::of("[0-9A-Za-z:.+é-]{0,2}"),
        ) {
            let mut text = text;
            if let Some(with) = with.filter(|_| at < text.len()) {
                text.replace_range(at..=at, &with);
            }
            let shape = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})\z";
            prop_assert_eq!(is_time(&text), regex::Regex::new(shape).unwrap().is_match(&text), "{}", text);
        }
    }
}
