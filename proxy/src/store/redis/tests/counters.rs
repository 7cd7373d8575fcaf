//! Counters in a Redis keep what counters in memory keep, and bring back what a gate that died held.

use std::sync::Mutex;

use portcullis_filters::ratelimit::{BudgetStore, Clock, Counters, Demand, Denied, Held, Kind, Limit, Memory};

use super::super::counters::RedisCounters;
use super::*;

struct Still;

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::from_secs(1)
    }
}

fn counters(server: &Server, spent: &[(&str, u64)]) -> (Arc<Redis>, RedisCounters) {
    let metrics = Metrics::new().unwrap();
    let store = Arc::new(Redis::open(server.settings(), &["counters"], &metrics).unwrap());
    let spent = spent.iter().map(|(key, n)| ((*key).to_owned(), *n));
    (Arc::clone(&store), RedisCounters::open(store, spent))
}

async fn there(store: &Redis) {
    until("the store answers", || store.away().is_none()).await;
}

type Taken = Option<Box<dyn Held>>;
type Outcome = Result<Taken, Denied>;

fn denied(outcome: Outcome) -> (usize, Limit) {
    match outcome {
        Err(Denied::Short(short)) => (short.demand, short.limit),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was let through"),
    }
}

/// Asks until this demand is met: what was given back is so a moment later.
async fn met(counters: &RedisCounters, demand: Demand<'_>, tokens: u64) -> Option<Box<dyn Held>> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match counters.take(&[demand], tokens).await {
            Ok(held) => return held,
            Err(error) => assert!(Instant::now() < until, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Counts what is taken and not settled.
const COUNT_OPEN: &str = "local open = 0
for _, key in ipairs(redis.call('KEYS', '{test}:x:*')) do
    if redis.pcall('GET', key) == 't' then open = open + 1 end
end
return open";

#[tokio::test(flavor = "multi_thread")]
async fn decides_as_the_counters_in_memory_do() {
    let Some(server) = Server::start(&[]) else { return };
    let (store, redis) = counters(&server, &[("old", 90)]);
    there(&store).await;
    let memory = Memory::with_clock(Box::new(Still), [("old".to_owned(), 90)]);
    // By the day, so that what flows in during the test decides nothing.
    let (few, tokens) = ("7/d".parse().unwrap(), "900/d".parse().unwrap());
    let all = [
        Demand { requests: Some(few), ..Demand::of(Kind::Caller, "a") },
        Demand { tokens: Some(tokens), concurrent: Some(3), ..Demand::of(Kind::Caller, "a") },
        Demand { concurrent: Some(2), ..Demand::of(Kind::Model, "m") },
        Demand { concurrent: Some(2), ..Demand::of(Kind::Model, "a") },
        Demand { budget: Some(200), ..Demand::of(Kind::Quota, "old") },
        Demand { budget: Some(500), tokens: Some(tokens), ..Demand::of(Kind::Quota, "new") },
        Demand { tokens: Some("40/d".parse().unwrap()), ..Demand::of(Kind::Global, "") },
    ];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut running: Vec<(Taken, Taken)> = Vec::new();
    let mut decided = [0, 0];
    let began = Instant::now();
    for step in 0..600 {
        if next(3) == 0 && !running.is_empty() {
            let (ours, theirs) = running.swap_remove(next(running.len() as u64) as usize);
            let used = next(60);
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                ours.settle(used);
                theirs.settle(used);
                // It is settled behind the caller's back; the next step has to see it.
                let held = running.iter().filter(|(held, _)| held.is_some()).count().to_string();
                until("it is settled", || server.say(&["EVAL", COUNT_OPEN, "0"]).trim() == held).await;
            }
            continue;
        }
        let demands: Vec<_> = all.iter().filter(|_| next(3) == 0).copied().collect();
        let amount = next(50);
        let (ours, theirs) = (redis.take(&demands, amount).await, memory.take_now(&demands, amount));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(ours.is_some(), theirs.is_some(), "step {step}");
                decided[0] += 1;
                running.push((ours, theirs));
            }
            (Err(Denied::Short(ours)), Err(Denied::Short(theirs))) => {
                assert_eq!((ours.demand, ours.limit), (theirs.demand, theirs.limit), "step {step}: {demands:?}");
                // The server's clock goes on, the other one stands still.
                let apart = ours.wait.abs_diff(theirs.wait);
                assert!(apart < began.elapsed() + Duration::from_secs(1), "step {step}: {ours:?} {theirs:?}");
                decided[1] += 1;
            }
            (ours, theirs) => panic!("step {step}: {:?} {:?} {demands:?}", ours.is_ok(), theirs.is_ok()),
        }
    }
    assert!(decided[0] > 50 && decided[1] > 50, "{decided:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_allowance_for_all_gates() {
    let Some(server) = Server::start(&[]) else { return };
    let (store, one) = counters(&server, &[]);
    let (other, two) = counters(&server, &[]);
    there(&store).await;
    there(&other).await;
    let rate = "100/d".parse().unwrap();
    let demand = Demand { requests: Some(rate), ..Demand::of(Kind::Caller, "a") };
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let counters = if n % 2 == 0 { one.clone() } else { two.clone() };
            tokio::spawn(async move {
                let mut passed = 0;
                for _ in 0..20 {
                    match counters.take(&[demand], 0).await {
                        Ok(_) => passed += 1,
                        Err(Denied::Short(short)) => assert_eq!(short.limit, Limit::Requests(rate)),
                        Err(other) => panic!("{other:?}"),
                    }
                }
                passed
            })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += task.await.unwrap();
    }
    assert_eq!(passed, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_gate_held_comes_back() {
    let Some(server) = Server::start(&[]) else { return };
    let (store, one) = counters(&server, &[]);
    let (other, two) = counters(&server, &[]);
    there(&store).await;
    there(&other).await;
    let place = Demand { concurrent: Some(1), ..Demand::of(Kind::Caller, "a") };
    let budget = Demand { budget: Some(100), ..Demand::of(Kind::Quota, "key:ci") };
    let held = one.take(&[place, budget], 60).await.unwrap().unwrap();
    assert_eq!(denied(two.take(&[place], 0).await), (0, Limit::Concurrent(1)));
    assert_eq!(denied(two.take(&[budget], 60).await), (0, Limit::Budget(100)));
    // It dies, and its time runs out.
    std::mem::forget(held);
    let holder = server.say(&["HKEYS", server.say(&["--scan", "--pattern", "{test}:c:*"]).trim()]);
    let holder = holder.lines().find_map(|field| field.strip_prefix("n:")).unwrap();
    assert_eq!(server.say(&["ZADD", "{test}:gates", "1", holder]).trim(), "0", "it was among those that live");
    drop(met(&two, place, 0).await);
    assert_eq!(denied(two.take(&[budget], 41).await), (0, Limit::Budget(100)), "what ran counts as spent");
    drop(met(&two, budget, 40).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_unanswered_is_given_back() {
    let Some(server) = Server::start(&[]) else { return };
    let metrics = Metrics::new().unwrap();
    let settings = RedisSettings { timeout: Duration::from_millis(300), ..server.settings() };
    let store = Arc::new(Redis::open(settings, &["counters"], &metrics).unwrap());
    let counters = RedisCounters::open(Arc::clone(&store), []);
    there(&store).await;
    let place = Demand { concurrent: Some(1), ..Demand::of(Kind::Caller, "a") };
    drop(met(&counters, place, 0).await);
    drop(met(&counters, place, 0).await);
    server.signal("STOP");
    assert!(matches!(counters.take(&[place], 0).await, Err(Denied::Away(_))));
    assert!(matches!(counters.take(&[place], 0).await, Err(Denied::Away(_))), "at once, as nobody answers");
    server.signal("CONT");
    there(&store).await;
    assert!(met(&counters, place, 0).await.is_some(), "the place that nobody got is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lost_everything_gives_no_budget_twice() {
    #[derive(Default)]
    struct Paper(Mutex<Vec<(String, u64)>>);
    impl BudgetStore for Paper {
        fn save(&self, spent: &[(String, u64)]) -> Result<(), String> {
            self.0.lock().unwrap().extend_from_slice(spent);
            Ok(())
        }
    }
    let Some(server) = Server::start(&[]) else { return };
    let (store, counters) = counters(&server, &[]);
    there(&store).await;
    let budget = Demand { budget: Some(100), ..Demand::of(Kind::Quota, "key:ci") };
    met(&counters, budget, 60).await.unwrap().settle(50);
    drop(met(&counters, budget, 50).await);
    let running = met(&counters, budget, 20).await.unwrap();
    server.say(&["FLUSHALL"]);
    drop(met(&counters, budget, 50).await);
    running.settle(20);
    // The last 30 can be had at once only when both others are settled.
    drop(met(&counters, budget, 30).await);
    assert_eq!(denied(counters.take(&[budget], 31).await), (0, Limit::Budget(100)));
    let paper = Paper::default();
    counters.save_budgets(&paper).unwrap();
    assert_eq!(paper.0.lock().unwrap().last().unwrap(), &("key:ci".to_owned(), 70));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_cannot_be_written_down_is_not_given_out() {
    struct Pen(bool);
    impl BudgetStore for Pen {
        fn save(&self, _: &[(String, u64)]) -> Result<(), String> {
            if self.0 { Ok(()) } else { Err("the pen is broken".to_owned()) }
        }
    }
    let Some(server) = Server::start(&[]) else { return };
    let (store, counters) = counters(&server, &[]);
    there(&store).await;
    let key = "delegated:peer:a:50:1";
    let budget = Demand { budget: Some(100), ..Demand::of(Kind::Quota, key) };
    drop(met(&counters, budget, 1).await);
    until("what was spent is known", || counters.save_budgets(&Pen(false)).is_err()).await;
    assert!(matches!(counters.take(&[budget], 1).await, Err(Denied::Unsaved)));
    let rate = Demand { requests: Some("9/d".parse().unwrap()), ..Demand::of(Kind::Caller, "a") };
    assert!(counters.take(&[rate], 1).await.is_ok(), "what has no budget goes on");
    // What could not be written down is over, and still the file has to take something first.
    counters.forget_ended(50);
    counters.save_budgets(&Pen(false)).unwrap_err();
    counters.save_budgets(&Pen(true)).unwrap();
    drop(met(&counters, budget, 1).await);
}
