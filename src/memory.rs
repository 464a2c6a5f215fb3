//! What the server asks of the system for memory, beside what it allocates. Linux alone.

/// Lets this process, and what it starts, have no huge pages: the kernel would make 2 MiB resident
/// where a few KiB are used, and does so by itself where it is set to `always`.
#[cfg(target_os = "linux")]
pub(crate) fn without_huge_pages() {
    // It only saves: where the system refuses, memory takes what it takes.
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// Other systems are left as they are.
#[cfg(not(target_os = "linux"))]
pub(crate) fn without_huge_pages() {}
