//! What a program gets of an answer that is signed, and of one that only claims to be.

use futures::stream;
use http::HeaderMap;
use http_body_util::StreamBody;
use portcullis_signatures::{Asked, Seal, SecretKey, content_digest, sign_answer};

use super::*;
use crate::door::proof::{self, Expected};

const NONCE: &str = "a-nonce-of-22-letters-";
/// The newest piece of a large answer.
const PIECE: usize = 100_000;

fn gate() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

/// A request of the door's own.
fn asked(nonce: &str) -> Asked {
    Asked { node_id: SecretKey::from_seed(&[5; 32]).node_id().to_owned(), nonce: nonce.to_owned() }
}

/// A request of another node, with the same nonce.
fn of_another() -> Asked {
    Asked { node_id: SecretKey::from_seed(&[6; 32]).node_id().to_owned(), ..asked(NONCE) }
}

/// What a program reads: the pieces, and whether they end as their framing says; or a refusal instead.
fn read(head: &HeaderMap, frames: Vec<Frame<Bytes>>, format: Option<StreamFormat>) -> Result<(Vec<Bytes>, bool), Code> {
    read_in(&Room::new(), head, frames, format)
}

/// The same with this room for what is held.
fn read_in(
    room: &Room,
    head: &HeaderMap,
    frames: Vec<Frame<Bytes>>,
    format: Option<StreamFormat>,
) -> Result<(Vec<Bytes>, bool), Code> {
    let expected = Expected { gate: gate().public(), asked: asked(NONCE) };
    let proven = proof::read(expected, 200, head).map_err(|e| false_answer(&e).code)?;
    let poured = Poured {
        body: Some(StreamBody::new(stream::iter(frames.into_iter().map(Ok::<_, io::Error>)))),
        ready: Bytes::new(),
        check: proven.check,
        stream: format,
        dialect: Dialect::Ollama,
        request_id: String::new(),
        _place: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut answer = poured.hold(room).await.map_err(|refusal| refusal.code)?;
        let mut pieces = Vec::new();
        while let Some(frame) = answer.frame().await {
            match frame {
                Ok(frame) => pieces.push(frame.into_data().expect("no trailers reach a program")),
                Err(_) => return Ok((pieces, false)),
            }
        }
        Ok((pieces, true))
    })
}

fn head(content: Option<&[u8]>) -> HeaderMap {
    let mut head = HeaderMap::new();
    sign_answer(&gate(), 200, &mut head, content.map(content_digest).as_ref(), &asked(NONCE), 1_700_000_000).unwrap();
    head
}

fn data(bytes: &[u8], size: usize) -> Vec<Frame<Bytes>> {
    bytes.chunks(size).map(|piece| Frame::data(Bytes::copy_from_slice(piece))).collect()
}

#[test]
fn a_signed_answer_is_held_until_it_is_proven() {
    let content = vec![b'a'; 3 * PIECE];
    let (pieces, complete) = read(&head(Some(&content)), data(&content, PIECE), None).unwrap();
    assert!(complete && pieces.len() == 1 && pieces[0] == content);
    let mut other = content.clone();
    other[PIECE] ^= 1;
    for wrong in [&other[..], &content[1..], &[&content[..], b"a"].concat(), b""] {
        let refused = read(&head(Some(&content)), data(wrong, PIECE), None);
        assert_eq!(refused, Err(Code::UpstreamInvalid), "{} bytes", wrong.len());
    }
    assert_eq!(read(&head(Some(b"")), vec![], None), Ok((vec![], true)));
}

#[test]
fn a_large_answer_that_proves_false_is_never_whole() {
    let content = vec![b'a'; MAX_HELD + 3 * PIECE];
    let (pieces, complete) = read(&head(Some(&content)), data(&content, PIECE), None).unwrap();
    assert!(complete && pieces.concat() == content);
    let mut other = content.clone();
    other[0] ^= 1;
    let (pieces, complete) = read(&head(Some(&content)), data(&other, PIECE), None).unwrap();
    assert!(!complete && pieces.concat().len() < content.len(), "its length would say that it is whole");
}

