//! The memory of this process, where Linux tells it.

/// Bytes in memory: now (`VmRSS`) or at most so far (`VmHWM`); `None` where the system doesn't say.
pub fn resident(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kilobytes)
}
