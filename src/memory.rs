//! What the server asks of the system for memory, beside what it allocates. Linux alone; other
//! systems are left as they are, but for what was freed.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::log::Pos;

/// How often it is looked whether anything was written.
const LOOK: Duration = Duration::from_secs(5);

/// Lets this process, and what it starts, have no huge pages: the kernel would make 2 MiB resident
/// where a few KiB are used, and does so by itself where it is set to `always`.
pub(crate) fn without_huge_pages() {
    // It only saves: where the system refuses, memory takes what it takes.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// Gives back what was freed. The allocator keeps it for a while, in case it is asked for more, and
/// an idle server asks for nothing: after a start or a snapshot that would be most of what it holds.
/// What threads other than the caller's have freed a moment ago waits until the next time.
pub(crate) fn give_back_freed() {
    // SAFETY: it takes a flag by value, and may be called from any thread at any time: what it
    // gives back is memory that is free.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}

/// Gives back, each time that the log has stood still for a while, what only work needs: what was
/// freed, and the program's own pages. It never ends.
pub(crate) async fn give_back_at_rest(position: impl Fn() -> Pos) -> Infallible {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut is_given) = (position(), false);
    // The first is at once, when the start still goes on.
    look.tick().await;
    loop {
        look.tick().await;
        let now = position();
        if now != last {
            (last, is_given) = (now, false);
        } else if !is_given {
            give_back_freed();
            give_back_the_program();
            is_given = true;
        }
    }
}

/// Gives back the pages of the program's own file. What is run again comes back from the file, which
/// the system still has in its cache.
fn give_back_the_program() {
    #[cfg(target_os = "linux")]
    program::give_back();
}

#[cfg(target_os = "linux")]
mod program {
    use std::ffi::c_void;
    use std::ops::Range;
    use std::path::Path;
    use std::ptr::{self, NonNull};

    use nix::sys::mman::{MmapAdvise, madvise};

    pub(super) fn give_back() {
        // It only saves: without `/proc` the pages stay.
        let (Ok(smaps), Ok(program)) = (
            std::fs::read_to_string("/proc/self/smaps"),
            std::env::current_exe(),
        ) else {
            return;
        };
        for range in unwritten(&smaps, &program) {
            let Some(start) = NonNull::new(ptr::without_provenance_mut::<c_void>(range.start))
            else {
                continue;
            };
            // SAFETY: the range is a whole mapping of the program's file, as the kernel has just
            // listed it, which nothing unmaps as long as the program runs. It may not be written,
            // so it can't have been since; and none of it was before (see `unwritten`). Each of its
            // pages is therefore the file's own, and what is dropped is read again from there, the
            // same as when the kernel drops it by itself to make room.
            #[allow(unsafe_code)]
            let _ = unsafe { madvise(start, range.len(), MmapAdvise::MADV_DONTNEED) };
        }
    }

    /// The mappings of the program's file that may only be read or run, and hold no page of the
    /// process's own, neither in memory nor swapped out: where the loader wrote addresses, dropping
    /// would undo that. What the kernel does not tell counts as written. (`Private_Dirty` says less:
    /// a file that was just built is dirty itself, until the disk has it.)
    pub(super) fn unwritten(smaps: &str, program: &Path) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut lines = smaps.lines().peekable();
        while let Some(head) = lines.next() {
            let mut clean = 0;
            // A mapping's values follow its head, until the next head, which has no colon there.
            while let Some(value) = lines.next_if(|line| is_value(line)) {
                let words: Vec<&str> = value.split_ascii_whitespace().collect();
                if let ["Anonymous:" | "Swap:", "0", "kB"] = words[..] {
                    clean += 1;
                }
            }
            if clean == 2
                && let Some(range) = of_program(head, program)
            {
                found.push(range);
            }
        }
        found
    }

    fn is_value(line: &str) -> bool {
        let name = line.split_ascii_whitespace().next();
        name.is_some_and(|name| name.ends_with(':'))
    }

    /// The range of a mapping by its head: `START-END MODE OFFSET DEVICE INODE PATH`.
    fn of_program(head: &str, program: &Path) -> Option<Range<usize>> {
        let mut words = head.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let mode = words.next()?;
        // A path with spaces is not found again, and keeps its pages.
        let path = words.nth(3)?;
        let is_it = matches!(mode, "r--p" | "r-xp") && Path::new(path) == program;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        (is_it && words.next().is_none()).then_some(range)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn mapping(head: &str, anonymous: &str, swap: &str) -> String {
            format!(
                "{head}\nSize: 8 kB\nPrivate_Dirty: 4 kB\nAnonymous: {anonymous} kB\n\
                 Swap: {swap} kB\nVmFlags: rd mr mw me\n"
            )
        }

        fn found(smaps: &str) -> Vec<Range<usize>> {
            unwritten(smaps, Path::new("/bin/veche"))
        }

        #[test]
        fn what_is_given_back_is_the_programs_and_was_never_written() {
            let code = "1000-3000 r-xp 00000000 08:01 7 /bin/veche";
            let data = "4000-5000 r--p 00000000 08:01 7        /bin/veche";
            let both = mapping(code, "0", "0") + &mapping(data, "0", "0");
            let ranges = found(&both);
            assert_eq!(ranges, [0x1000..0x3000, 0x4000..0x5000]);
            for (anonymous, swap) in [("4", "0"), ("0", "4")] {
                let written = mapping(code, anonymous, swap) + &mapping(data, "0", "0");
                assert_eq!(found(&written), ranges[1..]);
            }
            assert!(found(&format!("{code}\nAnonymous: 0 kB\n")).is_empty());
            assert!(found("").is_empty());
        }

        #[test]
        fn what_may_be_written_or_is_anothers_stays() {
            for head in [
                "1000-3000 rw-p 00000000 08:01 7 /bin/veche",
                "1000-3000 r--s 00000000 08:01 7 /bin/veche",
                "1000-3000 r-xp 00000000 08:01 7 /lib/libc.so.6",
                "1000-3000 r-xp 00000000 08:01 7 /bin/veche (deleted)",
                "1000-3000 r--p 00000000 00:00 0",
                "ffffffffff600000-x r-xp 00000000 00:00 0 /bin/veche",
            ] {
                assert!(found(&mapping(head, "0", "0")).is_empty(), "{head}");
            }
        }

        #[test]
        fn this_program_runs_on_after_its_pages_were_given_back() {
            let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let own = std::env::current_exe().unwrap();
            assert!(!unwritten(&smaps, &own).is_empty(), "{smaps}");
            give_back();
            assert_eq!(format!("{:?}", "text".to_uppercase()), "\"TEXT\"");
        }
    }
}
