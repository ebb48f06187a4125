//! How caller and agent prove to each other that they hold the cluster's key.
//!
//! Both throw a nonce. Each side's proof is an HMAC over its role, both nonces, the pod's UID and both protocol
//! ranges, so that an answer can neither be replayed, nor reflected, nor moved to another pod, nor have its
//! protocol lowered on the way. The key itself never travels and never prints.

use std::fmt;

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use rand::TryRngCore;
use sha2::{Digest, Sha256};

use crate::ProtocolRange;

/// Length of a nonce, a proof, and a freshly made key.
pub const LENGTH: usize = 32;

/// The key of a cluster.
#[derive(Clone)]
pub struct ClusterKey {
    bytes: Vec<u8>,
    mac: Hmac<Sha256>,
}

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness(#[source] rand::rand_core::OsError);

/// Bytes that cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cluster's key has {0} bytes, at least {LENGTH} are needed")]
pub struct KeyTooShort(usize);

impl ClusterKey {
    /// The key from the bytes that its Secret holds.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, KeyTooShort> {
        let bytes = bytes.into();
        match Hmac::new_from_slice(&bytes) {
            Ok(mac) if bytes.len() >= LENGTH => Ok(Self { bytes, mac }),
            _ => Err(KeyTooShort(bytes.len())),
        }
    }

    /// The bytes, for the Secret alone.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the key, in hexadecimal: tells keys apart without telling any.
    pub fn stamp(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(&self.bytes))
    }

    /// HMAC-SHA256 under this key over every part behind its length, so that no two lists of parts are the same
    /// message.
    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        parts.iter().fold(self.mac.clone(), |mac, part| {
            mac.chain_update((part.len() as u64).to_be_bytes()).chain_update(part)
        })
    }
}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Bytes that nobody can guess.
pub fn random() -> Result<[u8; LENGTH], NoRandomness> {
    let mut bytes = [0; LENGTH];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// Who proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prover {
    /// The side that dialled.
    Caller,
    /// The agent.
    Agent,
}

/// What both proofs of a connection are made over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The caller's nonce.
    pub caller_nonce: Vec<u8>,
    /// The agent's nonce.
    pub agent_nonce: Vec<u8>,
    /// The pod that answers.
    pub pod_uid: String,
    /// What the caller speaks.
    pub caller_protocol: ProtocolRange,
    /// What the agent speaks.
    pub agent_protocol: ProtocolRange,
}

impl Transcript {
    /// The proof of one side.
    pub fn prove(&self, key: &ClusterKey, prover: Prover) -> [u8; LENGTH] {
        self.authenticated(key, prover).finalize().into_bytes().into()
    }

    /// True when `proof` is the one that `prover` makes with this key. Takes the same time wherever it differs.
    pub fn holds(&self, key: &ClusterKey, prover: Prover, proof: &[u8]) -> bool {
        self.authenticated(key, prover).verify_slice(proof).is_ok()
    }

    fn authenticated(&self, key: &ClusterKey, prover: Prover) -> Hmac<Sha256> {
        let role: &[u8] = match prover {
            Prover::Caller => b"caller",
            Prover::Agent => b"agent",
        };
        let protocol: Vec<u8> = [self.caller_protocol, self.agent_protocol]
            .iter()
            .flat_map(|range| [range.lowest.to_be_bytes(), range.highest.to_be_bytes()].concat())
            .collect();
        key.over(&[role, &self.caller_nonce, &self.agent_nonce, self.pod_uid.as_bytes(), &protocol])
    }
}

/// What turns a key into the session token of one agent's life: made anew at each start, so a token dies with
/// its agent, and bound to the key, so it dies with the key too.
#[derive(Clone)]
pub struct SessionSecret([u8; LENGTH]);

impl SessionSecret {
    /// A new secret.
    pub fn generate() -> Result<Self, NoRandomness> {
        random().map(Self)
    }

    /// The token for those who proved that they hold `key`.
    pub fn token(&self, key: &ClusterKey) -> String {
        HEXLOWER.encode(&self.authenticated(key).finalize().into_bytes())
    }

    /// True when `token` is the one for `key`. Takes the same time wherever it differs.
    pub fn admits(&self, key: &ClusterKey, token: &str) -> bool {
        let bytes = HEXLOWER.decode(token.as_bytes());
        bytes.is_ok_and(|bytes| self.authenticated(key).verify_slice(&bytes).is_ok())
    }

    fn authenticated(&self, key: &ClusterKey) -> Hmac<Sha256> {
        key.over(&[b"session", &self.0])
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_key() -> ClusterKey {
        ClusterKey::from_bytes(random().unwrap()).unwrap()
    }

    fn transcript() -> Transcript {
        Transcript {
            caller_nonce: vec![1; LENGTH],
            agent_nonce: vec![2; LENGTH],
            pod_uid: "uid-1".into(),
            caller_protocol: ProtocolRange { lowest: 1, highest: 2 },
            agent_protocol: ProtocolRange { lowest: 1, highest: 1 },
        }
    }

    #[test]
    fn a_proof_holds_for_its_own_side_key_and_transcript_alone() {
        let key = new_key();
        let proof = transcript().prove(&key, Prover::Agent);
        assert!(transcript().holds(&key, Prover::Agent, &proof));

        assert!(!transcript().holds(&key, Prover::Caller, &proof), "an agent's proof is no caller's");
        assert!(!transcript().holds(&new_key(), Prover::Agent, &proof));
        assert!(!transcript().holds(&key, Prover::Agent, &[]));
        assert!(!transcript().holds(&key, Prover::Agent, &proof[..LENGTH - 1]));
        let changes: [fn(&mut Transcript); 5] = [
            |t| t.caller_nonce[0] ^= 1,
            |t| t.agent_nonce[31] ^= 1,
            |t| t.pod_uid.push('0'),
            |t| t.caller_protocol.highest = 1,
            |t| t.agent_protocol.lowest = 0,
        ];
        for change in changes {
            let mut other = transcript();
            change(&mut other);
            assert!(!other.holds(&key, Prover::Agent, &proof), "{other:?}");
        }
    }

    #[test]
    fn bytes_cannot_move_from_one_part_of_a_transcript_to_the_next() {
        let key = new_key();
        let one = Transcript { caller_nonce: b"ab".into(), agent_nonce: b"c".into(), ..transcript() };
        let other = Transcript { caller_nonce: b"a".into(), agent_nonce: b"bc".into(), ..transcript() };
        assert_ne!(one.prove(&key, Prover::Caller), other.prove(&key, Prover::Caller));
    }

    #[test]
    fn a_session_token_dies_with_its_agent_and_with_its_key() {
        let (agent, key) = (SessionSecret::generate().unwrap(), new_key());
        let token = agent.token(&key);
        assert!(agent.admits(&key, &token));
        assert!(!agent.admits(&new_key(), &token));
        assert!(!SessionSecret::generate().unwrap().admits(&key, &token));
        assert!(!agent.admits(&key, ""));
        assert!(!agent.admits(&key, &token.to_uppercase()), "one token has one form");
    }

    #[test]
    fn secrets_print_as_redacted() {
        assert_eq!(format!("{:?}", new_key()), "<redacted>");
        assert_eq!(format!("{:?}", SessionSecret::generate().unwrap()), "<redacted>");
    }

    #[test]
    fn a_short_key_is_refused() {
        assert_eq!(ClusterKey::from_bytes([7; 31]).unwrap_err(), KeyTooShort(31));
        assert!(ClusterKey::from_bytes([7; 32]).is_ok());
    }
}
