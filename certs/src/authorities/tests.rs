use super::*;
use crate::ca::{Ca, Request, San};
use crate::peer::Described;
use proptest::prelude::*;

/// A folder with an authority, and a leaf of it.
struct World {
    dir: tempfile::TempDir,
    ca: Ca,
    leaf: CertificateDer<'static>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::create("test").unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca.certificate()).unwrap();
        let names = [San::Uri("spiffe://example.org/web".to_owned())];
        let issued = ca.issue_client("web", &names, Duration::from_secs(3_600)).unwrap();
        let leaf = verify::first_certificate(&issued.chain).unwrap();
        Self { dir, ca, leaf }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn clients(&self) -> Authorities {
        let files = AuthorityFiles { clients: vec![self.dir.path().join("ca.pem")], ..AuthorityFiles::default() };
        Authorities::load(&files).unwrap()
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[test]
fn a_leaf_is_vouched_for_in_its_time_and_no_longer() {
    let world = World::new();
    let authorities = world.clients();
    let judged = authorities.judge(std::slice::from_ref(&world.leaf), now()).unwrap();
    assert!(judged.vouched && judged.problem.is_none());
    assert_eq!(judged.peer.identity.as_str(), "spiffe://example.org/web");
    assert_eq!(judged.not_after, judged.peer.not_after);
    let later = authorities.judge(std::slice::from_ref(&world.leaf), judged.not_after + 1).unwrap();
    assert_eq!((later.vouched, later.problem), (false, Some(CertificateProblem::Expired)));
    assert!(later.peer.identity.as_str().starts_with("cert:"), "nobody vouches for its name then");
    assert!(authorities.judge(&[], now()).is_err());
    let nobody = Authorities::default().judge(std::slice::from_ref(&world.leaf), now()).unwrap();
    assert!(!nobody.vouched && nobody.problem.is_none(), "where keys count, nobody has to vouch");
}

#[test]
fn a_domain_speaks_for_itself_alone() {
    let world = World::new();
    let bundle = vec![world.dir.path().join("ca.pem")];
    for (domain, allow, problem) in [
        ("example.org", "spiffe://example.org/*", None),
        ("example.org", "spiffe://example.org/we", Some(CertificateProblem::SpiffeNotAllowed)),
        ("other.example", "*", Some(CertificateProblem::SpiffeDomain)),
    ] {
        let files = AuthorityFiles {
            clients: bundle.clone(),
            domains: vec![(domain.to_owned(), bundle.clone())],
            allow: vec![allow.to_owned()],
            ..AuthorityFiles::default()
        };
        let judged = Authorities::load(&files).unwrap().judge(std::slice::from_ref(&world.leaf), now()).unwrap();
        assert_eq!((judged.vouched, judged.problem), (problem.is_none(), problem), "{domain} {allow}");
    }
}

#[test]
fn a_list_takes_back_what_it_names() {
    let world = World::new();
    let peer = PeerCert::parse(&world.leaf, false).unwrap();
    let time = std::time::SystemTime::now();
    let list = world.ca.revocation_list(&[(peer.serial.clone(), time)], 7, Duration::from_secs(60)).unwrap();
    let files = AuthorityFiles {
        clients: vec![world.dir.path().join("ca.pem")],
        crls: vec![world.file("list.pem", &list)],
        ..AuthorityFiles::default()
    };
    let authorities = Authorities::load(&files).unwrap();
    assert!(authorities.has_revoked(&peer.issuer_sha256, &peer.serial));
    assert!(!authorities.has_revoked(&[0; 32], &peer.serial));
    let judged = authorities.judge(std::slice::from_ref(&world.leaf), now()).unwrap();
    assert_eq!(judged.problem, Some(CertificateProblem::Revoked));
    // A list that has ended tells nothing of those that it does not name.
    let late = authorities.judge(std::slice::from_ref(&world.leaf), now() + 120).unwrap();
    assert!(late.problem.is_some());
}

#[test]
fn a_bundle_is_read_whole_or_not_at_all() {
    let world = World::new();
    let leaf = world.ca.issue_client("leaf", &[], Duration::from_secs(60)).unwrap();
    let both = format!("{}{}", world.ca.certificate(), leaf.chain);
    for (name, text, words) in [
        ("none.pem", "", "holds no certificate"),
        ("torn.pem", "-----BEGIN CERTIFICATE-----\nAAAA", "holds no certificate"),
        ("leaf.pem", both.as_str(), "not one of an authority"),
    ] {
        let files = AuthorityFiles { clients: vec![world.file(name, text)], ..AuthorityFiles::default() };
        let error = Authorities::load(&files).err().unwrap().to_string();
        assert!(error.contains(words) && error.contains(name), "{error}");
    }
    let files = AuthorityFiles { crls: vec![world.file("none.crl", "")], ..AuthorityFiles::default() };
    assert!(Authorities::load(&files).err().unwrap().to_string().contains("it holds none"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// One bit of a certificate is changed: nobody vouches for it any more.
    #[test]
    fn a_changed_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        use std::sync::OnceLock;
        static WORLD: OnceLock<(Authorities, Vec<u8>)> = OnceLock::new();
        let (authorities, leaf) = WORLD.get_or_init(|| {
            let world = World::new();
            (world.clients(), world.leaf.to_vec())
        });
        let mut changed = leaf.clone();
        changed[at.index(leaf.len())] ^= 1 << bit;
        if let Ok(judged) = authorities.judge(&[changed.into()], now()) {
            prop_assert!(!judged.vouched && judged.problem.is_some());
        }
    }

    #[test]
    fn nothing_from_outside_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Described::parse(&bytes);
        let _ = Authorities::default().judge(&[bytes.clone().into()], now());
        let pem = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
            data_encoding::BASE64.encode(&bytes)
        );
        prop_assert!(Request::from_pem(pem.as_bytes()).is_err());
    }
}

#[test]
fn a_pipe_in_a_file_s_place_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let [pipe, key, link] = ["pipe", "key", "link"].map(|name| dir.path().join(name));
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    // In a thread of its own, so that what never ends fails.
    let (done, told) = std::sync::mpsc::channel();
    let at = pipe.clone();
    std::thread::spawn(move || {
        let said = [
            read_bounded(&at).unwrap_err().to_string(),
            verify::read_certificates(&at).unwrap_err().to_string(),
            Ca::load(&at, &key).err().map(|error| error.to_string()).unwrap_or_default(),
        ];
        done.send(said)
    });
    for said in told.recv_timeout(Duration::from_secs(30)).expect("it does not end") {
        assert!(said.contains("no regular file"), "{said}");
    }
    // Who names one by hand gets what comes through it; and a mounted file lies behind a link.
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, "text")
    });
    assert_eq!(read_bounded_by_hand(&pipe).unwrap(), b"text");
    writer.join().unwrap().unwrap();
    std::fs::write(dir.path().join("file"), "text").unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    assert_eq!(read_bounded(&link).unwrap(), b"text");
}
