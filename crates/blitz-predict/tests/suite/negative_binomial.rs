//! Negative binomials of large counts.

use blitz_predict::distribution::{Distribution, NegativeBinomial};

use crate::negative_binomial_reference::CDF;

#[test]
fn the_distribution_function_of_large_counts_is_that_of_mpmath() {
    assert!(CDF.len() > 100);
    for (log_mean, dispersion, y, expected) in CDF {
        let counts = NegativeBinomial {
            log_mean: *log_mean,
            dispersion: *dispersion,
        };
        // The mean is rounded to 1e-16 of it.
        let rounding = 2e-16 * counts.mean() / counts.variance().sqrt();
        let error = (counts.cdf(*y) - expected).abs();
        assert!(
            error < 1e-13 + rounding,
            "{counts:?} {y}: {error:e}, {rounding:e}"
        );
    }
}

#[test]
fn fraction_and_expansion_meet() {
    // The lesser parameter of the incomplete beta function just below ten million, and just above it.
    for ratio in [1.0, 30.0, 1e6] {
        let of = |r: f64| NegativeBinomial {
            log_mean: (r * ratio).ln(),
            dispersion: r.recip(),
        };
        let (below, above) = (of(9_999_999.0), of(10_000_001.0));
        let at = |counts: NegativeBinomial, deviations: f64| {
            counts.cdf((counts.mean() + deviations * counts.variance().sqrt()).round())
        };
        for deviations in [-3.0, -0.5, 0.0, 2.5] {
            let gap = at(below, deviations) - at(above, deviations);
            // The two are as skewed to 1e-8, and their counts are rounded.
            let rounding = 0.5 / below.variance().sqrt();
            assert!(gap.abs() < rounding + 1e-8, "{ratio} {deviations}: {gap:e}");
        }
    }
}

#[test]
fn quantiles_of_the_largest_counts_are_found() {
    let far = NegativeBinomial {
        log_mean: 700.0,
        dispersion: 1e-8,
    };
    assert!((far.cdf(far.mean()) - 0.5).abs() < 1e-4);
    assert_eq!([0.0, 1e300, f64::MAX].map(|y| far.cdf(y)), [0.0, 0.0, 1.0]);
    for (log_mean, dispersion) in [(35.0, 1e-15), (60.0, 1e-10), (300.0, 1e-7)] {
        let counts = NegativeBinomial {
            log_mean,
            dispersion,
        };
        let deviation = counts.variance().sqrt();
        let off = |p: f64| (counts.quantile(p) - counts.mean()) / deviation;
        // Almost normal: skewed by twice the root of the dispersion.
        for (p, z) in [(0.025, -1.959_964), (0.5, 0.0), (0.975, 1.959_964)] {
            assert!((off(p) - z).abs() < 1e-3, "{counts:?} {p}: {}", off(p));
        }
    }
}
