//! The plot of the predictive intervals: each test row at its true value, its interval upright over it.

use std::error::Error;
use std::path::Path;

use example_support::plot::{self, FAINT, PlotError, VERMILION, font, padded, tick};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::Row;

const SIZE: (u32, u32) = (1400, 900);
/// Height of the strip with title and legend, and the plot's margins left and right, all in pixels.
const HEAD: u32 = 130;
const LEFT: u32 = 105;
const RIGHT: u32 = 30;
/// Radius of a predicted mean.
const DOT: i32 = 5;

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Writes a PNG of the 75 % and 95 % intervals of `rows` over their true values; `unit` goes to the axes.
///
/// A perfect prediction is on the diagonal, and an interval that holds its true value crosses it.
pub fn intervals(path: &Path, rows: &[Row], title: &str, unit: &str) -> Result<(), PlotError> {
    if rows.is_empty() {
        return Err(PlotError::NoRows);
    }
    let finite = |row: &Row| {
        [
            row.truth,
            row.mean,
            row.lower_75,
            row.upper_75,
            row.lower_95,
            row.upper_95,
        ]
        .iter()
        .all(|x| x.is_finite())
    };
    if let Some(row) = rows.iter().find(|row| !finite(row)) {
        return Err(PlotError::NotFinite { row: row.index });
    }
    plot::write(path, || draw(path, rows, title, unit))
}

fn draw(path: &Path, rows: &[Row], title: &str, unit: &str) -> Result<(), Box<dyn Error>> {
    let x = padded(rows.iter().map(|row| row.truth), 0.02);
    let y = padded(
        rows.iter()
            .flat_map(|row| [row.lower_95, row.upper_95, row.truth]),
        0.03,
    );

    let root = BitMapBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(HEAD);
    draw_head(&head, rows, title)?;

    let mut chart = ChartBuilder::on(&body)
        .margin(15)
        .margin_right(RIGHT)
        .x_label_area_size(65)
        .y_label_area_size(LEFT - 15)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .x_desc(format!("true value ({unit})"))
        .y_desc(format!("predicted value ({unit})"))
        .x_label_formatter(&|value| tick(*value, &x))
        .y_label_formatter(&|value| tick(*value, &y))
        .axis_desc_style(font(22))
        .label_style(font(18))
        .axis_style(FAINT)
        .bold_line_style(BLACK.mix(0.08))
        .light_line_style(TRANSPARENT)
        .draw()?;

    // The diagonal only as far as both axes go.
    let ends = [x.start.max(y.start), x.end.min(y.end)];
    if ends[0] < ends[1] {
        chart.draw_series(LineSeries::new(
            ends.map(|end| (end, end)),
            FAINT.stroke_width(2),
        ))?;
    }
    // Those outside last: they are few, and the ones to see.
    for inside in [true, false] {
        let rows = || rows.iter().filter(move |row| row.inside_95() == inside);
        let styles = Styles::of(inside);
        let bar = |x, from, to, style| PathElement::new([(x, from), (x, to)], style);
        chart.draw_series(
            rows().map(|row| bar(row.truth, row.lower_95, row.upper_95, styles.thin)),
        )?;
        chart.draw_series(
            rows().map(|row| bar(row.truth, row.lower_75, row.upper_75, styles.thick)),
        )?;
        chart.draw_series(rows().map(|row| Circle::new((row.truth, row.mean), DOT, styles.dot)))?;
    }
    root.present()?;
    Ok(())
}

/// The title, the coverage, and the legend, which in the plot itself would sooner or later cover a point.
fn draw_head(head: &Area, rows: &[Row], title: &str) -> Result<(), Box<dyn Error>> {
    let n = rows.len();
    let holds = |inside: fn(&Row) -> bool| {
        let count = rows.iter().filter(|row| inside(row)).count();
        format!("{count} of {n} ({:.0} %)", 100.0 * count as f64 / n as f64)
    };
    let coverage = format!(
        "True values held by the 75 % interval: {}, by the 95 % interval: {}",
        holds(Row::inside_75),
        holds(Row::inside_95),
    );
    let left = LEFT as i32;
    head.draw(&Text::new(title, (left, 22), font(30)))?;
    head.draw(&Text::new(coverage, (left, 64), font(21)))?;

    const MIDDLE: i32 = 113;
    let mut x = left;
    let mut entry = |width: i32, label: &str| -> Result<i32, Box<dyn Error>> {
        let style = font(18).pos(Pos::new(HPos::Left, VPos::Center));
        let (text_width, _) = head.estimate_text_size(label, &style)?;
        let start = x;
        // The font's centre lies above that of its small letters.
        head.draw(&Text::new(label, (start + width + 9, MIDDLE + 3), style))?;
        x += width + 9 + text_width as i32 + 30;
        Ok(start)
    };
    let upright = |x, style| PathElement::new([(x, MIDDLE - 12), (x, MIDDLE + 12)], style);
    let (inside, outside) = (Styles::of(true), Styles::of(false));
    let x = entry(2 * DOT, "mean, truth in the 95 % interval")?;
    head.draw(&Circle::new((x + DOT, MIDDLE), DOT, inside.dot))?;
    let x = entry(2 * DOT, "mean, truth outside it")?;
    head.draw(&Circle::new((x + DOT, MIDDLE), DOT, outside.dot))?;
    let x = entry(8, "75 % interval")?;
    head.draw(&upright(x + 4, inside.thick))?;
    let x = entry(4, "95 % interval")?;
    head.draw(&upright(x + 2, inside.thin))?;
    let x = entry(30, "prediction = truth")?;
    head.draw(&PathElement::new(
        [(x, MIDDLE), (x + 30, MIDDLE)],
        FAINT.stroke_width(2),
    ))?;
    Ok(())
}

/// How the rows are drawn whose true value is inside, or outside, the 95 % interval.
struct Styles {
    thin: ShapeStyle,
    thick: ShapeStyle,
    dot: ShapeStyle,
}

impl Styles {
    fn of(inside: bool) -> Self {
        let colour = if inside { plot::BLUE } else { VERMILION };
        Self {
            thin: colour.mix(0.6).stroke_width(2),
            thick: colour.mix(0.35).stroke_width(8),
            dot: colour.filled(),
        }
    }
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
            [SIZE.0.to_be_bytes(), SIZE.1.to_be_bytes()].concat()
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
            Err(PlotError::NoRows)
        ));
        let wrong = Row {
            index: 72,
            upper_95: f64::NAN,
            ..synthetic()[7]
        };
        assert!(matches!(
            intervals(path, &[wrong], "", ""),
            Err(PlotError::NotFinite { row: 72 })
        ));
        assert!(!path.exists());
    }
}
