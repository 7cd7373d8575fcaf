//! Texts that are too large for a prompt: what keeps the decoders busy, and what people have in files.

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use super::worst::adversarial;
use super::{builtin, prompts, size, worked};
use crate::{Direction, Origin, Scratch, Text};

/// What may be sent to keep the decoders busy: each piece again and again.
fn disguises() -> Vec<(String, String)> {
    let words = "some words that say nothing at all, 17 of them; ";
    let base64 = data_encoding::BASE64.encode(words.as_bytes());
    let noise: Vec<u8> = (0..1u32 << 16).map(|n| (n.wrapping_mul(0x9E37_79B9) >> 13) as u8).collect();
    let noise64 = data_encoding::BASE64.encode(&noise);
    let wrap = |text: &str, width: usize, between: &str| {
        let lines: Vec<_> = text.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line)).collect();
        format!("{}{between}", lines.join(between))
    };
    let each = |write: &dyn Fn(u8) -> String| words.bytes().map(write).collect::<String>();
    let zipped = |size: usize, again: usize| {
        let zip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap()
        };
        data_encoding::BASE64.encode(&(0..again).fold(vec![b' '; size], |bytes, _| zip(&bytes)))
    };
    let json = |times: usize| (0..times).fold("{\"a\":\"b\\nc\"}".to_owned(), |text, _| format!("{{\"a\":{text:?}}}"));
    let mut all: Vec<(String, String)> = [
        "%41",
        "%2541",
        "%25",
        "%u0041",
        "&#65;",
        "&#x41;",
        "&amp;",
        "&amp;amp;amp;",
        "&lowbar;",
        "\\u0041",
        "\\\\",
        "\\\\u0041",
        "\\x41",
        "\\101",
        "\\n",
        "\\\"",
        "\\u{41}",
        "\\ud83d\\ude00",
        "=3D",
        "=41",
        "=\n",
        "a=\n",
        "\"a\"+",
        "'a',",
        "\"ab1c\" + ",
        "\"",
        "'",
        "\"'",
        "\" ",
        "\u{200B}",
        "a\u{200B}",
        "a\u{301}",
        "\u{301}",
        "\u{E0041}",
        "\u{FE01}",
        "\u{FE01}a",
        "ａ",
        "аb",
        "а1",
        "а_1x",
        "ﷺ",
        "½",
        "\u{1b}[31m",
        "\0",
        "\u{202E}",
        "1",
        "1234567890",
        "65, ",
        "65,66, ",
        "0x41, ",
        "0x41,\n",
        "01000001 ",
        "101 ",
        "41 ",
        "4142 ",
        "chr(65)+",
        "00000000: 4141 4141  AA\n",
        "00000000: 41\n",
        "0000 ",
        "a",
        "A",
        "aA1",
        "/",
        "+",
        "=",
        "-",
        "_",
        "\n",
        "a\n",
        "ab_1\n",
        "a b ",
        "a_1 ",
        "ab-",
        "[a]",
        "ab\u{1F525}",
        "<b>",
        "a<b>",
        "a**",
        "a/**/",
        "/*",
        "<!--",
        "]]>",
        "a]]><![CDATA[",
        "*",
        "<",
        "{\"content\":\"a1\"},",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\\n",
        "abcdefgh ",
        "abcdefghijkl ",
        "tok_1234567 ",
    ]
    .map(|piece| (format!("{piece:?}"), piece.to_owned()))
    .into();
    for (name, text) in [("base64", &base64), ("noise64", &noise64), ("slashes", &"/".repeat(1 << 12))] {
        all.push((name.to_owned(), text.clone()));
        for (width, between) in [
            (64, "\n"),
            (16, "\n"),
            (76, "\r\n"),
            (12, "\n"),
            (4, "\n"),
            (1, "\n"),
            (4, " "),
            (20, " "),
            (12, " "),
            (1, " "),
            (1, "-"),
        ] {
            all.push((format!("{name}, {width} {between:?}"), wrap(text, width, between)));
        }
        all.push((format!("{name} in quotes"), format!("\"{}", wrap(text, 20, "\" + \""))));
        all.push((format!("{name} backwards"), text.chars().rev().collect()));
        all.push((format!("{name} in words"), wrap(text, 400, ". ")));
    }
    all.extend([
        ("base64 twice".to_owned(), data_encoding::BASE64.encode(base64.repeat(40).as_bytes())),
        (
            "base64 four times".to_owned(),
            (0..4).fold(words.repeat(40), |text, _| data_encoding::BASE64.encode(text.as_bytes())),
        ),
        ("base32".to_owned(), data_encoding::BASE32.encode(words.repeat(40).as_bytes())),
        ("hex".to_owned(), data_encoding::HEXLOWER.encode(words.as_bytes())),
        ("noise in hex".to_owned(), data_encoding::HEXLOWER.encode(&noise)),
        (
            "hex of hex of hex".to_owned(),
            (0..3).fold(words.repeat(40), |text, _| data_encoding::HEXLOWER.encode(text.as_bytes())),
        ),
        ("hex, spaced".to_owned(), each(&|byte| format!("{byte:02x} "))),
        ("numbers".to_owned(), each(&|byte| format!("{byte}, "))),
        ("numbers in lines".to_owned(), each(&|byte| format!("{byte}, {byte},{byte},{byte}\n"))),
        ("percent".to_owned(), each(&|byte| format!("%{byte:02X}"))),
        ("html in percent".to_owned(), each(&|byte| format!("%26%23{byte}%3B"))),
        ("quoted-printable".to_owned(), each(&|byte| format!("={byte:02X}"))),
    ]);
    all.extend([3, 6, 10].map(|times| (format!("json {times} deep"), json(times))));
    all.extend([1, 4, 16, 64].map(|kib| (format!("gzip of {kib} KiB"), zipped(kib << 10, 1))));
    all.extend(
        [(1, 24), (2, 24), (3, 24), (2, 20)]
            .map(|(again, size)| (format!("bomb {again} {size}"), zipped(1 << size, again))),
    );
    all
}

