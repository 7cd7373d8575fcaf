//! What is counted, and for whom: the seam behind which the counters live.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use portcullis_policies::Rate;

use crate::store::Unavailable;
use crate::verdict::FilterError;

/// Whose counter it is. Each kind has room of its own, so that one cannot crowd another out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One caller.
    Caller,
    /// Everybody together.
    Global,
    /// One model.
    Model,
    /// What a rule, a grant or a credential allows.
    Quota,
    /// An address from which somebody calls whom nobody knows.
    Stranger,
}

/// What one exchange asks of one counter.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'k> {
    /// The kind.
    pub kind: Kind,
    /// Which of that kind.
    pub key: &'k str,
    /// Count a request under this rate.
    pub requests: Option<Rate>,
    /// Reserve tokens under this rate.
    pub tokens: Option<Rate>,
    /// Hold one of so many places until the exchange ends.
    pub concurrent: Option<u32>,
    /// Reserve tokens from a budget of so many, ever.
    pub budget: Option<u64>,
}

impl<'k> Demand<'k> {
    /// A demand that asks for nothing yet.
    #[must_use]
    pub const fn of(kind: Kind, key: &'k str) -> Self {
        Self { kind, key, requests: None, tokens: None, concurrent: None, budget: None }
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none() && self.concurrent.is_none() && self.budget.is_none()
    }
}

/// Why nothing was taken.
#[derive(Debug)]
pub enum Denied {
    /// The store that keeps the counters cannot tell.
    Away(Unavailable),
    /// The counters are not to be had; the request is refused all the same.
    Broken(FilterError),
    /// A limit is reached.
    Short(Shortage),
    /// Budgets cannot be written down at the moment.
    Unsaved,
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Which demand, by its position.
    pub demand: usize,
    /// Which limit of it.
    pub limit: Limit,
    /// The time after which the same demands would be met, as far as is known now.
    pub wait: Duration,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Tokens in all.
    Budget(u64),
    /// Requests at once.
    Concurrent(u32),
    /// Requests in a span.
    Requests(Rate),
    /// Tokens in a span.
    Tokens(Rate),
}

/// The counters: in this process's memory, or in a store that several gates share.
#[async_trait]
pub trait Counters: Send + Sync + 'static {
    /// Takes all that is demanded, with this many tokens where tokens are counted, or nothing.
    /// `None` when nothing of it has to be given back.
    ///
    /// # Errors
    /// The shortage that lasts longest; nothing was taken then.
    async fn take(&self, demands: &[Demand<'_>], tokens: u64) -> Result<Option<Box<dyn Held>>, Denied>;
}

/// What was taken. Dropped unsettled, it is given back whole.
pub trait Held: Send + Sync {
    /// Ends the exchange: places are free again, and of the tokens that were reserved these were used.
    fn settle(&self, used: u64);
}

/// A clock that only goes forward.
pub trait Clock: Send + Sync + 'static {
    /// The time since some fixed moment.
    fn now(&self) -> Duration;
}

/// The system's own.
pub struct Monotonic(Instant);

impl Default for Monotonic {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
