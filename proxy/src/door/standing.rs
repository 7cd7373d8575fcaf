//! What the gate thinks of the door, and how a person hears of it.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use portcullis_certs::PinMismatch;
use portcullis_certs::trust::is_name;
use portcullis_policies::Identity;

use super::address::GateAddress;
use super::dial::DialError;
use super::link::LinkError;
use super::name::own;

/// How a door stands with its gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The gate cannot be reached, or does not answer as a gate; the reason.
    Away(String),
    /// What answers there holds another key than the one that was met.
    Foreign(String),
    /// It lets the door in.
    In,
    /// It knows the door's name with another key.
    KeyChanged,
    /// Nobody approved the door yet.
    Pending,
    /// It refuses the door for another reason: its own words, or its code.
    Refused(String),
    /// Its trust in the door was taken back.
    Revoked,
    /// Nothing was asked yet.
    Unknown,
}

impl Standing {
    /// What an answer of the gate says about the door; `None` when it says nothing of it.
    pub(crate) fn of_verdict(verdict: &str) -> Option<Self> {
        let code = verdict.rsplit_once("code=").map(|(_, code)| code)?;
        Some(match code {
            "identity.pending" => Self::Pending,
            "identity.revoked" => Self::Revoked,
            "identity.key_changed" => Self::KeyChanged,
            other if other.starts_with("identity.") => {
                Self::Refused(other.chars().filter(|c| c.is_ascii_graphic()).take(64).collect())
            }
            _ => return None,
        })
    }
}

impl From<&LinkError> for Standing {
    fn from(error: &LinkError) -> Self {
        match error {
            LinkError::Dial(dial) => match &**dial {
                DialError::Changed(PinMismatch { presented, .. }) => Self::Foreign(format!("the key {presented}")),
                DialError::NoGate(why) => Self::Foreign(format!("no gate's key at all ({why})")),
                other => Self::Away(other.to_string()),
            },
            other => Self::Away(other.to_string()),
        }
    }
}

/// Remembers how a door stands, and says on standard error when that changes.
pub(crate) struct Watch {
    gate: GateAddress,
    /// The gate's pinned fingerprint.
    expected: String,
    /// The door's own identity, fingerprint and name, as its operator is to be told.
    door: (Identity, String, String),
    standing: Mutex<Standing>,
}

impl Watch {
    pub(crate) fn new(gate: GateAddress, expected: String, door: (Identity, String, String)) -> Self {
        Self { gate, expected, door, standing: Mutex::new(Standing::Unknown) }
    }

    /// How the door stands.
    pub(crate) fn get(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how it stands now, and says so if that is news.
    pub(crate) fn note(&self, now: Standing) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if *standing != now {
            // Not reaching it for another reason than before is no news.
            let silent = matches!((&*standing, &now), (Standing::Away(_), Standing::Away(_)));
            if !silent {
                let _ = writeln!(std::io::stderr(), "portcullis: {}", self.sentence(&now));
            }
            *standing = now;
        }
    }

    fn sentence(&self, standing: &Standing) -> String {
        let Self { gate, door: (identity, fingerprint, name), expected, .. } = self;
        match standing {
            Standing::Away(why) => format!("{gate}: {why}. The door stays open and keeps trying."),
            Standing::Foreign(shown) => warning(gate, expected, shown),
            Standing::In => format!("{gate} lets this door in."),
            Standing::KeyChanged => format!(
                "{gate} knows another key by the name `{name}`, and refuses this one. Close this door, and open it \
                 with another name, such as `--name {}`. If the other key was this door's own and is gone, its \
                 operator runs `portcullis peers revoke {name}` instead, and the door says how it is approved.",
                own(name, fingerprint)
            ),
            Standing::Pending => {
                // An operator's labels are of fewer letters than a certificate's names.
                let name = if is_name(name) { format!(" --name {name}") } else { String::new() };
                format!(
                    "{gate} does not know this door yet. Its operator compares the fingerprint {fingerprint} and \
                     runs:\n  portcullis peers approve {identity}{name}\n\
                     The door waits, and says when it is let in."
                )
            }
            Standing::Refused(why) => format!("{gate} refuses this door: {why}"),
            Standing::Revoked => format!(
                "{gate} took its trust in this door back. Its operator can give it again:\n  \
                 portcullis peers approve {identity}"
            ),
            Standing::Unknown => format!("{gate} was not asked yet."),
        }
    }
}

/// What is said when a gate that nobody met shows another key than the one that was read out.
pub(crate) fn misread(gate: &GateAddress, pin: &str, shown: &str) -> String {
    format!(
        "{gate} was never met, and does not show the key that --pin names.\n  \
         shown   the key {shown}\n  \
         --pin   the key {pin}\n\
         One of the two was misread, or somebody stands in between to read along. Nothing was sent, and nothing \
         of it is remembered. Look at `portcullis id` on the gate, and write what stands there."
    )
}

/// What ssh says when a host's key is another one.
pub(crate) fn warning(gate: &GateAddress, expected: &str, shown: &str) -> String {
    format!(
        "WARNING: WHAT ANSWERS AT {gate} IS NOT THE GATE THAT YOU MET.\n  \
         expected  the key {expected}\n  \
         shown     {shown}\n\
         Somebody may stand in between to read along, or its operator made a new identity. Nothing was sent.\n\
         Have the operator read out `portcullis id` over another way. If it is the new key, forget the old one:\n  \
         portcullis connect --forget https://{gate}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_gate_thinks_of_the_door() {
        for (verdict, standing) in [
            ("block; filter=identity; code=identity.pending", Some(Standing::Pending)),
            ("block; filter=identity; code=identity.revoked", Some(Standing::Revoked)),
            ("block; filter=identity; code=identity.key_changed", Some(Standing::KeyChanged)),
            ("block; filter=identity; code=identity.invalid", Some(Standing::Refused("identity.invalid".to_owned()))),
            ("block; filter=policy; code=policy.model_denied", None),
            ("allow", None),
            ("", None),
        ] {
            assert_eq!(Standing::of_verdict(verdict), standing, "{verdict}");
        }
    }

    #[test]
    fn a_misread_pin_is_no_changed_key() {
        let gate = GateAddress::parse("gpu-box").unwrap();
        let said = misread(&gate, "aa:bb", "cc:dd");
        for part in ["shown   the key cc:dd", "--pin   the key aa:bb", "misread", "in between", "`portcullis id`"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("MET") && !said.contains("--forget"), "{said}");
    }

    #[test]
    fn a_foreign_key_is_said_loudly() {
        let gate = GateAddress::parse("gpu-box").unwrap();
        let said = warning(&gate, "aa:bb", "the key cc:dd");
        for part in ["WARNING", "aa:bb", "cc:dd", "in between", "--forget https://gpu-box:8443"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
