//! What a run found: as numbers for `--json`, and as text to read.

use std::fmt;
use std::path::PathBuf;

use example_support::{Figures, LeftOut, MeanError, as_text, as_text_if_any, figure};
use serde::Serialize;

/// How many test rows the text shows.
const SHOWN: usize = 6;

/// A test row and what was predicted for it, in the unit of the target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Row {
    /// The row's number in the table, from 0.
    pub index: usize,
    /// The true value.
    pub truth: f64,
    /// The mean of the predictive distribution.
    pub mean: f64,
    /// The standard deviation that comes of not knowing the weights: more data would shrink it.
    pub epistemic: f64,
    /// The standard deviation of the noise in the target: more data would not.
    pub aleatoric: f64,
    /// The lower end of the 75 % interval.
    pub lower_75: f64,
    /// The upper end of the 75 % interval.
    pub upper_75: f64,
    /// The lower end of the 95 % interval.
    pub lower_95: f64,
    /// The upper end of the 95 % interval.
    pub upper_95: f64,
}

impl Row {
    /// Whether the true value is in the 75 % interval.
    #[must_use]
    pub fn inside_75(&self) -> bool {
        (self.lower_75..=self.upper_75).contains(&self.truth)
    }

    /// Whether the true value is in the 95 % interval.
    #[must_use]
    pub fn inside_95(&self) -> bool {
        (self.lower_95..=self.upper_95).contains(&self.truth)
    }
}

/// A few rows that spread evenly over the sorted true values, from the smallest to the largest.
#[must_use]
pub fn spread(rows: &[Row]) -> Vec<Row> {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| a.truth.total_cmp(&b.truth));
    let shown = SHOWN.min(sorted.len());
    (0..shown)
        .map(|i| sorted[i * (sorted.len() - 1) / (shown - 1).max(1)])
        .collect()
}

/// The results of one split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What the data are called.
    pub data: String,
    /// The unit of the target, of `rmse` and of the widths.
    pub unit: String,
    /// What the split is called.
    pub split: String,
    /// Rows trained on.
    pub n_train: usize,
    /// Rows tested on.
    pub n_test: usize,
    /// Root mean squared error of the predictive mean on the test rows.
    pub rmse: f64,
    /// Mean negative log density of the test rows, in nats, the target in its unit.
    pub nll: f64,
    /// Share of the test rows in their 75 % interval.
    pub coverage_75: f64,
    /// Share of the test rows in their 95 % interval.
    pub coverage_95: f64,
    /// Mean width of the 75 % intervals.
    pub width_75: f64,
    /// Mean width of the 95 % intervals.
    pub width_95: f64,
    /// Duration of this run's training.
    pub seconds: f64,
    /// Duration of one of its epochs, on average; none of a run without any.
    pub seconds_per_epoch: Option<f64>,
    /// Passes over the training rows, those of earlier runs included.
    pub epochs: usize,
    /// Those of this run: fewer where it went on from a checkpoint.
    pub epochs_run: usize,
    /// Draws of the weights in a training step.
    pub samples: usize,
    /// Draws of the weights for a prediction.
    pub predict_samples: usize,
    /// The seed.
    pub seed: u64,
    /// The device computed on.
    pub device: String,
    /// Whether the posterior of any layer left its start, by a hundredth of a deviation at least.
    pub posterior_moved: bool,
    /// The plot of the intervals, where it could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub plot: Option<PathBuf>,
    /// What could not be written.
    pub left_out: Vec<LeftOut>,
    /// The trained model.
    #[serde(serialize_with = "as_text")]
    pub model: PathBuf,
    /// The test rows that the text shows; see [`spread`].
    pub rows: Vec<Row>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            data,
            split,
            unit,
            n_train,
            n_test,
            ..
        } = self;
        writeln!(
            f,
            "{data}, {split}: trained on {n_train} rows, tested on {n_test}"
        )?;
        writeln!(f)?;
        writeln!(f, "  test RMSE      {} {unit}", figure(self.rmse))?;
        writeln!(f, "  test NLL       {} nats per point", figure(self.nll))?;
        for (level, coverage, width) in [
            (75, self.coverage_75, self.width_75),
            (95, self.coverage_95, self.width_95),
        ] {
            let (coverage, width) = (100.0 * coverage, figure(width));
            writeln!(
                f,
                "  {level} % interval  holds {coverage:.1} % of the test rows, mean width {width} {unit}"
            )?;
        }
        let (epochs, draws) = (count(self.epochs, "epoch"), count(self.samples, "draw"));
        let total = duration(self.seconds);
        let training = match self.seconds_per_epoch.map(duration) {
            Some(each) if self.epochs_run == self.epochs => {
                format!("{epochs} in {total}, {each} each")
            }
            Some(each) => format!(
                "{epochs}, the last {} in {total}, {each} each",
                self.epochs_run
            ),
            None => format!("{epochs}, all of them in earlier runs"),
        };
        writeln!(f, "  training       {training}, {draws} a step")?;
        writeln!(f, "  on             {}, seed {}", self.device, self.seed)?;

        writeln!(f)?;
        writeln!(f, "Some of the test rows, in {unit}:")?;
        writeln!(f)?;
        table(f, &self.rows, Figures::of(self.width_95))?;
        writeln!(f)?;
        for left_out in &self.left_out {
            writeln!(f, "left out: {left_out}")?;
        }
        if let Some(plot) = &self.plot {
            writeln!(f, "plot   {}", plot.display())?;
        }
        writeln!(f, "model  {}", self.model.display())?;
        if !self.posterior_moved {
            writeln!(f)?;
            // Below a hundredth of a deviation no prediction of fewer than 10⁴ draws could show it.
            writeln!(
                f,
                "The posterior is where it started, to a hundredth of a deviation in every layer: raise --epochs or --lr."
            )?;
        }
        Ok(())
    }
}

