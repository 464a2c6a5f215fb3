//! Secrets: those that are handed out once and kept as their digest, and those that two sides know.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest, Sha256};

use crate::bus::internal;
use crate::http::Problem;

/// 128 random bits of the system's, in 32 hex digits.
pub fn new_code() -> Result<String, Problem> {
    random::<16>()
}

/// What is kept of a secret: its SHA-256, in hex.
pub fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// A key that two sides know, by which one shows the other that a text is its own. Its text is Base64.
pub struct Key(Vec<u8>);

impl Key {
    /// 256 random bits of the system's.
    pub fn random() -> Result<Self, Problem> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes).map_err(|error| internal("asking for random bits", &error))?;
        Ok(Self(bytes))
    }

    /// The HMAC-SHA256 (RFC 2104) of a text, in Base64.
    pub fn sign(&self, text: &str) -> String {
        // A key of any length is one.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(&self.0))
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text);
        bytes
            .map(Self)
            .map_err(|error| format!("is no key: {error}"))
    }
}

/// So many random bytes of the system's, in hex.
pub(crate) fn random<const BYTES: usize>() -> Result<String, Problem> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| internal("asking for random bits", &error))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_as_others_do_and_is_the_same_when_it_is_read_again() {
        // RFC 4231, section 4.3, test case 2.
        let signed = Key(b"Jefe".to_vec()).sign("what do ya want for nothing?");
        assert_eq!(signed, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
        let key = Key::random().expect("random bits");
        let again: Key = key.to_string().parse().expect("a key");
        assert_eq!(again.sign("x"), key.sign("x"));
        assert_ne!(Key::random().expect("random bits").sign("x"), key.sign("x"));
        assert!("no key".parse::<Key>().is_err());
    }

    #[test]
    fn a_code_is_32_hex_digits_and_no_other_is_like_it() {
        let codes = [new_code(), new_code()].map(|code| code.expect("random bits"));
        assert_ne!(codes[0], codes[1]);
        for code in &codes {
            assert_eq!(code.len(), 32);
            assert!(code.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert_ne!(*code, digest(code));
        }
    }
}
