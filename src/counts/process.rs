//! What the process takes of the machine, under the names that every program's has.

use std::fmt::{self, Write};
use std::fs;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

/// Appends it, with the time that it was started, in seconds since 1970. What the system does not
/// tell is left out.
pub(super) fn write(out: &mut String, started: f64) -> fmt::Result {
    let cpu = getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| {
        let times = [usage.user_time(), usage.system_time()];
        let seconds = times.map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6);
        seconds.iter().sum()
    });
    let open = fs::read_dir("/proc/self/fd").map(|open| open.count() as f64);
    let most = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _)| soft as f64);
    for (name, kind, about, value) in [
        ("cpu_seconds_total", "counter", "Processor time", cpu),
        ("resident_memory_bytes", "gauge", "Memory", resident()),
        ("open_fds", "gauge", "Open file descriptors", open.ok()),
        ("max_fds", "gauge", "Their limit", most.ok()),
        (
            "start_time_seconds",
            "gauge",
            "When it was started",
            Some(started),
        ),
    ] {
        if let Some(value) = value {
            let name = format!("process_{name}");
            writeln!(
                out,
                "# HELP {name} {about}\n# TYPE {name} {kind}\n{name} {value}"
            )?;
        }
    }
    Ok(())
}

/// Bytes in memory.
fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0)
}
