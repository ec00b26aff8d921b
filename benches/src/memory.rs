//! The memory of this process: as Linux tells it, and as it is asked for.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes in memory: now (`VmRSS`) or at most so far (`VmHWM`); `None` where the system doesn't say.
pub fn resident(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kilobytes)
}

/// Mimalloc, and a count of the bytes that are alive: a figure that does not depend on what an allocator keeps back.
/// For one `#[global_allocator]` of a process.
#[derive(Debug)]
pub struct Counting;

static ALIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    /// Bytes that are alive.
    pub fn alive() -> usize {
        ALIVE.load(Relaxed)
    }

    /// The most that were alive since [`start_anew`](Self::start_anew).
    pub fn peak() -> usize {
        PEAK.load(Relaxed)
    }

    /// Forgets the peak so far.
    pub fn start_anew() {
        PEAK.store(ALIVE.load(Relaxed), Relaxed);
    }
}

// SAFETY: every call is mimalloc's; counting touches two atomics only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let alive = ALIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(alive, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { mimalloc::MiMalloc.dealloc(pointer, layout) }
    }
}
