//! Passwords: argon2id, off the writer, few at a time.

use std::net::IpAddr;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use super::invalid;
use crate::bus::internal;
use crate::http::{Network, Problem, has, holder};
use crate::server::Lane;

/// Hashed at once: each costs a core for some 20 ms and 19 MiB.
const AT_ONCE: usize = 2;

/// Waiting to be hashed; one more is refused.
const WAITING: usize = 64;

/// One address's passwords that are being hashed or wait for it; one more is refused, so that
/// nobody takes all places.
const PER_ADDRESS: usize = 4;

/// The longest password, in bytes. Hashing takes any length, but nobody types more.
const LENGTH: usize = 1024;

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    lane: Lane<IpAddr>,
    exempt: Vec<Network>,
}

impl Passwords {
    /// Those who are `exempt` may take as many places as there are.
    pub(crate) fn new(exempt: Vec<Network>) -> Self {
        Self {
            lane: Lane::new(
                AT_ONCE,
                WAITING,
                PER_ADDRESS,
                "too many passwords wait to be checked",
            ),
            exempt,
        }
    }

    /// The argon2id hash of a password from an address, as a PHC string.
    pub(super) async fn hash(
        &self,
        from: Option<IpAddr>,
        password: String,
    ) -> Result<String, Problem> {
        let work = move || {
            let hash = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string())
        };
        self.work(from, work)
            .await?
            .map_err(|error| internal("hashing a password", &error))
    }

    /// Whether a password from an address is the one that was hashed.
    pub(super) async fn verify(
        &self,
        from: Option<IpAddr>,
        password: String,
        hash: String,
    ) -> Result<bool, Problem> {
        let work = move || {
            let hash = PasswordHash::new(&hash)?;
            match Argon2::default().verify_password(password.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.work(from, work)
            .await?
            .map_err(|error: argon2::password_hash::Error| internal("checking a password", &error))
    }

    async fn work<T: Send + 'static>(
        &self,
        from: Option<IpAddr>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let from = from.filter(|from| !has(&self.exempt, *from));
        let turn = self.lane.enter(from.map(holder)).await?;
        let work = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| internal("working on a password", &error))
    }
}

/// Whether a password can be one: 1 to 1024 bytes.
pub(super) fn check(password: &str) -> Result<(), Problem> {
    if (1..=LENGTH).contains(&password.len()) {
        Ok(())
    } else {
        Err(invalid(
            "password",
            format!("a password has 1 to {LENGTH} bytes"),
        ))
    }
}
