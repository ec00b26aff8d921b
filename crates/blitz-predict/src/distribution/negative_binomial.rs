//! Negative binomial, counts that vary more than Poisson's: `P(Y = y) = Γ(y + r) / (Γ(r) y!) · (r / (r + μ))^r (μ / (r +
//! μ))^y` with `r = 1/α`.

use blitz_noise::PhiloxRng;
use rand_distr::{Distribution as _, Gamma};

use super::poisson::sample_poisson;
use super::special::{beta_tails, stirling_remainder};
use super::{Distribution, Poisson, Support, is_count, off_support, quantile_of_counts};

/// Counts of mean μ and variance `μ + α μ²`: Poisson counts whose rate is Gamma distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NegativeBinomial {
    /// ln μ.
    pub log_mean: f64,
    /// The dispersion α; towards zero the distribution becomes Poisson.
    pub dispersion: f64,
}

impl NegativeBinomial {
    /// Below this the two distributions are the same to the last digit of an `f64`, and `1/α` loses them.
    const POISSON_BELOW: f64 = 1e-16;

    fn poisson(&self) -> Option<Poisson> {
        (self.dispersion < Self::POISSON_BELOW).then_some(Poisson {
            log_rate: self.log_mean,
        })
    }

    /// `P(Y ≤ y)` and `P(Y > y)`.
    fn below_and_above(&self, y: f64) -> [f64; 2] {
        if y.is_nan() {
            return [y; 2];
        }
        if y < 0.0 {
            return [0.0, 1.0];
        }
        if y == f64::INFINITY {
            return [1.0, 0.0];
        }
        if let Some(poisson) = self.poisson() {
            return poisson.below_and_above(y);
        }
        let (r, mean) = (self.dispersion.recip(), self.mean());
        let above = y.floor() + 1.0;
        // r − (r + y + 1) r / (r + μ), where nothing of large counts cancels but y from their mean.
        let lambda = (mean - above) / (r + mean) * r;
        beta_tails(r, above, [r / (r + mean), mean / (r + mean)], lambda)
    }
}

impl Distribution for NegativeBinomial {
    const SUPPORT: Support = Support::Discrete;

    fn is_valid(&self) -> bool {
        let log_mean = self.log_mean.is_finite() && self.mean().is_finite();
        log_mean && self.dispersion.is_finite() && self.dispersion > 0.0
    }

    fn ln_pdf(&self, y: f64) -> f64 {
        if !is_count(y) {
            return off_support(y);
        }
        if let Some(poisson) = self.poisson() {
            return poisson.ln_pdf(y);
        }
        let (r, mean) = (self.dispersion.recip(), self.mean());
        if y == 0.0 {
            return -r * (mean / r).ln_1p();
        }
        // The saddle point form, as for Poisson, with which it agrees as r goes to infinity.
        let t = y.ln() - self.log_mean;
        let q = y * (-t).exp_m1() / (r + y);
        let log = if q > -0.5 {
            q.ln_1p()
        } else {
            (r + mean).ln() - (r + y).ln()
        };
        // t and its counterpart cancel if both counts are large against r.
        let u = -q * r / mean;
        let both = if u.abs() < 0.5 { u.ln_1p() } else { t + log };
        -y * both
            - r * log
            - 0.5 * (std::f64::consts::TAU * y).ln()
            - 0.5 * (y / r).ln_1p()
            - stirling_remainder(y)
            - stirling_remainder(r)
            + stirling_remainder(r + y)
    }

    fn cdf(&self, y: f64) -> f64 {
        self.below_and_above(y)[0]
    }

    fn survival(&self, y: f64) -> f64 {
        self.below_and_above(y)[1]
    }

    fn quantile(&self, p: f64) -> f64 {
        quantile_of_counts(self, p)
    }

    fn mean(&self) -> f64 {
        self.log_mean.exp()
    }

    fn variance(&self) -> f64 {
        let mean = self.mean();
        mean + self.dispersion * mean * mean
    }

    fn sample(&self, rng: &mut PhiloxRng) -> f64 {
        let mean = self.mean();
        if self.poisson().is_some() || mean == 0.0 {
            return sample_poisson(mean, rng);
        }
        match Gamma::new(self.dispersion.recip(), self.dispersion * mean) {
            Ok(rate) => sample_poisson(rate.sample(rng), rng),
            Err(_) => f64::NAN,
        }
    }
}
