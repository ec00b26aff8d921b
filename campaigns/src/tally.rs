//! What a campaign tried, and what it missed.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use example_support::{print, say};
use serde_json::json;

/// The counts of a campaign.
#[derive(Debug)]
pub(crate) struct Tally {
    campaign: &'static str,
    seed: u64,
    start: Instant,
    counts: BTreeMap<String, u64>,
    tried: u64,
    missed: u64,
}

impl Tally {
    pub(crate) fn new(campaign: &'static str, seed: u64) -> Self {
        Self {
            campaign,
            seed,
            start: Instant::now(),
            counts: BTreeMap::new(),
            tried: 0,
            missed: 0,
        }
    }

    /// One more trial. A campaign without any has missed its goal.
    pub(crate) fn trial(&mut self) {
        self.tried += 1;
    }

    /// One more of `what`.
    pub(crate) fn count(&mut self, what: &str) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    /// So many more of `what`.
    #[cfg(feature = "fuzz")]
    pub(crate) fn add(&mut self, what: &str, more: u64) {
        *self.counts.entry(what.into()).or_default() += more;
    }

    /// The number `what` is `value`.
    pub(crate) fn set(&mut self, what: &str, value: u64) {
        self.counts.insert(what.into(), value);
    }

    /// Says how far it is.
    pub(crate) fn progress(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs();
        say!("{} {seconds} s: {what}", self.campaign);
    }

    /// A goal was missed.
    pub(crate) fn miss(&mut self, what: &str) {
        self.missed += 1;
        self.progress(&format!("MISSED: {what}"));
    }

    /// As [`miss`](Self::miss) unless `reached`; whether it was.
    pub(crate) fn goal(&mut self, reached: bool, what: impl FnOnce() -> String) -> bool {
        if !reached {
            self.miss(&what());
        }
        reached
    }

    /// How many goals were missed.
    #[cfg(test)]
    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }

    /// Prints the line of JSON. Where nothing was tried, that is a miss.
    pub(crate) fn finish(mut self) -> ExitCode {
        if self.tried == 0 && self.missed == 0 {
            self.miss("nothing was tried");
        }
        let line = json!({
            "campaign": self.campaign,
            "seed": self.seed,
            "seconds": self.start.elapsed().as_secs_f64(),
            "counts": self.counts,
            "missed": self.missed,
        });
        let status = u8::from(self.missed > 0);
        print("campaigns", line).err().unwrap_or(status.into())
    }
}
