//! Every kind of client certificate, good and bad, over real TLS: what the client is told, and what the
//! audit log says of it.

use std::path::Path;
use std::process::Command;

use portcullis_certs::PeerCert;
use portcullis_tests::pki::{self, Authority, Shown, days, extension, hosts, pem, self_signed, uris, uses};
use portcullis_tests::{Client, FakeServer, Gate, der, until};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Eku, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose as Ku, NameConstraints,
};

/// What becomes of a row.
enum Becomes {
    /// It is let in, as this identity where it is not the key's own.
    In(Option<&'static str>),
    /// Its key is pending.
    Pending,
    /// It is refused with this status and code, by a message that says this.
    Refused(u16, &'static str, &'static str),
    /// It does not even shake hands.
    NoHandshake,
}

use Becomes::{In, NoHandshake, Pending, Refused};

/// A refusal as `identity.invalid`.
const fn invalid(says: &'static str) -> Becomes {
    Refused(401, "identity.invalid", says)
}

type Row = (&'static str, Shown, Becomes);

const WEB: &str = "spiffe://example.org/ns/prod/web";

#[test]
fn where_authorities_vouch_every_certificate_gets_its_due() {
    let folder = tempfile::tempdir().unwrap();
    let authorities = Authorities::new();
    let server = FakeServer::start();
    let gate = authorities.gate(&server, folder.path());
    let rows: Vec<Row> = [
        good(&authorities),
        leaves(&authorities),
        paths(&authorities.one),
        encodings(&authorities.one),
        handshakes(&authorities.one),
        svids(&authorities),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let broken = rows.iter().filter(|(.., becomes)| matches!(becomes, NoHandshake)).count();
    eprintln!("{} rows, {broken} of them without a handshake", rows.len());
    check(&gate, rows);
    let counted = gate.metric(r#"portcullis_handshakes_total{listener="gate",result="error"}"#);
    assert!(counted >= broken as f64, "{counted} of {broken}");
    for name in ["server", "ca", "client_ca", "spiffe"] {
        let end = gate.metric(&format!("portcullis_certificate_expiry_timestamp_seconds{{name=\"{name}\"}}"));
        assert!(end > 0.0, "{name}");
    }
}

/// Where a person decides about keys, a workload with an SVID of a named domain needs no decision.
#[test]
fn an_svid_counts_in_every_mode_of_trust() {
    let folder = tempfile::tempdir().unwrap();
    let domain = Authority::root("SPIRE");
    let bundle = domain.save(folder.path(), "bundle.pem");
    let server = FakeServer::start();
    for (trust, stranger) in [("tofu", Pending), ("pinned", invalid("not one that the operator listed"))] {
        let spiffe = format!("{{trust_domains: {{example.org: ['{}']}}, allow: ['{WEB}']}}", bundle.display());
        let gate = Gate::before(&server).filter(&format!("identity: {{trust: {trust}, spiffe: {spiffe}}}")).start();
        check(
            &gate,
            vec![
                ("an SVID", domain.client("w", uris(&[WEB])), In(Some(WEB))),
                ("not allowed", domain.client("w", uris(&["spiffe://example.org/x"])), invalid("none that this gate")),
                ("self-signed", self_signed("w", uris(&[WEB])), invalid("not issued by an authority")),
                ("of the domain's authority, without an ID", domain.client("w", |_| {}), stranger),
            ],
        );
    }
}

#[test]
fn where_keys_count_a_certificate_must_still_be_sound() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let root = Authority::root("nobody here knows it");
    check(
        &gate,
        vec![
            ("self-signed", self_signed("a", |_| {}), Pending),
            ("of an unknown authority", root.client("a", |_| {}), Pending),
            ("self-signed and CA:TRUE, as `openssl req -x509` makes it", self_signed("b", a_ca), Pending),
            ("without extended uses", self_signed("c", uses(&[])), Pending),
            ("a SPIFFE ID that nobody vouches for", self_signed("d", uris(&[WEB])), Pending),
            ("control bytes in the name", self_signed("e\0\n\u{7}f", |_| {}), Pending),
            ("an unknown extension that is not critical", self_signed("g", extension(false, 8)), Pending),
            ("expired", self_signed("h", days(-9, -1)), invalid("expired")),
            ("not yet valid", self_signed("i", days(1, 9)), invalid("not valid yet")),
            ("a server's", self_signed("j", uses(&[Eku::ServerAuth])), invalid("clientAuth")),
            ("an unknown critical extension", self_signed("k", extension(true, 8)), invalid("critical extension")),
            ("the same extension twice", twice(&root), invalid("not well-formed")),
            ("a key of small order", small_order(&root), NoHandshake),
        ],
    );
    let pending = gate.cli_json(&["peers", "pending"]);
    assert_eq!(pending.as_array().unwrap().len(), 7, "bad ones are not even noted");
}

/// Shows each row's chain to the gate, and compares.
#[track_caller]
fn check(gate: &Gate, rows: Vec<Row>) {
    let wrong: Vec<_> = rows.into_iter().filter_map(|row| outcome(gate, row).err()).collect();
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
    let verified = gate.cli(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// What the client was told and what the audit log says, where it is not what it should be.
fn outcome(gate: &Gate, (what, shown, becomes): Row) -> Result<(), String> {
    let handshakes = || gate.audit().into_iter().filter(|e| e["event_type"] == "handshake").collect::<Vec<_>>();
    let before = handshakes().len();
    let answer = Client::showing(gate.address, &gate.ca(), &shown, &[]).get("/api/version");
    let key = || PeerCert::parse(&shown.chain[0], false).map(|peer| peer.identity.to_string()).unwrap_or_default();
    let (status, code, says, node) = match becomes {
        In(identity) => (200, "allow", "", identity.map_or_else(key, str::to_owned)),
        Pending => (403, "identity.pending", "peers approve", key()),
        Refused(status, code, says) => (status, code, says, key()),
        NoHandshake => (0, "", "", String::new()),
    };
    let told = (answer.status, answer.code());
    if told != (status, code.to_owned()) || !answer.text().contains(says) {
        return Err(format!("{what}: {told:?} instead of {status} {code} {says}: {}", answer.text()));
    }
    let entry = if status == 0 {
        until(what, || handshakes().into_iter().nth(before))
    } else {
        gate.audit_of(answer.header("portcullis-request-id").unwrap())
    };
    let (decision, code) = match status {
        200 => ("ALLOW", ""),
        0 => ("BLOCK", "identity.invalid"),
        _ => ("BLOCK", code),
    };
    let fine = entry["node_id"] == node && entry["code"] == code && entry["policy_decision"] == decision;
    let one = handshakes().len() == before + usize::from(status == 0);
    if fine && one { Ok(()) } else { Err(format!("{what}: {entry} instead of {node} {code} {decision}")) }
}

/// Who vouches at the gate, and one who does not.
struct Authorities {
    one: Authority,
    two: Authority,
    short: Authority,
    old: Authority,
    domain: Authority,
    other_domain: Authority,
    revoked: Shown,
}

impl Authorities {
    fn new() -> Self {
        let one = Authority::root("Root One");
        let revoked = one.client("mallory", |_| {});
        Self {
            two: Authority::root("Root Two"),
            short: Authority::root_with("Short Root", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
            old: Authority::root_with("Old Root", days(-9, -1)),
            domain: Authority::root("SPIRE of example.org"),
            other_domain: Authority::root("SPIRE of other.example"),
            one,
            revoked,
        }
    }

    fn gate(&self, server: &FakeServer, folder: &Path) -> Gate {
        let one = self.one.save(folder, "one.pem");
        // Two authorities in one file.
        let both = folder.join("both.pem");
        let text: String = [&self.two, &self.short, &self.old].map(|a| pem("CERTIFICATE", &a.der)).concat();
        std::fs::write(&both, text).unwrap();
        let domain = self.domain.save(folder, "domain.pem");
        let other = self.other_domain.save(folder, "other.pem");
        let crl = folder.join("one.crl");
        std::fs::write(&crl, self.one.crl(&[&self.revoked])).unwrap();
        let [one, both, domain, other, crl] = [one, both, domain, other, crl].map(|path| path.display().to_string());
        Gate::before(server)
            .gate(&format!("client_ca: ['{one}', '{both}']"))
            .filter(&format!(
                "identity: {{trust: ca, crl: ['{crl}'], spiffe: {{trust_domains: {{example.org: ['{domain}'], \
                 other.example: ['{other}']}}, allow: ['spiffe://example.org/ns/prod/*', 'spiffe://other.example/*']}}}}"
            ))
            .start()
    }
}

fn good(a: &Authorities) -> Vec<Row> {
    let one = &a.one;
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let inner = one.below("Inner", |_| {});
    let innermost = inner.below("Innermost", |_| {});
    let far = innermost.client("far", |_| {});
    let mut shuffled = far.clone();
    shuffled.chain[1..].reverse();
    let mut crowded = far.clone();
    crowded.chain.insert(1, a.two.der.clone());
    let mut rows = vec![
        ("P-256", one.client("a", |_| {}), In(None)),
        ("another bundle, another authority in it", a.two.client("b", |_| {}), In(None)),
        ("P-384", one.client_with(&p384, "c", |_| {}), In(None)),
        ("Ed25519", one.client_with(&ed25519, "d", |_| {}), In(None)),
        ("by way of an intermediate", inner.client("e", |_| {}), In(None)),
        ("by way of two", far, In(None)),
        ("intermediates in another order", shuffled, In(None)),
        ("a certificate that has nothing to do with it", crowded, In(None)),
        ("the root sent along", one.client("f", |_| {}).followed_by(&[&one.der]), In(None)),
        ("no extended uses", one.client("g", uses(&[])), In(None)),
        ("client and server", one.client("h", uses(&[Eku::ServerAuth, Eku::ClientAuth])), In(None)),
        ("no key usage", one.client("i", |p| p.key_usages = vec![]), In(None)),
        ("an unknown extension that is not critical", one.client("j", extension(false, 8)), In(None)),
        ("an empty subject", one.client("k", |p| p.distinguished_name = DistinguishedName::new()), In(None)),
        ("control bytes in the subject", one.client("l\0\n\u{202e}m", |_| {}), In(None)),
        ("a NUL in a host name", one.client("n", hosts(&["good.example\0.evil.example"])), In(None)),
        ("a URI of another scheme", one.client("o", uris(&["urn:uuid:1"])), In(None)),
        ("just within its size", one.client("p", extension(false, 15_000)), In(None)),
        ("directly below a root without room for more", a.short.client("q", |_| {}), In(None)),
    ];
    if let Some(rsa) = rsa(2048) {
        rows.push(("RSA 2048", one.client_with(&rsa, "r", |_| {}), In(None)));
    }
    rows
}

fn leaves(a: &Authorities) -> Vec<Row> {
    let one = &a.one;
    let impostor = one.impostor();
    vec![
        ("expired", one.client("a", days(-9, -1)), invalid("expired")),
        ("not yet valid", one.client("b", days(1, 9)), invalid("not valid yet")),
        ("self-signed", self_signed("c", |_| {}), invalid("not issued by an authority")),
        ("of an unknown authority", Authority::root("Nobody").client("d", |_| {}), invalid("not issued by")),
        ("of another with the authority's name", impostor.client("e", |_| {}), invalid("client certificate")),
        ("the same, with that one sent along", impostor.client("f", |_| {}).followed_by(&[&impostor.der]), invalid("")),
        ("a server's", one.client("g", uses(&[Eku::ServerAuth])), invalid("clientAuth")),
        ("for signing code", one.client("h", uses(&[Eku::CodeSigning])), invalid("clientAuth")),
        ("for any use, which names none", one.client("i", uses(&[Eku::Any])), invalid("clientAuth")),
        ("an unknown critical extension", one.client("j", extension(true, 8)), invalid("critical extension")),
        ("an authority's own", one.client("k", a_ca), invalid("one of an authority")),
        ("a key that may only encrypt", one.client("l", |p| p.key_usages = vec![Ku::KeyEncipherment]), invalid("sign")),
        ("revoked by its authority", a.revoked.clone(), Refused(403, "identity.revoked", "revoked")),
        ("below a root that has ended", a.old.client("m", |_| {}), invalid("expired")),
    ]
}

fn paths(one: &Authority) -> Vec<Row> {
    let no_ca = one.below("No CA", |p| p.is_ca = IsCa::ExplicitNoCa);
    let no_sign = one.below("No signing", |p| p.key_usages = vec![Ku::CrlSign]);
    let last = one.below("Last", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let too_far = last.below("Too far", |_| {});
    let bound = one.below("Bound", |p| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("lan.example".to_owned())],
            excluded_subtrees: vec![],
        });
    });
    let unbound = one.below("Excluding", |p| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![],
            excluded_subtrees: vec![GeneralSubtree::DnsName("evil.example".to_owned())],
        });
    });
    let server_only = one.below("For servers", uses(&[Eku::ServerAuth]));
    let critical = one.below("Critical", extension(true, 8));
    let missing = one.below("Missing", |_| {}).client("m", |_| {});
    let deep = (0..8).fold(one.below("1", |_| {}), |above, _| above.below("n", |_| {}));
    vec![
        ("within the names of its authority", bound.client("a", hosts(&["pc.lan.example"])), In(None)),
        ("outside of them", bound.client("b", hosts(&["pc.evil.example"])), invalid("name constraints")),
        ("among the excluded names", unbound.client("c", hosts(&["pc.evil.example"])), invalid("name constraints")),
        ("an intermediate without CA", no_ca.client("d", |_| {}), invalid("not one of an authority")),
        ("an intermediate that may not sign", no_sign.client("e", |_| {}), invalid("not one of an authority")),
        ("an intermediate too many", too_far.client("f", |_| {}), invalid("path length")),
        ("an expired intermediate", one.below("Old", days(-9, -1)).client("g", |_| {}), invalid("expired")),
        ("an intermediate of tomorrow", one.below("New", days(1, 9)).client("h", |_| {}), invalid("not valid yet")),
        ("an intermediate for servers", server_only.client("i", |_| {}), invalid("clientAuth")),
        ("an intermediate with a critical extension", critical.client("j", |_| {}), invalid("critical extension")),
        ("a missing intermediate", missing.followed_by(&[]), invalid("not issued by an authority")),
        ("a chain that is too long", deep.client("k", |_| {}), NoHandshake),
    ]
}

