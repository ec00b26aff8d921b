//! A line that says how far a prediction is.

use std::io::Write;
use std::time::{Duration, Instant};

use burn::data::dataloader::Progress;

/// Writes `predicting 384/1000` and, at its end, a line feed: over itself on a terminal, ten times a second at most.
///
/// ```
/// use blitz_train::ProgressLine;
/// use burn::data::dataloader::Progress;
///
/// let mut text = Vec::new();
/// ProgressLine::to(&mut text, "predicting").show(&Progress::new(3, 3, None));
/// assert_eq!(String::from_utf8(text).unwrap(), "\rpredicting 3/3\n");
/// ```
#[derive(Debug)]
pub struct ProgressLine<W> {
    out: W,
    what: String,
    last: Option<Instant>,
}

impl ProgressLine<std::io::Stderr> {
    /// A line on the standard error stream.
    pub fn stderr(what: impl Into<String>) -> Self {
        Self::to(std::io::stderr(), what)
    }
}

impl<W: Write> ProgressLine<W> {
    const PAUSE: Duration = Duration::from_millis(100);

    /// A line on `out`.
    pub fn to(out: W, what: impl Into<String>) -> Self {
        Self {
            out,
            what: what.into(),
            last: None,
        }
    }

    /// Shows `progress`, unless the line was written just before. A line that can't be written is no reason to fail.
    pub fn show(&mut self, progress: &Progress) {
        let done = progress.items_processed >= progress.items_total;
        let recent = self.last.is_some_and(|last| last.elapsed() < Self::PAUSE);
        if recent && !done {
            return;
        }
        self.last = Some(Instant::now());
        let end = if done { "\n" } else { "" };
        let (what, items) = (&self.what, progress.items_processed);
        let written = write!(self.out, "\r{what} {items}/{}{end}", progress.items_total);
        drop(written.and_then(|()| self.out.flush()));
    }
}
