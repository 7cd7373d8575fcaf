//! What every store of nonces must do, whatever it is made of. Each implementation runs the same suite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use portcullis_filters::store::{Claim, Claimed, Nonces, Unavailable};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// The window that the suite judges by.
pub(crate) const WINDOW: Duration = Duration::from_secs(30);
const WINDOW_MS: i64 = 30_000;
const HOUR_MS: i64 = 3_600_000;

/// A store under test, and the hands that shake it. What does not apply stays as it is.
#[async_trait]
pub(crate) trait Subject: Send {
    /// The store as a gate uses it now.
    fn store(&self) -> Arc<dyn Nonces>;

    /// Where the gate's clock stands when the suite begins, in Unix milliseconds.
    fn now_ms(&self) -> i64;

    /// The gate's clock is set to this Unix millisecond, and whatever the gate does now and then is done.
    async fn at(&mut self, _now_ms: i64) {}

    /// The gate is killed and started again. Nothing may be forgotten.
    async fn restart(&mut self);

    /// Takes away what the store writes to: a disk, a server. Returns false where that cannot be done.
    async fn cut(&mut self) -> bool {
        false
    }

    /// Gives it back.
    async fn mend(&mut self) {}

    /// All that was remembered is lost, and the gate goes on or starts again. Returns false where that
    /// cannot be done.
    async fn lose(&mut self) -> bool {
        false
    }

    /// How many nonces fit, and how many of one node, if that is few enough to try.
    fn bounds(&self) -> Option<(usize, usize)> {
        None
    }
}

/// Runs the suite. `make` makes an empty store each time; its clock should stand at about the true time.
pub(crate) async fn conform<S: Subject>(make: impl AsyncFn() -> S) {
    a_nonce_is_good_once(make().await).await;
    nodes_and_nonces_are_told_apart(make().await).await;
    of_many_at_once_one_wins(make().await).await;
    a_restart_forgets_nothing(make().await).await;
    what_is_outside_of_the_window_is_refused(make().await).await;
    no_step_of_the_clock_lets_a_nonce_in_again(make().await).await;
    time_makes_room(make().await).await;
    what_is_cut_off_refuses(make().await).await;
    what_was_lost_is_refused(make().await).await;
    the_full_refuse_and_forget_nothing(make().await).await;
    one_node_leaves_room_for_the_others(make().await).await;
}

/// Claims a nonce made at this time, at this time.
pub(crate) async fn claim(
    store: &dyn Nonces,
    node: &str,
    nonce: &str,
    created_ms: i64,
    now_ms: i64,
) -> Result<Claimed, Unavailable> {
    store.claim(&Claim { node, nonce: nonce.as_bytes(), created_ms, now_ms, window: WINDOW }).await
}

async fn a_nonce_is_good_once(subject: impl Subject) {
    let (store, now) = (subject.store(), subject.now_ms());
    assert_eq!(claim(&*store, "peer:a", "nonce", now, now).await, Ok(Claimed::Fresh));
    for later in [0, 1, 1_000, 20_000] {
        assert_eq!(
            claim(&*store, "peer:a", "nonce", now, now + later).await,
            Ok(Claimed::Replayed),
            "{later} ms later"
        );
    }
    let other = claim(&*store, "peer:a", "nonce", now + 1_000, now + 1_000).await;
    assert_eq!(other, Ok(Claimed::Replayed), "signed anew with a nonce that was used");
}

async fn nodes_and_nonces_are_told_apart(subject: impl Subject) {
    let (store, now) = (subject.store(), subject.now_ms());
    let long = "n".repeat(256);
    for (node, nonce) in [
        ("peer:a", "nonce"),
        ("peer:b", "nonce"),
        ("peer:a", "nonc"),
        ("peer:a", "nonce\0"),
        ("peer:an", "once"),
        ("peer:a", ""),
        ("peer:a", &long),
        ("peer:a", "n:*? \n\u{fc}"),
    ] {
        assert_eq!(claim(&*store, node, nonce, now, now).await, Ok(Claimed::Fresh), "{node} {nonce}");
        assert_eq!(claim(&*store, node, nonce, now, now).await, Ok(Claimed::Replayed), "{node} {nonce}");
    }
    let bytes = Claim { node: "peer:a", nonce: &[0xff; 64], created_ms: now, now_ms: now, window: WINDOW };
    assert_eq!(store.claim(&bytes).await, Ok(Claimed::Fresh), "a nonce need not be text");
    assert_eq!(store.claim(&bytes).await, Ok(Claimed::Replayed));
}

async fn of_many_at_once_one_wins(subject: impl Subject) {
    let (store, now) = (subject.store(), subject.now_ms());
    for round in 0..8 {
        let start = Arc::new(tokio::sync::Barrier::new(64));
        let tasks = (0..64).map(|_| {
            let (store, start) = (Arc::clone(&store), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                claim(&*store, "peer:a", &format!("race {round}"), now, now).await
            })
        });
        let mut fresh = 0;
        for task in tasks.collect::<Vec<_>>() {
            match task.await.unwrap() {
                Ok(Claimed::Fresh) => fresh += 1,
                other => assert_eq!(other, Ok(Claimed::Replayed)),
            }
        }
        assert_eq!(fresh, 1, "round {round}");
    }
}

