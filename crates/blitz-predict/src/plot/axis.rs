//! An axis with ticks, however short it is.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;

/// A linear axis. Its ticks are those that plotters looks for and does not always find: there is one on an axis shorter
/// than 2.2e-16, the last is lost at times, and where numbers have no digits left the search has no end.
#[derive(Debug, Clone)]
pub(super) struct Axis(pub Range<f64>);

/// The steps between ticks, in powers of ten, the longest first.
const STEPS: [f64; 3] = [5.0, 2.0, 1.0];
/// The least power of ten that leaves room for all digits.
const LEAST_POWER: i32 = -307;

impl Axis {
    /// The first multiple of `step · 10^power` on the axis, in such steps, and how many there are.
    fn multiples(&self, step: f64, power: i32) -> (f64, usize) {
        let in_steps = |end| scaled(end, -power) / step;
        // An end that is a multiple but for its rounding is one.
        let first = (in_steps(self.0.start) - 1e-9).ceil();
        let last = (in_steps(self.0.end) + 1e-9).floor();
        (first, (last - first + 1.0) as usize)
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.0.clone()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let power = (self.0.end - self.0.start).log10().floor() as i32;
        let powers = (LEAST_POWER..=power.max(LEAST_POWER)).rev();
        let steps = powers.flat_map(|power| STEPS.map(|step| (step, power)));
        let multiples = steps.map(|(step, power)| (step, power, self.multiples(step, power)));
        let few = multiples.take_while(|(_, _, (_, count))| *count <= hint.max_num_points());
        let Some((step, power, (first, count))) = few.last() else {
            return Vec::new();
        };
        let ticks = (0..count).map(|i| scaled((first + i as f64) * step, power));
        let mut ticks: Vec<f64> = ticks.collect();
        // On an axis of a few roundings.
        ticks.dedup();
        ticks
    }

    fn range(&self) -> Range<f64> {
        self.0.clone()
    }
}

/// `value · 10^power`, by a power above 1: those are exact up to 10²².
fn scaled(value: f64, power: i32) -> f64 {
    match power < 0 {
        true => value / 10f64.powi(-power),
        false => value * 10f64.powi(power),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: Range<f64>) -> Vec<f64> {
        Axis(axis).key_points(7)
    }

    #[test]
    fn an_axis_of_any_length_has_the_same_ticks_in_its_units() {
        for exponent in -290..290 {
            let unit = 10f64.powi(exponent);
            for (low, high) in [(0.0, 1.05), (-0.3, 2.2), (1.0, 8.7), (-5.0, 5.0)] {
                let (here, there) = (ticks(low..high), ticks(low * unit..high * unit));
                assert!(here.len() > 2, "{low} to {high}: {here:?}");
                assert_eq!(
                    here.len(),
                    there.len(),
                    "{low}e{exponent} to {high}e{exponent}: {there:?}"
                );
                for (here, there) in here.iter().zip(&there) {
                    assert!(
                        (here - there / unit).abs() < 1e-9,
                        "{here:e} and {there:e} at 1e{exponent}"
                    );
                }
            }
        }
    }

    #[test]
    fn ticks_are_plotters_own_where_it_has_any() {
        for axis in [
            0.0..1.0,
            -2.0..3.0,
            3.0..52.0,
            1e6..1.3e6,
            0.9..0.98,
            -0.257..0.135,
        ] {
            let plotters = RangedCoordf64::from(axis.clone()).key_points(7);
            let ticks = ticks(axis.clone());
            assert_eq!(ticks.len(), plotters.len(), "{axis:?}");
            for (tick, plotters) in ticks.iter().zip(&plotters) {
                assert!(
                    (tick - plotters).abs() <= 1e-12 * axis.end.abs().max(1.0),
                    "{tick} and {plotters}"
                );
            }
        }
    }

    #[test]
    fn the_shortest_and_the_longest_axis_have_ticks() {
        for (axis, fewest) in [
            (0.0..5e-324, 1),
            (0.0..1e-310, 1),
            (-1e-305..1e-305, 3),
            (1.0..1.0000000000000002, 2),
            (1e16..1e16 + 2.0, 2),
            (1e300..1.0000000000000002e300, 1),
            (-8e307..8e307, 3),
        ] {
            let ticks = ticks(axis.clone());
            assert!((fewest..=7).contains(&ticks.len()), "{axis:?}: {ticks:?}");
            assert!(ticks.is_sorted_by(|a, b| a < b), "{axis:?}: {ticks:?}");
        }
    }

    #[test]
    fn an_axis_that_asks_for_no_ticks_has_none() {
        assert!(Axis(0.0..1.0).key_points(0).is_empty());
    }
}
