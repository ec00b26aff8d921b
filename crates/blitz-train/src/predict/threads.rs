//! Draws on several threads.

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

/// As many threads, or one on a machine that has none, whose `spawn` would panic.
pub(super) fn available(threads: usize) -> usize {
    match thread::available_parallelism() {
        Ok(_) => threads,
        Err(_) => 1,
    }
}

/// The numbers up to `count` in as many parts as there are threads, or fewer: each of numbers that follow each other,
/// none empty.
pub(super) fn shares(count: usize, threads: usize) -> impl Iterator<Item = Range<usize>> {
    let threads = threads.min(count);
    (0..threads).map(move |thread| thread * count / threads..(thread + 1) * count / threads)
}

/// What the tasks return, in their order. Each runs on a thread of its own, the last one on this.
pub(super) fn on_threads<O: Send, T: FnOnce() -> O + Send>(mut tasks: Vec<T>) -> Vec<O> {
    let Some(last) = tasks.pop() else {
        return Vec::new();
    };
    thread::scope(|scope| {
        let others: Vec<_> = tasks.into_iter().map(|task| scope.spawn(task)).collect();
        let last = last();
        let others = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        others
            .collect::<Vec<_>>()
            .into_iter()
            .chain([last])
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_one_share_whatever_the_threads() {
        for count in [1, 2, 5, 8] {
            for threads in 1..=9 {
                let tasks = shares(count, threads).map(|share| move || share.collect::<Vec<_>>());
                let done = on_threads(tasks.collect());
                assert!(done.iter().all(|share| !share.is_empty()));
                assert_eq!(done.concat(), (0..count).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    #[should_panic(expected = "share 0 is at fault")]
    fn a_panic_of_a_thread_is_that_of_the_caller() {
        let tasks = (0..2).map(|share| move || assert!(share > 0, "share {share} is at fault"));
        on_threads(tasks.collect());
    }
}
