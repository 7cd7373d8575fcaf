//! Delegated grants: a node passes on a part of what it may do, without asking anybody.
//!
//! A grant is a chain of statements. Each is signed with the Ed25519 key of the node that makes it,
//! names the node it is for, and bounds what is passed on; the next one is made by that node. So a gate
//! checks the whole chain with what stands in it, knows every hand that it went through, and takes it
//! from the last of them alone, who proves its key in the TLS handshake. What holds is what every
//! statement leaves.
//!
//! ```text
//! pcg1.<statement>.<signature>[~<statement>.<signature>…]       base64url without padding
//! signature = Ed25519 over "portcullis grant v1\n", the SHA-256 of everything before in hex, "\n", statement
//! ```

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use portcullis_policies::{Identity, Scope};
use portcullis_signatures::KeyError;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::node::{NodeIdentity as _, NodeKey, NodePublic};

/// What every grant begins with.
pub const PREFIX: &str = "pcg1.";
/// The most hands that a grant may go through.
pub const MAX_LINKS: usize = 7;
/// The longest grant, in bytes.
pub const MAX_LENGTH: usize = 12 * 1024;
/// How far the maker's clock may run ahead, in seconds.
const SKEW: i64 = 60;

/// A grant whose every signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Whose rights are passed on.
    pub root: Identity,
    /// Who may use it, and nobody else.
    pub holder: Identity,
    /// Everybody who passed it on, the root first.
    pub hands: Vec<Identity>,
    /// What each statement leaves, in order, named after its statement.
    pub scopes: Vec<Scope>,
}

/// One statement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    /// Who passes on.
    by: String,
    /// To whom.
    to: String,
    /// What tells it from others: budgets are counted under it.
    id: String,
    /// When it was made, in Unix seconds.
    at: i64,
    /// What it leaves.
    scope: Scope,
}

/// Why a grant is not valid. Says nothing of what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegationError {
    /// A statement is made by another than the one that the last was for.
    #[error("it went through hands that it was not given into")]
    Broken,
    /// It has ended, or has not begun.
    #[error("it has ended or has not begun")]
    Expired,
    /// It is not a grant.
    #[error("it is not a delegated grant")]
    Malformed,
    /// A signature does not hold.
    #[error("a signature in it does not hold")]
    Signature,
    /// It went through too many hands.
    #[error("it went through too many hands")]
    TooLong,
}

