//! The continuous ranked probability score, `∫ (F(t) − [t ≥ y])² dt`: the absolute error of a distribution.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::check;
use crate::error::{InputError, or_panic};
use crate::mixture::NormalMixture;
use crate::numbers::unit;

/// The mean CRPS of normal predictions: `σ [z (2Φ(z) − 1) + 2φ(z) − 1/√π]` with `z = (y − μ)/σ`
/// (Gneiting & Raftery 2007).
///
/// In the units of the targets, at least 0, lower is better; proper. Less harsh on outliers than the NLL: it grows with
/// the distance, not with its square.
///
/// ```
/// use blitz_predict::score::normal_crps;
///
/// // At its own mean: σ (√2 − 1)/√π
/// let crps = normal_crps(&[1.0], &[2.0], &[1.0]);
/// assert!((crps - 0.4673899545102183).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics without predictions, unless there are a positive deviation and a target for each mean, or if a value is not
/// finite.
pub fn normal_crps(mean: &[f64], std: &[f64], target: &[f64]) -> f64 {
    or_panic(try_normal_crps(mean, std, target))
}

/// As [`normal_crps`], with an error in place of a panic.
///
/// # Errors
///
/// Without predictions, unless there are a positive deviation and a target for each mean, or if a value is not finite.
pub fn try_normal_crps(mean: &[f64], std: &[f64], target: &[f64]) -> Result<f64, InputError> {
    try_normal_mixture_crps(mean, std, 1, target)
}

/// The mean CRPS of equal mixtures of normals: `1/S Σ_s A(y − μ_s, σ_s) − 1/2S² Σ_st A(μ_s − μ_t, √(σ_s² + σ_t²))` with
/// `A(d, σ) = E|N(d, σ²)| = d (2Φ(d/σ) − 1) + 2σ φ(d/σ)` (Grimit et al. 2006).
///
/// In the units of the targets, at least 0, lower is better. `means` and `stds` in row-major order
/// `[example, component]`. A closed form, of order S² for each example.
///
/// ```
/// use blitz_predict::score::normal_mixture_crps;
///
/// // Two components far from each other are two points: ½ (1 + 3) − ¼ 4.
/// let crps = normal_mixture_crps(&[-1.0, 3.0], &[1e-9, 1e-9], 2, &[0.0]);
/// assert!((crps - 1.0).abs() < 1e-8);
/// ```
///
/// # Panics
///
/// Panics without predictions or components, unless there are `components` means and positive deviations for each
/// target, or if a value is not finite.
pub fn normal_mixture_crps(means: &[f64], stds: &[f64], components: usize, target: &[f64]) -> f64 {
    or_panic(try_normal_mixture_crps(means, stds, components, target))
}

/// As [`normal_mixture_crps`], with an error in place of a panic.
///
/// # Errors
///
/// Without predictions or components, unless there are `components` means and positive deviations for each target, or
/// if a value is not finite.
pub fn try_normal_mixture_crps(
    means: &[f64],
    stds: &[f64],
    components: usize,
    target: &[f64],
) -> Result<f64, InputError> {
    check::draws(means.len(), components, target)?;
    check::same_length((means.len(), "means"), (stds.len(), "deviations"))?;
    check::finite(means, "mean")?;
    check::positive(stds, "deviation")?;
    let rows = means.chunks(components).zip(stds.chunks(components));
    let unit = unit(means.iter().chain(stds).chain(target));
    let crps = |((mean, std), y): ((&[f64], &[f64]), &f64)| {
        // A deviation that is nothing beside the largest number stays a divisor.
        let component =
            |(mean, std): (&f64, &f64)| (mean / unit, (std / unit).max(f64::MIN_POSITIVE));
        let first = |count: usize| mean[..count].iter().zip(std).map(component);
        let y = y / unit;
        let mut to_target = 0.0;
        let mut between = 0.0;
        for (i, (mean_i, std_i)) in first(components).enumerate() {
            to_target += mean_abs(y - mean_i, std_i);
            // Each pair once, with both of its orders; a component's distance from itself only once.
            between += mean_abs(0.0, std_i.hypot(std_i));
            for (mean_j, std_j) in first(i) {
                between += 2.0 * mean_abs(mean_i - mean_j, std_i.hypot(std_j));
            }
        }
        let s = components as f64;
        to_target / s - 0.5 * between / (s * s)
    };
    Ok(rows.zip(target).map(crps).sum::<f64>() / target.len() as f64 * unit)
}

