//! Lists that people paste: what is in every line of them looks like something to a rule, and nothing is. They are judged,
//! not refused for the work that they take.

#![allow(clippy::unwrap_used)] // helpers of tests

use portcullis_firewall::{Direction, Origin, Rules, Scratch, Selection, Standing, Text};

/// Lines of such lists; `@` is a word and `#` a number, others in every line.
const LINES: &[&str] = &[
    "@_URL=postgres://@:${DB_PASSWORD}@db#:5432/@",
    "@_HOST=@.example.net\n@_PORT=#\n@_USER=@\n@_PASSWORD=changeme#",
    "variable \"@_password\" {\n  type = string\n  default = \"changeme\"\n}",
    "ENV @_TOKEN ${@_TOKEN}",
    "machine @.example.net login @ password <password>",
    "CREATE USER @ IDENTIFIED BY 'password';",
    "curl -u user:password https://@.example.com/@",
    "| @ | password | string | The password of the @ user |",
    "192.168.1.#\t@.corp.internal @",
    "@.internal.  300 IN A 10.0.7.#",
    "address=/@.lan/192.168.1.#",
    "          - '@.@.svc.cluster.local:9090'",
    "    at java.base/jdk.internal.@.@(@.java:#)",
    "--add-exports=java.base/jdk.internal.@=ALL-UNNAMED",
    "C:\\Users\\anna\\Documents\\@\\@.txt",
    "  \"path\": \"C:\\\\Users\\\\anna\\\\@\\\\@.json\",",
    "C:\\Program Files\\@\\bin;C:\\@\\@;",
    "@ = @.lang",
    "[\"\\\\u0627\\\\u0644\\\\u0646\\\\u0635 @ \\\\u0648\\\\u0635\\\\u0648\\\\u0635\"]",
    "#, #, #, 1#, 2#, 3#,",
];

/// A list of such lines.
fn list(line: &str, bytes: usize) -> String {
    let words = ["alpha", "build", "cache", "delta", "events", "frame", "gate", "harbor", "index", "journal"];
    let mut text = String::new();
    let mut number = 0;
    while text.len() < bytes {
        for sign in line.chars() {
            match sign {
                '@' => text.extend(words.iter().copied().cycle().nth(number * 7 % words.len())),
                '#' => text.push_str(&(number * 37 % 251).to_string()),
                _ => text.push(sign),
            }
            number += 1;
        }
        text.push('\n');
    }
    text
}

#[test]
fn lists_of_everyday_things_are_judged() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let mut scratch = Scratch::default();
    for line in LINES {
        for bytes in [600, 2 << 10, 4 << 10, 16 << 10, 64 << 10, 512 << 10] {
            let text = list(line, bytes);
            let texts = [Text { text: &text, origin: Origin::User, flows: false }];
            let judged = rules.scan_until_settled(&texts, Direction::Request, &mut scratch, &mut |_| Standing::Open);
            assert_eq!(judged, Ok(()), "{bytes} bytes of {line}");
        }
    }
}

/// The names and descriptions of a hundred tools, a text each.
#[test]
fn many_short_texts_are_judged() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let words = ["get_weather", "function", "object", "The city to look in", "string", "unit", "celsius", "é", "9"];
    for count in [30, 400, 2000] {
        for origin in [Origin::User, Origin::System] {
            let texts: Vec<_> =
                words.iter().cycle().take(count).map(|text| Text { text, origin, flows: false }).collect();
            let judged =
                rules.scan_until_settled(&texts, Direction::Request, &mut Scratch::default(), &mut |_| Standing::Open);
            assert_eq!(judged, Ok(()), "{count} texts");
        }
    }
}

/// What a prompt may not take an answer may: the one is waited for, the other comes slowly anyway.
#[test]
fn an_answer_may_take_longer_than_a_prompt() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    let text = list("@_PASSWORD=changeme#", 4 << 10);
    let texts = [Text { text: &text, origin: Origin::Answer, flows: false }];
    let judged = |way| rules.scan_until_settled(&texts, way, &mut Scratch::default(), &mut |_| Standing::Open).is_ok();
    assert!(!judged(Direction::Request) && judged(Direction::Response));
}

/// A value that goes on to the end of a text is read again from each name for a secret in it: that is paid for in an answer
/// as in a prompt, although an automaton follows it once.
#[test]
fn long_values_are_paid_for_from_each_of_their_names() {
    let rules = Rules::load(true, &[], &Selection::default()).map_err(|wrong| format!("{wrong:?}")).unwrap();
    for name in [":_auth", "pass:", "oapi.dingtalk.com/robot/send?access_token="] {
        let text = name.repeat((1 << 20) / name.len());
        let texts = [Text { text: &text, origin: Origin::Answer, flows: false }];
        for way in [Direction::Request, Direction::Response] {
            let judged = rules.scan_until_settled(&texts, way, &mut Scratch::default(), &mut |_| Standing::Open);
            assert!(judged.is_err(), "{name} {way:?}");
        }
    }
}
