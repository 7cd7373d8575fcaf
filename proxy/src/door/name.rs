//! What a door is called where nobody gave it a name.

use portcullis_certs::NodePublic;

/// The longest name that an operator can give.
const MAX_NAME: usize = 64;
/// How many hex digits of the fingerprint stand in a name.
const DIGITS: usize = 4;

/// The host's name, and the beginning of the door's fingerprint: a gate refuses a known name with another
/// key, and a machine may have several doors, one after the other or one for each user. An operator can
/// give the same name: of the host's, what no name may hold is left out.
pub(crate) fn usual(key: &NodePublic) -> String {
    own(&rustix::system::uname().nodename().to_string_lossy(), &key.fingerprint())
}

/// A name that starts like this one, and is the own one of the key with this fingerprint.
pub(super) fn own(name: &str, fingerprint: &str) -> String {
    let digits: String = fingerprint.chars().filter(char::is_ascii_hexdigit).take(DIGITS).collect();
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let kept: String = name.chars().filter(plain).take(MAX_NAME - DIGITS - 1).collect();
    // Without these at its ends it is never taken for an option.
    match kept.trim_matches(['-', '.']) {
        "" => format!("door-{digits}"),
        kept => format!("{kept}-{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_certs::trust::is_name;
    use proptest::prelude::*;

    const PRINT: &str = "56:47:5a:aa:00:11:22:33:44:55:66:77:88:99:aa:bb";

    #[test]
    fn a_door_is_called_after_its_host_and_its_key() {
        for (host, name) in [
            ("laptop", "laptop-5647"),
            ("Anna's Büro.local", "AnnasBro.local-5647"),
            ("-x.", "x-5647"),
            ("", "door-5647"),
            ("机器", "door-5647"),
            (&"a".repeat(300), &*format!("{}-5647", "a".repeat(59))),
        ] {
            assert_eq!(own(host, PRINT), name, "{host}");
        }
    }

    proptest! {
        #[test]
        fn every_host_gives_a_name_that_an_operator_can_give(host in "\\PC{0,80}|[a-f0-9.-]{0,80}") {
            prop_assert!(is_name(&own(&host, PRINT)));
        }
    }
}
