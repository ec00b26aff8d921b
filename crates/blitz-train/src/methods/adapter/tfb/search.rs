//! The search for the deviation at which the loss rises by the tolerance.

use super::TfbError;
use super::rise::Rise;

/// The most that it strides at a time, and how often: 16²⁰ is 10²⁴.
const STRIDE: f64 = 16.0;
const STRIDES: i32 = 20;
/// How far a rise may be from the tolerance to say where it is reached.
const NEAR: f64 = 2.0;
/// A bracket that is as narrow as this is of a loss that jumps.
const NARROW: f64 = 1.05;
/// Of a rise that is a smaller part of another one, rounding may be all.
const SMALLEST_RISE: f64 = 1e-3;

/// A deviation, and the rise that was measured at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub std: f64,
    pub rise: Rise,
    /// The power of the deviation that the rise goes with; infinite where the loss jumps.
    exponent: f64,
}

/// Why the search has found none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ended {
    /// Nothing more may be measured.
    Budget { std: f64 },
    /// None is too large, up to this one.
    Unbounded { std: f64 },
    /// None is small enough, down to this one.
    NothingWithin { std: f64 },
}

impl Found {
    /// A rise goes with the square of a small deviation.
    fn new(std: f64, rise: Rise) -> Self {
        Self {
            std,
            rise,
            exponent: 2.0,
        }
    }

    /// Whether the rise is near enough to the tolerance to say where that is reached, by its power. A rise of more
    /// examples may be further from it than the few that were searched with.
    pub(super) fn is_near(&self, tolerance: f64) -> bool {
        let jumps = self.exponent.is_infinite() && self.rise.mean <= tolerance;
        jumps || self.is_within(NEAR.powi(3), tolerance)
    }

    /// Where the rise is the tolerance.
    pub(super) fn root(&self, tolerance: f64) -> f64 {
        self.std * (tolerance / self.rise.mean).powf(self.exponent.recip())
    }

    /// The standard error of the root.
    pub(super) fn error(&self, root: f64) -> Option<f64> {
        let of_rise = self.rise.error?;
        Some(root * of_rise / (self.exponent * self.rise.mean))
    }

    fn is_within(&self, factor: f64, tolerance: f64) -> bool {
        let share = self.rise.mean / tolerance;
        share >= factor.recip() && share <= factor
    }

    /// What the next deviation is multiplied with, where all that were measured are too small, or all too large.
    fn stride(&self, tolerance: f64) -> f64 {
        match tolerance / self.rise.mean {
            share if share > 0.0 => share.sqrt().clamp(STRIDE.recip(), STRIDE),
            // A rise that is no number is too large, and one that is none, or a fall, says nothing of the size.
            share if share.is_nan() => STRIDE.recip(),
            _ => STRIDE,
        }
    }

    /// With the power that the rise goes with from here to another deviation.
    fn beside(self, other: Option<&Self>) -> Self {
        let exponent = other.map(|other| {
            let (rise, there) = (self.rise.mean, other.rise.mean);
            let least = rise * SMALLEST_RISE;
            match there.is_finite() && there >= least {
                true => (there / rise).ln() / (other.std / self.std).ln(),
                false => 2.0,
            }
        });
        Self {
            exponent: exponent.map_or(2.0, |exponent| exponent.clamp(0.5, 100.0)),
            ..self
        }
    }
}

