//! What is kept of a client's token.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a token (FIPS 180-4); where it is written, in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(#[serde(with = "hex::serde")] [u8; 32]);

impl Digest {
    /// The digest of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Its first bits, which are as good as any hash: nobody can choose them.
    pub(super) fn bits(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_in_hex() {
        // The example of FIPS 180-4's own test vectors.
        let digest = Digest::of("abc");
        let hex = "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"";
        assert_eq!(serde_json::to_string(&digest).expect("json"), hex);
        assert_eq!(
            serde_json::from_str::<Digest>(hex).expect("a digest"),
            digest
        );
        assert!(serde_json::from_str::<Digest>("\"ba78\"").is_err());
    }
}
