//! How much memory there is for this process: the machine's, or what its control group allows if that is less.
//!
//! Reading is apart from understanding: the functions that take texts are pure.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of memory that the process may have; `None` if the system does not tell.
pub(crate) fn memory_bytes() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    of(&read)
}

/// Bytes of the process that are in memory; `None` if the system does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    pages.checked_mul(page)
}

/// [`memory_bytes`] of a system that says this in these files.
fn of(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| total(&text));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = limit_files(&groups);
    let limits = limits.iter().filter_map(|path| limit(&read(path)?));
    machine.into_iter().chain(limits).min()
}

/// `MemTotal` of `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The files that may limit a process in these groups: of each group that it is in and of all above it, since the
/// least of them counts.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            of if of.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // Within a container the path may be that of the host: what is at the root counts then.
        let group = Path::new(path.trim_start_matches('/'));
        let above = group.ancestors();
        files.extend(above.map(|group| Path::new(root).join(group).join(file)));
    }
    files
}

/// What such a file says; `None`: no limit.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const MEMINFO: &str = "MemFree: 1 kB\nMemTotal:       24000000 kB\n";

    fn memory(files: &[(&str, &str)]) -> Option<u64> {
        let files: HashMap<PathBuf, String> = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        of(&|path| files.get(path).cloned())
    }

    #[test]
    fn the_least_of_machine_and_groups_counts() {
        let machine = ("/proc/meminfo", MEMINFO);
        let whole = Some(24_000_000 * 1024);
        assert_eq!(memory(&[machine]), whole);
        let v2 = ("/proc/self/cgroup", "0::/a/b\n");
        let own = "/sys/fs/cgroup/a/b/memory.max";
        assert_eq!(memory(&[machine, v2, (own, "max\n")]), whole);
        assert_eq!(memory(&[machine, v2, (own, "4096\n")]), Some(4096));
        let above = ("/sys/fs/cgroup/a/memory.max", "2048\n");
        assert_eq!(memory(&[machine, v2, (own, "4096\n"), above]), Some(2048));
        let root = ("/sys/fs/cgroup/memory.max", "1024\n");
        assert_eq!(memory(&[machine, v2, root]), Some(1024));
        let v1 = ("/proc/self/cgroup", "4:cpu,memory:/x\n3:pids:/y\n");
        let file = "/sys/fs/cgroup/memory/x/memory.limit_in_bytes";
        assert_eq!(memory(&[machine, v1, (file, "8192\n")]), Some(8192));
        // Without a limit the first version says a number that is larger than any machine.
        assert_eq!(
            memory(&[machine, v1, (file, "9223372036854771712\n")]),
            whole
        );
        assert_eq!(memory(&[v1]), None);
    }
}
