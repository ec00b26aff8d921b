//! NLL and KL over a training.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart, curves};
use super::error::{PlotError, check_finite};
use super::style::{font, padded};

/// NLL and KL against the epoch or the step, in two panels, since their scales differ.
///
/// What to look for: an NLL that still falls; a KL that falls to near zero while the NLL stands still, which is a
/// posterior that collapses onto its prior; a validation NLL that rises again.
///
/// ```
/// use blitz_predict::plot::{Plot, TrainingCurves};
///
/// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
/// let plot = TrainingCurves::new("epoch")
///     .nll("train", &[1.2, 0.7, 0.5])?
///     .nll("validation", &[1.3, 0.9, 0.8])?
///     .kl("KL", &[900.0, 700.0, 650.0])?;
/// assert!(plot.to_svg()?.contains("validation"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TrainingCurves {
    unit: String,
    title: String,
    nll: Vec<(String, Vec<f64>)>,
    kl: Vec<(String, Vec<f64>)>,
}

impl TrainingCurves {
    /// Without curves yet; `unit` is what the values of a curve are one for each of, such as the epoch.
    pub fn new(unit: impl Into<String>) -> Self {
        Self {
            unit: unit.into(),
            title: "Training".into(),
            nll: Vec::new(),
            kl: Vec::new(),
        }
    }

    /// With another title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds a curve of mean negative log likelihoods, in nats, from the first epoch on.
    ///
    /// # Errors
    ///
    /// Returns an error without values, and for one that is not finite.
    pub fn nll(mut self, name: impl Into<String>, values: &[f64]) -> Result<Self, PlotError> {
        check_finite("NLL", values)?;
        self.nll.push((name.into(), values.to_vec()));
        Ok(self)
    }

    /// Adds a curve of KLs, in nats, summed over the weights.
    ///
    /// # Errors
    ///
    /// Returns an error without values, and for one that is not finite.
    pub fn kl(mut self, name: impl Into<String>, values: &[f64]) -> Result<Self, PlotError> {
        check_finite("KL", values)?;
        self.kl.push((name.into(), values.to_vec()));
        Ok(self)
    }

    fn panel<DB: DrawingBackend<ErrorType: 'static>>(
        &self,
        area: &Area<DB>,
        labels: Labels<'_>,
        series: &[(String, Vec<f64>)],
    ) -> Drawn {
        let longest = series.iter().map(|(_, values)| values.len()).max();
        let x = 1.0..(longest.unwrap_or(1) as f64).max(2.0);
        let values = series.iter().flat_map(|(_, values)| values).copied();
        let y = padded(values, 0.05);
        let mut chart = chart(area, labels, x, y)?;
        let named = series.iter().map(|(name, values)| {
            let points = values.iter().zip(1..);
            (
                name.clone(),
                points.map(|(value, at)| (f64::from(at), *value)),
            )
        });
        curves(&mut chart, named, SeriesLabelPosition::UpperRight)
    }
}

impl Draw for TrainingCurves {
    fn contents(&self) -> (&'static str, usize) {
        ("curve", self.nll.len() + self.kl.len())
    }

    fn size(&self) -> (u32, u32) {
        (1240, 500)
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let (head, body) = root.split_vertically(44);
        head.draw(&Text::new(self.title.as_str(), (92, 16), font(22)))?;
        let panels = [("NLL, nats per example", &self.nll), ("KL, nats", &self.kl)];
        let panels = panels.into_iter().filter(|(_, series)| !series.is_empty());
        let panels: Vec<_> = panels.collect();
        let areas = body.split_evenly((1, panels.len()));
        for (area, (y, series)) in areas.iter().zip(panels) {
            let labels = Labels {
                x: &self.unit,
                y,
                ..Labels::default()
            };
            self.panel(area, labels, series)?;
        }
        Ok(())
    }
}
