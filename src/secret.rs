//! Secrets that are handed out once and kept as their digest.

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
