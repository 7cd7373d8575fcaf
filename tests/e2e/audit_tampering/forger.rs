//! Somebody who rewrites a log, with as many of its keys as they got hold of.

use std::fs;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis_audit::{Chain, Checkpoint, Entry, Line, Note, Position, SegmentKeys, Tree, leaf_hash, note};
use portcullis_certs::NodeKey;
use sha2::Sha256;

/// The keys that they have.
#[derive(Default)]
pub(super) struct Forger {
    /// Those of the seals.
    pub(super) keys: Option<SegmentKeys>,
    /// The node's, which signs checkpoints.
    pub(super) node: Option<NodeKey>,
}

/// The lines of each segment, without their newlines.
pub(super) type Lines = Vec<Vec<String>>;

impl Forger {
    /// The keys of the seals, from a state directory.
    pub(super) fn keys(state: &Path) -> SegmentKeys {
        let key =
            |name| data_encoding::HEXLOWER.decode(fs::read_to_string(state.join(name)).unwrap().trim().as_bytes());
        SegmentKeys::new(&key("audit.key").unwrap(), &key("audit-master.key").unwrap()).unwrap()
    }

    /// Changes the lines, and makes all that they have the keys for fit again: numbers, seals, links, tree, state and
    /// checkpoints. A checkpoint that does not fit and cannot be signed anew stays as it is.
    pub(super) fn rewrite(&self, dir: &Path, change: impl FnOnce(&mut Lines)) {
        let mut lines = read(dir);
        change(&mut lines);
        let (mut tree, mut nodes, mut place) = (Tree::default(), Vec::new(), Position::START);
        for (number, segment) in lines.iter_mut().enumerate() {
            for line in segment.iter_mut() {
                *line = self.fit(line, number as u64, place);
                place = Position::after(line.as_bytes()).unwrap();
                tree.push(leaf_hash(line.as_bytes()), &mut nodes);
            }
            self.sign(&dir.join(format!("audit-{number:06}.checkpoint")), &tree);
        }
        write(dir, &lines);
        fs::write(dir.join("tree"), nodes).unwrap();
        if let Some(keys) = &self.keys {
            let offset = lines.last().unwrap().iter().map(|line| line.len() + 1).sum::<usize>();
            seal_state(dir, keys, lines.len() - 1, offset, place, &tree);
        }
    }

    /// Says in the newest segment, under the key of that one, that the gate deleted all others.
    pub(super) fn tell(&self, dir: &Path) {
        let (files, lines) = (segments(dir), read(dir));
        let newest = files.len() - 1;
        let path = format!("audit-000000.jsonl to audit-{:06}.jsonl", newest - 1);
        let entry = Entry { event_type: "audit.pruned", path: &path, ..Entry::default() };
        let key = self.keys.as_ref().unwrap().seal_key(newest as u64);
        let place = Position::after(lines[newest].last().unwrap().as_bytes()).unwrap();
        let mut text = fs::read(&files[newest]).unwrap();
        Chain::resume(key, place).seal(&entry.draft(), 1_800_000_000_000_000, &mut text);
        fs::write(&files[newest], text).unwrap();
    }

    /// A line with the number and the seal that it has at this place.
    fn fit(&self, line: &str, segment: u64, place: Position) -> String {
        let mut line = line.to_owned();
        let read = Line::read(line.as_bytes()).unwrap();
        let (number, previous, seal) = (read.seq_no, read.previous_hmac, read.seal);
        line = line.replacen(&format!("\"seq_no\": {number}"), &format!("\"seq_no\": {}", place.next_seq), 1);
        if let Some(previous) = previous {
            line = line.replacen(previous.as_str(), place.previous.as_str(), 1);
        }
        let Some(keys) = &self.keys else { return line };
        let key = data_encoding::HEXLOWER.decode(keys.hex(segment).as_bytes()).unwrap();
        let read = Line::read(line.as_bytes()).unwrap();
        let (before, after) = read.unsealed();
        let sealed = mac(&key, &[place.previous.as_str().as_bytes(), before, after]);
        line.replacen(&format!("\"entry_hmac\": \"{seal}\""), &format!("\"entry_hmac\": \"{sealed}\""), 1)
    }

    fn sign(&self, path: &Path, tree: &Tree) {
        let Some(node) = &self.node else { return };
        let origin = format!("{}/audit", node.public().node_id());
        let text = Checkpoint { origin: origin.clone(), size: tree.size(), root: tree.root() }.to_text();
        let signature = note::sign(&text, &origin, node.secret().signing_key()).unwrap();
        fs::write(path, Note { text, signatures: vec![signature] }.to_string()).unwrap();
    }
}

/// Deletes all segments before this one. What a start looks for stays: the checkpoint of the last that went.
pub(super) fn begin_at(dir: &Path, first: usize) {
    for (number, file) in segments(dir)[..first].iter().enumerate() {
        fs::remove_file(file).unwrap();
        if number + 1 < first {
            fs::remove_file(file.with_extension("checkpoint")).unwrap();
        }
    }
}

/// The files of the segments, in order.
pub(super) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    files.sort();
    files
}

pub(super) fn read(dir: &Path) -> Lines {
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    segments(dir).iter().map(lines).collect()
}

/// Writes these segments; those that are not among them go.
pub(super) fn write(dir: &Path, lines: &Lines) {
    segments(dir).iter().for_each(|path| fs::remove_file(path).unwrap());
    for (number, segment) in lines.iter().enumerate() {
        let text: String = segment.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        fs::write(dir.join(format!("audit-{number:06}.jsonl")), text).unwrap();
    }
}

/// Removes the files whose names end so.
pub(super) fn remove(dir: &Path, endings: &[&str]) {
    for path in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        if endings.iter().any(|ending| path.to_str().unwrap().ends_with(ending)) {
            fs::remove_file(path).unwrap();
        }
    }
}

fn seal_state(dir: &Path, keys: &SegmentKeys, segment: usize, offset: usize, place: Position, tree: &Tree) {
    let text = |mac: &str| {
        let root = data_encoding::HEXLOWER.encode(&tree.root());
        let (entries, seal) = (place.next_seq, place.previous);
        format!(
            r#"{{"segment":{segment},"offset":{offset},"entries":{entries},"seal":"{seal}","root":"{root}","mac":"{mac}"}}"#
        )
    };
    let sealed = mac(&*keys.purpose("state"), &[text("").as_bytes()]);
    fs::write(dir.join("state.json"), text(&sealed)).unwrap();
}

fn mac(key: &[u8], pieces: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    pieces.iter().for_each(|piece| mac.update(piece));
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes())
}