#[test]
fn an_answer_that_finds_no_room_passes_unheld_and_is_never_whole_when_false() {
    let (content, mut other) = (vec![b'a'; 5 * PIECE], vec![b'a'; 5 * PIECE]);
    other[0] ^= 1;
    let room = Room::new();
    let mut others: Vec<_> = std::iter::repeat_with(Held::default).take(1000).collect();
    assert!(!others.iter_mut().all(|held| room.hold(held, &vec![0; MAX_HELD])), "there is an end to it");
    let (pieces, complete) = read_in(&room, &head(Some(&content)), data(&content, PIECE), None).unwrap();
    assert!(complete && pieces.len() == 5 && pieces.concat() == content, "{} pieces", pieces.len());
    let (pieces, complete) = read_in(&room, &head(Some(&content)), data(&other, PIECE), None).unwrap();
    assert!(!complete && pieces.concat().len() < content.len());
    let small = read_in(&room, &head(Some(b"x")), data(b"x", 1), None);
    assert_eq!(small, Ok((vec![Bytes::from_static(b"x")], true)), "also one that nobody need wait for");
    drop(others);
    let (pieces, complete) = read_in(&room, &head(Some(&content)), data(&content, PIECE), None).unwrap();
    assert!(complete && pieces.len() == 1, "there is room again");
}

#[test]
fn a_stream_passes_at_once_and_ends_with_its_proof() {
    let content = b"{\"a\":1}\n{\"b\":2}\n";
    let seal = |key: &SecretKey, asked: &Asked, content: &[u8]| {
        let seal = Seal::sign(key, 200, &content_digest(content), asked, 1_700_000_000).unwrap();
        Frame::trailers(seal.to_trailers().unwrap())
    };
    let stream = |frames: Vec<Frame<Bytes>>| read(&head(None), frames, Some(StreamFormat::Ndjson)).unwrap();
    let mut frames = data(content, 8);
    frames.push(seal(&gate(), &asked(NONCE), content));
    let (pieces, complete) = stream(frames);
    assert!(complete);
    assert_eq!(pieces, ["{\"a\":1}\n", "{\"b\":2}\n"], "as it comes, and without its proof");
    for end in [
        seal(&gate(), &asked(NONCE), b"other"),
        seal(&gate(), &of_another(), content),
        seal(&gate(), &asked("another-nonce-22-letters"), content),
        seal(&SecretKey::from_seed(&[8; 32]), &asked(NONCE), content),
        Frame::trailers(HeaderMap::new()),
        Frame::data(Bytes::new()),
    ] {
        let mut frames = data(content, 8);
        frames.push(end);
        let (pieces, complete) = stream(frames);
        let last = String::from_utf8(pieces.last().unwrap().to_vec()).unwrap();
        assert!(complete && last.starts_with("{\"error\":") && last.contains("upstream.invalid"), "{last}");
    }
}

#[test]
fn an_answer_of_somebody_else_s_is_not_read() {
    let content = b"content";
    let signed = |key: &SecretKey, asked: &Asked, status| {
        let mut head = HeaderMap::new();
        sign_answer(key, status, &mut head, Some(&content_digest(content)), asked, 1_700_000_000).unwrap();
        head
    };
    let half = |name| {
        let mut head = signed(&gate(), &asked(NONCE), 200);
        head.remove(name);
        head
    };
    assert!(read(&signed(&gate(), &asked(NONCE), 200), data(content, 9), None).is_ok());
    for head in [
        signed(&SecretKey::from_seed(&[8; 32]), &asked(NONCE), 200),
        signed(&gate(), &of_another(), 200),
        signed(&gate(), &asked("another-nonce-22-letters"), 200),
        signed(&gate(), &asked(NONCE), 403),
        half("signature"),
        half("signature-input"),
        half("content-digest"),
    ] {
        assert_eq!(read(&head, data(content, 9), None), Err(Code::UpstreamInvalid), "{head:?}");
    }
    let (pieces, complete) = read(&HeaderMap::new(), data(content, 3), None).unwrap();
    assert!(complete && pieces.concat() == content, "the connection proves an answer that nobody signed");
}
