//! The system's limit of open descriptors.

/// Descriptors that are not for connections: the log's, the readers', those of objects, and those of
/// connections that are told to come again.
#[cfg(target_os = "linux")]
const OTHERS: u64 = 160;

/// How many connections there may be of those that the settings allow: what a connection takes must
/// never be missing for a file. Asks the system for as many descriptors as it gives.
#[cfg(target_os = "linux")]
pub(super) fn bound(connections: usize) -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return connections;
    };
    let wanted = (connections as u64).saturating_add(OTHERS);
    let mut limit = soft;
    if soft < wanted.min(hard) && setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard).is_ok()
    {
        limit = wanted.min(hard);
    }
    if limit >= wanted {
        return connections;
    }
    let most = limit.saturating_sub(OTHERS).max(limit / 4).max(1);
    let most = usize::try_from(most).unwrap_or(connections);
    tracing::warn!(
        limit,
        connections = most,
        "the system allows fewer descriptors than `server.connections` needs"
    );
    most
}

/// As many as the settings allow.
#[cfg(not(target_os = "linux"))]
pub(super) fn bound(connections: usize) -> usize {
    connections
}
