//! A token bucket, kept as what is missing from it.
//!
//! The bucket holds a whole span's worth and fills evenly. What is missing is counted in tokens times
//! the span's nanoseconds, so that a nanosecond's inflow is a whole number and nothing is ever rounded.
//! A bucket from which nothing is missing is the same as an absent one, and more than full there is
//! not.

use std::time::Duration;

use portcullis_policies::Rate;

/// A bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    missing: u128,
    /// When that was so, in nanoseconds of the counters' clock.
    at: u64,
    /// The rate by which it is counted.
    rate: Option<Rate>,
}

impl Bucket {
    /// Takes this much, or says how long it takes until it could. Who wants more than the bucket
    /// ever holds gets what it holds, and pays the rest when it is settled.
    pub(super) fn take(&mut self, amount: u64, rate: Rate, now: u64) -> Result<(), Duration> {
        self.flow_in(rate, now);
        let missing = self.missing.saturating_add(volume(amount, rate).min(capacity(rate)));
        let lacking = missing.saturating_sub(capacity(rate));
        if lacking > 0 {
            let nanos = lacking.div_ceil(u128::from(rate.count.max(1)));
            return Err(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        }
        self.missing = missing;
        Ok(())
    }

    /// Puts in place of what was taken what was used: gives the rest back, or takes what is missing
    /// as a debt, which the following seconds pay off.
    pub(super) fn settle(&mut self, taken: u64, used: u64, rate: Rate, now: u64) {
        self.flow_in(rate, now);
        let (taken, used) = (volume(taken, rate).min(capacity(rate)), volume(used, rate));
        self.missing = if used >= taken {
            self.missing.saturating_add(used - taken)
        } else {
            self.missing.saturating_sub(taken - used)
        };
    }

    /// Whether nothing is missing, so that it need not be kept.
    pub(super) fn is_full(&self, now: u64) -> bool {
        self.rate.is_none_or(|rate| self.missing <= inflow(rate, now.saturating_sub(self.at)))
    }

    /// Brings it to this moment, and to this rate: a config may come to name another one, and then what
    /// is missing stays missing.
    fn flow_in(&mut self, rate: Rate, now: u64) {
        if let Some(old) = self.rate.replace(rate) {
            self.missing = self.missing.saturating_sub(inflow(old, now.saturating_sub(self.at)));
            if old.per != rate.per {
                let tokens = self.missing.div_ceil(old.per.as_nanos().max(1));
                self.missing = tokens.saturating_mul(rate.per.as_nanos());
            }
        }
        self.at = self.at.max(now);
    }
}

fn volume(amount: u64, rate: Rate) -> u128 {
    u128::from(amount).saturating_mul(rate.per.as_nanos())
}

fn capacity(rate: Rate) -> u128 {
    volume(rate.count, rate)
}

fn inflow(rate: Rate, nanos: u64) -> u128 {
    u128::from(rate.count).saturating_mul(u128::from(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn nanos(duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos()).unwrap()
    }

    #[test]
    fn empties_and_fills() {
        let rate: Rate = "3/s".parse().unwrap();
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            bucket.take(1, rate, 5).unwrap();
        }
        let wait = bucket.take(1, rate, 5).unwrap_err();
        let at = 5 + nanos(wait);
        assert!(bucket.take(1, rate, at - 1).is_err(), "not a moment before it said");
        bucket.take(1, rate, at).unwrap();
        assert!(bucket.is_full(at + SECOND));
    }

    #[test]
    fn who_wants_more_than_there_ever_is_pays_later() {
        let rate: Rate = "10/s".parse().unwrap();
        let mut bucket = Bucket::default();
        bucket.take(1000, rate, 0).unwrap();
        assert!(bucket.take(1, rate, 0).is_err());
        bucket.settle(1000, 50, rate, 0);
        let wait = bucket.take(1, rate, 0).unwrap_err();
        assert_eq!(wait, Duration::from_millis(4100), "40 tokens of debt, and the one that is asked for");
    }

    #[test]
    fn another_rate_takes_over_what_is_missing() {
        let (slow, fast): (Rate, Rate) = ("100/h".parse().unwrap(), "100/s".parse().unwrap());
        let mut bucket = Bucket::default();
        bucket.take(60, slow, 0).unwrap();
        bucket.take(40, fast, 0).unwrap();
        assert_eq!(bucket.take(1, fast, 0).unwrap_err(), Duration::from_millis(10));
        assert!(bucket.is_full(SECOND), "a second fills it, where an hour did before");
    }

    proptest! {
        #[test]
        fn never_admits_more_than_it_holds_and_what_flows_in(
            count in 1u64..1_000_000,
            per in prop::sample::select(vec![1u64, 60, 3600, 86_400]),
            steps in prop::collection::vec((0u64..5 * SECOND, 1u64..1000), 1..200),
        ) {
            let rate = Rate { count, per: Duration::from_secs(per) };
            let (mut bucket, mut now, mut admitted) = (Bucket::default(), 0u64, 0u128);
            for (pause, amount) in steps {
                now += pause;
                let amount = amount.min(count);
                match bucket.take(amount, rate, now) {
                    Ok(()) => admitted += u128::from(amount),
                    Err(wait) => {
                        let at = now + nanos(wait);
                        prop_assert!(bucket.clone().take(amount, rate, at).is_ok(), "a wait that was told is enough");
                        prop_assert!(bucket.clone().take(amount, rate, at - 1).is_err(), "and not too long");
                    }
                }
                let came = u128::from(now) * u128::from(count) / Duration::from_secs(per).as_nanos();
                prop_assert!(admitted <= u128::from(count) + came);
            }
        }

        #[test]
        fn what_is_reserved_and_settled_is_what_was_used(
            count in 1u64..1_000_000,
            before in 0u64..1000,
            reserved in 1u64..2_000_000,
            used in 0u64..2_000_000,
        ) {
            let rate = Rate { count, per: Duration::from_secs(60) };
            let (mut settled, mut direct) = (Bucket::default(), Bucket::default());
            // A debt that both carry, so that a refund is not lost in a full bucket.
            for bucket in [&mut settled, &mut direct] {
                bucket.settle(0, before, rate, 0);
            }
            if settled.take(reserved, rate, 0).is_ok() {
                settled.settle(reserved, used, rate, 0);
                direct.settle(0, used, rate, 0);
                prop_assert_eq!(settled, direct);
            }
        }

        #[test]
        fn a_refund_never_makes_more_than_full(
            count in prop::sample::select(vec![1u64, 2, 5, 10, 100, 1000]),
            taken in 1u64..5000,
            now in 0u64..SECOND,
        ) {
            let rate = Rate { count, per: Duration::from_secs(1) };
            let mut bucket = Bucket::default();
            bucket.settle(taken, 0, rate, now);
            for _ in 0..count {
                prop_assert!(bucket.take(1, rate, now).is_ok());
            }
            prop_assert!(bucket.take(1, rate, now).is_err());
        }
    }
}