fn encodings(one: &Authority) -> Vec<Row> {
    let mut flipped = one.client("a", |_| {});
    let last = flipped.chain[0].len() - 1;
    flipped.chain[0][last] ^= 1;
    // ecdsa-with-SHA1 and ecdsa-with-SHA224: the signature is never looked at.
    let sha1 = der::sequence(&[der::tagged(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1])]);
    let sha224 = der::sequence(&[der::tagged(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1])]);
    let first = |name| {
        one.patched(name, |parts| {
            parts.remove(0);
            parts.truncate(6);
        })
    };
    vec![
        ("a bit of the signature", flipped, invalid("signature")),
        ("SHA-1", one.patched("b", move |parts| parts[2] = sha1), invalid("too weak")),
        ("SHA-224", one.patched("c", move |parts| parts[2] = sha224), invalid("too weak")),
        ("version 1", first("d"), invalid("not well-formed")),
        ("the same extension twice", twice(one), invalid("not well-formed")),
    ]
}

fn handshakes(one: &Authority) -> Vec<Row> {
    let good = one.client("a", |_| {});
    let other = Shown { key: pki::key().serialize_pem(), ..good.clone() };
    let swapped = {
        let inner = one.below("Inner", |_| {});
        let mut shown = inner.client("b", |_| {});
        shown.chain.swap(0, 1);
        shown
    };
    let trailing = {
        let mut shown = good.clone();
        shown.chain[0].push(0);
        shown
    };
    let garbage = Shown { chain: vec![vec![0x30, 0x82, 0x01, 0x00, 1, 2, 3]], ..good.clone() };
    let fifty = Shown { chain: vec![good.chain[0].clone(); 50], ..good.clone() };
    vec![
        ("200 KB", one.client("c", extension(false, 200_000)), NoHandshake),
        ("20 KB", one.client("d", extension(false, 20_000)), NoHandshake),
        ("fifty certificates", fifty, NoHandshake),
        ("broken DER", garbage, NoHandshake),
        ("a byte behind the certificate", trailing, NoHandshake),
        ("a key of small order", small_order(one), NoHandshake),
        ("RSA 1024", weak_rsa(one), NoHandshake),
        ("somebody else's certificate", other, NoHandshake),
        ("the intermediate first", swapped, NoHandshake),
    ]
}