/// Why a grant cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// It must end.
    #[error("a delegated grant must end: give `--for` or `--until`")]
    Endless,
    /// The one that is passed on is not valid.
    #[error("the grant that is to be passed on is not valid: {0}")]
    Parent(#[from] DelegationError),
    /// The one that is passed on is somebody else's.
    #[error("the grant that is to be passed on was given to `{0}`, not to this node")]
    NotOurs(String),
    /// The node that it is for is none.
    #[error(transparent)]
    Node(#[from] KeyError),
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// Makes a grant for a node, or passes one on.
///
/// # Errors
/// When it would never end, the node is none, or `parent` is not this key's to pass on.
pub fn issue(key: &NodeKey, parent: Option<&str>, to: &str, scope: Scope, now: i64) -> Result<String, IssueError> {
    if scope.until.is_none() {
        return Err(IssueError::Endless);
    }
    NodePublic::from_node_id(to)?;
    let by = key.public().node_id();
    if let Some(parent) = parent {
        let given = verify(parent.trim(), now)?;
        if given.holder.as_str() != by {
            return Err(IssueError::NotOurs(given.holder.to_string()));
        }
        if given.scopes.len() >= MAX_LINKS {
            return Err(DelegationError::TooLong.into());
        }
    }
    let mut id = [0u8; 8];
    getrandom::fill(&mut id)?;
    let statement = Statement { by, to: to.to_owned(), id: HEXLOWER.encode(&id), at: now, scope };
    let text = BASE64URL_NOPAD.encode(serde_json::to_string(&statement).unwrap_or_default().as_bytes());
    let before = parent.map(str::trim);
    let signature = key.sign(&signed(before.unwrap_or_default(), &text));
    let link = format!("{text}.{}", BASE64URL_NOPAD.encode(&signature));
    Ok(before.map_or_else(|| format!("{PREFIX}{link}"), |before| format!("{before}~{link}")))
}

/// Checks every statement of a grant, at this Unix second.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn verify(grant: &str, now: i64) -> Result<Delegation, DelegationError> {
    let links = grant.strip_prefix(PREFIX).filter(|_| grant.len() <= MAX_LENGTH).ok_or(DelegationError::Malformed)?;
    let mut found: Option<Delegation> = None;
    let mut end = PREFIX.len();
    for (number, link) in links.split('~').enumerate() {
        if number >= MAX_LINKS {
            return Err(DelegationError::TooLong);
        }
        // Everything before this statement, without the separator.
        let before = if number == 0 { "" } else { grant.get(..end).ok_or(DelegationError::Malformed)? };
        let statement = check(before, link)?;
        end += link.len() + usize::from(number > 0);
        let scope = &statement.scope;
        if scope.until.is_none() || statement.at > now.saturating_add(SKEW) || !scope.holds_at(now) {
            return Err(DelegationError::Expired);
        }
        let holder = node(&statement.to)?;
        let by = node(&statement.by)?;
        // Nobody grows by passing on to itself.
        if by == holder {
            return Err(DelegationError::Broken);
        }
        let root = found.as_ref().map_or(&by, |found| &found.root);
        let until = scope.until.unwrap_or_default();
        let scope =
            Scope { name: Some(format!("delegated:{root}:{until}:{}", statement.id).into()), ..statement.scope };
        found = Some(match found {
            None => Delegation { root: by.clone(), holder, hands: vec![by], scopes: vec![scope] },
            Some(mut so_far) if so_far.holder == by => {
                so_far.hands.push(by);
                so_far.scopes.push(scope);
                Delegation { holder, ..so_far }
            }
            Some(_) => return Err(DelegationError::Broken),
        });
    }
    found.ok_or(DelegationError::Malformed)
}

fn check(before: &str, link: &str) -> Result<Statement, DelegationError> {
    let (text, signature) = link.split_once('.').ok_or(DelegationError::Malformed)?;
    let decoded = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| DelegationError::Malformed)?;
    let statement: Statement = serde_json::from_slice(&decoded).map_err(|_| DelegationError::Malformed)?;
    let is_id = statement.id.len() == 16 && statement.id.bytes().all(|b| b.is_ascii_hexdigit());
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok().and_then(|s| <[u8; 64]>::try_from(s).ok());
    let (true, Some(signature)) = (is_id, signature) else { return Err(DelegationError::Malformed) };
    let key = NodePublic::from_node_id(&statement.by).map_err(|_| DelegationError::Malformed)?;
    key.verify(&signed(before, text), &signature).map_err(|_| DelegationError::Signature)?;
    Ok(statement)
}

fn signed(before: &str, statement: &str) -> Vec<u8> {
    let digest = if before.is_empty() { String::new() } else { HEXLOWER.encode(&Sha256::digest(before.as_bytes())) };
    format!("portcullis grant v1\n{digest}\n{statement}").into_bytes()
}

