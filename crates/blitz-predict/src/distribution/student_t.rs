//! Student's t, errors with outliers: `p(y) = Γ((ν + 1)/2) / (Γ(ν/2) √(νπ) s) · (1 + z²/ν)^(−(ν + 1)/2)` with `z = (y −
//! m)/s`.

use blitz_noise::PhiloxRng;
use blitz_noise::density::HALF_LOG_TWO_PI;
use rand_distr::Distribution as _;

use super::special::{beta_reg, beta_reg_near_zero, stirling_remainder};
use super::{Distribution, Normal, Rescale, Support, search};
use crate::numbers::{in_units, out_of_units};

/// Student's t: `location + scale · t_ν`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StudentT {
    /// The median, which is the mean where there is one.
    pub location: f64,
    /// The scale: the deviation is `scale · √(ν / (ν − 2))`.
    pub scale: f64,
    /// The degrees of freedom ν. There is a mean above 1, a variance above 2.
    pub degrees_of_freedom: f64,
}

impl StudentT {
    /// From this on, tails differ from the normal's by less than a rounding for as long as they are numbers: z⁴/4ν at z = 38.
    /// Squares of `z/√ν` would lose their digits.
    const NORMAL_FROM: f64 = 1e22;

    fn z(&self, y: f64) -> f64 {
        in_units(y, self.location, self.scale)
    }

    fn normal(&self) -> Option<Normal> {
        (self.degrees_of_freedom >= Self::NORMAL_FROM).then_some(Normal {
            mean: self.location,
            std: self.scale,
        })
    }
}

impl Distribution for StudentT {
    const SUPPORT: Support = Support::Continuous;

    fn is_valid(&self) -> bool {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        self.location.is_finite() && positive(self.scale) && positive(self.degrees_of_freedom)
    }

    fn ln_pdf(&self, y: f64) -> f64 {
        let (nu, half) = (self.degrees_of_freedom, 0.5 * self.degrees_of_freedom);
        // ln Γ(a + ½) − ln Γ(a) − ½ ln a, without the terms that cancel at many degrees of freedom.
        let gammas = half * (0.5 / half).ln_1p() - 0.5 + stirling_remainder(half + 0.5)
            - stirling_remainder(half);
        let z = self.z(y);
        let w = z / nu.sqrt();
        let log = if w.abs() < 1e100 {
            (w * w).ln_1p()
        } else {
            ln_square(z) - nu.ln()
        };
        gammas - HALF_LOG_TWO_PI - self.scale.ln() - (half + 0.5) * log
    }

    fn cdf(&self, y: f64) -> f64 {
        if let Some(normal) = self.normal() {
            return normal.cdf(y);
        }
        standard_cdf(self.z(y), self.degrees_of_freedom)
    }

    fn survival(&self, y: f64) -> f64 {
        if let Some(normal) = self.normal() {
            return normal.survival(y);
        }
        standard_cdf(-self.z(y), self.degrees_of_freedom)
    }

    fn mean(&self) -> f64 {
        if self.degrees_of_freedom > 1.0 {
            self.location
        } else {
            f64::NAN
        }
    }

    fn variance(&self) -> f64 {
        let nu = self.degrees_of_freedom;
        if nu > 2.0 {
            self.scale * self.scale * (nu / (nu - 2.0))
        } else if nu > 1.0 {
            f64::INFINITY
        } else {
            f64::NAN
        }
    }

    fn std_dev(&self) -> f64 {
        let nu = self.degrees_of_freedom;
        if nu > 2.0 {
            self.scale * (nu / (nu - 2.0)).sqrt()
        } else {
            self.variance()
        }
    }

    fn sample(&self, rng: &mut PhiloxRng) -> f64 {
        match rand_distr::StudentT::new(self.degrees_of_freedom) {
            Ok(t) => self.location + self.scale * t.sample(rng),
            Err(_) => f64::NAN,
        }
    }

    fn quantile(&self, p: f64) -> f64 {
        // The search ends where the distribution function is 0 or 1 but for rounding.
        if p <= 0.0 {
            return f64::NEG_INFINITY;
        }
        if p >= 1.0 {
            return f64::INFINITY;
        }
        if let Some(normal) = self.normal() {
            return normal.quantile(p);
        }
        // Heavy tails: a search in steps of the scale, which doubles them, finds any quantile.
        // The distribution function has its digits near 0, and few near 1.
        let lower = p.min(1.0 - p);
        let cdf = |z| standard_cdf(z, self.degrees_of_freedom);
        let z = search::unbounded(cdf, lower, 0.0, 1.0, search::Places::REAL);
        let z = if p > 0.5 { -z } else { z };
        out_of_units(z, self.location, self.scale)
    }
}

/// `P(T ≤ z)` of ν degrees of freedom.
fn standard_cdf(z: f64, nu: f64) -> f64 {
    if z.is_nan() {
        return z;
    }
    if z.is_infinite() {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    // ν / (ν + z²) and z² / (ν + z²), without squares that overflow.
    let ratio = z / nu.sqrt();
    let norm = ratio.hypot(1.0);
    let x = norm.powi(-2);
    let tail = 0.5
        * match x.is_normal() {
            true => beta_reg(0.5 * nu, 0.5, x, (ratio / norm).powi(2)),
            // Below the numbers: of few degrees of freedom much is left beyond.
            false => beta_reg_near_zero(0.5 * nu, 0.5, nu.ln() - ln_square(z)),
        };
    if z < 0.0 { tail } else { 1.0 - tail }
}

/// `ln z²`, where the square may be beyond the numbers.
fn ln_square(z: f64) -> f64 {
    2.0 * z.abs().ln()
}

impl Rescale for StudentT {
    fn rescale(&self, location: f64, scale: f64) -> Self {
        Self {
            location: self.location * scale + location,
            scale: self.scale * scale,
            ..*self
        }
    }
}