async fn a_restart_forgets_nothing(mut subject: impl Subject) {
    let now = subject.now_ms();
    let made = |n: i64| now - 25_000 + n * 1_000;
    for n in 0..50 {
        let claimed = claim(&*subject.store(), "peer:a", &n.to_string(), made(n), now).await;
        assert_eq!(claimed, Ok(Claimed::Fresh), "{n}");
        if n % 10 == 0 {
            subject.restart().await;
        }
    }
    subject.restart().await;
    for n in 0..50 {
        let claimed = claim(&*subject.store(), "peer:a", &n.to_string(), made(n), now).await;
        assert_eq!(claimed, Ok(Claimed::Replayed), "{n}");
    }
    assert_eq!(claim(&*subject.store(), "peer:a", "new", now, now).await, Ok(Claimed::Fresh), "and it goes on");
}

async fn what_is_outside_of_the_window_is_refused(subject: impl Subject) {
    let (store, now) = (subject.store(), subject.now_ms());
    for (off, expected) in [
        (-WINDOW_MS, Claimed::Fresh),
        (WINDOW_MS, Claimed::Fresh),
        (-WINDOW_MS - 1, Claimed::Forgotten),
        (WINDOW_MS + 1, Claimed::Forgotten),
        (-HOUR_MS, Claimed::Forgotten),
        (HOUR_MS, Claimed::Forgotten),
    ] {
        assert_eq!(claim(&*store, "peer:a", &off.to_string(), now + off, now).await, Ok(expected), "{off}");
    }
    for created in [i64::MIN, i64::MAX, -1, 0] {
        assert_eq!(claim(&*store, "peer:a", "wild", created, now).await, Ok(Claimed::Forgotten), "{created}");
    }
}

async fn no_step_of_the_clock_lets_a_nonce_in_again(mut subject: impl Subject) {
    let now = subject.now_ms();
    let mut used: Vec<(String, i64)> = vec![];
    for (round, step) in [0, HOUR_MS, -HOUR_MS, 45_000, -45_000, 100 * HOUR_MS, -HOUR_MS, 0].into_iter().enumerate() {
        let now = now + step;
        subject.at(now).await;
        for (nonce, created) in &used {
            // By whatever time the replay comes in its window: it must not count as new.
            for at in [*created - WINDOW_MS, *created, *created + WINDOW_MS] {
                subject.at(at).await;
                let replayed = claim(&*subject.store(), "peer:a", nonce, *created, at).await;
                assert_ne!(replayed, Ok(Claimed::Fresh), "{nonce} in round {round}");
            }
        }
        subject.at(now).await;
        let nonce = format!("of round {round}");
        // It may be refused for another's sake; a replay of it must be, too.
        let _ = claim(&*subject.store(), "peer:a", &nonce, now, now).await;
        used.push((nonce, now));
        subject.restart().await;
    }
}

async fn time_makes_room(mut subject: impl Subject) {
    let now = subject.now_ms();
    for hour in 0..5 {
        let now = now + hour * HOUR_MS;
        subject.at(now).await;
        let nonce = hour.to_string();
        assert_eq!(claim(&*subject.store(), "peer:a", &nonce, now, now).await, Ok(Claimed::Fresh), "hour {hour}");
    }
}

async fn what_is_cut_off_refuses(mut subject: impl Subject) {
    let now = subject.now_ms();
    assert_eq!(claim(&*subject.store(), "peer:a", "before", now, now).await, Ok(Claimed::Fresh));
    if !subject.cut().await {
        return;
    }
    for n in 0..10 {
        let claimed = claim(&*subject.store(), "peer:a", &format!("during {n}"), now, now).await;
        assert!(claimed.is_err(), "{claimed:?}");
    }
    let before = claim(&*subject.store(), "peer:a", "before", now, now).await;
    assert_ne!(before, Ok(Claimed::Fresh));
    subject.mend().await;
    let claimed = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match claim(&*subject.store(), "peer:a", "after", now, now).await {
                Err(_) => tokio::task::yield_now().await,
                claimed => return claimed,
            }
        }
    });
    assert_ne!(claimed.await.unwrap(), Ok(Claimed::Forgotten), "it goes on by itself");
    assert_eq!(claim(&*subject.store(), "peer:a", "before", now, now).await, Ok(Claimed::Replayed));
    subject.restart().await;
    assert_eq!(claim(&*subject.store(), "peer:a", "after", now, now).await, Ok(Claimed::Replayed));
}

