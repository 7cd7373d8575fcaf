use super::*;
use crate::ratelimit::counters::Kind;
use proptest::prelude::*;
use std::sync::atomic::AtomicU64;

/// A clock that stands until it is moved.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Clock for Hand {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }
}

impl Hand {
    fn forward(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_nanos()).unwrap(), Ordering::AcqRel);
    }
}

fn counters() -> (Memory, Hand) {
    let hand = Hand::default();
    hand.forward(Duration::from_secs(10));
    (Memory::with_clock(Box::new(hand.clone()), []), hand)
}

fn rate(text: &str) -> Option<Rate> {
    Some(text.parse().unwrap())
}

fn caller(key: &str) -> Demand<'_> {
    Demand::of(Kind::Caller, key)
}

fn short(denied: Result<Option<Box<dyn Held>>, Denied>) -> Shortage {
    match denied {
        Err(Denied::Short(short)) => short,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[test]
fn callers_do_not_share_and_waits_are_right() {
    let (counters, hand) = counters();
    let demand = |key| Demand { requests: rate("2/m"), ..caller(key) };
    for key in ["a", "b"] {
        assert!(counters.take_now(&[demand(key)], 0).unwrap().is_none());
        assert!(counters.take_now(&[demand(key)], 0).unwrap().is_none());
    }
    let short = short(counters.take_now(&[demand("a")], 0));
    assert_eq!((short.limit, short.wait), (Limit::Requests(rate("2/m").unwrap()), Duration::from_secs(30)));
    hand.forward(short.wait);
    counters.take_now(&[demand("a")], 0).unwrap();
}

#[test]
fn all_or_nothing_and_the_longest_wait_is_told() {
    let (counters, _) = counters();
    let requests = Demand { requests: rate("1/s"), ..caller("a") };
    let tokens = Demand { tokens: rate("10/m"), ..Demand::of(Kind::Model, "m") };
    let places = Demand { concurrent: Some(1), ..Demand::of(Kind::Global, "") };
    let held = counters.take_now(&[requests, tokens, places], 10).unwrap();
    let no = short(counters.take_now(&[requests, tokens, places], 5));
    assert_eq!((no.demand, no.wait), (1, Duration::from_secs(30)));
    drop(held);
    // Nothing of what was refused is missing now, but the request that was counted.
    counters.take_now(&[tokens, places], 10).unwrap();
    assert_eq!(short(counters.take_now(&[requests], 0)).wait, Duration::from_secs(1));
}

#[test]
fn places_come_back_however_an_exchange_ends() {
    let (counters, _) = counters();
    let demand = Demand { concurrent: Some(2), budget: Some(100), ..Demand::of(Kind::Quota, "q") };
    for round in 0..1000 {
        let one = counters.take_now(&[demand], 30).unwrap().unwrap();
        let two = counters.take_now(&[demand], 30).unwrap();
        assert_eq!(short(counters.take_now(&[demand], 30)).limit, Limit::Concurrent(2));
        match round % 3 {
            0 => one.settle(0),
            1 => drop(one),
            _ => {
                let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                    let _held = one;
                    std::panic::resume_unwind(Box::new("on purpose"));
                }));
                assert!(gone.is_err());
            }
        }
        drop(two);
    }
    let held = counters.take_now(&[demand], 100).unwrap().unwrap();
    held.settle(40);
    held.settle(40);
    drop(held);
    assert_eq!(short(counters.take_now(&[demand], 61)).limit, Limit::Budget(100), "40 were spent, once");
    counters.take_now(&[demand], 60).unwrap();
}

#[test]
fn one_budget_that_is_short_leaves_the_others_alone() {
    let (counters, _) = counters();
    let budget = |key, budget| Demand { budget: Some(budget), ..Demand::of(Kind::Quota, key) };
    let no = short(counters.take_now(&[budget("a", 100), budget("b", 5)], 10));
    assert_eq!((no.demand, no.wait), (1, LONG));
    counters.take_now(&[budget("a", 100)], 100).unwrap();
}

#[test]
fn a_full_table_is_shut_and_opens_again() {
    let (counters, hand) = counters();
    let demand = |key: &str| counters.take_now(&[Demand { requests: rate("1/m"), ..caller(key) }], 0);
    let admitted = (0..2 * MAX).filter(|n| demand(&n.to_string()).is_ok()).count();
    assert!(admitted <= MAX, "{admitted}");
    assert!(matches!(demand("one more"), Err(Denied::Broken(_))));
    // Another kind has room of its own.
    counters.take_now(&[Demand { requests: rate("1/m"), ..Demand::of(Kind::Model, "m") }], 0).unwrap();
    hand.forward(Duration::from_secs(61));
    demand("one more").unwrap();
}

proptest! {
    #[test]
    fn what_is_taken_and_settled_in_any_order_is_conserved(
        steps in prop::collection::vec((0usize..8, 1u64..500, 0u64..800), 1..100),
    ) {
        let (counters, _) = counters();
        let demand = Demand { tokens: rate("100000/d"), concurrent: Some(4), budget: Some(1 << 40), ..Demand::of(Kind::Quota, "q") };
        let mut held: Vec<Box<dyn Held>> = Vec::new();
        let mut used_up = 0;
        for (which, tokens, used) in steps {
            match counters.take_now(&[demand], tokens) {
                Ok(taken) => held.extend(taken),
                Err(_) => prop_assert_eq!(held.len(), 4, "nothing but the places can be short"),
            }
            prop_assert!(held.len() <= 4);
            if which < held.len() {
                held.swap_remove(which).settle(used);
                used_up += used;
            }
        }
        held.clear();
        let one = Demand { tokens: rate("100000/d"), ..Demand::of(Kind::Quota, "q") };
        let rest = counters.take_now(&[one], 100_000 - used_up);
        prop_assert!(rest.is_ok(), "what was not used is there");
        prop_assert!(counters.take_now(&[one], 1).is_err(), "and no more");
    }
}