#[test]
#[ignore = "measures"]
fn speed_of_huge_texts() {
    adversarial("built in", &builtin(false), size(), 12);
}

#[test]
#[ignore = "measures"]
fn speed_of_huge_disguises() {
    let size = size();
    let rules = builtin(false);
    let mut outcomes = Vec::new();
    for (name, piece) in disguises() {
        for end in ["", "\n"] {
            // Whole, and in lines of a hundred pieces or more.
            let part =
                if end.is_empty() { piece.clone() } else { piece.repeat(100_000usize.div_ceil(piece.len())) + end };
            let text = part.repeat(size / part.len() + 1);
            let texts = [Text { text: &text, origin: Origin::User, flows: false }];
            let (mut count, before) = (0usize, worked());
            let judged =
                rules.scan(black_box(&texts), Direction::Request, &mut Scratch::default(), &mut |_| count += 1);
            let took = worked().saturating_sub(before);
            outcomes.push((took, judged.is_ok(), count, format!("{name}{end:?}")));
            if took > Duration::from_secs(2) {
                println!("    {:8.1} s   {name}{end:?}", took.as_secs_f64());
            }
        }
    }
    outcomes.sort();
    println!("{size} bytes: {} texts, the slowest first", outcomes.len());
    for (time, judged, count, name) in outcomes.iter().rev().take(60) {
        let verdict = if *judged { "judged" } else { "refused" };
        println!("    {:8.1} ms  {verdict:7} {count:7} {name}", time.as_secs_f64() * 1e3);
    }
}