async fn what_was_lost_is_refused(mut subject: impl Subject) {
    let now = subject.now_ms();
    for ahead in [-WINDOW_MS, 0, WINDOW_MS] {
        let claimed = claim(&*subject.store(), "peer:a", &ahead.to_string(), now + ahead, now).await;
        assert_eq!(claimed, Ok(Claimed::Fresh));
    }
    if !subject.lose().await {
        return;
    }
    for round in 0..2 {
        for ahead in [-WINDOW_MS, 0, WINDOW_MS] {
            let claimed = claim(&*subject.store(), "peer:a", &ahead.to_string(), now + ahead, now).await;
            let unavailable = claimed.expect_err("what may have been used");
            // A client that waits for so long signs something that can be told.
            let wait = unavailable.retry_after.expect("a time to come back");
            assert!(wait <= 3 * WINDOW, "{wait:?}");
        }
        if round == 0 {
            subject.restart().await;
        }
    }
    let later = now + 3 * WINDOW_MS + 1;
    subject.at(later).await;
    assert_eq!(claim(&*subject.store(), "peer:a", "later", later, later).await, Ok(Claimed::Fresh));
    assert_eq!(claim(&*subject.store(), "peer:a", "later", later, later).await, Ok(Claimed::Replayed));
}

async fn the_full_refuse_and_forget_nothing(mut subject: impl Subject) {
    let Some((all, node)) = subject.bounds() else { return };
    let now = subject.now_ms();
    let whose = |n: usize| format!("peer:{}", n / node);
    for n in 0..all {
        let claimed = claim(&*subject.store(), &whose(n), &n.to_string(), now, now).await;
        assert_eq!(claimed, Ok(Claimed::Fresh), "{n}");
    }
    assert!(claim(&*subject.store(), "peer:new", "new", now, now).await.is_err());
    for n in 0..all {
        let claimed = claim(&*subject.store(), &whose(n), &n.to_string(), now, now).await;
        assert_eq!(claimed, Ok(Claimed::Replayed), "{n}");
    }
    let later = now + 2 * HOUR_MS;
    subject.at(later).await;
    assert_eq!(claim(&*subject.store(), "peer:new", "new", later, later).await, Ok(Claimed::Fresh), "time makes room");
}

async fn one_node_leaves_room_for_the_others(subject: impl Subject) {
    let Some((_, node)) = subject.bounds() else { return };
    let (store, now) = (subject.store(), subject.now_ms());
    for n in 0..node {
        assert_eq!(claim(&*store, "peer:busy", &n.to_string(), now, now).await, Ok(Claimed::Fresh));
    }
    assert!(claim(&*store, "peer:busy", "one more", now, now).await.is_err());
    assert_eq!(claim(&*store, "peer:other", "one", now, now).await, Ok(Claimed::Fresh));
}

/// A blow to a store.
#[derive(Clone, Debug)]
enum Blow {
    /// A node uses a nonce that it made so many milliseconds from now.
    Claim {
        node: u8,
        nonce: u8,
        off_ms: i64,
    },
    /// Everything that was ever taken is sent again, at a moment of its window.
    ReplayAll {
        off_ms: i64,
    },
    Pass {
        ms: i64,
    },
    Restart,
}

/// Replays are impossible, whatever the clock does: random claims, jumps, restarts.
pub(crate) fn no_replay_whatever_the_clock_does<S: Subject>(cases: u32, make: impl AsyncFn() -> S) {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let off = -WINDOW_MS..=WINDOW_MS;
    let jump = prop_oneof![-2_000..2_000i64, -100_000..100_000i64, -20 * HOUR_MS..20 * HOUR_MS];
    let blow = prop_oneof![
        6 => (0u8..3, 0u8..20, off.clone()).prop_map(|(node, nonce, off_ms)| Blow::Claim { node, nonce, off_ms }),
        2 => off.prop_map(|off_ms| Blow::ReplayAll { off_ms }),
        3 => jump.prop_map(|ms| Blow::Pass { ms }),
        1 => Just(Blow::Restart),
    ];
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let tried = runner.run(&prop::collection::vec(blow, 1..60), |blows| {
        runtime.block_on(async { endure(make().await, &blows).await })
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
}

async fn endure(mut subject: impl Subject, blows: &[Blow]) -> Result<(), TestCaseError> {
    let mut now = subject.now_ms();
    let mut taken: Vec<(String, String, i64)> = vec![];
    for blow in blows {
        match blow {
            Blow::Claim { node, nonce, off_ms } => {
                let (node, nonce, created) = (format!("peer:{node}"), nonce.to_string(), now + off_ms);
                let claimed = claim(&*subject.store(), &node, &nonce, created, now).await;
                let message = (node, nonce, created);
                if claimed == Ok(Claimed::Fresh) {
                    proptest::prop_assert!(!taken.contains(&message), "{message:?} was taken twice");
                    taken.push(message);
                }
            }
            Blow::ReplayAll { off_ms } => {
                for (node, nonce, created) in &taken {
                    now = created + off_ms;
                    subject.at(now).await;
                    let claimed = claim(&*subject.store(), node, nonce, *created, now).await;
                    proptest::prop_assert_ne!(claimed, Ok(Claimed::Fresh), "{} of {} came in again", nonce, node);
                }
            }
            Blow::Pass { ms } => {
                now += ms;
                subject.at(now).await;
            }
            Blow::Restart => subject.restart().await,
        }
    }
    Ok(())
}
