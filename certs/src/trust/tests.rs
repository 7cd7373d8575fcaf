use std::fs;

use super::*;
use crate::files;
use crate::node::NodeKey;

const PRINT: &str = "aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99";

fn knock(store: &TrustStore, id: &str) -> bool {
    store.note_pending(id, PRINT, Some("alice\u{7}"), "192.0.2.1", &"c\u{1b}".repeat(100))
}

fn node(seed: u8) -> (String, String) {
    let public = NodeKey::from_seed(&[seed; 32]).public();
    (public.node_id(), public.fingerprint())
}

fn add(store: &TrustStore, seed: u8, name: Option<&str>) -> String {
    let (id, print) = node(seed);
    store.add(&id, &print, name).unwrap().id
}

fn open() -> (tempfile::TempDir, TrustStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = TrustStore::open(dir.path()).unwrap();
    (dir, store)
}

#[test]
fn two_handles_see_each_other() {
    let (dir, gate) = open();
    let cli = TrustStore::open(dir.path()).unwrap();
    assert_eq!(gate.standing("peer:a"), Standing::Unknown);
    assert!(!knock(&gate, "peer:a"), "not on disk yet");
    assert_eq!(gate.standing("peer:a"), Standing::Pending, "at once in this process");
    assert_eq!(gate.pending().len(), 1);
    gate.flush().unwrap();
    assert!(knock(&gate, "peer:a"), "on disk");
    assert!(cli.reload_if_changed().unwrap());
    assert!(!cli.reload_if_changed().unwrap());
    let [waiting] = &cli.pending()[..] else { panic!("one waits") };
    assert_eq!(waiting.presented_name.as_deref(), Some("alice"));
    assert_eq!((waiting.name.as_deref(), waiting.client.as_str(), waiting.count), (None, &*"c".repeat(64), 1));
    cli.approve("aabbccdd", Some("alice"), None).unwrap();
    assert!(gate.reload_if_changed().unwrap());
    assert_eq!(gate.standing("peer:a"), Standing::Approved { name: Some("alice".into()), profile: None });
    assert_eq!(gate.standing_named("peer:b", Some("Alice")), Standing::KeyChanged { name: "alice".into() });
    cli.revoke("alice").unwrap();
    gate.reload_if_changed().unwrap();
    assert_eq!(gate.standing("peer:a"), Standing::Revoked);
    assert_eq!(gate.standing_named("peer:b", Some("Alice")), Standing::Unknown);
    for name in ["trust.json", "trust.lock"] {
        files::check_private(&dir.path().join(name)).unwrap();
    }
}

#[test]
fn a_damaged_file_opens_nothing_and_forgets_nothing() {
    let (dir, store) = open();
    let id = add(&store, 1, None);
    let file = dir.path().join("trust.json");
    let good = fs::read_to_string(&file).unwrap();
    let peer = good.split_once("[").unwrap().1.rsplit_once("]").unwrap().0;
    for bad in [
        "",
        "{\"version\":1,",
        "{\"version\":2,\"peers\":[]}",
        "{\"version\":0,\"peers\":[]}",
        "{\"version\":1,\"peers\":[],\"more\":1}",
        &good.replace("peer:", "user:"),
        &good.replace("approved\"", "admitted\""),
        &format!("{{\"version\":1,\"peers\":[{peer},{peer}]}}"),
    ] {
        fs::write(&file, bad).unwrap();
        let error = store.reload_if_changed().unwrap_err().to_string();
        assert!(error.contains("damaged") && error.contains("trust.json"), "{error}");
        assert!(matches!(store.standing(&id), Standing::Approved { .. }));
        assert!(TrustStore::open(dir.path()).is_err(), "{bad}");
        assert!(store.revoke(&id).is_err(), "a change starts from the file");
        knock(&store, "peer:b");
        assert!(store.flush().is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), bad, "nothing is written over it");
    }
    fs::write(&file, good).unwrap();
    store.flush().unwrap();
    assert_eq!(store.standing("peer:b"), Standing::Pending, "kept for the next try");
}

#[test]
fn strangers_are_bounded_and_decisions_are_kept() {
    let (dir, store) = open();
    let friend = add(&store, 1, Some("friend"));
    let foe = add(&store, 2, None);
    store.block(&foe).unwrap();
    for round in 0..3 {
        for i in 0..MAX_PENDING + 10 {
            knock(&store, &format!("peer:{round}x{i}"));
        }
        assert_eq!(store.pending().len(), MAX_PENDING, "in memory");
        store.flush().unwrap();
    }
    let again = TrustStore::open(dir.path()).unwrap();
    assert_eq!(again.pending().len(), MAX_PENDING, "on disk");
    assert_eq!(again.standing(&format!("peer:2x{}", MAX_PENDING + 9)), Standing::Pending, "the last one stays");
    assert_eq!(again.standing("peer:2x0"), Standing::Unknown, "the oldest one went");
    assert!(matches!(again.standing(&friend), Standing::Approved { .. }));
    assert_eq!(again.standing(&foe), Standing::Revoked);
    assert_eq!(again.counts(), [("approved", 1), ("blocked", 1), ("pending", MAX_PENDING), ("revoked", 0)]);
}

#[test]
fn what_is_no_identity_is_not_noted() {
    let (dir, store) = open();
    knock(&store, "root\n");
    store.flush().unwrap();
    assert!(store.list().is_empty() && TrustStore::open(dir.path()).is_ok());
}

