//! Checks the memory limits of the process, makes the allocator fit into a limited address space, and gives back memory
//! that only the start or a reload needed.
//!
//! The allocator of glibc reserves 64 MiB of address space for each thread, up to eight times the number of processors.
//! If the address space is limited (`ulimit -v`), there is then no room for the stacks of new threads, and the parts of
//! the service that need a thread fail. So the allocator is limited to two reservations for all threads.

use std::ops::Range;
use std::path::{Path, PathBuf};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// The service does not start with a smaller address space, in bytes. In tests it ran with 100 MB and aborted with 80
/// MB.
const ADDRESS_SPACE: u64 = 128 << 20;
/// With less memory (in bytes) the kernel is likely to kill the service. It needs 25 MB for ten servers.
const MEMORY: u64 = 48 << 20;
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";
const OWN_PROGRAM: &str = "/proc/self/exe";
const OWN_MAPPINGS: &str = "/proc/self/smaps";

/// Prepares the allocator and compares the limits of this process with what the service needs. Must be called before
/// there is a second thread. Returns a warning.
///
/// # Errors
/// Why the service cannot run.
pub fn prepare() -> Result<Option<String>, String> {
    limit_arenas();
    let limit = getrlimit(Resource::RLIMIT_AS).map_or(RLIM_INFINITY, |(soft, _)| soft);
    let group = std::fs::read_to_string("/proc/self/cgroup").ok();
    let group = group.and_then(|text| group_limit(&text, |path| std::fs::read_to_string(path).ok()));
    judge((limit != RLIM_INFINITY).then_some(limit), group)
}

fn judge(address_space: Option<u64>, memory: Option<u64>) -> Result<Option<String>, String> {
    let mebibytes = |bytes: u64| bytes >> 20;
    if let Some(limit) = address_space.filter(|limit| *limit < ADDRESS_SPACE) {
        let (limit, needed) = (mebibytes(limit), mebibytes(ADDRESS_SPACE));
        return Err(format!(
            "the address space of this process is limited to {limit} MiB, and the service needs {needed} MiB: raise the \
             limit (ulimit -v, LimitAS=)"
        ));
    }
    Ok(memory.filter(|limit| *limit < MEMORY).map(|limit| {
        let (limit, needed) = (mebibytes(limit), mebibytes(MEMORY));
        format!(
            "the memory of this control group is limited to {limit} MiB; with less than {needed} MiB the kernel is likely \
             to kill the service: raise the limit of the container or MemoryMax="
        )
    }))
}