fn svids(a: &Authorities) -> Vec<Row> {
    let domain = &a.domain;
    let of = |uri: &'static str| domain.client("w", uris(&[uri]));
    let inner = domain.below("Inner SPIRE", |_| {});
    let both = |p: &mut CertificateParams| {
        uris(&[WEB])(p);
        hosts(&["web.lan.example"])(p);
    };
    let with_ca = |p: &mut CertificateParams| {
        uris(&[WEB])(p);
        a_ca(p);
    };
    let signing = |p: &mut CertificateParams| {
        uris(&[WEB])(p);
        p.key_usages.push(Ku::KeyCertSign);
    };
    let expired = |p: &mut CertificateParams| {
        uris(&[WEB])(p);
        days(-9, -1)(p);
    };
    let id = "exactly one URI name";
    vec![
        ("an SVID", of(WEB), In(Some(WEB))),
        ("by way of an intermediate", inner.client("w", uris(&[WEB])), In(Some(WEB))),
        ("with a host name beside it", domain.client("w", both), In(Some(WEB))),
        (
            "of another domain, by its own authority",
            a.other_domain.client("w", uris(&["spiffe://other.example/w"])),
            In(Some("spiffe://other.example/w")),
        ),
        ("two URIs", domain.client("w", uris(&[WEB, "spiffe://example.org/ns/prod/x"])), invalid(id)),
        ("a URI of another kind beside it", domain.client("w", uris(&[WEB, "https://x.example/"])), invalid(id)),
        ("upper case in the domain", of("spiffe://Example.org/ns/prod/web"), invalid(id)),
        ("upper case in the scheme", of("SPIFFE://example.org/ns/prod/web"), invalid(id)),
        ("no path", of("spiffe://example.org"), invalid(id)),
        ("an empty path", of("spiffe://example.org/"), invalid(id)),
        ("a query", of("spiffe://example.org/ns/prod/web?x"), invalid(id)),
        ("a port", of("spiffe://example.org:1/ns/prod/web"), invalid(id)),
        ("a dot segment", of("spiffe://example.org/ns/prod/../prod/web"), invalid(id)),
        ("an escape", of("spiffe://example.org/ns/prod/%77eb"), invalid(id)),
        ("a NUL", of("spiffe://example.org/ns/prod/web\0"), invalid(id)),
        ("an unknown domain", of("spiffe://nowhere.example/w"), invalid("does not know")),
        ("not allowed", of("spiffe://example.org/ns/test/web"), invalid("none that this gate allows")),
        ("allowed in another case", of("spiffe://example.org/NS/prod/web"), invalid("none that this gate allows")),
        ("by another domain's authority", a.other_domain.client("w", uris(&[WEB])), invalid("not issued by")),
        ("by the authority of clients", a.one.client("w", uris(&[WEB])), invalid("not issued by")),
        ("self-signed", self_signed("w", uris(&[WEB])), invalid("not issued by")),
        ("an authority's", domain.client("w", with_ca), invalid("one of an authority")),
        ("one that may sign others", domain.client("w", signing), invalid("key usage")),
        ("expired", domain.client("w", expired), invalid("expired")),
    ]
}

