//! What a server took of the machine, from `/proc`: all of its processes and their threads.

use std::time::Duration;

use crate::Problem;

/// How many ticks `/proc` counts in a second: `USER_HZ`, 100 on every Linux architecture in use.
const TICKS: u32 = 100;

/// What the server's processes used since they started, and hold now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, of the program and of the kernel for it.
    pub cpu: Duration,
    /// Resident memory in bytes, what processes share counted in each.
    pub resident: u64,
}

/// The usage of a process and of all that descend from it, those that ended included.
///
/// # Errors
/// Where there is no such process.
pub fn usage(root: u32) -> Result<Usage, Problem> {
    let mut total = one(root).ok_or_else(|| format!("the server's process {root} is gone"))?;
    for child in children(root) {
        if let Ok(more) = usage(child) {
            total.cpu += more.cpu;
            total.resident += more.resident;
        }
    }
    Ok(total)
}

fn one(process: u32) -> Option<Usage> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).ok();
    Some(Usage {
        cpu: cpu(&read("stat")?)?,
        resident: resident(&read("status")?)?,
    })
}

/// The children of all threads of a process.
fn children(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    let lists = tasks.into_iter().flatten().flatten();
    let lists = lists.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| numbers(&list).collect::<Vec<_>>())
        .collect()
}

fn numbers(list: &str) -> impl Iterator<Item = u32> {
    list.split_ascii_whitespace()
        .filter_map(|word| word.parse().ok())
}

/// The CPU time in a line of `/proc/PID/stat`: utime, stime, and those of children that ended.
fn cpu(stat: &str) -> Option<Duration> {
    // The name stands in parentheses, and may hold spaces and parentheses itself.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields = fields.split_ascii_whitespace().skip(11).take(4);
    let ticks: Vec<u32> = fields.filter_map(|field| field.parse().ok()).collect();
    (ticks.len() == 4).then(|| Duration::from_secs(1) * ticks.iter().sum::<u32>() / TICKS)
}

/// The resident bytes in `/proc/PID/status`; 0 for a process that ended and was not waited for.
fn resident(status: &str) -> Option<u64> {
    if !status.starts_with("Name:") {
        return None;
    }
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmRSS:")) else {
        return Some(0);
    };
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Lets this process open as many files as the system allows it to.
///
/// # Errors
/// Where that is fewer than `wanted`.
pub fn raise_open_files(wanted: u64) -> Result<(), Problem> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    if most < wanted {
        return Err(format!("{wanted} open files are needed, and {most} are allowed").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "77 (a ) (b) S 1 77 77 0 -1 4194560 900 10 0 0 150 25 3 2 20 0 5 0 100 1 2";

    #[test]
    fn the_cpu_time_is_found_behind_any_name() {
        assert_eq!(cpu(STAT), Some(Duration::from_millis(1800)));
        assert_eq!(cpu("77 (a) S 1 2"), None);
        assert_eq!(cpu(""), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "Name:\tredis\nVmHWM:\t    9000 kB\nVmRSS:\t    8192 kB\nThreads:\t5\n";
        assert_eq!(resident(status), Some(8192 * 1024));
        assert_eq!(resident("Name:\tended\nState:\tZ (zombie)\n"), Some(0));
        assert_eq!(resident(""), None);
    }

    #[test]
    fn a_child_counts_with_its_parent() {
        let own = std::process::id();
        let before = usage(own).unwrap();
        assert!(before.resident > 0);
        let mut child = std::process::Command::new("sh")
            .args([
                "-c",
                "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; read line",
            ])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert!(children(own).contains(&child.id()));
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while usage(own).unwrap().cpu < before.cpu + Duration::from_millis(50) {
            assert!(
                std::time::Instant::now() < deadline,
                "the child's time does not count"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!children(own).contains(&child.id()));
        assert!(usage(own).unwrap().cpu >= before.cpu + Duration::from_millis(50));
        assert!(usage(u32::MAX).is_err());
    }
}