/// The smallest limit of the control group in `/proc/self/cgroup` and its parents.
fn group_limit(groups: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = PathBuf::from(CONTROL_GROUPS);
    let path = root.join(own);
    let around = path.ancestors().take_while(|path| path.starts_with(&root));
    around.filter_map(|group| read(&group.join("memory.max"))?.trim().parse().ok()).min()
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no crate that is used here wraps mallopt")]
fn limit_arenas() {
    const ARENAS: nix::libc::c_int = 2;
    // SAFETY: the call takes two integers and only changes settings of the allocator. There is no second thread yet. If
    // it fails, the allocator keeps its defaults.
    let _ = unsafe { nix::libc::mallopt(nix::libc::M_ARENA_MAX, ARENAS) };
}

#[cfg(not(target_env = "gnu"))]
fn limit_arenas() {}

/// Returns memory to the system that is not used any more, after the start and after a reload.
pub(super) fn give_back() {
    give_back_heap();
    give_back_code();
}

/// The allocator does not return memory that is followed by used memory. Reading the configuration of 20,000 servers takes
/// 130 MB for a moment; after a reload this returns 119 MB of it, in 8 ms.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no crate that is used here wraps malloc_trim")]
fn give_back_heap() {
    // SAFETY: the call takes a number, and returns only unused pages.
    let _ = unsafe { nix::libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn give_back_heap() {}

/// Unmaps the machine code and the constants of the program. The kernel maps what is used again from its page cache; the
/// code that only the start or a reload needed stays unmapped. Returns the number of bytes of address space.
fn give_back_code() -> usize {
    let (Ok(program), Ok(mappings)) = (std::fs::read_link(OWN_PROGRAM), std::fs::read_to_string(OWN_MAPPINGS)) else {
        return 0;
    };
    let ranges = unwritten(&mappings, &program);
    ranges.into_iter().filter(unmap).map(|range| range.len()).sum()
}

#[expect(unsafe_code, reason = "madvise is unsafe in nix as well")]
fn unmap(range: &Range<usize>) -> bool {
    let start = std::ptr::with_exposed_provenance_mut(range.start);
    // SAFETY: the range is a private mapping of the file of this program, which stays mapped as long as the process
    // lives. It cannot be written, and none of its pages differs from the file, so the kernel can read all of them again.
    unsafe { nix::libc::madvise(start, range.len(), nix::libc::MADV_DONTNEED) == 0 }
}

/// The mappings of the program's file, in the text of `/proc/self/smaps`, that are not writable and whose pages are all
/// the same as in the file. Relocated data is not writable either, but differs from the file: it has anonymous pages, in
/// memory or swapped out.
fn unwritten(mappings: &str, program: &Path) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in mappings.lines() {
        // Either the head of a mapping (range, permissions, offset, device, inode, file) or a name and a value of it.
        let mut fields = line.split_ascii_whitespace();
        let (Some(first), Some(second)) = (fields.next(), fields.next()) else { continue };
        if let Some(range) = address_range(first) {
            let file = line.splitn(6, ' ').nth(5).map(str::trim_start);
            let ours = file.is_some_and(|file| Path::new(file) == program);
            candidate = (ours && matches!(second, "r-xp" | "r--p")).then_some(range);
        } else if first == "Anonymous:" && second != "0" {
            candidate = None;
        } else if first == "Swap:" && second == "0" {
            // This line follows that of anonymous pages.
            found.extend(candidate.take());
        }
    }
    found
}

fn address_range(text: &str) -> Option<Range<usize>> {
    let (start, end) = text.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_small_limits_are_reported_with_the_required_size() {
        assert_eq!(judge(None, None), Ok(None));
        assert_eq!(judge(Some(400 << 20), Some(1 << 30)), Ok(None));
        assert!(judge(Some(80 << 20), None).is_err_and(|why| why.contains("80 MiB") && why.contains("128 MiB")));
        let warning = judge(None, Some(32 << 20)).unwrap().unwrap();
        assert!(warning.contains("32 MiB") && warning.contains("48 MiB"), "{warning}");
    }

    #[test]
    fn smallest_limit_of_the_control_groups_counts() {
        let read = |path: &Path| {
            let text = match path.to_str().unwrap() {
                "/sys/fs/cgroup/a/b/memory.max" => "max\n",
                "/sys/fs/cgroup/a/memory.max" => "67108864\n",
                "/sys/fs/cgroup/memory.max" => "134217728\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        assert_eq!(group_limit("1:name=systemd:/x\n0::/a/b\n", read), Some(64 << 20));
        assert_eq!(group_limit("0::/\n", read), Some(128 << 20));
        assert_eq!(group_limit("4:memory:/a\n", read), None);
    }

    #[test]
    fn only_unwritten_read_only_mappings_of_the_program_are_unmapped() {
        let mapping = |head: &str, anonymous: u32, swapped: u32| {
            format!("{head}\nRss: 64 kB\nAnonymous: {anonymous} kB\nSwap: {swapped} kB\nVmFlags: rd\n")
        };
        let text = [
            mapping("1000-3000 r--p 00000000 fe:00 12                /opt/a program", 0, 0),
            mapping("3000-8000 r-xp 00002000 fe:00 12                /opt/a program", 0, 0),
            mapping("8000-9000 r--p 00007000 fe:00 12                /opt/a program", 4, 0),
            mapping("9000-a000 r--p 00008000 fe:00 12                /opt/a program", 0, 4),
            mapping("a000-b000 rw-p 00009000 fe:00 12                /opt/a program", 0, 0),
            mapping("b000-c000 r-xp 00000000 fe:00 13                /usr/lib/libc.so.6", 0, 0),
            mapping("c000-d000 r--p 00000000 00:00 0", 0, 0),
        ];
        assert_eq!(unwritten(&text.concat(), Path::new("/opt/a program")), [0x1000..0x3000, 0x3000..0x8000]);
        assert!(unwritten("", Path::new("/opt/a program")).is_empty());
    }

    #[test]
    fn program_runs_on_after_its_code_was_unmapped() {
        let word = String::from("the same");
        assert!(give_back_code() > 0);
        // Constants, relocated data and the heap are as before.
        let text = judge(Some(0), None).unwrap_err();
        assert!(text.contains("128 MiB") && word == "the same", "{text}");
    }
}
