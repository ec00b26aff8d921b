//! The normal distribution, errors that are sums of many small ones: `p(y) = exp(−(y − μ)² / 2σ²) / (σ √2π)`.

use blitz_noise::PhiloxRng;
use blitz_noise::density::HALF_LOG_TWO_PI;
use rand_distr::{Distribution as _, StandardNormal};
use statrs::distribution::{ContinuousCDF, Normal as Standard};

use super::{Distribution, Rescale, Support};
use crate::numbers::{in_units, out_of_units};

/// `N(mean, std²)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normal {
    /// The mean.
    pub mean: f64,
    /// The deviation.
    pub std: f64,
}

impl Distribution for Normal {
    const SUPPORT: Support = Support::Continuous;

    fn is_valid(&self) -> bool {
        self.mean.is_finite() && self.std.is_finite() && self.std > 0.0
    }

    fn ln_pdf(&self, y: f64) -> f64 {
        let z = in_units(y, self.mean, self.std);
        -0.5 * z * z - self.std.ln() - HALF_LOG_TWO_PI
    }

    fn cdf(&self, y: f64) -> f64 {
        standard_cdf(in_units(y, self.mean, self.std))
    }

    fn survival(&self, y: f64) -> f64 {
        standard_cdf(-in_units(y, self.mean, self.std))
    }

    fn mean(&self) -> f64 {
        self.mean
    }

    fn variance(&self) -> f64 {
        self.std * self.std
    }

    fn std_dev(&self) -> f64 {
        self.std
    }

    fn sample(&self, rng: &mut PhiloxRng) -> f64 {
        let z: f64 = StandardNormal.sample(rng);
        self.mean + self.std * z
    }

    fn quantile(&self, p: f64) -> f64 {
        let z = Standard::standard().inverse_cdf(p);
        if z.is_infinite() {
            return z;
        }
        // A step of Newton's on the nearer tail, which loses no digits.
        let (tail, z) = if p < 0.5 { (p, z) } else { (1.0 - p, -z) };
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        let z = z - (standard_cdf(z) - tail) / density;
        out_of_units(if p < 0.5 { z } else { -z }, self.mean, self.std)
    }
}

/// By `libm`: that of `statrs` is wrong by up to 3e-11, a constant of its `erfc` being rounded to single precision.
fn standard_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

impl Rescale for Normal {
    fn rescale(&self, location: f64, scale: f64) -> Self {
        Self {
            mean: self.mean * scale + location,
            std: self.std * scale,
        }
    }
}
