//! Data about persons, in texts as people write them: what is found, and what only looks like it.

#![allow(clippy::unwrap_used)] // helpers of tests

use portcullis_firewall::{Direction, Origin, Rules, Scratch, Selection, Source, Stream, Text};

fn rules() -> Rules {
    let selection = Selection { pii: true, ..Selection::default() };
    let text = include_str!("../../../policies/firewall/pii.toml");
    Rules::load(false, &[Source { name: "pii.toml", text }], &selection).map_err(|wrong| format!("{wrong:?}")).unwrap()
}

/// The rules about persons that find something, each once.
fn found(rules: &Rules, text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let texts = [Text { text, origin: Origin::User, flows: false }];
    let mut note = |id: &str| {
        if id.starts_with("pii-") && !found.iter().any(|known| known == id) {
            found.push(id.to_owned());
        }
    };
    rules.scan(&texts, Direction::Request, &mut Scratch::default(), &mut |f| note(&f.rule.id)).unwrap();
    found
}

#[test]
fn finds_what_people_write() {
    let rules = rules();
    for (text, rule) in [
        ("Please charge my card 4539 1488 0343 6467, expires 11/28, cvv 123.", "pii-credit-card"),
        ("name,number\nJ. Doe,4539148803436467,12/27 visa\n", "pii-credit-card"),
        ("4539148803436467", "pii-credit-card"),
        ("Überweise bitte auf DE89 3704 0044 0532 0130 00 bis Freitag", "pii-iban"),
        ("iban=gb29nwbk60161331926819&x=1", "pii-iban"),
        ("BE68 5390 0754 7034 IS MINE", "pii-iban"),
        ("applicant 536-22-8741 lives in Ohio", "pii-us-ssn"),
        ("\"ssn\": \"536228741\"", "pii-us-ssn"),
        ("SIN=130692544;", "pii-ca-sin"),
        ("Meu CPF é 529.982.247-25, obrigado", "pii-br-cpf"),
        ("cpf 52998224725", "pii-br-cpf"),
        ("CNPJ 11.222.333/0001-81", "pii-br-cnpj"),
        ("我的身份证号码是11010519491231002X，请核实", "pii-cn-resident-id"),
        ("マイナンバー：1234 5678 9018", "pii-jp-my-number"),
        ("주민등록번호는 900101-1234568 입니다", "pii-kr-rrn"),
        ("Meine Steuer-Identifikationsnummer lautet 86 095 742 719.", "pii-de-tax-id"),
        ("Personalausweis-Nr.: T220001293", "pii-de-id-card"),
        ("n° de sécu 2 55 08 14 168 025 38", "pii-fr-nir"),
        ("Codice Fiscale: RSSMRA85T10A562S", "pii-it-fiscal-code"),
        ("mi DNI es 12345678Z", "pii-es-dni"),
        ("NIE X-1234567-L", "pii-es-dni"),
        ("CURP: HEGG560427MVZRRL04", "pii-mx-curp"),
        ("BSN 111222333", "pii-nl-bsn"),
        ("PESEL: 44051401359", "pii-pl-pesel"),
        ("мой ИНН 500100732259", "pii-ru-inn"),
        ("СНИЛС 112-233-445 95", "pii-ru-snils"),
        ("TC kimlik numaram 10000000146", "pii-tr-tckn"),
        ("Aadhaar: 2341 2341 2346", "pii-in-aadhaar"),
        ("PAN ABCPE1234F", "pii-in-pan"),
        ("NRIC S1234567D", "pii-sg-nric"),
        ("NIK: 3171015507900001", "pii-id-nik"),
        ("my TFN is 123 456 782", "pii-au-tfn"),
        ("Medicare No. 2123 45670 1", "pii-au-medicare"),
        ("NHS number: 943 476 5919", "pii-uk-nhs"),
        ("National Insurance no AB 12 34 56 C", "pii-uk-nino"),
        ("Contact: maria.garcia@correo-empresa.es.", "pii-email"),
        ("ruf an: +49 151 23456789", "pii-phone"),
        ("call (415) 555-2671 after six", "pii-phone"),
        ("téléphone : 06 12 34 56 78", "pii-phone"),
        ("電話番号は090-1234-5678です", "pii-phone"),
        ("DOB 03/25/1980", "pii-date-of-birth"),
        ("geboren am 25. März 1980 in Köln", "pii-date-of-birth"),
        ("Fecha de nacimiento: 5 de mayo de 1975", "pii-date-of-birth"),
        ("Passport No: C01234567", "pii-passport-number"),
        ("MRN 00482915", "pii-us-medical-record"),
        ("SWIFT: DEUTDEFF500", "pii-swift-bic"),
        ("logged in from 93.184.216.34", "pii-ip-address"),
        ("send it to bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "pii-segwit-address"),
    ] {
        let found = found(&rules, text);
        assert!(found.iter().any(|id| id == rule), "{rule} is not in {found:?} of {text}");
    }
}

/// What has many digits and is about nobody.
const NUMBERS: &[&str] = &[
    "2026-11-21T10:00:01.123456Z INFO worker[4592] took 185ms id=8786fa14-8804-4075-8be9-71513cd73c39",
    "2026-11-21 10:00:01,123 GET /api/v1/items/9481234567 200 5123 0.004",
    "let mask: u64 = 0xFFFF_FFFF_0000_0000; let big = 18446744073709551615;",
    "1732183201123456 1732183201123457 1732183201123458",
    "3.14159265358979323846264338327950288",
    "sha256:754729e8cf63643f002ad77d09c57a2d473734833a4e1fb7e1a554bd69bbde0d",
    "| 1 | 2 | 3 |\n|---|---|---|\n| 1000 | 2000 | 3000 |\n| 1234 | 5678 | 9012 |",
    "chrome/120.0.6099.109 version 1.2.3.4 on 10.0.0.12:8080 and 192.168.1.1",
    "const p = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584];",
    "M 10 80 C 40 10, 65 10, 95 80 S 150 150, 180 80 L 100.5 200.25 300.125 400.0625",
    "@media (max-width: 600px) { .a { margin: 0 } } import x from '@scope/pkg'; icon@2x.png",
    "ssh git@github.com, user@example.com, systemctl status foo@1.service, Vec<u8>@0x7ffee3b0",
    "RFC 9110, ISO 3166-1, port 65535, year 1999-2026, pages 120-135, 10,000,000 rows",
    "order 123456789 has left; ticket 9876543210; build 20261121103; part AB123456C",
    "Using the span of a company in Japan, expand the panel: sin(x) + tan(y) in the basin.",
    "isbn 978-3-16-148410-0, doi 10.1000/182, ean 4006381333931",
    "a+12345678901, b -1234567890, c*3e10, 5551234567 <<< EOF >>> 1 << 3",
];

#[test]
fn numbers_are_nobodys() {
    let rules = rules();
    for text in NUMBERS {
        assert_eq!(found(&rules, text), [""; 0], "{text}");
    }
}

/// A text full of digits is judged, not refused for the work that it takes.
#[test]
fn answers_full_of_digits_are_judged() {
    let rules = rules();
    let tables =
        ["1 2 3 4 5 6 7 8 9 ", "1234 5678 9012 ", "10.5, 20.25, ", "2026-11-21 10:00:01 ", "12345678901234567890"];
    for unit in tables.iter().chain(NUMBERS) {
        let text = unit.repeat(4096 / unit.len());
        let whole = [Text { text: &text, origin: Origin::User, flows: false }];
        let judged = rules.scan(&whole, Direction::Request, &mut Scratch::default(), &mut |_| {});
        assert_eq!(judged, Ok(()), "{unit}");
        let mut stream = Stream::new();
        for piece in text.split_inclusive(' ') {
            stream.push(&rules, piece, &|_| true, &mut |_| {}).unwrap_or_else(|_| panic!("{unit}"));
        }
        stream.finish(&rules, &mut |_| {}).unwrap();
    }
}

/// How fast texts are judged with the rules about persons, beside without them. Run it with `--release`.
#[test]
#[ignore = "measures, proves nothing"]
fn speed() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let code: String = std::fs::read_dir(directory)
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    let logs = format!("{}\n", NUMBERS[..3].join("\n")).repeat(code.len() / 300);
    let load = |pii| Rules::load(true, &[], &Selection { pii, ..Selection::default() });
    for (name, rules) in [("without", load(false)), ("with", load(true))] {
        let rules = rules.map_err(|wrong| format!("{wrong:?}")).unwrap();
        for (kind, text) in [("code", &code), ("logs", &logs)] {
            let texts = [Text { text, origin: Origin::User, flows: false }];
            let mut scratch = Scratch::default();
            let mut best = f64::MAX;
            for _ in 0..7 {
                let begin = std::time::Instant::now();
                rules.scan(&texts, Direction::Request, &mut scratch, &mut |_| {}).unwrap();
                best = best.min(begin.elapsed().as_secs_f64());
            }
            println!("{kind} {name}: {:.0} MB/s", text.len() as f64 / best / 1e6);
        }
    }
}

#[test]
fn a_part_of_an_account_or_a_card_is_no_telephone() {
    let rules = rules();
    for (text, rule) in [
        ("phone and IBAN: GB29 NWBK 6016 1331 9268 19", "pii-iban"),
        ("tel: FR14 2004 1010 0505 0001 3M02 606", "pii-iban"),
        ("Call me, my IBAN is DE89 3704 0044 0532 0130 00", "pii-iban"),
        ("phone, card: 5555 5555 5555 4444 mobile", "pii-credit-card"),
    ] {
        assert_eq!(found(&rules, text), [rule], "{text}");
    }
    let text = "IBAN GB29 NWBK 6016 1331 9268 19, phone 030 1234567";
    assert_eq!(found(&rules, text), ["pii-iban", "pii-phone"]);
}
