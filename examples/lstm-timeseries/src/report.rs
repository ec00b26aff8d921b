//! What a run found: as numbers for `--json`, and as text to read.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use blitz_train::metric::rmse;
use blitz_train::{Interval, NormalMixture};
use example_support::series::{Missing, Series, Window};
use example_support::{
    Figures, LeftOut, NotFiniteScore, as_text, as_text_if_any, check_scores, figure,
};
use serde::Serialize;

/// The levels of the intervals.
pub const LEVELS: [f64; 3] = [0.5, 0.8, 0.95];

/// A held-out value and what was forecast for it.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// Its number in the series.
    pub place: usize,
    /// Its time.
    pub time: f64,
    /// The value.
    pub truth: f64,
    /// The value before it.
    pub last: f64,
    /// The mean of the forecast.
    pub mean: f64,
    /// The intervals of [`LEVELS`].
    pub intervals: [Interval; 3],
    /// The negative log density of the value, in nats.
    pub nll: f64,
    /// The deviation between the draws.
    pub epistemic: f64,
    /// The deviation of the noise.
    pub aleatoric: f64,
}

impl Forecast {
    /// The forecasts of `windows`, from the predicted steps.
    pub fn of(series: &Series, windows: &[Window], steps: &NormalMixture) -> Vec<Self> {
        let mean = steps.mean();
        let intervals = LEVELS.map(|level| steps.interval(level));
        let truths: Vec<f64> = windows.iter().map(|window| window.step).collect();
        let nll = steps.nll(&truths);
        let (epistemic, aleatoric) = (steps.epistemic_std(), steps.aleatoric_std());
        let forecast = |(i, window): (usize, &Window)| {
            let shifted = |interval: Interval| Interval {
                lower: window.last + interval.lower,
                upper: window.last + interval.upper,
            };
            Self {
                place: window.target,
                time: series.times[window.target],
                truth: series.values[window.target],
                last: window.last,
                mean: window.last + mean[i],
                intervals: [0, 1, 2].map(|level: usize| shifted(intervals[level][i])),
                nll: nll[i],
                epistemic: epistemic[i],
                aleatoric: aleatoric[i],
            }
        };
        windows.iter().enumerate().map(forecast).collect()
    }

    /// Whether the widest interval holds the value.
    pub fn inside(&self) -> bool {
        self.intervals[2].contains(self.truth)
    }
}

/// The results of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    series: String,
    unit: String,
    missing: Option<Missing>,
    n_train: usize,
    n_test: usize,
    rmse: f64,
    rmse_of_last_value: f64,
    nll: f64,
    coverage_50: f64,
    coverage_80: f64,
    coverage_95: f64,
    width_95: f64,
    epistemic: f64,
    aleatoric: f64,
    seconds: f64,
    /// The plot, where it could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub plot: Option<PathBuf>,
    /// What could not be written.
    pub left_out: Vec<LeftOut>,
    #[serde(serialize_with = "as_text")]
    model: PathBuf,
}

impl Report {
    /// The report of `forecasts`, without a plot. Refuses a score that is not finite.
    pub fn new(
        series: &Series,
        n_train: usize,
        forecasts: &[Forecast],
        time: Duration,
        model: PathBuf,
    ) -> Result<Self, NotFiniteScore> {
        let n = forecasts.len() as f64;
        let all = |f: &dyn Fn(&Forecast) -> f64| forecasts.iter().map(f).collect::<Vec<f64>>();
        let mean = |f: &dyn Fn(&Forecast) -> f64| all(f).iter().sum::<f64>() / n;
        let truths = all(&|f| f.truth);
        let coverage =
            |level: usize| mean(&|f| f64::from(u8::from(f.intervals[level].contains(f.truth))));
        let report = Self {
            series: series.name.clone(),
            unit: series.unit.clone(),
            missing: series.missing,
            n_train,
            n_test: forecasts.len(),
            rmse: rmse(&all(&|f| f.mean), &truths),
            rmse_of_last_value: rmse(&all(&|f| f.last), &truths),
            nll: mean(&|f| f.nll),
            coverage_50: coverage(0),
            coverage_80: coverage(1),
            coverage_95: coverage(2),
            width_95: mean(&|f| f.intervals[2].width()),
            epistemic: mean(&|f| f.epistemic),
            aleatoric: mean(&|f| f.aleatoric),
            seconds: time.as_secs_f64(),
            plot: None,
            left_out: Vec::new(),
            model,
        };
        check_scores(&[
            ("RMSE", report.rmse),
            ("RMSE of the last value", report.rmse_of_last_value),
            ("NLL", report.nll),
            ("mean width of the intervals", report.width_95),
            ("epistemic deviation", report.epistemic),
            ("aleatoric deviation", report.aleatoric),
        ])?;
        Ok(report)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deviation = Figures::of(self.aleatoric);
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        writeln!(
            f,
            "{}: trained on {} steps in {:.0} s, forecast the {} after them\n",
            self.series, self.n_train, self.seconds, self.n_test
        )?;
        writeln!(
            f,
            "  RMSE             {} {} (of the last value as the forecast: {})",
            figure(self.rmse),
            self.unit,
            figure(self.rmse_of_last_value)
        )?;
        writeln!(f, "  NLL              {:.3} nats a step", self.nll)?;
        writeln!(f, "  50 % interval    holds {}", percent(self.coverage_50))?;
        writeln!(f, "  80 % interval    holds {}", percent(self.coverage_80))?;
        writeln!(
            f,
            "  95 % interval    holds {}, mean width {} {}",
            percent(self.coverage_95),
            figure(self.width_95),
            self.unit
        )?;
        writeln!(
            f,
            "  deviation        {} epistemic, {} aleatoric, in the mean",
            deviation.show(self.epistemic),
            deviation.show(self.aleatoric)
        )?;
        if let Some(missing) = self.missing {
            writeln!(f, "  missing          {missing}")?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\n  left out: {left_out}")?;
        }
        writeln!(f)?;
        if let Some(plot) = &self.plot {
            writeln!(f, "  plot             {}", plot.display())?;
        }
        write!(f, "  model            {}", self.model.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_of_a_small_unit_has_its_digits() {
        let report = Report {
            series: "currents".into(),
            unit: "A".into(),
            n_train: 80,
            n_test: 20,
            rmse: 4.321e-9,
            rmse_of_last_value: 5.432e-9,
            nll: -17.0,
            coverage_50: 0.5,
            coverage_80: 0.8,
            coverage_95: 0.95,
            width_95: 1.77e-8,
            epistemic: 1e-10,
            aleatoric: 4.2e-9,
            seconds: 1.0,
            left_out: Vec::new(),
            missing: None,
            plot: Some("forecasts.png".into()),
            model: "model.bpk".into(),
        };
        let text = report.to_string();
        for shown in [
            "4.32e-9 A (of the last value as the forecast: 5.43e-9)",
            "mean width 1.77e-8 A",
            "1.0e-10 epistemic, 4.20e-9 aleatoric",
        ] {
            assert!(text.contains(shown), "no `{shown}` in {text}");
        }
    }
}