fn a_ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

/// Two extensions of one kind: two readers may look at different ones.
fn twice(authority: &Authority) -> Shown {
    authority.patched("twice", |parts| {
        let extensions = der::parts(der::content(parts.last().unwrap()));
        let doubled = [extensions.clone(), vec![extensions[0].clone()]].concat();
        *parts.last_mut().unwrap() = der::tagged(0xa3, &der::sequence(&doubled));
    })
}

/// The neutral element of the curve: every signature by it would hold.
fn small_order(authority: &Authority) -> Shown {
    let mut point = [0u8; 33];
    point[1] = 1;
    let algorithm = der::sequence(&[der::tagged(6, &[0x2b, 0x65, 0x70])]);
    let key = der::sequence(&[algorithm, der::tagged(3, &point)]);
    authority.patched("small", |parts| parts[6] = key)
}

/// A key that nobody has: only its size counts.
fn weak_rsa(authority: &Authority) -> Shown {
    let algorithm = der::sequence(&[der::tagged(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), vec![5, 0]]);
    let modulus = [vec![0], vec![0xb5; 127], vec![1]].concat();
    let key = der::sequence(&[der::tagged(2, &modulus), der::tagged(2, &[1, 0, 1])]);
    let key = der::sequence(&[algorithm, der::tagged(3, &[vec![0], key].concat())]);
    authority.patched("rsa", |parts| parts[6] = key)
}

fn rsa(bits: u32) -> Option<KeyPair> {
    let made = Command::new("openssl").args(["genrsa", &bits.to_string()]).output().ok();
    let Some(made) = made.filter(|made| made.status.success()) else {
        eprintln!("skipped: openssl not found");
        return None;
    };
    Some(KeyPair::from_pem(&String::from_utf8_lossy(&made.stdout)).unwrap())
}

#[test]
fn a_name_is_never_more_than_a_label() {
    let server = FakeServer::start();
    let gate = Gate::before(&server).start();
    let shown = self_signed("alice\0.evil", |p| p.distinguished_name.push(DnType::OrganizationName, "x\ny"));
    let client = Client::showing(gate.address, &gate.ca(), &shown, &[]);
    assert_eq!(client.get("/api/version").code(), "identity.pending");
    let pending = gate.cli_json(&["peers", "pending"]);
    assert_eq!(pending[0]["presented_name"], "alice.evil");
}
