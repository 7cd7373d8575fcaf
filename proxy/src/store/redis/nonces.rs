//! Nonces in the shared store: each good once, in all gates together.
//!
//! A store can lose what it was told: it was emptied, it restarted from an older file, a replica took over
//! that had not heard everything. Each of these begins another *epoch* (`enter.lua`), and a claim names the
//! epoch that its gate knows, so that none slips in between. What was signed before an epoch's first window
//! is over is refused by all gates. So is, once more, what a gate may have let in under another epoch that
//! it comes from (`../past.rs`).

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use portcullis_filters::store::{Claim, Claimed, Nonces, Unavailable, WallClock};
use redis::Script;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use super::{Link, Redis};
use crate::clock::{System, Time};
use crate::store::past::Past;

/// The name in the metrics.
pub(crate) const NAME: &str = "nonces";
/// How often the epoch and the clocks are looked at without a claim.
const BEAT: Duration = Duration::from_secs(1);
/// Bytes of a nonce's hash that make its key: as hard to hit as a 128-bit nonce.
const KEY: usize = 16;

/// Nonces in a Redis.
pub(crate) struct RedisNonces {
    store: Arc<Redis>,
    clock: Arc<dyn WallClock>,
    /// What nobody sets: by this a step of the server's clock is seen.
    steady: Box<dyn Time>,
    claim: Script,
    enter: Script,
    epoch: String,
    /// The widest window of any claim.
    window_ms: AtomicI64,
    /// The latest time at which a claim came.
    peak_ms: AtomicI64,
    known: Mutex<Known>,
    past: Arc<Past>,
}

/// What this gate knows of the store.
#[derive(Clone, Default)]
struct Known {
    /// The run of the server that the epoch belongs to.
    server: String,
    /// Under which claims are let in. It is written down.
    epoch: String,
    /// The epoch that has heard what this gate let in before it. The same, but where the disk is in the way.
    told: String,
    /// How far the server's clock was before the steady one.
    lead_ms: Option<i64>,
}

impl RedisNonces {
    /// Nonces of signatures that may be this far from now. Opens the epoch as soon as the store answers.
    pub(crate) fn open(store: Arc<Redis>, clock: Arc<dyn WallClock>, window: Duration, past: Past) -> Arc<Self> {
        let nonces = Arc::new(Self::new(store, clock, Box::new(System), window, past));
        let watched = Arc::downgrade(&nonces);
        nonces.store.runtime().spawn(watch(watched));
        nonces
    }

    /// The same, which looks at the store only when it is asked.
    pub(super) fn new(
        store: Arc<Redis>,
        clock: Arc<dyn WallClock>,
        steady: Box<dyn Time>,
        window: Duration,
        past: Past,
    ) -> Self {
        let known = Known { epoch: past.epoch.clone(), told: past.epoch.clone(), ..Known::default() };
        Self {
            claim: script(include_str!("claim.lua")),
            enter: script(include_str!("enter.lua")),
            epoch: store.key("epoch"),
            window_ms: AtomicI64::new(millis(window)),
            peak_ms: AtomicI64::new(0),
            known: Mutex::new(known),
            past: Arc::new(past),
            store,
            clock,
            steady,
        }
    }

    /// Joins the epoch, or opens one.
    pub(super) async fn enter(&self, link: &Arc<Link>) -> Result<(), Unavailable> {
        let known = self.known();
        let gate_ms = self.clock.now_ms();
        let steady_ms = self.steady.boot_ms();
        let mut script = self.enter.prepare_invoke();
        let peak_ms = self.peak_ms.load(Ordering::Acquire).max(self.past.until_ms);
        let window_ms = self.window_ms.load(Ordering::Acquire);
        script.key(&self.epoch).arg(&link.server).arg(Ulid::new().to_string()).arg(&known.told);
        script.arg(gate_ms).arg(peak_ms).arg(window_ms);
        let (joined, server_ms, epoch, opened_ms): (bool, i64, String, i64) =
            self.store.run(NAME, link, &script).await?;
        let took_ms = self.steady.boot_ms().saturating_sub(steady_ms);
        let lead_ms = server_ms.saturating_sub(steady_ms);
        if self.has_jumped(&known, link, lead_ms, took_ms) {
            return self.close(link).await;
        }
        if !joined {
            self.change(|known| known.lead_ms = Some(lead_ms));
            return Err(clocks(server_ms.saturating_sub(gate_ms)));
        }
        // Said twice, it would close the store for everybody each time that the disk says no.
        self.change(|known| known.told.clone_from(&epoch));
        self.write_down(&epoch, window_ms, epoch != known.told).await?;
        if epoch != known.epoch {
            let opened = jiff::Timestamp::from_millisecond(opened_ms).map(|at| at.to_string()).unwrap_or_default();
            tracing::warn!(
                opened,
                "The store's memory of nonces began anew; what was signed until a window after that is refused."
            );
        }
        self.change(|known| {
            *known = Known { server: link.server.clone(), epoch: epoch.clone(), told: epoch, lead_ms: Some(lead_ms) };
        });
        Ok(())
    }

    /// Sees to it that a gate that is killed knows of this epoch when it comes back. `anew` says that it was
    /// not tried before.
    async fn write_down(&self, epoch: &str, window_ms: i64, anew: bool) -> Result<(), Unavailable> {
        if self.past.names(epoch, window_ms) {
            return Ok(());
        }
        let (past, name) = (Arc::clone(&self.past), epoch.to_owned());
        let written = self.store.runtime().spawn_blocking(move || past.join(&name, window_ms)).await;
        let Err(error) = written.map_err(|e| e.to_string()).and_then(|done| done.map_err(|e| e.to_string())) else {
            return Ok(());
        };
        if anew {
            tracing::error!(
                error,
                "The store's epoch cannot be written down: signed requests are refused until it can."
            );
        }
        Err(Unavailable::new("the store's epoch cannot be written down"))
    }

