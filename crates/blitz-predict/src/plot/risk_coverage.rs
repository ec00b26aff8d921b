//! The error among the answers that are left when the least sure are withheld.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart, curves};
use super::error::PlotError;
use crate::score::{RiskAtCoverage, try_aurc, try_risk_coverage_curve};

/// Risk–coverage curves (El-Yaniv & Wiener 2010): the mean loss of the most confident share of the predictions, against
/// that share, for one or several models or measures of confidence. Lower is better; the area under each curve (AURC)
/// is in the legend.
///
/// ```
/// use blitz_predict::plot::{Plot, RiskCoveragePlot};
///
/// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
/// let wrong = [0.0, 0.0, 1.0, 1.0];
/// let plot = RiskCoveragePlot::new("error rate")
///     .curve("knows", &[0.9, 0.8, 0.6, 0.5], &wrong)?
///     .curve("guesses", &[0.5, 0.6, 0.8, 0.9], &wrong)?;
/// assert!(plot.to_svg()?.contains("AURC"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RiskCoveragePlot {
    loss: String,
    title: String,
    curves: Vec<(String, f64, Vec<RiskAtCoverage>)>,
}

impl RiskCoveragePlot {
    /// Without curves yet; `loss` names the vertical axis, with its unit.
    pub fn new(loss: impl Into<String>) -> Self {
        Self {
            loss: loss.into(),
            title: "Risk when the least sure are withheld".into(),
            curves: Vec::new(),
        }
    }

    /// With another title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds the curve of a model's confidences, larger is surer, and the losses of its predictions.
    ///
    /// # Errors
    ///
    /// As [`try_risk_coverage_curve`].
    pub fn curve(
        mut self,
        name: impl Into<String>,
        confidence: &[f64],
        loss: &[f64],
    ) -> Result<Self, PlotError> {
        let curve = try_risk_coverage_curve(confidence, loss)?;
        let area = try_aurc(confidence, loss)?;
        self.curves.push((name.into(), area, curve));
        Ok(self)
    }
}

impl Draw for RiskCoveragePlot {
    fn contents(&self) -> (&'static str, usize) {
        ("curve", self.curves.len())
    }

    fn size(&self) -> (u32, u32) {
        (900, 620)
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let risks = || self.curves.iter().flat_map(|(_, _, curve)| curve);
        let highest = risks().map(|point| point.risk).fold(0.0, f64::max);
        let labels = Labels {
            title: &self.title,
            x: "share of the predictions that are answered",
            y: &self.loss,
            ..Labels::default()
        };
        // Losses of zero alone have no scale of their own.
        let y = 0.0..1.05 * if highest > 0.0 { highest } else { 1.0 };
        let mut chart = chart(root, labels, 0.0..1.0, y)?;
        let named = self.curves.iter().map(|(name, area, curve)| {
            let points = curve.iter().map(|point| (point.coverage, point.risk));
            (format!("{name}, AURC {}", written(*area)), points)
        });
        curves(&mut chart, named, SeriesLabelPosition::UpperLeft)
    }
}

/// An area with four decimals, or with four digits where these would say 0 of some, or be hundreds.
fn written(area: f64) -> String {
    match area > 0.0 && !(1e-3..1e6).contains(&area) {
        true => format!("{area:.3e}"),
        false => format!("{area:.4}"),
    }
}
