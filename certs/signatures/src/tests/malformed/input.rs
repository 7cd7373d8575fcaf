//! `Signature-Input`, changed in one place each.

use super::*;

const NOT_STRUCTURED: &str = "`Signature-Input` is no dictionary of structured fields (RFC 9651)";
const NO_PARAMETERS: &str = "a covered component must have no parameters";
const AS_STRING: &str = "`Signature-Input` must name every covered component as a string";
const INTEGERS: &str = "`created` and `expires` must be integers, in seconds";
const SECONDS: &str = "`created` and `expires` must be Unix seconds, from 1 to 253402300799";
const STRINGS: &str = "`nonce`, `keyid`, `alg` and `tag` must be strings";
const NONCE: &str = "`nonce` must have 22 to 256 visible ASCII characters";
const KEYID: &str = "`keyid` must be a node id, `peer:` and the base58 of a 32-byte Ed25519 public key";
const ALG: &str = "a signature needs the parameter `alg=\"ed25519\"`";
const ONLY: &str = "a signature may have the parameters `created`, `expires`, `nonce`, `keyid`, `alg` and `tag` only";
const PARAMETER_TWICE: &str = "a signature must have no parameter twice";
const REQUIRED: &str = "a signature must cover `@method`, `@authority`, `@path`, `@query` and `content-digest`";
const DERIVED: &str = "the signature covers a derived component that it must not cover";
const NAME: &str = "a covered component must be a header field in lower case, or a derived component";

