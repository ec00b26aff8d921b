//! Poisson, counts of independent events at a rate: `P(Y = y) = λ^y e^−λ / y!`.

use blitz_noise::PhiloxRng;
use rand_distr::Distribution as _;

use super::special::{gamma_tails, stirling_remainder};
use super::{Distribution, Support, is_count, off_support, quantile_of_counts};

/// `P(Y = y) = λ^y e^−λ / y!`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Poisson {
    /// ln λ.
    pub log_rate: f64,
}

impl Poisson {
    /// The rate λ.
    pub fn rate(&self) -> f64 {
        self.log_rate.exp()
    }

    /// `P(Y ≤ y)` and `P(Y > y)`.
    pub(super) fn below_and_above(&self, y: f64) -> [f64; 2] {
        if y.is_nan() {
            return [y; 2];
        }
        if y < 0.0 {
            return [0.0, 1.0];
        }
        let rate = self.rate();
        if rate == 0.0 || y == f64::INFINITY {
            return [1.0, 0.0];
        }
        let [above, below] = gamma_tails(y.floor() + 1.0, rate);
        [below, above]
    }
}

impl Distribution for Poisson {
    const SUPPORT: Support = Support::Discrete;

    fn is_valid(&self) -> bool {
        self.log_rate.is_finite() && self.rate().is_finite()
    }

    fn ln_pdf(&self, y: f64) -> f64 {
        if !is_count(y) {
            return off_support(y);
        }
        if y == 0.0 {
            return -self.rate();
        }
        // Loader's saddle point form (2000): the textbook's terms cancel at large counts.
        let t = y.ln() - self.log_rate;
        -y * ((-t).exp_m1() + t) - 0.5 * (std::f64::consts::TAU * y).ln() - stirling_remainder(y)
    }

    fn cdf(&self, y: f64) -> f64 {
        self.below_and_above(y)[0]
    }

    fn survival(&self, y: f64) -> f64 {
        self.below_and_above(y)[1]
    }

    fn mean(&self) -> f64 {
        self.rate()
    }

    fn variance(&self) -> f64 {
        self.rate()
    }

    fn sample(&self, rng: &mut PhiloxRng) -> f64 {
        sample_poisson(self.rate(), rng)
    }

    fn quantile(&self, p: f64) -> f64 {
        quantile_of_counts(self, p)
    }
}

/// A count of mean `rate`.
pub(super) fn sample_poisson(rate: f64, rng: &mut PhiloxRng) -> f64 {
    match rand_distr::Poisson::new(rate) {
        Ok(poisson) => poisson.sample(rng),
        // Zero itself, or so large that the deviation is below the spacing of the numbers.
        Err(_) => rate.round(),
    }
}
