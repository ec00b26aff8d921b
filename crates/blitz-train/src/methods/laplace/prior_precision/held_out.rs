//! The prior precision that predicts held-out examples best.

use std::fmt;

use super::super::error::LaplaceError;

/// How well a posterior predicts examples that the network was not trained on, beside the trained network itself.
///
/// Negative log likelihoods are means over the examples, in nats. Those of the posterior are by its linearised
/// predictive distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct HeldOut {
    /// The prior precision λ that was found.
    pub prior_precision: f64,
    /// Of the posterior.
    pub nll: f64,
    /// Of the trained weights.
    pub trained_nll: f64,
    /// The standard error of `trained_nll − nll`, whose two terms are of the same examples: infinite for a single one,
    /// which says nothing of it.
    pub std_error: f64,
    /// The number of examples.
    pub examples: usize,
}

impl HeldOut {
    /// Whether the posterior predicts better than the trained weights, by more than a standard error.
    ///
    /// If not, λ is so large that there is no harm, and nothing gained either.
    pub fn improves(&self) -> bool {
        self.trained_nll - self.nll > self.std_error
    }
}

impl fmt::Display for HeldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "λ = {:.3e}: NLL {:.4} of {} held-out examples, {:.4} by the trained weights, difference ± {:.4}: {}",
            self.prior_precision,
            self.nll,
            self.examples,
            self.trained_nll,
            self.std_error,
            match self.improves() {
                true => "the posterior predicts better",
                false => "the posterior does not predict better",
            }
        )
    }
}

/// Sums over examples, for each precision tried.
pub(in crate::methods::laplace) struct Sums {
    nll: Vec<f64>,
    /// Of how much lower than by the trained weights the nll is.
    gains: Vec<Gains>,
    trained: f64,
    pub(in crate::methods::laplace) examples: usize,
}

impl Sums {
    pub(in crate::methods::laplace) fn new(precisions: usize) -> Self {
        Self {
            nll: vec![0.0; precisions],
            gains: vec![Gains::default(); precisions],
            trained: 0.0,
            examples: 0,
        }
    }

    /// Adds an example's nll by the trained weights and under each precision.
    pub(in crate::methods::laplace) fn add(&mut self, trained: f64, nll: Vec<f64>) {
        self.trained += trained;
        self.examples += 1;
        let sums = self.nll.iter_mut().zip(&mut self.gains);
        for ((sum, gains), nll) in sums.zip(nll) {
            *sum += nll;
            gains.add(trained - nll);
        }
    }
}

/// The precision in [10⁻¹², 10¹²] of lowest held-out nll: powers of ten first, then a finer grid about the best.
///
/// `possible` says of which precisions the covariance has digits; `pass` sums over all examples.
pub(in crate::methods::laplace) fn search(
    possible: impl Fn(f64) -> bool,
    pass: impl Fn(&[f64]) -> Result<Sums, LaplaceError>,
) -> Result<HeldOut, LaplaceError> {
    let grid = |steps: std::ops::RangeInclusive<i32>, at: &dyn Fn(i32) -> f64| {
        let precisions = steps.map(|i| 10f64.powf(at(i)).clamp(1e-12, 1e12));
        let mut precisions: Vec<f64> = precisions.filter(|p| possible(*p)).collect();
        // Beyond an end of the range there is nothing but that end.
        precisions.dedup();
        precisions
    };
    // Of equals the largest, which is the narrowest posterior.
    let best = |sums: &Sums| {
        let nll = |nll: f64| if nll.is_nan() { f64::INFINITY } else { nll };
        let indexed = sums.nll.iter().map(|of| nll(*of)).enumerate();
        let best = indexed.min_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        best.map(|(i, _)| i)
    };
    let coarse = grid(-12..=12, &f64::from);
    let sums = pass(&coarse)?;
    // At 10¹² every curvature of finite numbers that is worth a posterior has its digits.
    let middle = best(&sums).map_or(12.0, |i| coarse[i].log10());
    let fine = grid(-8..=8, &|i| middle + f64::from(i) / 8.0);
    let sums = pass(&fine)?;
    let Some(at) = best(&sums) else {
        return Err(LaplaceError::NoOptimum {
            reason: "no prior precision in [1e-12, 1e12] makes up for collinear features or gradients that vanish",
        });
    };
    let n = sums.examples as f64;
    let (nll, trained_nll) = (sums.nll[at] / n, sums.trained / n);
    Ok(HeldOut {
        prior_precision: fine[at],
        nll,
        trained_nll,
        std_error: sums.gains[at].std_error(),
        examples: sums.examples,
    })
}

/// The mean of some numbers and their squared deviations from it, by Welford's recurrence: numbers that are all alike
/// have none, to the last digit.
#[derive(Clone, Default)]
struct Gains {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Gains {
    fn add(&mut self, gain: f64) {
        self.count += 1.0;
        let off = gain - self.mean;
        self.mean += off / self.count;
        self.squares += off * (gain - self.mean);
    }

    /// The standard error of the mean.
    fn std_error(&self) -> f64 {
        if self.count < 2.0 {
            return f64::INFINITY;
        }
        (self.squares.max(0.0) / (self.count - 1.0) / self.count).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(gains: &[f64]) -> HeldOut {
        let mut sum = Gains::default();
        gains.iter().for_each(|gain| sum.add(*gain));
        HeldOut {
            prior_precision: 1.0,
            nll: 0.0,
            trained_nll: sum.mean,
            std_error: sum.std_error(),
            examples: gains.len(),
        }
    }

    #[test]
    fn the_standard_error_is_that_of_the_unbiased_variance() {
        // Of mean 3, with squared deviations 4, 1, 0, 1, 4: √(10/4/5).
        let of_five = report(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((of_five.std_error - 0.5f64.sqrt()).abs() < 1e-15);
        assert!(of_five.improves());
        assert_eq!(report(&[0.1; 7]).std_error, 0.0);
    }

    #[test]
    fn of_precisions_that_predict_alike_the_largest_is_taken() {
        let found = |nll: fn(f64) -> f64| {
            let pass = |precisions: &[f64]| {
                let mut sums = Sums::new(precisions.len());
                sums.add(0.0, precisions.iter().map(|p| nll(*p)).collect());
                Ok(sums)
            };
            search(|_| true, pass).unwrap().prior_precision
        };
        assert_eq!(found(|_| 0.0), 1e12);
        assert_eq!(found(|_| f64::NAN), 1e12);
        // What is no number is no optimum, whatever its sign.
        let best = found(|p| if p < 50.0 { -f64::NAN } else { p });
        assert!((50.0..200.0).contains(&best), "{best}");
        // As good from 1 to 1,000.
        let best = found(|p| {
            if (1.0..=1000.0).contains(&p) {
                0.0
            } else {
                1.0
            }
        });
        assert!((best - 1000.0).abs() < 1e-9, "{best}");
    }

    #[test]
    fn a_single_example_shows_no_improvement() {
        let of_one = report(&[0.01]);
        assert!(!of_one.improves());
        assert!(
            of_one
                .to_string()
                .ends_with("± inf: the posterior does not predict better")
        );
    }
}
