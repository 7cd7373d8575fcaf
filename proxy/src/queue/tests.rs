use super::line::{Full, Line, Ticket};
use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

fn queue(slots: u32, length: usize, per_caller: usize) -> Arc<Queue> {
    let settings = QueueSettings { slots: Slots::Count(slots), length, per_caller, wait: Duration::from_secs(3_600) };
    let queue = Queues::default().of("local");
    queue.set(settings);
    queue
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn a_slot_comes_back_however_its_exchange_ends() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let queue = queue(1, 64, 16);
    for round in 0..1_000 {
        let held = runtime.block_on(queue.slot("a")).unwrap();
        {
            let mut next = pin!(queue.slot("b"));
            let mut gone = Box::pin(queue.slot("c"));
            assert!(poll(next.as_mut()).is_pending() && poll(gone.as_mut()).is_pending());
            assert_eq!(queue.standing(), Standing { waiting: 2, busy: 1, total: Some(1) });
            match round % 4 {
                // The one that leaves was not called yet.
                0 => drop(gone),
                // It was called, and leaves before it hears of it.
                1 => {
                    drop(held);
                    let Poll::Ready(Ok(second)) = poll(next.as_mut()) else { panic!("it is its turn") };
                    drop(second);
                    drop(gone);
                    continue;
                }
                2 => {
                    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                        let _held = held;
                        std::panic::resume_unwind(Box::new("on purpose"));
                    }));
                    assert!(ended.is_err());
                    continue;
                }
                _ => {}
            }
        }
        if round % 4 != 1 {
            assert_eq!(queue.standing().waiting, 0);
        }
    }
    assert_eq!(queue.standing(), Standing { waiting: 0, busy: 0, total: Some(1) });
}

#[test]
fn the_line_is_bounded_and_makes_room_for_who_has_less() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let queue = queue(1, 4, 3);
    let _held = runtime.block_on(queue.slot("x")).unwrap();
    let mut flood: Vec<_> = (0..3).map(|_| Box::pin(queue.slot("flood"))).collect();
    assert!(flood.iter_mut().all(|one| poll(one.as_mut()).is_pending()));
    let refused = runtime.block_on(queue.slot("flood")).err().unwrap();
    assert_eq!((refused.code, refused.filter), (Code::RateLimitConcurrent, "ratelimit"));
    assert!(refused.message.contains("of your requests wait"), "{}", refused.message);
    assert!(refused.retry_after.is_some_and(|after| (1..=MAX_RETRY).contains(&after)));
    let mut one = pin!(queue.slot("one"));
    let mut two = pin!(queue.slot("two"));
    assert!(poll(one.as_mut()).is_pending());
    assert!(poll(two.as_mut()).is_pending(), "the line is full, and the flood gives way");
    let out: Vec<_> = flood.iter_mut().map(|one| poll(one.as_mut())).collect();
    assert!(matches!(&out[..], [Poll::Pending, Poll::Pending, Poll::Ready(Err(_))]), "its last one is put out");
    let mut three = pin!(queue.slot("three"));
    assert!(poll(three.as_mut()).is_pending());
    let refused = runtime.block_on(queue.slot("four")).err().unwrap();
    assert!(refused.message.starts_with("too many requests wait"), "nobody has more than one now");
    assert_eq!(queue.standing().waiting, 4);
}

#[test]
fn a_wait_has_an_end() {
    let runtime = runtime();
    let queue = queue(1, 4, 4);
    queue.set(QueueSettings { wait: Duration::from_millis(1), ..**queue.settings.load() });
    let _held = runtime.block_on(queue.slot("a")).unwrap();
    let refused = runtime.block_on(queue.slot("a")).err().unwrap();
    assert_eq!(refused.code, Code::RateLimitConcurrent);
    assert_eq!(queue.standing().waiting, 0);
}

#[test]
fn what_the_server_says_counts_unless_the_operator_said_it() {
    let all = Queues::default();
    let auto = QueueSettings::default();
    let queue = all.of("local");
    queue.set(auto);
    assert_eq!(queue.standing().total, None);
    queue.learn(3);
    all.of("local").set(auto);
    assert_eq!(queue.standing().total, Some(3), "a reload forgets nothing");
    queue.set(QueueSettings { slots: Slots::Count(2), ..auto });
    queue.learn(5);
    assert_eq!(queue.standing().total, Some(2));
    queue.set(QueueSettings { slots: Slots::Unlimited, ..auto });
    assert_eq!(queue.standing().total, None);
}

/// A server whose every request takes as long as it takes, on a clock of its own.
struct Simulation {
    line: Line,
    waiting: HashMap<Ticket, (Arc<str>, oneshot::Receiver<()>)>,
    /// When each ends, and since when it runs.
    running: Vec<(u64, u64, Arc<str>)>,
    served: HashMap<Arc<str>, u64>,
    now: u64,
}

impl Simulation {
    fn of(slots: usize) -> Self {
        let mut line = Line::default();
        line.set_slots(Some(slots));
        Self { line, waiting: HashMap::new(), running: vec![], served: HashMap::new(), now: 0 }
    }

