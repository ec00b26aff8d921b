//! Laplace, errors with exponential tails about a median: `p(y) = exp(−|y − m| / b) / 2b`.

use std::f64::consts::{LN_2, SQRT_2};

use blitz_noise::PhiloxRng;
use rand_core::Rng;
use rand_distr::{Distribution as _, Exp1};

use super::{Distribution, Rescale, Support};
use crate::numbers::{in_units, out_of_units};

/// `p(y) = exp(−|y − location| / scale) / 2 scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Laplace {
    /// The median, which is the mean.
    pub location: f64,
    /// The mean absolute deviation; the standard deviation is √2 of it.
    pub scale: f64,
}

impl Distribution for Laplace {
    const SUPPORT: Support = Support::Continuous;

    fn is_valid(&self) -> bool {
        self.location.is_finite() && self.scale.is_finite() && self.scale > 0.0
    }

    fn ln_pdf(&self, y: f64) -> f64 {
        -in_units(y, self.location, self.scale).abs() - self.scale.ln() - LN_2
    }

    fn cdf(&self, y: f64) -> f64 {
        standard_cdf(in_units(y, self.location, self.scale))
    }

    fn survival(&self, y: f64) -> f64 {
        standard_cdf(-in_units(y, self.location, self.scale))
    }

    fn mean(&self) -> f64 {
        self.location
    }

    fn variance(&self) -> f64 {
        2.0 * self.scale * self.scale
    }

    fn std_dev(&self) -> f64 {
        SQRT_2 * self.scale
    }

    fn sample(&self, rng: &mut PhiloxRng) -> f64 {
        let distance: f64 = Exp1.sample(rng);
        let sign = if rng.next_u32() & 1 == 0 { 1.0 } else { -1.0 };
        self.location + sign * self.scale * distance
    }

    fn quantile(&self, p: f64) -> f64 {
        let z = if p < 0.5 {
            (2.0 * p).ln()
        } else {
            -(2.0 * (1.0 - p)).ln()
        };
        out_of_units(z, self.location, self.scale)
    }
}

fn standard_cdf(z: f64) -> f64 {
    let tail = 0.5 * (-z.abs()).exp();
    if z < 0.0 { tail } else { 1.0 - tail }
}

impl Rescale for Laplace {
    fn rescale(&self, location: f64, scale: f64) -> Self {
        Self {
            location: self.location * scale + location,
            scale: self.scale * scale,
        }
    }
}