    /// Whether the server's clock stepped since the last look: what it should remember may have run out
    /// meanwhile.
    fn has_jumped(&self, known: &Known, link: &Link, lead_ms: i64, took_ms: i64) -> bool {
        let limit = self.window_ms.load(Ordering::Acquire) / 2;
        known.server == link.server
            && took_ms < limit / 2
            && known.lead_ms.is_some_and(|before| before.abs_diff(lead_ms) > limit.unsigned_abs())
    }

    /// Ends the epoch that is known, if it is still that: the next look opens another one.
    async fn close(&self, link: &Arc<Link>) -> Result<(), Unavailable> {
        let epoch = self.known().epoch;
        let script = Script::new(
            "if redis.call('HGET', KEYS[1], 'name') == ARGV[1] then redis.call('HDEL', KEYS[1], 'name') end return 1",
        );
        self.store.run::<i64>(NAME, link, script.key(&self.epoch).arg(epoch)).await?;
        self.change(|known| *known = Known::default());
        let why = "the store's clock stepped; what it remembers may have run out too early";
        tracing::error!("{why}");
        Err(Unavailable::new(why))
    }

    async fn ask(&self, claim: &Claim<'_>) -> Result<(i64, i64), Unavailable> {
        let link = self.store.link()?;
        let known = self.known();
        if known.server != link.server {
            // A new run of the server: it is looked at before it is believed.
            self.enter(&link).await?;
        }
        let key = self.store.key(&format!("n:{}", hashed(claim)));
        let mut script = self.claim.prepare_invoke();
        script.key(&self.epoch).key(key).arg(&link.server).arg(self.known().epoch);
        script.arg(claim.created_ms).arg(claim.now_ms).arg(millis(claim.window));
        let (what, ms) = self.store.run(NAME, &link, &script).await?;
        if what == OTHER_EPOCH {
            self.enter(&link).await?;
        }
        Ok((what, ms))
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

const FRESH: i64 = 0;
const REPLAYED: i64 = 1;
const OTHER_EPOCH: i64 = 2;
const OPENING: i64 = 3;
const CLOCKS: i64 = 4;
const TOO_OLD: i64 = 5;

#[async_trait]
impl Nonces for RedisNonces {
    async fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, Unavailable> {
        let window = millis(claim.window);
        self.window_ms.fetch_max(window, Ordering::AcqRel);
        let peak = self.peak_ms.fetch_max(claim.now_ms, Ordering::AcqRel).max(claim.now_ms);
        let ahead = claim.created_ms > claim.now_ms.saturating_add(window);
        if ahead || claim.created_ms < peak.saturating_sub(window) {
            return Ok(Claimed::Forgotten);
        }
        let mut answer = self.ask(claim).await?;
        if answer.0 == OTHER_EPOCH {
            // The gate has joined it now; once more, and then it says no.
            answer = self.ask(claim).await?;
        }
        match answer {
            (FRESH, _) => Ok(Claimed::Fresh),
            (REPLAYED, _) => Ok(Claimed::Replayed),
            (TOO_OLD, _) => Ok(Claimed::Forgotten),
            (OPENING, ms) => Err(Unavailable {
                why: "the store's memory began anew; what was signed before cannot be told from a replay".to_owned(),
                retry_after: Some(Duration::from_millis(ms.max(0).unsigned_abs())),
            }),
            (CLOCKS, ms) => Err(clocks(ms)),
            _ => Err(Unavailable::new("the store's memory of nonces was lost")),
        }
    }
}

/// A script as it stands in its file. In tests the server's clock can be set, by a key beside the epoch.
fn script(text: &str) -> Script {
    #[cfg(test)]
    let text = &text.replace(
        "local time = redis.call('TIME')",
        "local time = redis.call('TIME')
local shift = tonumber(redis.call('GET', (string.gsub(KEYS[1], 'epoch$', 'shift'))) or 0)
time = {string.format('%.0f', math.floor(tonumber(time[1]) + shift / 1000)), time[2]}",
    );
    Script::new(text)
}

/// Looks at the store now and then, so that an epoch opens, and a clock's step is seen, without a claim.
async fn watch(nonces: Weak<RedisNonces>) {
    loop {
        let Some(nonces) = nonces.upgrade() else { return };
        if let Ok(link) = nonces.store.link() {
            if let Err(error) = nonces.enter(&link).await {
                tracing::debug!(%error, "The store's epoch cannot be joined.");
            }
            drop(nonces);
            tokio::time::sleep(BEAT).await;
        } else {
            drop(nonces);
            tokio::time::sleep(BEAT / 20).await;
        }
    }
}

fn clocks(ahead_ms: i64) -> Unavailable {
    Unavailable::new(format!("the store's clock is {ahead_ms} ms ahead of the gate's, more than half a window"))
}

/// What a nonce is found by. Whose it is comes first, with its length, so that no two claims read alike.
fn hashed(claim: &Claim<'_>) -> String {
    let hash = Sha256::new()
        .chain_update((claim.node.len() as u64).to_be_bytes())
        .chain_update(claim.node)
        .chain_update(claim.nonce)
        .finalize();
    BASE64URL_NOPAD.encode(hash.get(..KEY).unwrap_or_default())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