/// The means over several splits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitSummary {
    /// What the data are called.
    pub data: String,
    /// The unit of the target, of `rmse` and of the widths.
    pub unit: String,
    /// How many splits there are.
    pub splits: usize,
    /// As in [`Report`], over the splits.
    pub rmse: MeanError,
    /// As in [`Report`], over the splits.
    pub nll: MeanError,
    /// As in [`Report`], over the splits.
    pub coverage_75: MeanError,
    /// As in [`Report`], over the splits.
    pub coverage_95: MeanError,
    /// As in [`Report`], over the splits.
    pub width_75: MeanError,
    /// As in [`Report`], over the splits.
    pub width_95: MeanError,
    /// Duration of the trainings, all splits together; of a run that went on, of its own epochs.
    pub seconds: f64,
    /// The folder that holds the plot and the model of each split.
    #[serde(serialize_with = "as_text")]
    pub out: PathBuf,
    /// The splits one by one.
    pub reports: Vec<Report>,
    /// Those whose training or prediction failed.
    pub left_out: Vec<LeftOut>,
}

impl SplitSummary {
    /// Summarises the splits of one table, whose plots and models are in `out`.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn new(reports: Vec<Report>, left_out: Vec<LeftOut>, out: PathBuf) -> Self {
        let over = |figure: fn(&Report) -> f64| {
            MeanError::of(&reports.iter().map(figure).collect::<Vec<_>>())
        };
        Self {
            data: reports[0].data.clone(),
            unit: reports[0].unit.clone(),
            splits: reports.len(),
            rmse: over(|report| report.rmse),
            nll: over(|report| report.nll),
            coverage_75: over(|report| report.coverage_75),
            coverage_95: over(|report| report.coverage_95),
            width_75: over(|report| report.width_75),
            width_95: over(|report| report.width_95),
            seconds: reports.iter().map(|report| report.seconds).sum(),
            out,
            reports,
            left_out,
        }
    }
}

impl fmt::Display for SplitSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            data, unit, splits, ..
        } = self;
        writeln!(
            f,
            "{data}, {}: mean ± standard error over the splits",
            count(*splits, "split")
        )?;
        writeln!(f)?;
        let shown = MeanError::with_figures;
        writeln!(f, "  test RMSE      {} {unit}", shown(self.rmse))?;
        writeln!(f, "  test NLL       {} nats per point", shown(self.nll))?;
        for (level, coverage, width) in [
            (75, self.coverage_75, self.width_75),
            (95, self.coverage_95, self.width_95),
        ] {
            let (coverage, width) = (coverage.scaled(100.0).with_decimals(1), shown(width));
            writeln!(
                f,
                "  {level} % interval  holds {coverage} % of the test rows, mean width {width} {unit}"
            )?;
        }
        let began = |report: &Report| report.epochs_run == report.epochs;
        let of = match self.reports.iter().all(began) {
            true => "in all",
            false => "in this run, which went on",
        };
        writeln!(f, "  training       {} {of}", duration(self.seconds))?;
        let of_splits = self.reports.iter().flat_map(|report| &report.left_out);
        for left_out in self.left_out.iter().chain(of_splits) {
            writeln!(f, "  left out       {left_out}")?;
        }
        writeln!(f)?;
        writeln!(f, "plots and models in {}", self.out.display())
    }
}

/// A [`Report`] or a [`SplitSummary`] as one line of JSON.
#[must_use]
pub fn json(report: &impl Serialize) -> String {
    serde_json::to_string(report).expect("a report is numbers and text")
}

