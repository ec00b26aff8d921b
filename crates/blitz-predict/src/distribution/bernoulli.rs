//! Bernoulli, an event that happens or does not: `P(Y = 1) = 1 / (1 + exp(−logit))`.

use blitz_noise::PhiloxRng;

use super::{Distribution, Support, off_support, uniform};

/// `P(Y = 1) = 1 / (1 + exp(−logit))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bernoulli {
    /// `ln P(1) / P(0)`: a logarithm, so that neither probability vanishes.
    pub logit: f64,
}

impl Bernoulli {
    /// `P(Y = 1)`.
    pub fn probability(&self) -> f64 {
        self.ln_pdf(1.0).exp()
    }

    /// The entropy in nats.
    pub fn entropy(&self) -> f64 {
        let terms = [0.0, 1.0].map(|y| {
            let ln_p = self.ln_pdf(y);
            // p ln p vanishes with p.
            if ln_p < -700.0 {
                0.0
            } else {
                -ln_p * ln_p.exp()
            }
        });
        terms[0] + terms[1]
    }
}

impl Distribution for Bernoulli {
    const SUPPORT: Support = Support::Discrete;

    fn is_valid(&self) -> bool {
        self.logit.is_finite()
    }

    fn ln_pdf(&self, y: f64) -> f64 {
        let sign = match y {
            1.0 => 1.0,
            0.0 => -1.0,
            _ => return off_support(y),
        };
        let l = sign * self.logit;
        l.min(0.0) - (-l.abs()).exp().ln_1p()
    }

    fn cdf(&self, y: f64) -> f64 {
        if y.is_nan() {
            y
        } else if y < 0.0 {
            0.0
        } else if y < 1.0 {
            self.ln_pdf(0.0).exp()
        } else {
            1.0
        }
    }

    fn survival(&self, y: f64) -> f64 {
        if y.is_nan() {
            y
        } else if y < 0.0 {
            1.0
        } else if y < 1.0 {
            self.probability()
        } else {
            0.0
        }
    }

    fn mean(&self) -> f64 {
        self.probability()
    }

    fn variance(&self) -> f64 {
        (self.ln_pdf(0.0) + self.ln_pdf(1.0)).exp()
    }

    fn sample(&self, rng: &mut PhiloxRng) -> f64 {
        if uniform(rng) < self.probability() {
            1.0
        } else {
            0.0
        }
    }

    fn quantile(&self, p: f64) -> f64 {
        if p <= self.cdf(0.0) { 0.0 } else { 1.0 }
    }
}
