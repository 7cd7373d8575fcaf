//! Letting callers in beforehand: one-time tokens, and a window for exactly one caller.
//!
//! A token is 256 random bits, kept as a digest, good for a short time and a number of callers. A
//! window takes no token: the next unknown caller is let in, and it closes.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::ledger::{Document, Ledger, LedgerError};
use crate::token;

/// What every enrolment token begins with.
pub const PREFIX: &str = "pce_";
/// The most invitations that are open at once.
const MAX_OPEN: usize = 1_000;

/// The open invitations of one node.
pub struct Enrollments(Ledger<Open>);

/// One invitation, without its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// What tells it from others, in lists; proves nothing.
    pub id: String,
    /// `None` for a window.
    digest: Option<String>,
    /// Unix seconds.
    pub expires: i64,
    /// How many callers it still lets in.
    pub uses: u32,
    /// The profile of those who come by it.
    pub profile: Option<Arc<str>>,
    /// What the operator calls the one who comes by it.
    pub name: Option<Arc<str>>,
}

/// Why an invitation cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// There are too many.
    #[error("there are {MAX_OPEN} open invitations already; wait until some end")]
    Full,
    /// The list cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

impl Enrollments {
    /// Opens the invitations of this state directory.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(state: &Path) -> Result<Self, EnrollError> {
        Ok(Self(Ledger::open(&state.join("enrollments.json"))?))
    }

    /// Makes a token for so many callers. The text that comes back is its only copy.
    ///
    /// # Errors
    /// When the list is full or cannot be written.
    pub fn invite(
        &self,
        expires: i64,
        uses: u32,
        profile: Option<&str>,
        name: Option<&str>,
        now: i64,
    ) -> Result<(Invitation, Zeroizing<String>), EnrollError> {
        let token = token::generate(PREFIX)?;
        let digest = Some(token::digest("enroll", &token));
        let made = self.push(Invitation { digest, ..Invitation::new(expires, uses, profile, name)? }, now)?;
        Ok((made, token))
    }

    /// Opens a window: the next unknown caller is let in without a token. An older window closes.
    ///
    /// # Errors
    /// When the list is full or cannot be written.
    pub fn open_window(
        &self,
        expires: i64,
        profile: Option<&str>,
        name: Option<&str>,
        now: i64,
    ) -> Result<Invitation, EnrollError> {
        self.push(Invitation::new(expires, 1, profile, name)?, now)
    }

    /// The invitations that are open at this Unix second.
    #[must_use]
    pub fn list(&self, now: i64) -> Vec<Invitation> {
        self.0.get().invitations.iter().filter(|invitation| invitation.holds(now)).cloned().collect()
    }

    /// Takes an invitation back. `None` when there is none of this id.
    ///
    /// # Errors
    /// When the list cannot be read or written.
    pub fn cancel(&self, id: &str) -> Result<Option<Invitation>, EnrollError> {
        self.0.change(|open| {
            let position = open.invitations.iter().position(|invitation| invitation.id == id);
            Ok(position.map(|position| open.invitations.remove(position)))
        })
    }

    fn push(&self, made: Invitation, now: i64) -> Result<Invitation, EnrollError> {
        self.0.change(|open| {
            open.invitations.retain(|i| i.holds(now) && (made.digest.is_some() || i.digest.is_some()));
            if open.invitations.len() >= MAX_OPEN {
                return Err(EnrollError::Full);
            }
            open.invitations.push(made.clone());
            Ok(made)
        })
    }

    /// Uses a token up by one. `None` when it is not one of ours, used up, or over. On disk before it
    /// returns: the same use is never given out twice.
    ///
    /// # Errors
    /// When the list cannot be read or written: then nobody is let in.
    pub fn redeem(&self, token: &str, now: i64) -> Result<Option<Invitation>, EnrollError> {
        if !token::has_form(token, PREFIX) {
            return Ok(None);
        }
        let digest = token::digest("enroll", token);
        let is_it = |invitation: &Invitation| {
            invitation.digest.as_ref().is_some_and(|own| own.as_bytes().ct_eq(digest.as_bytes()).into())
        };
        // An invented token costs a look at the file's times, not its lock.
        let known = || self.0.get().invitations.iter().any(is_it);
        if known() || (self.0.reload_if_changed()? && known()) { self.take(now, is_it) } else { Ok(None) }
    }

    /// Goes through the open window, if there is one, and closes it.
    ///
    /// # Errors
    /// When the list cannot be read or written: then nobody is let in.
    pub fn enter_window(&self, now: i64) -> Result<Option<Invitation>, EnrollError> {
        if !self.has_window(now) {
            return Ok(None);
        }
        self.take(now, |invitation| invitation.digest.is_none())
    }

    /// Whether a window is open, as far as this process knows. No I/O.
    #[must_use]
    pub fn has_window(&self, now: i64) -> bool {
        self.0.get().invitations.iter().any(|i| i.digest.is_none() && i.holds(now))
    }

    /// Takes in what another process changed.
    ///
    /// # Errors
    /// When the list is damaged; the last good one stays in force.
    pub fn reload_if_changed(&self) -> Result<bool, EnrollError> {
        Ok(self.0.reload_if_changed()?)
    }

    fn take(&self, now: i64, is_it: impl Fn(&Invitation) -> bool) -> Result<Option<Invitation>, EnrollError> {
        self.0.change(|open| {
            open.invitations.retain(|i| i.holds(now));
            let Some(found) = open.invitations.iter_mut().find(|i| is_it(i)) else { return Ok(None) };
            found.uses = found.uses.saturating_sub(1);
            Ok(Some(found.clone()))
        })
    }
}