/// The test rows in columns as wide as their widest cell, numbers to the right.
fn table(f: &mut fmt::Formatter<'_>, rows: &[Row], figures: Figures) -> fmt::Result {
    let header = [
        "row",
        "true",
        "mean",
        "± epistemic",
        "± aleatoric",
        "95 % interval",
        "inside",
    ]
    .map(String::from);
    let lines = rows.iter().map(|row| {
        let number = |value: f64| figures.show(value);
        [
            row.index.to_string(),
            number(row.truth),
            number(row.mean),
            number(row.epistemic),
            number(row.aleatoric),
            format!("{} to {}", number(row.lower_95), number(row.upper_95)),
            if row.inside_95() { "yes" } else { "NO" }.into(),
        ]
    });
    let lines: Vec<_> = std::iter::once(header).chain(lines).collect();
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            write!(f, "  {cell:>width$}", width = width(column))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1.0 => format!("{} ms", figure(1e3 * seconds)),
        _ if seconds < 120.0 => format!("{seconds:.1} s"),
        _ => format!(
            "{:.0} min {:.0} s",
            (seconds / 60.0).floor(),
            (seconds % 60.0).floor()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(index: usize, truth: f64, mean: f64) -> Row {
        Row {
            index,
            truth,
            mean,
            epistemic: 0.5,
            aleatoric: 2.5,
            lower_75: mean - 3.0,
            upper_75: mean + 3.0,
            lower_95: mean - 5.0,
            upper_95: mean + 5.0,
        }
    }

    fn report() -> Report {
        Report {
            data: "Boston housing".into(),
            unit: "thousand dollars".into(),
            split: "split 0".into(),
            n_train: 455,
            n_test: 51,
            rmse: 2.912,
            nll: 2.4349,
            coverage_75: 40.0 / 51.0,
            coverage_95: 49.0 / 51.0,
            width_75: 6.0,
            width_95: 10.04,
            seconds: 8.31,
            seconds_per_epoch: Some(0.020775),
            epochs: 400,
            epochs_run: 400,
            samples: 1,
            predict_samples: 500,
            seed: 42,
            device: "flex".into(),
            posterior_moved: true,
            plot: Some("runs/regression/intervals.png".into()),
            left_out: Vec::new(),
            model: "runs/regression/model.bpk".into(),
            rows: vec![row(1, 7.2, 9.9), row(22, 21.6, 21.0), row(503, 50.0, 41.3)],
        }
    }

    #[test]
    fn a_posterior_that_stayed_where_it_started_is_said_at_the_end() {
        let moved = report().to_string();
        let stayed = Report {
            posterior_moved: false,
            ..report()
        };
        let stayed = stayed.to_string();
        let said = stayed.strip_prefix(&moved).unwrap();
        assert!(said.contains("The posterior is where it started"), "{said}");
        assert!(said.contains("raise --epochs or --lr"), "{said}");
    }

    #[test]
    fn report_reads_so() {
        let expected = "\
Boston housing, split 0: trained on 455 rows, tested on 51

  test RMSE      2.91 thousand dollars
  test NLL       2.43 nats per point
  75 % interval  holds 78.4 % of the test rows, mean width 6.00 thousand dollars
  95 % interval  holds 96.1 % of the test rows, mean width 10.0 thousand dollars
  training       400 epochs in 8.3 s, 20.8 ms each, 1 draw a step
  on             flex, seed 42

Some of the test rows, in thousand dollars:

  row  true  mean  ± epistemic  ± aleatoric  95 % interval  inside
    1   7.2   9.9          0.5          2.5    4.9 to 14.9     yes
   22  21.6  21.0          0.5          2.5   16.0 to 26.0     yes
  503  50.0  41.3          0.5          2.5   36.3 to 46.3      NO

plot   runs/regression/intervals.png
model  runs/regression/model.bpk
";
        assert_eq!(report().to_string(), expected);
    }

    #[test]
    fn a_run_that_went_on_states_the_time_of_its_own_epochs() {
        let line = |report: Report| {
            let text = report.to_string();
            let line = text.lines().find(|line| line.contains("training  "));
            line.unwrap().trim_start().to_string()
        };
        let resumed = Report {
            epochs_run: 3,
            seconds: 0.393,
            seconds_per_epoch: Some(0.131),
            ..report()
        };
        assert_eq!(
            line(resumed),
            "training       400 epochs, the last 3 in 393 ms, 131 ms each, 1 draw a step"
        );
        let done = Report {
            epochs_run: 0,
            seconds: 0.002,
            seconds_per_epoch: None,
            ..report()
        };
        assert_eq!(
            line(done),
            "training       400 epochs, all of them in earlier runs, 1 draw a step"
        );
    }

    #[test]
    fn a_plot_that_could_not_be_written_is_said_of_a_split_and_of_all() {
        let left_out = LeftOut::new("intervals.png", 42, "the disk is full");
        let report = Report {
            plot: None,
            left_out: vec![left_out],
            ..report()
        };
        let text = report.to_string();
        let line = "left out: intervals.png, seed 42: the disk is full\nmodel  runs";
        assert!(text.contains(line), "{text}");
        let summary = SplitSummary::new(vec![report], Vec::new(), PathBuf::new());
        let text = summary.to_string();
        let line = "  left out       intervals.png, seed 42: the disk is full\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn summary_reads_so() {
        let reports = [2.5, 3.0, 3.5].map(|rmse| Report { rmse, ..report() });
        let expected = "\
Boston housing, 3 splits: mean ± standard error over the splits

  test RMSE      3.00 ± 0.29 thousand dollars
  test NLL       2.43 ± 0.00 nats per point
  75 % interval  holds 78.4 ± 0.0 % of the test rows, mean width 6.00 ± 0.00 thousand dollars
  95 % interval  holds 96.1 ± 0.0 % of the test rows, mean width 10.0 ± 0.0 thousand dollars
  training       24.9 s in all

plots and models in runs/regression
";
        assert_eq!(
            SplitSummary::new(reports.to_vec(), Vec::new(), "runs/regression".into()).to_string(),
            expected
        );
    }

    #[test]
    fn a_summary_of_splits_that_went_on_states_the_time_of_this_run() {
        let resumed = Report {
            epochs_run: 0,
            seconds: 0.002,
            seconds_per_epoch: None,
            ..report()
        };
        let summary = SplitSummary::new(vec![report(), resumed], Vec::new(), PathBuf::new());
        let text = summary.to_string();
        let line = "  training       8.3 s in this run, which went on\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn single_split_has_no_standard_error() {
        let summary = SplitSummary::new(vec![report()], Vec::new(), PathBuf::new());
        assert_eq!(
            summary.rmse,
            MeanError {
                mean: 2.912,
                standard_error: None
            }
        );
        let text = summary.to_string();
        assert!(text.contains("RMSE      2.91 thousand"), "{text}");
    }

    #[test]
    fn json_is_one_line_with_the_figures_by_name() {
        let line = json(&report());
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["rmse"], 2.912);
        assert_eq!(value["plot"], "runs/regression/intervals.png");
        assert_eq!(value["rows"][2]["truth"], 50.0);

        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let plot = Some(std::ffi::OsStr::from_bytes(b"\xff.png").into());
            assert!(json(&Report { plot, ..report() }).contains(".png"));
        }

        let summary: serde_json::Value = serde_json::from_str(&json(&SplitSummary::new(
            vec![report(); 2],
            Vec::new(),
            PathBuf::new(),
        )))
        .unwrap();
        assert_eq!(summary["rmse"]["mean"], 2.912);
        assert_eq!(summary["reports"][1]["seed"], 42);
    }

    #[test]
    fn shown_rows_run_from_the_smallest_to_the_largest() {
        let rows: Vec<Row> = (0..51)
            .rev()
            .map(|index| row(index, index as f64, 0.0))
            .collect();
        let shown: Vec<usize> = spread(&rows).iter().map(|row| row.index).collect();
        assert_eq!(shown, [0, 10, 20, 30, 40, 50]);
        assert_eq!(spread(&rows[..2]).len(), 2);
        assert_eq!(spread(&rows[..1]).len(), 1);
        assert!(spread(&[]).is_empty());
    }

    #[test]
    fn ends_of_an_interval_are_inside() {
        let ends = |truth| {
            (
                row(0, truth, 20.0).inside_75(),
                row(0, truth, 20.0).inside_95(),
            )
        };
        assert_eq!(ends(23.0), (true, true));
        assert_eq!(ends(15.0), (false, true));
        assert_eq!(ends(25.1), (false, false));
        assert_eq!(ends(f64::NAN), (false, false));
    }

    #[test]
    fn a_target_of_a_small_unit_has_its_digits() {
        let tiny = |value: f64| 1e-12 * value;
        let row = Row {
            truth: tiny(7.2),
            mean: tiny(9.9),
            epistemic: tiny(0.5),
            aleatoric: tiny(2.5),
            lower_75: tiny(6.9),
            upper_75: tiny(12.9),
            lower_95: tiny(4.9),
            upper_95: tiny(14.9),
            index: 1,
        };
        let text = Report {
            rmse: tiny(2.912),
            width_75: tiny(6.0),
            width_95: tiny(10.04),
            rows: vec![row],
            ..report()
        }
        .to_string();
        for shown in [
            "RMSE      2.91e-12",
            "width 1.00e-11",
            "7.2e-12",
            "5e-13",
            "4.9e-12 to 1.49e-11",
        ] {
            assert!(text.contains(shown), "no `{shown}` in {text}");
        }
    }

    #[test]
    fn durations_are_in_their_units() {
        assert_eq!(
            [0.0021, 1.0, 119.9, 125.9].map(duration),
            ["2.10 ms", "1.0 s", "119.9 s", "2 min 5 s"]
        );
    }
}
