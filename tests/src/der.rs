//! Just enough DER to take a certificate apart, put something else in, and close it again.

/// The parts of a constructed value, each with its header.
#[track_caller]
pub fn parts(value: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut parts) = (content(value), Vec::new());
    while !rest.is_empty() {
        let whole = length(rest);
        parts.push(rest[..whole].to_vec());
        rest = &rest[whole..];
    }
    parts
}

/// A SEQUENCE of these parts.
pub fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

/// A value with this tag.
pub fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    match content.len() {
        short @ ..0x80 => value.push(u8::try_from(short).expect("short")),
        long => {
            let bytes = u32::try_from(long).expect("a length").to_be_bytes();
            let bytes: Vec<u8> = bytes.into_iter().skip_while(|b| *b == 0).collect();
            value.push(0x80 | u8::try_from(bytes.len()).expect("few"));
            value.extend(bytes);
        }
    }
    value.extend_from_slice(content);
    value
}

/// What a value holds.
#[track_caller]
pub fn content(value: &[u8]) -> &[u8] {
    &value[header(value).0..length(value)]
}

fn length(value: &[u8]) -> usize {
    let (header, content) = header(value);
    header + content
}

/// The lengths of a value's header and of its content.
fn header(value: &[u8]) -> (usize, usize) {
    match value[1] {
        short @ ..0x80 => (2, usize::from(short)),
        long => {
            let bytes = usize::from(long & 0x7f);
            (2 + bytes, value[2..2 + bytes].iter().fold(0, |length, b| length << 8 | usize::from(*b)))
        }
    }
}
