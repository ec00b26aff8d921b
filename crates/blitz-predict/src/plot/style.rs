//! Colours, font, axes and legends of the plots.

use std::ops::Range;
use std::sync::Once;

use plotters::chart::{MeshStyle, SeriesLabelStyle};
use plotters::coord::CoordTranslate;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use plotters::style::register_font;

pub use super::axis_labels::AxisLabels;

/// Text and the like.
pub const INK: RGBColor = RGBColor(51, 51, 51);
/// What should not draw the eye.
pub const FAINT: RGBColor = RGBColor(140, 140, 140);
/// Of Okabe and Ito's palette, whose colours colour-blind readers tell apart.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// See [`BLUE`].
pub const VERMILION: RGBColor = RGBColor(213, 94, 0);
/// See [`BLUE`].
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// See [`BLUE`].
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
/// See [`BLUE`].
pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
/// See [`BLUE`].
pub const SKY: RGBColor = RGBColor(86, 180, 233);

/// The colours of several curves, in turn.
pub const CURVES: [RGBColor; 6] = [BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY];

/// Plotters' bitmaps find no font of the system's: this registers the one that the crate carries.
pub fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let font = include_bytes!("../../assets/DejaVuSans.ttf");
        register_font("sans-serif", FontStyle::Normal, font)
            .unwrap_or_else(|_| unreachable!("the shipped font is sound"));
    });
}

/// The plots' font.
pub fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// Faint axes, and behind the data fainter lines at the labels alone. The labels are the chart's own.
pub fn mesh<'s, 'a, 'b, X: Ranged, Y: Ranged, DB: DrawingBackend>(
    style: &'s mut MeshStyle<'a, 'b, X, Y, DB>,
) -> &'s mut MeshStyle<'a, 'b, X, Y, DB> {
    style
        .axis_style(FAINT)
        .bold_line_style(BLACK.mix(0.08))
        .light_line_style(TRANSPARENT)
}

/// A legend in letters of that size, through which the data are faintly seen.
pub fn legend<'s, 'a, 'b, DB: DrawingBackend + 'a, CT: CoordTranslate>(
    style: &'s mut SeriesLabelStyle<'a, 'b, DB, CT>,
    size: i32,
) -> &'s mut SeriesLabelStyle<'a, 'b, DB, CT> {
    style
        .label_font(font(size))
        .background_style(WHITE.mix(0.85))
}

/// The most decimals that a number of 64 bits has behind its first digit.
const MOST_DECIMALS: f64 = 15.0;

