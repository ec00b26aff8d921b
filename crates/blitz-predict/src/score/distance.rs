//! How far the predictions of one posterior are from those of another, such as an approximation's from those of the
//! posterior itself.

use crate::check;
use crate::distribution::softmax::most_probable;
use crate::error::{InputError, or_panic};
use crate::numbers::unit;

/// The share of examples for which two classifiers give the same class, the most probable one (Wilson et al., *Evaluating
/// approximate inference in Bayesian deep learning*, 2022).
///
/// In [0, 1], higher is nearer. Probabilities in row-major order `[example, class]`.
///
/// ```
/// use blitz_predict::score::agreement;
///
/// let (p, q) = ([0.2, 0.8, 0.9, 0.1], [0.4, 0.6, 0.3, 0.7]);
/// assert_eq!(agreement(&p, &q, 2), 0.5);
/// ```
///
/// # Panics
///
/// As [`try_agreement`] returns an error.
pub fn agreement(p: &[f64], q: &[f64], classes: usize) -> f64 {
    or_panic(try_agreement(p, q, classes))
}

/// As [`agreement`], with an error in place of a panic.
///
/// # Errors
///
/// Without examples, unless both have the same, if a probability lies outside [0, 1], or if those of an example don't
/// sum to 1 (to 1e-4).
pub fn try_agreement(p: &[f64], q: &[f64], classes: usize) -> Result<f64, InputError> {
    check_two(p, q, classes)?;
    let rows = p.chunks(classes).zip(q.chunks(classes));
    let same = rows.filter(|(p, q)| most_probable(p).0 == most_probable(q).0);
    Ok(same.count() as f64 / (p.len() / classes) as f64)
}

/// The mean total variation distance of two classifiers' predictions, `½ Σ_c |p_c − q_c|` (Wilson et al. 2022).
///
/// In [0, 1], lower is nearer. Probabilities in row-major order `[example, class]`.
///
/// ```
/// use blitz_predict::score::total_variation;
///
/// let (p, q) = ([0.2, 0.8, 0.9, 0.1], [0.4, 0.6, 0.3, 0.7]);
/// assert!((total_variation(&p, &q, 2) - 0.4).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`try_total_variation`] returns an error.
pub fn total_variation(p: &[f64], q: &[f64], classes: usize) -> f64 {
    or_panic(try_total_variation(p, q, classes))
}

/// As [`total_variation`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_agreement`].
pub fn try_total_variation(p: &[f64], q: &[f64], classes: usize) -> Result<f64, InputError> {
    check_two(p, q, classes)?;
    let differences: f64 = p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum();
    Ok(0.5 * differences / (p.len() / classes) as f64)
}

fn check_two(p: &[f64], q: &[f64], classes: usize) -> Result<(), InputError> {
    check::not_empty(p.len(), "example")?;
    check::class_probabilities(p, classes)?;
    check::same_length((p.len(), "probabilities"), (q.len(), "others"))?;
    check::class_probabilities(q, classes)
}

/// The mean 1-Wasserstein distance of predictive distributions of numbers that are given by draws, `∫ |F − G|` of their
/// empirical distribution functions. Over the deviation of the noise it says how far one prediction is from another in
/// units of what can't be predicted anyway.
///
/// In the units of the targets, at least 0, lower is nearer. Of finite numbers of draws of the same distribution it is
/// not 0, but of order `1/√S`: compare with that of two halves. Draws in row-major order `[example, draw]`; the two may
/// have different numbers of them.
///
/// ```
/// use blitz_predict::score::sample_wasserstein;
///
/// // One example: draws at 0 and 1, and at 2 and 3, are 2 apart.
/// assert_eq!(sample_wasserstein((&[0.0, 1.0], 2), (&[3.0, 2.0], 2)), 2.0);
/// assert_eq!(sample_wasserstein((&[0.0], 1), (&[-1.0, 1.0], 2)), 1.0);
/// ```
///
/// # Panics
///
/// As [`try_sample_wasserstein`] returns an error.
pub fn sample_wasserstein(a: (&[f64], usize), b: (&[f64], usize)) -> f64 {
    or_panic(try_sample_wasserstein(a, b))
}

/// As [`sample_wasserstein`], with an error in place of a panic.
///
/// # Errors
///
/// Without examples or draws, unless both have the same number of examples, or if a draw is not finite.
pub fn try_sample_wasserstein(a: (&[f64], usize), b: (&[f64], usize)) -> Result<f64, InputError> {
    for (samples, draws) in [a, b] {
        check::not_empty(draws, "draw")?;
        check::not_empty(samples.len(), "example")?;
        check::rows(samples.len(), draws)?;
        check::finite(samples, "sample")?;
    }
    let examples = a.0.len() / a.1;
    check::same_length((examples, "examples"), (b.0.len() / b.1, "others"))?;
    let rows = a.0.chunks(a.1).zip(b.0.chunks(b.1));
    let unit = unit(a.0.iter().chain(b.0));
    let distances = rows.map(|(a, b)| distance(a, b, unit));
    Ok(distances.sum::<f64>() / examples as f64 * unit)
}

/// `∫ |F − G|` in units, stretch by stretch between the draws of both.
fn distance(a: &[f64], b: &[f64], unit: f64) -> f64 {
    let weighted = |draws: &[f64], sign: f64| {
        let weight = sign / draws.len() as f64;
        let weighted = draws.iter().map(|draw| (draw / unit, weight));
        weighted.collect::<Vec<_>>()
    };
    let mut steps = weighted(a, 1.0);
    steps.extend(weighted(b, -1.0));
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut difference = 0.0;
    steps
        .windows(2)
        .map(|pair| {
            difference += pair[0].1;
            f64::abs(difference) * (pair[1].0 - pair[0].0)
        })
        .sum()
}