impl NormalMixture {
    /// The mean continuous ranked probability score of the predictions, in closed form: see [`normal_mixture_crps`]. Of
    /// order S² for each.
    ///
    /// ```
    /// use blitz_predict::NormalMixture;
    ///
    /// // Two draws far from each other are two points: ½ (1 + 3) − ¼ 4.
    /// let y = NormalMixture::new(vec![vec![-1.0], vec![3.0]], vec![1e-9], 1);
    /// assert!((y.crps(&[0.0]) - 1.0).abs() < 1e-8);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics unless there is a finite target for each prediction.
    pub fn crps(&self, targets: &[f64]) -> f64 {
        let components = self.components().flatten();
        let (means, stds): (Vec<f64>, Vec<f64>) =
            components.map(|normal| (normal.mean, normal.std)).unzip();
        normal_mixture_crps(&means, &stds, self.draws(), targets)
    }
}

/// `E|X|` for `X ~ N(d, σ²)`.
fn mean_abs(d: f64, std: f64) -> f64 {
    let z = d / std;
    d * libm::erf(z * FRAC_1_SQRT_2) + std * (2.0 / PI).sqrt() * (-0.5 * z * z).exp()
}

/// The mean CRPS of predictions given by draws from them, in its energy form: `1/S Σ_s |x_s − y| − 1/2S² Σ_st |x_s −
/// x_t|` (Gneiting & Raftery 2007). The score of the distribution that has each of the draws with probability 1/S.
///
/// In the units of the targets, at least 0, lower is better. Sorts, so the cost of an example is of order S log S. As
/// the score of the distribution that was drawn from it is too large, by a term of order 1/S: see [`fair_sample_crps`].
/// `samples` in row-major order `[example, draw]`.
///
/// ```
/// use blitz_predict::score::sample_crps;
///
/// // ½ (1 + 3) − ¼ 4
/// assert_eq!(sample_crps(&[3.0, -1.0], 2, &[0.0]), 1.0);
/// ```
///
/// # Panics
///
/// Panics without predictions or draws, unless there are `draws` samples for each target, or if a value is not finite.
pub fn sample_crps(samples: &[f64], draws: usize, target: &[f64]) -> f64 {
    or_panic(try_sample_crps(samples, draws, target))
}

/// As [`sample_crps`], with an error in place of a panic.
///
/// # Errors
///
/// Without predictions or draws, unless there are `draws` samples for each target, or if a value is not finite.
pub fn try_sample_crps(samples: &[f64], draws: usize, target: &[f64]) -> Result<f64, InputError> {
    check_samples(samples, draws, target)?;
    let s = draws as f64;
    Ok(energy_form(samples, draws, target, s * s))
}

/// As [`sample_crps`], with `1/2S(S − 1)` before the second sum: without bias for the distribution that was drawn from
/// (Ferro 2014).
///
/// In the units of the targets, lower is better; a single example's may be negative.
///
/// ```
/// use blitz_predict::score::fair_sample_crps;
///
/// // ½ (1 + 3) − ½ 4
/// assert_eq!(fair_sample_crps(&[3.0, -1.0], 2, &[0.0]), 0.0);
/// ```
///
/// # Panics
///
/// As [`sample_crps`], and with a single draw.
pub fn fair_sample_crps(samples: &[f64], draws: usize, target: &[f64]) -> f64 {
    or_panic(try_fair_sample_crps(samples, draws, target))
}

/// As [`fair_sample_crps`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_sample_crps`], and with a single draw.
pub fn try_fair_sample_crps(
    samples: &[f64],
    draws: usize,
    target: &[f64],
) -> Result<f64, InputError> {
    check_samples(samples, draws, target)?;
    if draws < 2 {
        return Err(InputError::Setting {
            what: "the number of draws",
            value: 1.0,
            range: "at least 2",
        });
    }
    let s = draws as f64;
    Ok(energy_form(samples, draws, target, s * (s - 1.0)))
}

fn check_samples(samples: &[f64], draws: usize, target: &[f64]) -> Result<(), InputError> {
    check::draws(samples.len(), draws, target)?;
    check::finite(samples, "sample")
}

/// The energy form, with `½ Σ_st |x_s − x_t|` divided by `pairs`.
fn energy_form(samples: &[f64], draws: usize, target: &[f64], pairs: f64) -> f64 {
    let unit = unit(samples.iter().chain(target));
    let mut sorted = vec![0.0; draws];
    let mut total = 0.0;
    for (row, y) in samples.chunks(draws).zip(target) {
        // Relative to the target, so that a common offset costs no precision.
        for (sorted, x) in sorted.iter_mut().zip(row) {
            *sorted = x / unit - y / unit;
        }
        sorted.sort_unstable_by(f64::total_cmp);
        let to_target: f64 = sorted.iter().map(|x| x.abs()).sum();
        // Sorted, x_i is the larger of i pairs and the smaller of S − 1 − i.
        let between = sorted.iter().enumerate();
        let between: f64 = between
            .map(|(i, x)| (2.0 * i as f64 - (draws as f64 - 1.0)) * x)
            .sum();
        total += to_target / draws as f64 - between / pairs;
    }
    total / target.len() as f64 * unit
}
