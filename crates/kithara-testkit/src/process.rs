//! What this process has used: memory, CPU time, threads and open files. Linux; elsewhere `None`.

use std::{fs, time::Duration};

/// The most memory that was resident at once, in bytes (`VmHWM`).
pub fn peak_rss() -> Option<u64> {
    status("VmHWM:").map(|kib| kib * 1024)
}

/// Memory that is resident now, in bytes (`VmRSS`).
pub fn rss() -> Option<u64> {
    status("VmRSS:").map(|kib| kib * 1024)
}

/// Makes the peak start again from what is resident now. False where the system does not allow it.
pub fn reset_peak_rss() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Threads that exist now.
pub fn threads() -> Option<u64> {
    status("Threads:")
}

/// Times that a thread of the process gave up the CPU to wait, all threads that exist now together.
///
/// A process at rest adds none.
pub fn voluntary_switches() -> Option<u64> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let each = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        field(&text, "voluntary_ctxt_switches:")
    });
    Some(each.sum())
}

/// File descriptors that are open now (the one that counts them not included).
pub fn open_files() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

/// CPU time used so far by all threads, in user and kernel mode, to the microsecond.
pub fn cpu_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
    }
    #[cfg(not(unix))]
    None
}

fn status(name: &str) -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, name)
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn reads_the_process() {
        // The peak is read after: other tests of this process allocate meanwhile.
        let (now, peak) = (rss().unwrap(), peak_rss().unwrap());
        assert!(now > 100 << 10 && peak > 100 << 10, "{peak} {now}");
        let held = vec![1_u8; 64 << 20];
        assert!(peak_rss().unwrap() >= 64 << 20);
        drop(held);
        let before = cpu_time().unwrap();
        let sum = (0..1_000_000_u64).fold(0_u64, |sum, i| sum.wrapping_add(std::hint::black_box(i)));
        assert!(std::hint::black_box(sum) > 0 && cpu_time().unwrap() > before);
        assert!(threads().unwrap() >= 2);
        assert!(open_files().unwrap() >= 3);
        assert!(voluntary_switches().is_some());
    }
}
