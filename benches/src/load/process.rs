//! What a process has used, from `/proc`, and what a directory takes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Clock ticks per second of `/proc/<pid>/stat`: fixed at 100 on every Linux that we run on.
const TICKS_PER_SECOND: u32 = 100;

fn bad(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("proc not understood what={what}"),
    )
}

/// User and system time of all threads so far.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything, so fields are counted from the last one.
    let (_, rest) = stat.rsplit_once(')').ok_or_else(|| bad("stat"))?;
    let ticks: u32 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|n| n.parse::<u32>().map_err(|_| bad("ticks")))
        .sum::<Result<_, _>>()?;
    Ok(Duration::from_secs(1) * ticks / TICKS_PER_SECOND)
}

/// Largest resident memory so far, in bytes.
pub fn peak_memory(pid: u32) -> io::Result<u64> {
    field(pid, "VmHWM:")
}

fn field(pid: u32, name: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|l| l.starts_with(name))
        .ok_or_else(|| bad(name))?;
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| bad(name))?;
    Ok(kib * 1024)
}

/// Resident memory now, in bytes.
pub fn memory(pid: u32) -> io::Result<u64> {
    field(pid, "VmRSS:")
}

/// Open file descriptors.
pub fn descriptors(pid: u32) -> io::Result<u64> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    u64::try_from(open).map_err(|_| bad("fd"))
}

/// Bytes that a process had written to the device's page cache so far.
pub fn written_bytes(pid: u32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
    text.lines()
        .find_map(|l| l.strip_prefix("write_bytes: "))
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| bad("write_bytes"))
}

/// Waits until the process uses less than 2% of a CPU for two seconds; the CPU time at that point.
/// Gives up after `limit`.
pub fn until_quiet(pid: u32, limit: Duration) -> io::Result<(Duration, Duration)> {
    const STEP: Duration = Duration::from_millis(500);
    let begun = Instant::now();
    let mut quiet = 0;
    let mut last = cpu_time(pid)?;
    let mut waited = Duration::ZERO;
    while quiet < 4 && begun.elapsed() < limit {
        std::thread::sleep(STEP);
        let now = cpu_time(pid)?;
        if now.saturating_sub(last) <= STEP / 50 {
            quiet += 1;
        } else {
            quiet = 0;
            waited = begun.elapsed();
        }
        last = now;
    }
    Ok((last, waited))
}

/// Bytes allocated on disk, by the part of the file name before the first `-`.
pub fn disk_bytes(directory: &Path) -> io::Result<BTreeMap<String, u64>> {
    use std::os::unix::fs::MetadataExt as _;
    let mut sizes = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        if meta.is_dir() {
            for (kind, bytes) in disk_bytes(&entry.path())? {
                *sizes.entry(kind).or_default() += bytes;
            }
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = name.split('-').next().unwrap_or_default().to_owned();
        *sizes.entry(kind).or_default() += meta.blocks() * 512;
    }
    Ok(sizes)
}