#[test]
fn names_are_unique_and_selectors_exact() {
    let (_dir, store) = open();
    store.note_pending("peer:a", "aa:bb:cc:dd:01", None, "", "");
    store.note_pending("peer:b", "aa:bb:cc:dd:02", None, "", "");
    store.approve("peer:a", Some("one"), None).unwrap();
    assert!(matches!(store.rename("peer:b", "ONE"), Err(TrustError::Name(NameError::Taken { .. }))));
    for name in ["", "a b", "deadbeef", "peer:a", &"x".repeat(65)] {
        assert!(matches!(store.rename("peer:b", name), Err(TrustError::Name(NameError::Invalid(_)))), "{name:?}");
    }
    let error = store.approve("aabbccdd", None, None).unwrap_err().to_string();
    assert!(error.contains("`peer:a`, `peer:b`"), "{error}");
    for nobody in ["aabbcc", "aabbccdf", "", "peer:", "none"] {
        let error = store.approve(nobody, None, None);
        assert!(matches!(error, Err(TrustError::Select(SelectError::Nobody(_)))), "{nobody:?}");
    }
    assert_eq!(store.approve("AA:bb:cc:dd:02", None, None).unwrap().id, "peer:b");
    assert_eq!(store.approve("One", None, None).unwrap().id, "peer:a");
}

#[test]
fn a_new_key_takes_the_place_of_a_revoked_one() {
    let (_dir, store) = open();
    store.note_pending("peer:old", "aa:bb:cc:dd:01", None, "", "");
    store.note_pending("peer:new", "aa:bb:cc:dd:02", Some("alice"), "", "");
    store.approve("peer:old", Some("alice"), None).unwrap();
    assert_eq!(store.standing_named("peer:new", Some("alice")), Standing::KeyChanged { name: "alice".into() });
    assert!(matches!(store.approve("peer:new", Some("alice"), None), Err(TrustError::Name(NameError::Taken { .. }))));
    assert_eq!(store.standing("peer:new"), Standing::Pending, "a change that fails changes nothing");
    store.revoke("alice").unwrap();
    store.approve("peer:new", Some("alice"), None).unwrap();
    assert_eq!(store.approve("alice", None, None).unwrap().id, "peer:new");
    assert_eq!(store.approve("peer:old", None, None).unwrap().name, None, "no two have one name");
}

#[test]
fn what_is_added_agrees_with_itself() {
    let (_dir, store) = open();
    let ((id, print), (_, other)) = (node(1), node(2));
    assert!(matches!(store.add(&id, &other, None), Err(TrustError::Fingerprint { .. })));
    assert!(matches!(store.add("spiffe://td/w", "aa", None), Err(TrustError::Fingerprint { .. })));
    for nobody in ["peer:a", "cert:00", "key:ci", "root"] {
        assert!(matches!(store.add(nobody, &print, None), Err(TrustError::Identity(_))), "{nobody:?}");
    }
    let entry = store.add(&id, &print.replace(':', "").to_uppercase(), None).unwrap();
    assert_eq!((entry.fingerprint, entry.state), (print.clone(), State::Approved));
    store.add(&id, &print, Some("one")).unwrap();
    store.add("spiffe://td/w", &print, None).unwrap();
    assert_eq!(store.list().len(), 2);
}

#[test]
fn writers_lose_nothing_of_each_other() {
    let (dir, store) = open();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (path, store) = (dir.path(), &store);
            scope.spawn(move || {
                let own = TrustStore::open(path).unwrap();
                for i in 0..10 {
                    add(&own, writer * 10 + i, None);
                    knock(store, &format!("peer:{writer}x{i}"));
                    store.flush().unwrap();
                    store.reload_if_changed().unwrap();
                }
            });
        }
    });
    let all = TrustStore::open(dir.path()).unwrap().list();
    assert_eq!(all.len(), 80);
    assert_eq!(all.iter().map(|e| e.count).sum::<u64>(), 40, "no knock is lost or counted twice");
}

#[test]
fn knocks_during_a_write_are_kept() {
    let (_dir, store) = open();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..2000 {
                knock(&store, &format!("peer:{}", i % 20));
            }
        });
        scope.spawn(|| (0..20).for_each(|_| store.flush().unwrap()));
    });
    store.flush().unwrap();
    assert_eq!(store.list().iter().map(|e| e.count).sum::<u64>(), 2000);
}

#[test]
fn ten_thousand_peers_open_in_a_second() {
    let (dir, store) = open();
    let id = add(&store, 1, None);
    let path = dir.path().join("trust.json");
    let mut document: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let peers = document["peers"].as_array_mut().unwrap();
    let first = peers[0].clone();
    peers.extend((0..9_999).map(|n| {
        let mut peer = first.clone();
        (peer["id"], peer["name"]) = (format!("cert:{n:064x}").into(), format!("peer-{n}").into());
        peer
    }));
    files::write_private(&path, &serde_json::to_vec_pretty(&document).unwrap()).unwrap();
    let began = std::time::Instant::now();
    let store = TrustStore::open(dir.path()).unwrap();
    let took = began.elapsed();
    // Promised of the program as it is shipped; a debug build is several times slower.
    let promised = std::time::Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
    assert!(took < promised, "it took {took:?}");
    println!("10,000 peers opened in {took:?}");
    assert_eq!(store.list().len(), 10_000);
    assert!(matches!(store.standing(&id), Standing::Approved { .. }));
    assert!(matches!(store.standing(&format!("cert:{:064x}", 9_998)), Standing::Approved { .. }));
}