/// A number at the axis, with no more decimals than the axis' range needs.
pub fn tick(value: f64, axis: &Range<f64>) -> String {
    let (span, largest) = (axis.end - axis.start, axis.start.abs().max(axis.end.abs()));
    // What a sum of steps leaves of zero is no number of its own.
    let value = if value.abs() <= 1e-9 * span {
        0.0
    } else {
        value
    };
    if largest >= 1e6 || span < 1e-4 {
        // The digits that all numbers of the axis have in common, and one more.
        let decimals = (largest / span).log10().ceil() + 1.0;
        let decimals = decimals.clamp(1.0, MOST_DECIMALS) as usize;
        return format!("{value:.decimals$e}");
    }
    let decimals = (1.0 - span.log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    let is_zero = text.chars().all(|digit| "-0.".contains(digit));
    match is_zero {
        true => text.trim_start_matches('-').to_string(),
        false => text,
    }
}

/// `10^exponent` at an axis of such exponents: to two digits, or to those that tell a tenth of the axis from the next.
pub fn power_of_ten(exponent: f64, axis: &Range<f64>) -> String {
    let step = 10f64.powf(0.1 * (axis.end - axis.start)) - 1.0;
    let decimals = (-step.log10()).ceil().clamp(1.0, MOST_DECIMALS) as usize;
    let value = format!("{:.decimals$e}", 10f64.powf(exponent));
    let (digits, power) = value.split_once('e').unwrap_or((&value, "0"));
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let power: i32 = power.parse().unwrap_or(0);
    match power {
        -4..=4 => {
            let decimals = (digits.len().saturating_sub(2) as i32 - power).max(0) as usize;
            format!("{:.decimals$}", 10f64.powf(exponent))
        }
        _ => format!("{digits}e{power}"),
    }
}

/// How many in a hundred, in whole percents unless they say 0 or 100 of some: then with as many decimals as it takes.
pub(crate) fn percentage(count: usize, of: usize) -> String {
    let percent = 100.0 * count as f64 / of as f64;
    let is_some = count > 0 && count < of;
    let written = (0..=MOST_DECIMALS as usize).map(|decimals| format!("{percent:.decimals$}"));
    let mut written = written.filter(|text| {
        let shown: f64 = text.parse().unwrap_or(percent);
        !is_some || (shown > 0.0 && shown < 100.0)
    });
    written.next().unwrap_or_else(|| percent.to_string())
}

/// The range of the values with this share of it added at both ends; of one value, a range around it.
pub fn padded(values: impl Iterator<Item = f64>, share: f64) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let margin = if high > low {
        share * (high - low)
    } else {
        0.1 * low.abs().max(1.0)
    };
    low - margin..high + margin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::percent::percent;

    #[test]
    fn ticks_have_the_decimals_their_axis_needs() {
        assert_eq!(tick(10.0, &(3.0..52.0)), "10");
        assert_eq!(tick(0.30000000000000004, &(0.0..0.7)), "0.30");
        assert_eq!(tick(-1.5, &(-2.0..3.0)), "-1.5");
        assert_eq!(tick(2.5e9, &(0.0..3e9)), "2.5e9");
        assert_eq!(tick(1e-6, &(0.0..3e-6)), "1.0e-6");
    }

    #[test]
    fn a_tick_of_zero_has_no_sign_and_no_digits() {
        // What a floating-point step leaves of zero.
        assert_eq!(tick(-2.8e-17, &(-0.257..0.135)), "0.00");
        assert_eq!(tick(-5e-22, &(-1e-6..1e-6)), "0.0e0");
        assert_eq!(tick(3e-10, &(-3e9..2e9)), "0.0e0");
        assert_eq!(tick(-0.0, &(-2.0..3.0)), "0.0");
        assert_eq!(tick(-0.004, &(-0.257..0.135)), "0.00");
        assert_eq!(tick(-0.1, &(-0.257..0.135)), "-0.10");
        assert_eq!(tick(-1e-7, &(-1e-6..1e-6)), "-1.0e-7");
        assert_eq!(tick(-30.0, &(-52.0..3.0)), "-30");
    }

    #[test]
    fn ticks_that_differ_have_labels_that_differ() {
        for axis in [
            2e6..2.1e6,
            1.0..1.00005,
            -3e-9..-2.999e-9,
            1e12..1e12 + 7.0,
            0.0..3e9,
            0.0..1e-7,
        ] {
            let step = (axis.end - axis.start) / 7.0;
            let ticks = (0..8).map(|i| tick(axis.start + step * f64::from(i), &axis));
            let mut ticks: Vec<String> = ticks.collect();
            ticks.dedup();
            assert_eq!(ticks.len(), 8, "{axis:?}: {ticks:?}");
        }
        for axis in [-0.05..0.05, 6.0..6.01, -9.0..-8.7, -3.0..4.0] {
            let step = (axis.end - axis.start) / 7.0;
            let ticks = (0..8).map(|i| power_of_ten(axis.start + step * f64::from(i), &axis));
            let mut ticks: Vec<String> = ticks.collect();
            ticks.dedup();
            assert_eq!(ticks.len(), 8, "{axis:?}: {ticks:?}");
        }
        assert_eq!(tick(2.02e6, &(2e6..2.1e6)), "2.020e6");
    }

    #[test]
    fn percentages_are_of_all_only_if_they_are() {
        assert_eq!(
            [0.5, 0.95, 0.995, 0.999, 0.55].map(percent),
            [50.0, 95.0, 99.5, 99.9, 55.0]
        );
        let counts = [
            (0, 7),
            (7, 7),
            (60, 200),
            (999, 1000),
            (1, 30_000),
            (996, 1000),
        ];
        let shares = counts.map(|(count, of)| percentage(count, of));
        assert_eq!(shares, ["0", "100", "30", "99.9", "0.003", "99.6"]);
        assert_eq!(percentage(0, 0), "NaN");
    }

    #[test]
    fn logarithms_are_labelled_with_their_numbers() {
        let exponents = [-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.5, 4.0];
        let labels = exponents.map(|exponent| power_of_ten(exponent, &(-2.0..4.0)));
        let expected = [
            "0.01", "0.032", "0.1", "0.32", "1", "3.2", "10", "32", "316", "10000",
        ];
        assert_eq!(labels, expected);
        assert_eq!(
            [-9.0, -5.5, 6.0].map(|exponent| power_of_ten(exponent, &(-9.0..6.0))),
            ["1e-9", "3.2e-6", "1e6"]
        );
        // What a floating-point step leaves of a whole exponent.
        assert_eq!(power_of_ten(-2.0000000000000004, &(-3.0..0.0)), "0.01");
    }
}
