//! Accuracy against confidence.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart};
use super::error::{PlotError, check_shares};
use super::style::{BLUE, FAINT, VERMILION, font};
use crate::mixture::CategoricalMixture;
use crate::score::{ReliabilityBin, try_reliability_bins};

/// A reliability diagram (DeGroot & Fienberg 1983; Guo et al. 2017): the accuracy of each bin of confidences against
/// its mean confidence, the gap to the diagonal as a bar, vermilion where the model is too sure, and below it how many
/// predictions each bin has. The expected calibration error (ECE) is in the title.
///
/// ```
/// use blitz_predict::plot::{Plot, ReliabilityDiagram};
///
/// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
/// let confidence = [0.95, 0.9, 0.6, 0.55, 0.3];
/// let correct = [true, true, false, true, false];
/// let plot = ReliabilityDiagram::new(&confidence, &correct, 10)?.with_title("digits");
/// assert!(plot.to_svg()?.contains("digits: ECE"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ReliabilityDiagram {
    title: String,
    bins: Vec<ReliabilityBin>,
}

impl ReliabilityDiagram {
    /// Of predictions with these confidences, right or not, in bins of equal width.
    ///
    /// # Errors
    ///
    /// As [`try_reliability_bins`].
    pub fn new(confidence: &[f64], correct: &[bool], bins: usize) -> Result<Self, PlotError> {
        Ok(Self::from_bins(try_reliability_bins(
            confidence, correct, bins,
        )?))
    }

    /// Of predictive distributions and the labels that were seen.
    ///
    /// # Errors
    ///
    /// Returns an error unless there is a label for each prediction, below the number of classes, and without
    /// predictions.
    pub fn of(
        predictive: &CategoricalMixture,
        labels: &[usize],
        bins: usize,
    ) -> Result<Self, PlotError> {
        let correct = predictive.try_correct(labels)?;
        if predictive.is_empty() {
            return Err(PlotError::Empty { what: "prediction" });
        }
        Self::new(&predictive.confidence(), &correct, bins)
    }

    /// Of bins that are there already, for instance of equal mass. A diagram with a share that is not inside [0, 1] is
    /// refused when it is written; those of empty bins don't matter.
    pub fn from_bins(bins: Vec<ReliabilityBin>) -> Self {
        Self {
            title: "Reliability".into(),
            bins,
        }
    }

    /// With another title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    fn filled(&self) -> impl Iterator<Item = &ReliabilityBin> {
        self.bins.iter().filter(|bin| bin.count > 0)
    }

    /// The expected calibration error of the bins.
    fn error(&self) -> f64 {
        let total: usize = self.bins.iter().map(|bin| bin.count).sum();
        let gaps = self
            .filled()
            .map(|bin| bin.count as f64 * (bin.accuracy - bin.confidence).abs());
        gaps.sum::<f64>() / total.max(1) as f64
    }
}

impl Draw for ReliabilityDiagram {
    fn contents(&self) -> (&'static str, usize) {
        ("prediction", self.filled().count())
    }

    fn check(&self) -> Result<(), PlotError> {
        let filled = self.bins.iter().enumerate();
        for (index, bin) in filled.filter(|(_, bin)| bin.count > 0) {
            check_shares("bin", index, [bin.confidence, bin.accuracy])?;
        }
        Ok(())
    }

    fn size(&self) -> (u32, u32) {
        (720, 840)
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let (head, body) = root.split_vertically(50);
        let title = format!("{}: ECE {:.4}", self.title, self.error());
        head.draw(&Text::new(title, (92, 18), font(22)))?;
        let (upper, lower) = body.split_vertically(560);
        let labels = Labels {
            y: "accuracy",
            ..Labels::default()
        };
        let mut reliability = chart(&upper, labels, 0.0..1.0, 0.0..1.0)?;
        let diagonal = [(0.0, 0.0), (1.0, 1.0)];
        reliability.draw_series(LineSeries::new(diagonal, FAINT.stroke_width(2)))?;
        let colour = |bin: &ReliabilityBin| match bin.accuracy < bin.confidence {
            true => VERMILION,
            false => BLUE,
        };
        reliability.draw_series(self.filled().map(|bin| {
            let ends = [
                (bin.confidence, bin.confidence),
                (bin.confidence, bin.accuracy),
            ];
            PathElement::new(ends, colour(bin).mix(0.45).stroke_width(9))
        }))?;
        let accuracies = self.filled().map(|bin| (bin.confidence, bin.accuracy));
        reliability.draw_series(LineSeries::new(accuracies, BLUE.stroke_width(1)))?;
        reliability.draw_series(
            self.filled()
                .map(|bin| Circle::new((bin.confidence, bin.accuracy), 5, colour(bin).filled())),
        )?;

        let most = self.bins.iter().map(|bin| bin.count).max().unwrap_or(0);
        let labels = Labels {
            x: "confidence",
            y: "predictions",
            ..Labels::default()
        };
        let mut counts = chart(&lower, labels, 0.0..1.0, 0.0..1.08 * most.max(1) as f64)?;
        counts.draw_series(self.filled().map(|bin| {
            let ends = [(bin.confidence, 0.0), (bin.confidence, bin.count as f64)];
            PathElement::new(ends, FAINT.stroke_width(9))
        }))?;
        Ok(())
    }
}
