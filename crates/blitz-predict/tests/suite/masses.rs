//! Distributions with a density and point masses.

use blitz_predict::Mixture;
use blitz_predict::blitz_noise::PhiloxRng;
use blitz_predict::calibration::QuantileRecalibration;
use blitz_predict::distribution::{Distribution, Normal, Support};

/// A normal whose values outside of a range are those of its ends.
#[derive(Debug, Clone, PartialEq)]
struct Censored {
    normal: Normal,
    ends: [f64; 2],
}

impl Distribution for Censored {
    const SUPPORT: Support = Support::Mixed;

    fn masses(&self) -> Vec<f64> {
        self.ends
            .into_iter()
            .filter(|end| end.is_finite())
            .collect()
    }

    fn is_valid(&self) -> bool {
        self.normal.is_valid()
    }

    fn ln_pdf(&self, y: f64) -> f64 {
        let [low, high] = self.ends;
        if y < low || y > high {
            f64::NEG_INFINITY
        } else if y == low {
            self.normal.cdf(low).ln()
        } else if y == high {
            (1.0 - self.normal.cdf(high)).ln()
        } else {
            self.normal.ln_pdf(y)
        }
    }

    fn cdf(&self, y: f64) -> f64 {
        let [low, high] = self.ends;
        if y < low {
            0.0
        } else if y >= high {
            1.0
        } else {
            self.normal.cdf(y)
        }
    }

    fn mean(&self) -> f64 {
        // Good enough to start a search from.
        self.normal.mean
    }

    fn variance(&self) -> f64 {
        self.normal.variance()
    }

    fn sample(&self, rng: &mut PhiloxRng) -> f64 {
        let [low, high] = self.ends;
        self.normal.sample(rng).clamp(low, high)
    }
}

fn censored(means: &[f64], ends: [f64; 2]) -> Mixture<Censored> {
    let draw = |mean: &f64| {
        vec![Censored {
            normal: Normal {
                mean: *mean,
                std: 1.0,
            },
            ends,
        }]
    };
    Mixture::from_draws(means.iter().map(draw), 1)
}

const ENDS: [[f64; 2]; 4] = [
    [0.0, f64::INFINITY],
    [f64::NEG_INFINITY, 0.3],
    [-0.2, 0.7],
    [0.1, 0.1000001],
];

#[test]
fn a_quantile_is_the_mass_itself_where_the_distribution_function_jumps() {
    for ends in ENDS {
        for means in [vec![0.2], vec![-0.5, 0.1, 0.9], vec![-3.0, 3.0]] {
            let mixture = censored(&means, ends);
            for i in 1..200 {
                let p = f64::from(i) / 200.0;
                let y = mixture.quantile(p)[0];
                assert!(
                    (ends[0]..=ends[1]).contains(&y),
                    "{ends:?} {means:?}: Q({p}) = {y}"
                );
                let [at, below] = [y, y.next_down()].map(|y| mixture.cdf(&[y])[0]);
                if ends.contains(&y) {
                    assert!(below < p && p <= at, "{ends:?} {means:?}: Q({p}) = {y}");
                } else {
                    assert!((at - p).abs() < 1e-12, "{ends:?} {means:?}: Q({p}) = {y}");
                }
            }
        }
    }
}

#[test]
fn intervals_end_at_the_mass_and_hold_their_level() {
    for ends in ENDS {
        for means in [vec![0.2], vec![-0.5, 0.1, 0.9]] {
            let mixture = censored(&means, ends);
            for level in [0.5, 0.9, 0.99] {
                let (central, shortest) = (
                    mixture.interval(level)[0],
                    mixture.highest_density_interval(level)[0],
                );
                for interval in [central, shortest] {
                    assert!(
                        interval.lower >= ends[0] && interval.upper <= ends[1],
                        "{ends:?}: {interval:?}"
                    );
                    let below = mixture.cdf(&[interval.lower.next_down()])[0];
                    let held = mixture.cdf(&[interval.upper])[0] - below;
                    assert!(
                        held >= level - 1e-9,
                        "{ends:?} {level}: {interval:?} holds {held}"
                    );
                }
                assert!(shortest.width() <= central.width() * (1.0 + 1e-12));
            }
        }
    }
    // More than the level lies on the mass.
    let mixture = censored(&[-2.0, -1.5], [0.0, f64::INFINITY]);
    let shortest = mixture.highest_density_interval(0.5)[0];
    assert_eq!((shortest.lower, shortest.upper), (0.0, 0.0));
}

#[test]
fn recalibrated_intervals_end_at_the_mass_too() {
    let mixture = censored(&[-0.5, 0.1], [0.0, f64::INFINITY]);
    let recalibration = QuantileRecalibration::fit(&[0.7, 0.75, 0.8, 0.85, 0.9]);
    let interval = recalibration.interval(&mixture, 0.9)[0];
    assert_eq!(interval.lower, 0.0);
    assert!(interval.upper > 1.0);
}