impl Invitation {
    /// Whether it lets the next unknown caller in, without a token.
    #[must_use]
    pub fn is_window(&self) -> bool {
        self.digest.is_none()
    }

    fn new(expires: i64, uses: u32, profile: Option<&str>, name: Option<&str>) -> Result<Self, EnrollError> {
        let mut id = [0u8; 4];
        getrandom::fill(&mut id)?;
        let id = data_encoding::HEXLOWER.encode(&id);
        Ok(Self { id, digest: None, expires, uses, profile: profile.map(Into::into), name: name.map(Into::into) })
    }

    fn holds(&self, now: i64) -> bool {
        self.uses > 0 && now < self.expires
    }
}

/// `enrollments.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    version: u32,
    invitations: Vec<Invitation>,
}

impl Default for Open {
    fn default() -> Self {
        Self { version: 1, invitations: Vec::new() }
    }
}

impl Document for Open {
    fn check(&self) -> Result<(), String> {
        if self.version == 1 { Ok(()) } else { Err(format!("it has version {}, this release reads 1", self.version)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_up() {
        let dir = tempfile::tempdir().unwrap();
        let (cli, gate) = (Enrollments::open(dir.path()).unwrap(), Enrollments::open(dir.path()).unwrap());
        let (_, token) = cli.invite(100, 2, Some("chat"), None, 0).unwrap();
        for _ in 0..2 {
            let taken = gate.redeem(&token, 50).unwrap().unwrap();
            assert_eq!(taken.profile.as_deref(), Some("chat"));
        }
        assert_eq!(gate.redeem(&token, 50).unwrap(), None);
        let (_, token) = cli.invite(100, 1, None, None, 0).unwrap();
        assert_eq!(gate.redeem(&token, 100).unwrap(), None, "it is over");
        let (_, token) = cli.invite(100, 1, None, None, 0).unwrap();
        let text = std::fs::read_to_string(dir.path().join("enrollments.json")).unwrap();
        assert!(!text.contains(&token[4..]));
        for wrong in ["", "pce_", &token[..46], &format!("{}A", *token)] {
            assert_eq!(gate.redeem(wrong, 50).unwrap(), None, "{wrong}");
        }
        assert!(gate.redeem(&token, 50).unwrap().is_some());
    }

    #[test]
    fn many_at_once_share_one_use() {
        let dir = tempfile::tempdir().unwrap();
        let gate = Arc::new(Enrollments::open(dir.path()).unwrap());
        let (_, token) = gate.invite(100, 1, None, None, 0).unwrap();
        let let_in: usize = std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..16).map(|_| scope.spawn(|| usize::from(gate.redeem(&token, 1).unwrap().is_some()))).collect();
            all.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(let_in, 1);
    }

    #[test]
    fn a_window_is_for_exactly_one() {
        let dir = tempfile::tempdir().unwrap();
        let gate = Enrollments::open(dir.path()).unwrap();
        assert_eq!(gate.enter_window(0).unwrap(), None);
        gate.open_window(100, None, Some("tv"), 0).unwrap();
        gate.open_window(100, None, Some("laptop"), 0).unwrap();
        assert!(!gate.has_window(100));
        assert_eq!(gate.enter_window(10).unwrap().unwrap().name.as_deref(), Some("laptop"));
        assert_eq!(gate.enter_window(10).unwrap(), None, "the older window had closed");
    }
}
