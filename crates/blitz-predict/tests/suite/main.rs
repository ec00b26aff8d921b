//! Tests of the public surface, in one binary. Names are claims.

mod acquisition;
mod calibration;
// Data may look like a constant of mathematics.
#[allow(clippy::approx_constant)]
#[rustfmt::skip]
mod calibration_reference;
mod categorical_mixture;
mod close;
mod conformal;
mod convergence;
#[allow(clippy::approx_constant)]
#[rustfmt::skip]
mod convergence_reference;
mod distances;
mod distributions;
mod masses;
mod mixtures;
mod negative_binomial;
#[rustfmt::skip]
mod negative_binomial_reference;
mod normal_mixture;
#[cfg(feature = "plot")]
mod plot;
#[cfg(feature = "plot")]
mod plot_axes;
#[cfg(feature = "plot")]
mod plot_refusals;
#[allow(clippy::approx_constant)]
#[rustfmt::skip]
mod score_reference;
mod score_theory;
mod scores;
mod standardizer;
#[rustfmt::skip]
mod survival_reference;
#[cfg(feature = "plot")]
mod svg;
#[cfg(feature = "parquet")]
mod table;
mod torch_uncertainty;
#[allow(clippy::approx_constant)]
#[rustfmt::skip]
mod torch_uncertainty_reference;

/// How many standard errors the mean of independent values lies above `expected`.
fn standard_errors_off(values: &[f64], expected: f64) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean - expected) / (variance / n).sqrt()
}