/// Numbers by chance, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// What people have in files that are too large for a prompt, and what is nothing but large.
fn files(size: usize) -> Vec<(&'static str, String)> {
    let mut dice = Dice(7);
    let mut of = |name: &'static str, line: &mut dyn FnMut(&mut Dice, usize) -> String| {
        let mut text = String::with_capacity(size + 4096);
        for number in 0.. {
            if text.len() >= size {
                break;
            }
            text += &line(&mut dice, number);
        }
        (name, text)
    };
    let words =
        ["the", "request", "was", "refused", "because", "it", "held", "more", "than", "may", "leave", "a", "node"];
    let dump = |bytes: &[u8], number: usize| {
        let hex: String =
            bytes.chunks(2).map(|pair| pair.iter().map(|b| format!("{b:02x}")).collect::<String>() + " ").collect();
        let shown: String = bytes.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '.' }).collect();
        format!("{:08x}: {hex} {shown}\n", number * 16)
    };
    let prose = prompts().concat();
    let mut files = vec![
        of("log", &mut |dice, number| {
            let said: Vec<&str> = (0..9).map(|_| words[dice.below(13) as usize]).collect();
            let (second, part, took, id) =
                (number / 50 % 60, dice.below(1_000_000), dice.below(90_000), dice.below(1 << 40));
            format!(
                "2026-11-22T09:{:02}:{second:02}.{part:06}Z INFO gate::relay: {} took={took}us id={id:010x}\n",
                number / 3000 % 60,
                said.join(" ")
            )
        }),
        of("words", &mut |dice, _| words[dice.below(13) as usize].to_owned() + " "),
        of("table", &mut |dice, number| {
            format!(
                "{number},{}.{:02},{},{}\n",
                dice.below(10_000),
                dice.below(100),
                dice.below(2),
                dice.below(1_000_000)
            )
        }),
        of("rows of numbers", &mut |dice, _| {
            (0..16).map(|_| format!("{}, ", dice.below(256))).collect::<String>() + "\n"
        }),
        of("hexdump of noise", &mut |dice, number| {
            let bytes: Vec<u8> = (0..16).map(|_| dice.below(256) as u8).collect();
            dump(&bytes, number)
        }),
        of("hexdump of words", &mut |dice, number| {
            let said: Vec<&str> = (0..6).map(|_| words[dice.below(13) as usize]).collect();
            dump(&said.join(" ").as_bytes()[..16.min(said.join(" ").len())], number)
        }),
        of("base64 of noise", &mut |dice, _| {
            let bytes: Vec<u8> = (0..57).map(|_| dice.below(256) as u8).collect();
            data_encoding::BASE64.encode(&bytes) + "\n"
        }),
        of("base64 of words", &mut |dice, _| {
            let said: String = (0..20).map(|_| words[dice.below(13) as usize].to_owned() + " ").collect();
            data_encoding::BASE64.encode(&said.as_bytes()[..57]) + "\n"
        }),
        of("json", &mut |dice, number| {
            format!(
                "{{\"id\":{number},\"name\":\"{} {}\",\"mail\":null,\"at\":[{},{}]}}\n",
                words[dice.below(13) as usize],
                words[dice.below(13) as usize],
                dice.below(500),
                dice.below(500)
            )
        }),
        of("uuids", &mut |dice, _| {
            format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}\n",
                dice.below(1 << 32),
                dice.below(1 << 16),
                dice.below(1 << 12),
                dice.below(1 << 12),
                dice.below(1 << 48)
            )
        }),
        of("french", &mut |_, _| "La clé privée à protéger n'a pas été créée à l'échéance prévue. ".to_owned()),
        of("chinese", &mut |_, _| "密钥不应该出现在这里，请检查配置文件。".to_owned()),
        of("é", &mut |_, _| "é".repeat(64)),
        of("password=", &mut |_, _| "password=".to_owned()),
        of("a", &mut |_, _| "a".repeat(64)),
    ];
    if !prose.is_empty() {
        files.push(of("sources", &mut |_, _| prose.clone()));
    }
    files
}

/// `PORTCULLIS_KINDS`: a part of the names of those that are judged.
#[test]
#[ignore = "measures"]
fn speed_of_huge_files() {
    let rules = builtin(false);
    let wanted = std::env::var("PORTCULLIS_KINDS").unwrap_or_default();
    for (name, text) in files(size()).into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let texts = [Text { text: &text, origin: Origin::User, flows: false }];
        let (mut count, before) = (0usize, worked());
        let judged = rules.scan(black_box(&texts), Direction::Request, &mut Scratch::default(), &mut |_| count += 1);
        let took = worked().saturating_sub(before);
        let verdict = if judged.is_ok() { "judged" } else { "refused" };
        println!("    {:8.1} ms  {verdict:7} {count:7} {name}", took.as_secs_f64() * 1e3);
    }
}