/// A deviation whose rise is near the tolerance, with the power that it goes with. `rise` measures, as long as it may.
pub(super) fn search(
    tolerance: f64,
    start: f64,
    mut rise: impl FnMut(f64) -> Result<Option<Rise>, TfbError>,
) -> Result<Result<Found, Ended>, TfbError> {
    let (mut low, mut high): (Option<Found>, Option<Found>) = (None, None);
    let mut std = start;
    let strides = start / STRIDE.powi(STRIDES)..=start * STRIDE.powi(STRIDES);
    while strides.contains(&std) {
        let Some(measured) = rise(std)? else {
            return Ok(Err(Ended::Budget { std }));
        };
        let here = Found::new(std, measured);
        if here.is_within(NEAR, tolerance) {
            return Ok(Ok(here.beside(low.or(high).as_ref())));
        }
        // A loss that is no number is too large.
        match measured.mean <= tolerance {
            true => low = Some(here),
            false => high = Some(here),
        }
        std = match (&low, &high) {
            (Some(low), Some(high)) if high.std < low.std * NARROW => {
                let exponent = f64::INFINITY;
                return Ok(Ok(Found { exponent, ..*low }));
            }
            (Some(low), Some(high)) => between(low, high, tolerance),
            (Some(low), None) => low.std * low.stride(tolerance),
            (None, Some(high)) => high.std * high.stride(tolerance),
            (None, None) => unreachable!("here is one of them"),
        };
    }
    Ok(Err(match (low, high) {
        (Some(low), _) => Ended::Unbounded { std: low.std },
        (None, high) => Ended::NothingWithin {
            std: high.map_or(start, |high| high.std),
        },
    }))
}

/// Between a rise that is too small and one that is too large: by the power that leads from one to the other, and away
/// from both.
fn between(low: &Found, high: &Found, tolerance: f64) -> f64 {
    let width = high.std / low.std;
    if low.rise.mean <= 0.0 || !high.rise.mean.is_finite() {
        return low.std * width.sqrt();
    }
    let std = low.beside(Some(high)).root(tolerance);
    std.clamp(low.std * width.powf(0.1), low.std * width.powf(0.9))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: f64 = 0.01;
    const START: f64 = 0.01;

    /// What the search finds of a rise, and in how many measurements.
    fn found(rise: impl Fn(f64) -> f64) -> (Result<Found, Ended>, usize) {
        let mut count = 0;
        let measure = |std: f64| {
            count += 1;
            Ok((count <= 100).then(|| Rise {
                mean: rise(std),
                error: None,
            }))
        };
        (search(TOLERANCE, START, measure).unwrap(), count)
    }

    #[test]
    fn powers_are_found_exactly_and_in_a_few_measurements() {
        for exponent in [1.5, 2.0, 3.0] {
            for expected in [1e-9, 1e-4, 0.01, 0.7, 1e6] {
                let (found, count) = found(|std| TOLERANCE * (std / expected).powf(exponent));
                let root = found.unwrap().root(TOLERANCE);
                // The square is what is assumed of a start that is near already.
                assert!((root / expected - 1.0).abs() < 0.2, "{root} for {expected}");
                assert!(count <= 10, "{count} for {expected} by {exponent}");
                if expected == 0.7 {
                    assert!(
                        (root / expected - 1.0).abs() < 1e-9,
                        "{root} for {expected}"
                    );
                    assert!(count <= 4, "{count} by {exponent}");
                }
            }
        }
    }

    #[test]
    fn a_loss_that_levels_off_or_explodes_is_bracketed() {
        let rises: [fn(f64) -> f64; 2] = [
            |std| 0.011 * (1.0 - (-std).exp()),
            |std| (100.0 * std).exp_m1() * 1e-30,
        ];
        for rise in rises {
            let (found, count) = found(rise);
            let found = found.unwrap();
            assert!(found.is_near(TOLERANCE) && count < 60, "{found:?}, {count}");
            let share = rise(found.root(TOLERANCE)) / TOLERANCE;
            assert!((0.5..2.0).contains(&share), "{share}");
        }
    }

    #[test]
    fn of_a_loss_that_jumps_the_last_deviation_before_is_taken() {
        let (found, _) = found(|std| if std < 0.5 { 1e-3 * std } else { f64::NAN });
        let found = found.unwrap();
        assert!(found.is_near(TOLERANCE));
        let root = found.root(TOLERANCE);
        assert!((0.47..0.5).contains(&root), "{root}");
    }

    #[test]
    fn no_deviation_or_every_one_is_said() {
        let (none, _) = found(|_| f64::NAN);
        assert!(matches!(none, Err(Ended::NothingWithin { std }) if std < 1e-24));
        let (every, _) = found(|_| -1e-9);
        assert!(matches!(every, Err(Ended::Unbounded { std }) if std > 1e20));
        let ended = search(TOLERANCE, START, |_| Ok(None)).unwrap().unwrap_err();
        assert_eq!(ended, Ended::Budget { std: START });
    }
}
