//! How far the chains are.

use std::io::Write;
use std::time::Instant;

/// How far a chain is, after each of its draws.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ChainProgress {
    /// The chain, counted from 0.
    pub chain: usize,
    /// The number of chains.
    pub chains: usize,
    /// The draws that it has made, warm-up included.
    pub done: usize,
    /// Those that it makes in all.
    pub total: usize,
    /// Whether it still adapts its step size and mass matrix.
    pub warming_up: bool,
    /// The size of its leapfrog steps.
    pub step_size: f64,
    /// The leapfrog steps of the last draw.
    pub leapfrogs: u64,
    /// The draws that diverged since the warm-up.
    pub divergences: usize,
}

/// Writes one line for every so many draws of a chain: for logs, and for a program that is watched.
///
/// ```text
/// chain 2/4  draw 300/2000  3.2 s  warm-up  step size 0.021  leapfrogs 127  divergences 0
/// ```
///
/// Give its [`show`](Self::show) to [`Nuts::on_progress`](crate::Nuts::on_progress).
#[derive(Debug)]
pub struct ChainLines<W = std::io::Stderr> {
    out: W,
    every: usize,
    started: Instant,
}

impl ChainLines {
    /// Lines on standard error, one every `every` draws of a chain and one for its last.
    ///
    /// # Panics
    ///
    /// Panics if `every` is zero.
    pub fn every(every: usize) -> Self {
        Self::to(std::io::stderr(), every)
    }
}

/// Three places, or as many digits of a small number.
fn short(step_size: f64) -> String {
    if step_size > 0.0 && step_size < 0.01 {
        format!("{step_size:.2e}")
    } else {
        format!("{step_size:.3}")
    }
}

impl<W: Write> ChainLines<W> {
    /// Lines on `out`, one every `every` draws of a chain and one for its last.
    ///
    /// # Panics
    ///
    /// Panics if `every` is zero.
    pub fn to(out: W, every: usize) -> Self {
        assert!(
            every > 0,
            "lines need an interval of at least 1 draw, got 0"
        );
        Self {
            out,
            every,
            started: Instant::now(),
        }
    }

    /// Writes a line, if its turn has come. One that can't be written is no reason to stop.
    pub fn show(&mut self, at: &ChainProgress) {
        if !at.done.is_multiple_of(self.every) && at.done != at.total {
            return;
        }
        let _ = writeln!(
            self.out,
            "chain {}/{}  draw {}/{}  {:.1} s  {}step size {}  leapfrogs {}  divergences {}",
            at.chain + 1,
            at.chains,
            at.done,
            at.total,
            self.started.elapsed().as_secs_f64(),
            if at.warming_up { "warm-up  " } else { "" },
            short(at.step_size),
            at.leapfrogs,
            at.divergences,
        );
    }
}
