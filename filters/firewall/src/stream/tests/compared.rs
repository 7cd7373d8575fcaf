//! How a growing text is followed quickly, compared with the plain way.

use aho_corasick::automaton::StateID;

use super::super::automaton::Thread;
use super::super::run::{Run, Word};
use super::*;

/// What is known of a growing text behind a piece.
type Known = (Option<StateID>, Word, Run, Vec<(usize, u64, Vec<Thread>)>, u64, Vec<(String, Range<u64>)>);

/// Pushes pieces, with every byte taken in one by one or as it is done.
fn known(rules: &Rules, pieces: &[&str], one_by_one: bool) -> Vec<Known> {
    let mut stream = Stream::new();
    let mut all = Vec::new();
    for piece in pieces {
        let mut found = Vec::new();
        let mut tell = |f: StreamFinding<'_>| found.push((f.rule.id.to_string(), f.secret));
        if one_by_one {
            let (told, live) = (std::mem::take(&mut stream.told), rules.live().unwrap());
            let mut judge = Judge { rules, live, holds: &|_| true, found: &mut tell, told, free: 0, exhausted: false };
            let holding = stream.open < stream.seen.kept.whole();
            stream.add(piece, &mut |follower, part| {
                part.for_each(|at| follower.take(&mut judge, at, follower.kept.byte(at).unwrap()));
            });
            if stream.is_one() {
                stream.look_beside(&mut judge, false);
                stream.join();
            }
            stream.cap(&mut judge);
            stream.settle(&judge, holding);
            stream.told = judge.told;
        } else {
            stream.push(rules, piece, &|_| true, &mut tell).unwrap();
        }
        let seen = &stream.seen;
        let candidates = seen.candidates.iter().map(|c| (c.place(), c.base, c.threads.clone())).collect();
        all.push((seen.words, seen.word, seen.run, candidates, stream.open, found));
    }
    all
}

/// A letter as it may be written in another script, or with a mark.
fn disguise(c: char, way: usize) -> String {
    let pairs = [('a', 'а'), ('e', 'е'), ('o', 'о'), ('p', 'р'), ('s', 'ѕ'), ('A', 'А'), ('K', 'К'), ('I', 'І')];
    let marked = [('a', 'á'), ('e', 'é'), ('o', 'ó'), ('n', 'ñ'), ('A', 'Á'), ('c', 'ç')];
    let of = |pairs: &[(char, char)]| pairs.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to).to_string();
    match way {
        0 | 1 => of(&pairs),
        2 => of(&marked),
        3 => format!("{c}\u{301}"),
        4 => format!("{c}\u{336}"),
        5 => format!("{c}\u{64b}"),
        _ => c.to_string(),
    }
}

/// Parts of what rules find, and what may stand between them.
fn made(samples: &[Samples], parts: &[(prop::sample::Index, usize, usize, String)]) -> String {
    let templates: Vec<&String> = samples.iter().flat_map(|samples| &samples.positive).collect();
    let part = |(which, from, size, noise): &(prop::sample::Index, usize, usize, String)| {
        let template: &&String = which.get(&templates);
        let text = draw(template, 7).unwrap();
        text.chars().skip(*from).take(*size).collect::<String>() + noise
    };
    parts.iter().map(part).collect()
}

proptest! {
    #[test]
    fn what_is_seen_anew_is_followed_as_if_it_had_come_so(
        parts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, 0usize..50, "[ -~éаж\u{301}\u{1b}→中]{0,4}"), 1..4),
        ways in prop::collection::vec(0usize..10, 1..20),
        cut in prop::collection::vec(1usize..6, 1..9),
        json: bool,
    ) {
        let (rules, samples) = builtin();
        let text = made(samples, &parts);
        let text: String = text.chars().zip(ways.iter().cycle()).map(|(c, way)| disguise(c, *way)).collect();
        let state = |stream: &Stream| {
            let seen = &stream.seen;
            let candidates: Vec<_> = seen.candidates.iter().map(|c| (c.place(), c.base, c.threads.clone())).collect();
            (seen.words, seen.word, seen.run, candidates, seen.contexts.clone())
        };
        let follow = |stream: &mut Stream, piece: &str| {
            let live = rules.live().unwrap();
            let mut judge = Judge { rules, live, holds: &|_| true, found: &mut |_| {}, told: Told::default(), free: 0, exhausted: false };
            stream.add(piece, &mut |follower, part| follower.follow(&mut judge, part));
        };
        let mut stream = Stream::new();
        let text = if json {
            stream.read_json();
            text.replace('а', "\\u0430").replace('é', "\\u00e9")
        } else {
            text
        };
        let mut rest = text.as_str();
        for size in cut.iter().cycle() {
            if rest.is_empty() { break; }
            let end = rest.char_indices().nth(*size).map_or(rest.len(), |(at, _)| at);
            let (piece, left) = rest.split_at(end);
            follow(&mut stream, piece);
            let mut whole = Stream::new();
            follow(&mut whole, stream.seen.kept.text());
            if whole.seen.kept.text() == stream.seen.kept.text() {
                prop_assert_eq!(state(&stream), state(&whole), "{:?}", stream.seen.kept.text());
            }
            rest = left;
        }
    }

    #[test]
    fn what_is_passed_over_begins_nothing(
        parts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, 0usize..40, "[ -~éа]{0,6}|[a-z]{0,20}"), 1..6),
        cut in prop::collection::vec(1usize..9, 1..9),
    ) {
        // Parts of what is looked for, so that it begins, ends, and goes on as something else.
        let (rules, samples) = builtin();
        let text = made(samples, &parts);
        let text: String = text.chars().take(240).collect();
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        for size in cut.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, left) = rest.split_at(boundary(rest, *size + 3).max(1));
            pieces.push(piece);
            rest = left;
        }
        // The first piece may leave for being short.
        pieces.insert(0, "a");
        for (slow, quick) in known(rules, &pieces, true).iter().zip(known(rules, &pieces, false)) {
            prop_assert_eq!(slow, &quick, "{:?}", pieces);
        }
    }
}
