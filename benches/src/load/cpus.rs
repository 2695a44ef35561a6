//! A server that has less of the processor than its client.
//!
//! Client and server share one machine. Ten times what a server can take is more than the rest of the machine
//! can send, unless the server has only a part of a processor.

use std::io;
use std::path::{Path, PathBuf};

/// Where the processor's control groups are (version 1; needs root).
const GROUPS: &str = "/sys/fs/cgroup/cpu";
/// Short, so that a request waits no longer than this for the next turn of its server.
const PERIOD_US: u32 = 10_000;

/// A control group, removed when dropped. Its processes must be gone by then.
#[derive(Debug)]
pub struct CpuGroup {
    path: PathBuf,
}

impl CpuGroup {
    /// Gives a process and its threads at most `percent` of one processor.
    ///
    /// # Errors
    /// Where there is no such group, or no right to make one.
    pub fn of(pid: u32, percent: u32) -> io::Result<Self> {
        let path = Path::new(GROUPS).join(format!("obsrv-bench-{pid}"));
        std::fs::create_dir(&path)?;
        let group = Self { path };
        group.write("cpu.cfs_period_us", PERIOD_US)?;
        group.write(
            "cpu.cfs_quota_us",
            (PERIOD_US / 100).saturating_mul(percent),
        )?;
        group.write("cgroup.procs", pid)?;
        Ok(group)
    }

    fn write(&self, file: &str, value: u32) -> io::Result<()> {
        std::fs::write(self.path.join(file), value.to_string())
    }
}

impl Drop for CpuGroup {
    fn drop(&mut self) {
        // One that stays behind is empty and costs nothing.
        let _ = std::fs::remove_dir(&self.path);
    }
}
