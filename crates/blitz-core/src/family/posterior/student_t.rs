//! The mean-field Student-t posterior, with fixed degrees of freedom.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Shape, Tensor};

use super::{LocationScale, UnitNoise};
use crate::family::prior::{NEARLY_NORMAL, student_t_log_normalizer, student_t_working_df};
use crate::family::{ConstantError, Constants, Nats, Noise};
use crate::math::digamma;

/// Configuration of a [`StudentTPosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `df` | 4 | degrees of freedom ν, not learned | > 2 |
/// | `initial_std` | 0.02 | the deviation s √(ν / (ν − 2)) every weight starts with | [1e-30, 1e15] |
#[derive(Config, Debug, PartialEq)]
pub struct StudentTPosteriorConfig {
    /// The degrees of freedom.
    #[config(default = 4.0)]
    pub df: f64,
    /// The deviation that every weight starts with.
    #[config(default = 0.02)]
    pub initial_std: f64,
}

impl StudentTPosteriorConfig {
    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics unless `df` is finite and above 2 and `initial_std` is a number from 1e-30 to 1e15.
    pub fn init(&self, shape: &Shape, device: &Device) -> StudentTPosterior {
        assert!(
            self.df.is_finite() && self.df > 2.0,
            "a Student-t posterior needs more than 2 degrees of freedom to have a deviation, got {}",
            self.df
        );
        LocationScale::new(
            StudentTUnit { df: self.df },
            self.initial_std,
            shape,
            device,
        )
    }
}

/// Independent Student-t distributions: `w_i = μ_i + s_i t_i`, with `s_i = ln(1 + e^ρ_i)` and `t_i ~ t_ν`.
///
/// Its tails are heavier the fewer degrees of freedom it has; at ν → ∞ it is the mean-field normal. Drawn as `t = z
/// √((e^q − 1) / q)` with `q = (z² + z'²) / ν` from two normals each, Bailey's polar method (*Polar generation of
/// random variates with the t-distribution*, 1994), which is exact for every ν.
pub type StudentTPosterior = LocationScale<StudentTUnit>;

/// Student's t distribution of ν degrees of freedom.
#[derive(Module, Debug)]
pub struct StudentTUnit {
    /// The degrees of freedom ν, above 2.
    pub df: f64,
}

impl UnitNoise for StudentTUnit {
    fn sample<const D: usize>(&self, noise: &mut Noise, like: &Tensor<D>) -> Tensor<D> {
        let z = noise.standard_normal(like);
        let other = noise.standard_normal(like);
        // (y − 1) / ln y for y = e^q, in which y's rounding cancels (Kahan); y must not round to 1.
        let y = ((z.clone().square() + other.square()) / student_t_working_df(self.df))
            .clamp_min(1e-6)
            .exp();
        z * ((y.clone() - 1.0) / y.log()).sqrt()
    }

    fn std_dev(&self, _elements: usize) -> f64 {
        (self.df / (self.df - 2.0)).sqrt()
    }

    fn log_density<const D: usize>(&self, z: Tensor<D>) -> Nats<D> {
        let df = student_t_working_df(self.df);
        let tail = (z.square() * df.recip()).log1p() * (0.5 * (df + 1.0));
        Nats::of_weights((tail + student_t_log_normalizer(self.df)).neg())
    }

    fn entropy(&self, _elements: usize) -> Option<f64> {
        let half = 0.5 * (self.df + 1.0);
        // half (ψ(half) − ψ(ν/2))
        let of_tail = if self.df > NEARLY_NORMAL {
            0.5 + 0.75 / self.df
        } else {
            half * (digamma(half) - digamma(0.5 * self.df))
        };
        Some(of_tail + student_t_log_normalizer(self.df))
    }

    fn has_density(&self) -> bool {
        true
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("StudentT", [self.df]))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let df = values[0];
        let has_deviation = df.is_finite() && df > 2.0;
        ConstantError::unless(
            has_deviation,
            "degrees of freedom",
            df,
            "above 2 and finite",
        )?;
        self.df = df;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::HALF_LOG_TWO_PI;

    #[test]
    fn with_many_degrees_of_freedom_it_is_the_normal() {
        let of_normal = HALF_LOG_TWO_PI;
        for df in [1e6, 1.0001e6, 1e9, 1e15, 1e300] {
            let unit = StudentTUnit { df };
            let off = unit.entropy(1).unwrap() - (of_normal + 0.5) - df.recip();
            assert!(off.abs() < 1e-9, "entropy at {df}: {off}");
            let off = student_t_log_normalizer(df) - of_normal - 0.25 / df;
            assert!(off.abs() < 1e-9, "normalizer at {df}: {off}");
        }
    }
}