fn node(id: &str) -> Result<Identity, DelegationError> {
    NodePublic::from_node_id(id).map(|node| node.identity()).map_err(|_| DelegationError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_policies::glob::Glob;

    fn until(until: i64) -> Scope {
        Scope { until: Some(until), ..Scope::default() }
    }

    fn nodes() -> [NodeKey; 4] {
        [1, 2, 3, 4].map(|n| NodeKey::from_seed(&[n; 32]))
    }

    #[test]
    fn each_hand_leaves_less() {
        let [a, b, c, _] = nodes();
        let id = |key: &NodeKey| key.public().node_id();
        let models = Scope { models: vec![Glob::new("llama3*")], ..until(200) };
        let first = issue(&a, None, &id(&b), models.clone(), 100).unwrap();
        let given = verify(&first, 150).unwrap();
        assert_eq!((given.root.as_str(), given.holder.as_str()), (id(&a).as_str(), id(&b).as_str()));
        let second = issue(&b, Some(&first), &id(&c), until(180), 110).unwrap();
        let given = verify(&second, 150).unwrap();
        assert_eq!((given.root.as_str(), given.holder.as_str()), (id(&a).as_str(), id(&c).as_str()));
        let scopes: Vec<_> = given.scopes.into_iter().map(|scope| Scope { name: None, ..scope }).collect();
        assert_eq!(scopes, [models, until(180)]);
        assert_eq!(verify(&second, 180), Err(DelegationError::Expired), "the shortest counts");
        assert!(matches!(issue(&a, Some(&first), &id(&c), until(180), 110), Err(IssueError::NotOurs(_))));
        assert!(matches!(issue(&a, None, &id(&c), Scope::default(), 110), Err(IssueError::Endless)));
        assert!(matches!(issue(&a, None, "peer:x", until(180), 110), Err(IssueError::Node(_))));
    }

    #[test]
    fn a_chain_that_was_tampered_with_fails() {
        let [a, b, c, d] = nodes();
        let id = |key: &NodeKey| key.public().node_id();
        let first = issue(&a, None, &id(&b), until(200), 100).unwrap();
        let second = issue(&b, Some(&first), &id(&c), until(200), 100).unwrap();
        let other = issue(&a, None, &id(&b), until(900), 100).unwrap();
        let (_, last) = second.split_once('~').unwrap();
        assert_eq!(verify(&format!("{other}~{last}"), 150), Err(DelegationError::Signature), "a longer one below");
        assert_eq!(verify(&format!("{PREFIX}{last}"), 150), Err(DelegationError::Signature), "its beginning is gone");
        let (_, plain) = issue(&d, None, &id(&c), until(900), 100)
            .unwrap()
            .split_once('.')
            .map(|(a, b)| (a.len(), b.to_owned()))
            .unwrap();
        assert!(verify(&format!("{first}~{plain}"), 150).is_err(), "a stranger's statement behind it");
        for cut in [5, 20, second.len() - 1] {
            assert!(verify(&second[..cut], 150).is_err(), "{cut}");
        }
        assert_eq!(verify(&first, 30), Err(DelegationError::Expired), "made in the future");
        let mut long = first;
        let ring = [&b, &c];
        for n in 1..MAX_LINKS {
            long = issue(ring[(n + 1) % 2], Some(&long), &id(ring[n % 2]), until(200), 100).unwrap();
        }
        assert!(verify(&long, 150).is_ok());
        assert!(matches!(
            issue(ring[(MAX_LINKS + 1) % 2], Some(&long), &id(&d), until(200), 100),
            Err(IssueError::Parent(DelegationError::TooLong))
        ));
    }

    proptest::proptest! {
        #[test]
        fn any_changed_byte_breaks_it(at in 0usize..1000, to in 0u8..128) {
            let [a, b, c, _] = nodes();
            let id = |key: &NodeKey| key.public().node_id();
            let first = issue(&a, None, &id(&b), until(200), 100).unwrap();
            let mut bytes = issue(&b, Some(&first), &id(&c), until(200), 100).unwrap().into_bytes();
            let at = at % bytes.len();
            proptest::prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let text = String::from_utf8(bytes).unwrap();
            proptest::prop_assert!(verify(&text, 150).is_err());
        }

        #[test]
        fn nothing_from_outside_panics(text in "(pcg1\\.)?[A-Za-z0-9_.~-]{0,200}") {
            let _ = verify(&text, 150);
        }
    }
}
