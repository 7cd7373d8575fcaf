//! A shared document: nobody's change is lost, not even by the store.

use portcullis_certs::ledger::Document;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Words(Vec<String>);

impl Document for Words {
    fn check(&self) -> Result<(), String> {
        if self.0.iter().any(String::is_empty) { Err("a word is empty".to_owned()) } else { Ok(()) }
    }
}

fn document(server: &Server) -> SharedDocument<Words> {
    let metrics = Metrics::new().unwrap();
    SharedDocument::open(Arc::new(Redis::open(server.settings(), &["grants"], &metrics).unwrap()), "words")
}

fn add(document: &SharedDocument<Words>, word: &str) -> Result<usize, SharedError> {
    document.change(|words| {
        words.0.push(word.to_owned());
        Ok(words.0.len())
    })
}

#[test]
fn writers_lose_nothing_of_each_other_s() {
    let Some(server) = Server::start(&[]) else { return };
    let (one, two) = (document(&server), document(&server));
    assert_eq!(*one.get(), Words::default());
    std::thread::scope(|scope| {
        for (writer, name) in [(&one, "a"), (&two, "b")] {
            scope.spawn(move || {
                for n in 0..20 {
                    add(writer, &format!("{name}{n}")).unwrap();
                }
            });
        }
    });
    one.fetch().unwrap();
    two.fetch().unwrap();
    assert_eq!((one.get().0.len(), one.get()), (40, two.get()));
}

#[test]
fn a_store_that_lost_changes_is_told_them_again() {
    let Some(server) = Server::start(&[]) else { return };
    let (gate, command) = (document(&server), document(&server));
    add(&command, "given").unwrap();
    let old = server.say(&["HGET", "{test}:words", "document"]);
    add(&command, "taken back").unwrap();
    gate.fetch().unwrap();
    // An older copy of the data, as after a restore, and then none at all.
    server.say(&["HSET", "{test}:words", "revision", "1", "document", old.trim()]);
    gate.reload().unwrap();
    assert_eq!(gate.get().0, ["given", "taken back"]);
    server.say(&["FLUSHALL"]);
    gate.reload().unwrap();
    let late = document(&server);
    late.fetch().unwrap();
    assert_eq!(late.get().0, ["given", "taken back"]);
    assert_eq!(add(&command, "more").unwrap(), 3);
}

#[test]
fn a_damaged_document_changes_nothing() {
    let Some(server) = Server::start(&[]) else { return };
    let gate = document(&server);
    add(&gate, "a").unwrap();
    for broken in ["[\"", "[\"\"]"] {
        server.say(&["HSET", "{test}:words", "revision", "9", "document", broken]);
        assert!(matches!(gate.reload(), Err(SharedError::Damaged { .. })));
        assert!(matches!(add(&gate, "b"), Err(SharedError::Damaged { .. })));
        assert_eq!(gate.get().0, ["a"]);
    }
}