    fn ask(&mut self, caller: &str, takes: u64) {
        if let Some(caller) = self.line.take(caller) {
            self.running.push((self.now + takes, self.now, caller));
            return;
        }
        let (say, called) = oneshot::channel();
        let (caller, ticket) = self.line.join(caller, say, 1 << 16, 1 << 16).unwrap();
        self.waiting.insert(ticket, (caller, called));
    }

    /// Ends what ends next, starts who is called, and says whose it was.
    fn step(&mut self, takes: impl Fn(&str) -> u64) -> Arc<str> {
        let first = (0..self.running.len()).min_by_key(|n| self.running[*n].0).unwrap();
        let (end, since, caller) = self.running.swap_remove(first);
        self.now = end;
        *self.served.entry(Arc::clone(&caller)).or_default() += 1;
        self.line.release(&caller, end - since);
        let called: Vec<Ticket> =
            self.waiting.iter_mut().filter_map(|(t, (_, rx))| rx.try_recv().is_ok().then_some(*t)).collect();
        for ticket in called {
            let (caller, _) = self.waiting.remove(&ticket).unwrap();
            self.running.push((self.now + takes(&caller), self.now, caller));
        }
        caller
    }
}

#[test]
fn a_flood_takes_one_share() {
    for slots in [1, 2, 3, 4, 7] {
        let mut simulation = Simulation::of(slots);
        for _ in 0..16 {
            simulation.ask("flood", 10);
        }
        for caller in 0..31 {
            simulation.ask(&format!("c{caller}"), 10);
        }
        let rounds = 3_200;
        for _ in 0..rounds {
            let whose = simulation.step(|_| 10);
            simulation.ask(&whose, 10);
        }
        let fair = rounds / 32;
        for (caller, served) in &simulation.served {
            assert!(served.abs_diff(fair) <= 2, "{caller} got {served} of {fair} with {slots} slots");
        }
    }
}

#[test]
fn work_is_shared_not_turns() {
    let mut simulation = Simulation::of(1);
    for _ in 0..4 {
        simulation.ask("long", 90);
        simulation.ask("short", 10);
    }
    for _ in 0..1_000 {
        let whose = simulation.step(|caller| if caller == "long" { 90 } else { 10 });
        simulation.ask(&whose, if &*whose == "long" { 90 } else { 10 });
    }
    let [long, short] = ["long", "short"].map(|c| simulation.served[c]);
    assert!((800..=1_000).contains(&(short * 100 / long)), "{short} short ones to {long} long ones");
}

#[test]
fn who_was_away_saves_up_nothing() {
    let mut simulation = Simulation::of(1);
    for _ in 0..100 {
        simulation.ask("early", 10);
        simulation.step(|_| 10);
    }
    for _ in 0..4 {
        simulation.ask("early", 10);
        simulation.ask("late", 10);
    }
    simulation.served.clear();
    for _ in 0..20 {
        let whose = simulation.step(|_| 10);
        simulation.ask(&whose, 10);
    }
    assert!(simulation.served["early"] >= 9, "{:?}", simulation.served);
}

proptest! {
    #[test]
    fn no_slot_is_lost_or_given_twice(
        steps in prop::collection::vec((0u8..5, 0usize..6, 0usize..8), 1..300),
    ) {
        let mut line = Line::default();
        line.set_slots(Some(3));
        let mut slots = 3;
        let mut running: Vec<Arc<str>> = vec![];
        let mut waiting: Vec<(Arc<str>, Ticket, oneshot::Receiver<()>)> = vec![];
        for (what, who, which) in steps {
            let caller = format!("c{who}");
            match what {
                0 | 1 => match line.take(&caller) {
                    Some(caller) => running.push(caller),
                    None => {
                        let (say, called) = oneshot::channel();
                        match line.join(&caller, say, 10, 4) {
                            Ok((caller, ticket)) => waiting.push((caller, ticket, called)),
                            Err(Full::Caller) => {
                                prop_assert_eq!(waiting.iter().filter(|(c, ..)| **c == *caller).count(), 4);
                            }
                            Err(Full::Line) => prop_assert_eq!(waiting.len(), 10),
                        }
                    }
                },
                2 if which < running.len() => line.release(&running.swap_remove(which), 5),
                3 if which < waiting.len() => {
                    let (caller, ticket, mut called) = waiting.swap_remove(which);
                    if !line.leave(&caller, ticket) && called.try_recv().is_ok() {
                        line.release(&caller, 0);
                    }
                }
                4 => {
                    slots = which + 1;
                    line.set_slots(Some(slots));
                }
                _ => {}
            }
            let mut still = vec![];
            for (caller, ticket, mut called) in waiting {
                match called.try_recv() {
                    Ok(()) => running.push(caller),
                    Err(oneshot::error::TryRecvError::Empty) => still.push((caller, ticket, called)),
                    Err(oneshot::error::TryRecvError::Closed) => {}
                }
            }
            waiting = still;
            let standing = line.standing();
            prop_assert_eq!((standing.busy, standing.waiting), (running.len(), waiting.len()));
            prop_assert!(waiting.is_empty() || running.len() >= slots, "somebody waits while a slot is free");
        }
        drop(waiting);
        for caller in running {
            line.release(&caller, 1);
        }
        prop_assert_eq!(line.standing().busy, 0, "who was called and is gone did not take the slot along");
    }
}
