//! What is written at the ticks of an axis and beside them.

use std::ops::Range;

use super::style::{font, register_fonts, tick};

/// Longer numbers at the ticks are cut off, or run into each other.
const MOST_CHARACTERS: usize = 7;

/// The labels of an axis. Where the numbers at its ticks have too many digits in common, they are differences from a
/// round number among them, which the description has.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisLabels {
    axis: Range<f64>,
    /// What every label leaves out.
    offset: f64,
}

impl AxisLabels {
    /// Those of an axis.
    #[must_use]
    pub fn of(axis: &Range<f64>) -> Self {
        let whole = Self {
            axis: axis.clone(),
            offset: 0.0,
        };
        let without = Self {
            axis: axis.clone(),
            offset: round_number(axis),
        };
        let characters = |labels: &Self| labels.longest().chars().count();
        let fewest = characters(&without).max(MOST_CHARACTERS);
        match characters(&whole) > fewest {
            true => without,
            false => whole,
        }
    }

    /// What is written at a tick.
    #[must_use]
    pub fn at(&self, value: f64) -> String {
        let axis = self.axis.start - self.offset..self.axis.end - self.offset;
        tick(value - self.offset, &axis)
    }

    /// The description of the axis, with what the labels leave out: `ppm, + 3.31e8`.
    #[must_use]
    pub fn described(&self, what: &str) -> String {
        let sign = if self.offset < 0.0 { '−' } else { '+' };
        let offset = match self.offset.abs() {
            short if (1e-3..1e6).contains(&short) => short.to_string(),
            other => format!("{other:e}"),
        };
        match (self.offset == 0.0, what.is_empty()) {
            (true, _) => what.into(),
            (false, true) => format!("{sign} {offset}"),
            (false, false) => format!("{what}, {sign} {offset}"),
        }
    }

    /// The width of the widest label, in pixels, in the plots' [`font`] of a size.
    #[must_use]
    pub fn width(&self, size: i32) -> u32 {
        register_fonts();
        let size = font(size).font.box_size(&self.longest());
        // Without a font nothing is written.
        size.map_or(0, |(width, _)| width)
    }

    /// The longest of the labels, as far as ten of them tell.
    fn longest(&self) -> String {
        let Range { start, end } = self.axis;
        let labels = (0..=9).map(|tenth| self.at(start + (end - start) * f64::from(tenth) / 9.0));
        labels
            .max_by_key(|label| label.chars().count())
            .unwrap_or_default()
    }
}

/// The number nearest to the middle of the axis that is a multiple of a power of ten as long as the axis; zero of an
/// axis that is too long for one.
fn round_number(axis: &Range<f64>) -> f64 {
    let power = (axis.end - axis.start).log10().ceil() as i32;
    let middle = axis.start + 0.5 * (axis.end - axis.start);
    let multiple = match power < 0 {
        true => middle * 10f64.powi(-power),
        false => middle / 10f64.powi(power),
    };
    // By its digits: a power of ten above 10²² is not exact, and a product with it not the nearest number.
    let number = format!("{:.0}e{power}", multiple.round()).parse();
    number
        .ok()
        .filter(|number: &f64| number.is_finite())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels at both ends and in the middle, and the description.
    fn labels(axis: Range<f64>) -> ([String; 3], String) {
        let labels = AxisLabels::of(&axis);
        let middle = 0.5 * (axis.start + axis.end);
        let ends = [axis.start, middle, axis.end].map(|value| labels.at(value));
        (ends, labels.described("ppm"))
    }

    #[test]
    fn what_all_numbers_have_in_common_is_said_once() {
        let (ends, described) = labels(331e6 - 1e4..331e6 + 1e4);
        assert_eq!(ends, ["-10000", "0", "10000"]);
        assert_eq!(described, "ppm, + 3.31e8");
        let (ends, described) = labels(-2.02e6 - 4.0..-2.02e6);
        assert_eq!(ends, ["-4.0", "-2.0", "0.0"]);
        assert_eq!(described, "ppm, − 2.02e6");
        assert_eq!(labels(1.0..1.00005).1, "ppm, + 1");
        let (ends, described) = labels(123_456.0..123_456.5);
        assert_eq!(ends, ["0.00", "0.25", "0.50"]);
        assert_eq!(described, "ppm, + 123456");
        assert_eq!(AxisLabels::of(&(1e12..1e12 + 7.0)).described(""), "+ 1e12");
    }

    #[test]
    fn what_is_left_out_is_as_round_far_from_one() {
        for power in [-305, -300, -250, -30, 250, 300] {
            let of = |digits: &str| format!("{digits}e{power}").parse::<f64>().unwrap();
            let (_, described) = labels(of("2.0001")..of("2.0003"));
            assert_eq!(described, format!("ppm, + 2e{power}"));
        }
        // It shortens nothing.
        let (ends, described) = labels(1e-300..3e-300);
        assert_eq!(ends, ["1.00e-300", "2.00e-300", "3.00e-300"]);
        assert_eq!(described, "ppm");
    }

    #[test]
    fn numbers_that_have_room_are_written_out() {
        for axis in [
            0.0..1.0,
            -0.257..0.135,
            315.0..420.0,
            1700.0..2008.0,
            1e6..3e9,
            0.0..1e-7,
            -1e-6..1e-6,
            -8e307..8e307,
        ] {
            let (ends, described) = labels(axis.clone());
            assert_eq!(described, "ppm", "{axis:?}");
            assert_eq!(ends[0], tick(axis.start, &axis));
        }
    }

    #[test]
    fn no_label_is_long_however_far_from_zero() {
        for exponent in [-290, -20, -3, 0, 3, 6, 12, 200, 307] {
            for span in [1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1.0] {
                for sign in [1.0, -1.0] {
                    let value = sign * 1.2345 * 10f64.powi(exponent);
                    let axis = value - 0.5 * span * value.abs()..value + 0.5 * span * value.abs();
                    let labels = AxisLabels::of(&axis);
                    let longest = labels.longest();
                    // Two digits, and a power of ten of up to three.
                    assert!(longest.len() <= "-5.00e-303".len(), "{axis:?}: {longest}");
                    let ends = [axis.start, axis.end].map(|value| labels.at(value));
                    assert_ne!(ends[0], ends[1], "{axis:?}");
                }
            }
        }
    }

    #[test]
    fn a_longer_label_is_wider() {
        let [narrow, wide] = [0.0..3.0, -1e-6..1e-6].map(|axis| AxisLabels::of(&axis).width(17));
        assert!((1..wide).contains(&narrow), "{narrow}, {wide}");
    }
}
