//! The memory that one growing text takes. Most of it is the end of the text, in one way or two, which has its bounds;
//! what is alive in it is decided where it would take more than is left.

use super::automaton::Thread;
use super::candidate::Candidate;
use super::follow::Follower;
use super::judge::Judge;
use super::{Before, Stream, told};

impl Stream {
    /// Makes what is alive fit into so many bytes: room that is not used goes first, and then the largest candidates
    /// are decided as they stand, like what is held for too long.
    pub(super) fn fit(&mut self, judge: &mut Judge<'_, '_>, most: usize) {
        if self.size() <= most {
            return;
        }
        self.alive().for_each(|list| {
            list.iter_mut().for_each(|candidate| candidate.threads.shrink_to_fit());
            list.shrink_to_fit();
        });
        while self.size() > most
            && let Some(largest) = self.alive().flatten().max_by_key(|one| one.threads.len()).map(|one| one.place())
        {
            self.decide(judge, largest);
        }
    }

    /// Decides the candidates of a rule, however the text is followed.
    fn decide(&mut self, judge: &mut Judge<'_, '_>, place: usize) {
        let Self { seen, stood, before, .. } = self;
        let seen_to = seen.kept.end();
        // What was alive at a place before may come back, and what it may become then is not known here.
        let before = before.iter_mut().map(|before| (&mut before.candidates, &seen.kept, before.at));
        let stood = stood.iter_mut().map(|stood| (&mut stood.candidates, &stood.kept, stood.kept.end()));
        for (list, kept, end) in std::iter::once((&mut seen.candidates, &seen.kept, seen_to)).chain(stood).chain(before)
        {
            let of_rule = list.iter().position(|candidate| candidate.place() == place);
            if let Some(at) = of_rule {
                list.remove(at).decide(kept, judge, end);
                list.shrink_to_fit();
            }
        }
    }

    /// What is alive, in each way in which the text is followed.
    fn alive(&mut self) -> impl Iterator<Item = &mut Vec<Candidate>> {
        let Self { seen, stood, before, .. } = self;
        let stood = stood.iter_mut().map(|stood| &mut stood.candidates);
        let before = before.iter_mut().map(|before| &mut before.candidates);
        std::iter::once(&mut seen.candidates).chain(stood).chain(before)
    }

    /// The memory that this takes, with all that may be told of it.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() - size_of::<Follower>()
            + self.seen.size()
            + self.stood.as_ref().map_or(0, |stood| stood.size())
            + self.before.as_ref().map_or(0, |before| size_of::<Before>() + room(&before.candidates))
            + told::MOST_ROOM
    }
}

impl Follower {
    fn size(&self) -> usize {
        size_of::<Self>() + self.kept.heap() + room(&self.candidates) + self.contexts.capacity() * size_of::<usize>()
    }
}

/// The memory of a list of candidates.
fn room(candidates: &Vec<Candidate>) -> usize {
    let threads: usize = candidates.iter().map(|candidate| candidate.threads.capacity()).sum();
    candidates.capacity() * size_of::<Candidate>() + threads * size_of::<Thread>()
}