#[test]
fn signature_input() {
    let created = ";created=1780000000";
    let nonce = r#";nonce="abcdefghijklmnopqrstuv""#;
    let huge_nonce = format!(";nonce=\"{}\"", "n".repeat(257));
    let megabyte = format!(";nonce=\"{}\"", "n".repeat(1 << 20));
    let many: String = (0..33).map(|n| format!("\"x-{n}\" ")).collect();
    for (from, to, sentence) in [
        // The whole value.
        ("portcullis=", "", NOT_STRUCTURED),
        ("portcullis=", "sig1=", "the label of the signature must be `portcullis`"),
        ("portcullis=", "Portcullis=", NOT_STRUCTURED),
        ("portcullis=", "portcullis=1, portcullis=", "`Signature-Input` must name what is covered in parentheses"),
        ("portcullis=", r#"sig1=("date"), portcullis="#, "`Signature-Input` must hold one signature, not several"),
        (
            "portcullis=",
            r#"portcullis=("date"), portcullis="#,
            "`Signature-Input` must hold one signature, not several",
        ),
        (r#"alg="ed25519""#, r#"alg="ed25519","#, NOT_STRUCTURED),
        (r#"alg="ed25519""#, r#"alg="ed25519"#, NOT_STRUCTURED),
        (r#"alg="ed25519""#, r#"alg="ed25519", b"#, "`Signature-Input` must hold one signature, not several"),
        (r#"alg="ed25519""#, "alg=\"ed25519é\"", NOT_ASCII),
        // What is covered.
        (r#""@method" "#, "", REQUIRED),
        (r#""@authority" "#, "", REQUIRED),
        (r#""@path" "#, "", REQUIRED),
        (r#""@query" "#, "", REQUIRED),
        (r#""content-digest" "#, "", REQUIRED),
        (r#" "content-type""#, "", "a signature must cover `content-type` where the request has one"),
        (r#" "portcullis-audience""#, "", "a signature must cover `portcullis-audience` where the request has one"),
        (r#""@method""#, r#""@method" "@method""#, "a signature must cover no component twice"),
        (r#""@method""#, r#""@METHOD""#, REQUIRED),
        (r#""@method""#, "@method", NOT_STRUCTURED),
        (r#""@method""#, "method", AS_STRING),
        (r#""@method""#, r#""@me\\thod""#, AS_STRING),
        (r#""@method""#, r#""@method";req"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest";tr"#, REQUIRED),
        (r#""content-digest""#, r#""content-digest" "content-digest";tr"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest";sf"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest";tr;tr"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest";tr=?0"#, NO_PARAMETERS),
        (r#""content-digest""#, r#""content-digest" "@status""#, DERIVED),
        (r#""content-digest""#, r#""content-digest" "@query-param""#, DERIVED),
        (r#""content-digest""#, r#""content-digest" "@signature-params""#, DERIVED),
        (r#""content-digest""#, r#""content-digest" "Date""#, NAME),
        (r#""content-digest""#, r#""content-digest" """#, NAME),
        (r#""content-digest""#, r#""content-digest" "a b""#, NAME),
        (
            r#""content-digest""#,
            r#""content-digest" "x-none""#,
            "the signature covers a header field that is not in the head",
        ),
        (
            r#""content-digest""#,
            r#""content-digest" "signature""#,
            "a signature must not cover `Signature` or `Signature-Input`",
        ),
        (
            r#""content-digest""#,
            r#""content-digest" "signature-input""#,
            "a signature must not cover `Signature` or `Signature-Input`",
        ),
        ("(", &format!("({many}"), "a signature may cover at most 32 components"),
        // The parameters.
        (created, "", "a signature needs the parameter `created`"),
        (created, ";created=1780000000.0", INTEGERS),
        (created, ";created=@1780000000", INTEGERS),
        (created, ";created=\"1780000000\"", INTEGERS),
        (created, ";created", INTEGERS),
        (created, ";created=", NOT_STRUCTURED),
        (created, ";created=1780000000000000", NOT_STRUCTURED),
        (created, ";created=999999999999999", SECONDS),
        (created, ";created=0", SECONDS),
        (created, ";created=-1780000000", SECONDS),
        (created, ";created=1780000000;expires=253402300800", SECONDS),
        (created, ";created=1780000000;expires=1779999999", "`expires` must not be before `created`"),
        (created, ";created=1780000000;created=1780000000", PARAMETER_TWICE),
        (nonce, "", "a signature needs the parameter `nonce`"),
        (nonce, ";nonce=\"\"", NONCE),
        (nonce, ";nonce=\"abcdefghijklmnopqrstu\"", NONCE),
        (nonce, ";nonce=\"abcdefghijklmnopqrst vw\"", NONCE),
        (nonce, ";nonce=abcdefghijklmnopqrstuv", STRINGS),
        (nonce, ";nonce=:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dg==:", STRINGS),
        (nonce, &format!("{nonce}{nonce}"), PARAMETER_TWICE),
        (nonce, &huge_nonce, NONCE),
        (nonce, &megabyte, TOO_LONG),
        ("peer:", "", KEYID),
        ("peer:", "PEER:", KEYID),
        ("peer:", "peer:1", KEYID),
        (";keyid=", ";keyid=\"a\";keyid=", PARAMETER_TWICE),
        (";keyid=", ";tag=", "a signature needs the parameter `keyid`, a node id"),
        (r#";alg="ed25519""#, "", ALG),
        (r#";alg="ed25519""#, ";alg=ed25519", STRINGS),
        (r#";alg="ed25519""#, r#";alg="Ed25519""#, ALG),
        (r#";alg="ed25519""#, r#";alg="rsa-pss-sha512""#, ALG),
        (r#";alg="ed25519""#, r#";alg="ed25519";tag=1"#, STRINGS),
        (r#";alg="ed25519""#, r#";alg="ed25519";tag="a";tag="a""#, PARAMETER_TWICE),
        (r#";alg="ed25519""#, r#";alg="ed25519";context="a""#, ONLY),
    ] {
        let found = refusal("signature-input", |value| {
            assert!(value.contains(from), "{from}");
            vec![value.replacen(from, to, 1)]
        });
        assert_eq!(found, sentence, "{from:.60} -> {to:.60}");
    }
    assert_eq!(refusal("signature-input", |_| vec![]), "`Signature` came without `Signature-Input`");
    assert_eq!(refusal("signature-input", |_| vec![String::new()]), "`Signature-Input` is empty");
    assert_eq!(
        refusal("signature-input", |v| vec![v.to_owned(), v.to_owned()]),
        "`Signature-Input` must be in the head once"
    );
}
