//! The plot of the predictive intervals.

use std::path::Path;

use blitz_train::Interval;
use blitz_train::plot::{IntervalPlot, IntervalRow, Plot, PlotError};

use crate::report::Row;

/// Writes a PNG of the 75 % and 95 % intervals of `rows` over their true values; `unit` goes to the axes.
pub fn intervals(path: &Path, rows: &[Row], title: &str, unit: &str) -> Result<(), PlotError> {
    let interval = |lower, upper| Interval { lower, upper };
    let converted = rows.iter().map(|row| IntervalRow {
        target: row.truth,
        mean: row.mean,
        inner: interval(row.lower_75, row.upper_75),
        outer: interval(row.lower_95, row.upper_95),
    });
    let plot = IntervalPlot::from_rows(converted.collect(), [0.75, 0.95]);
    // The reader knows the rows by their numbers in the table.
    let plot = plot.map_err(|error| match error {
        PlotError::NotFinite { index, .. } => PlotError::NotFinite {
            what: "the prediction for row",
            index: rows[index].index,
        },
        other => other,
    })?;
    plot.with_title(title).with_unit(unit).save(path)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use example_support::tabular::{Split, Table};

    /// The published test set, its means off by a fixed noise, its intervals wider for dear houses.
    fn synthetic() -> Vec<Row> {
        let (table, split) = (Table::boston(), Split::published(0).unwrap());
        let row = |(i, (&index, truth)): (usize, (&usize, f64))| {
            let sigma = 1.0 + 0.07 * truth;
            let error = ((i as f64 * 12.9898).sin() * 43758.5453).fract();
            let mean = truth + 2.3 * sigma * error;
            Row {
                index,
                truth,
                mean,
                epistemic: 0.3 * sigma,
                aleatoric: 0.95 * sigma,
                lower_75: mean - 1.15 * sigma,
                upper_75: mean + 1.15 * sigma,
                lower_95: mean - 1.96 * sigma,
                upper_95: mean + 1.96 * sigma,
            }
        };
        split
            .test
            .iter()
            .zip(table.targets_of(&split.test))
            .enumerate()
            .map(row)
            .collect()
    }

    #[test]
    fn plot_is_a_png_of_the_size_given() {
        let folder = tempfile::tempdir().unwrap();
        // Set to look at the plot.
        let path = std::env::var_os("BLITZ_PLOT")
            .map_or_else(|| folder.path().join("intervals.png"), PathBuf::from);
        intervals(
            &path,
            &synthetic(),
            "Boston housing, split 0",
            "thousand dollars",
        )
        .unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(
            bytes[16..24],
            [1400u32.to_be_bytes(), 900u32.to_be_bytes()].concat()
        );
    }

    #[test]
    fn one_row_of_any_scale_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        for value in [0.0, 1e-12, -3e9] {
            let zero_width = Row {
                truth: value,
                mean: value,
                lower_75: value,
                upper_75: value,
                lower_95: value,
                upper_95: value,
                ..synthetic()[0]
            };
            intervals(&folder.path().join("one.png"), &[zero_width], "One", "m").unwrap();
        }
    }

    #[test]
    fn folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("intervals.png");
        let message = intervals(&path, &synthetic(), "Boston", "m")
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with(&format!("cannot write the plot {}: ", path.display())),
            "{message}"
        );
        assert!(message.contains("No such file"), "{message}");
    }

    #[test]
    fn nothing_and_nonsense_are_refused() {
        let path = Path::new("never written.png");
        assert!(matches!(
            intervals(path, &[], "", ""),
            Err(PlotError::Empty { .. })
        ));
        let wrong = Row {
            index: 72,
            upper_95: f64::NAN,
            ..synthetic()[7]
        };
        assert!(matches!(
            intervals(path, &[wrong], "", ""),
            Err(PlotError::NotFinite { index: 72, .. })
        ));
        assert!(!path.exists());
    }
}
