//! The predictive distribution of a number: an equal mixture of one distribution for each draw.

use super::{Interval, Predictive};
use crate::distribution::{Distribution, Rescale, Support, climb, search};
use crate::error::MixtureError;
use crate::numbers::{between, root_mean_square};

/// `p(y | x) = 1/S Σ_s p(y | f_s(x))` for each example and target column, where the [`Distribution`] `C` is the
/// likelihood's distribution.
///
/// Its variance splits by the law of total variance into what is not known of the network and what is not known given
/// the network: `Var[y] = Var_s[E[y | s]] + E_s[Var[y | s]]`, epistemic plus aleatoric. Results are in row-major order,
/// `[example, target]`. For counts and binary targets the density is a probability, and a quantile is the smallest
/// value whose distribution function reaches `p`, as in SciPy and R; their intervals hold *at least* what is asked.
///
/// ```
/// use blitz_predict::distribution::Poisson;
/// use blitz_predict::Mixture;
///
/// // Two draws for one example: 2 and 8 expected events.
/// let y = Mixture::from_draws([2f64, 8.0].map(|rate| vec![Poisson { log_rate: rate.ln() }]), 1);
/// assert!((y.mean()[0] - 5.0).abs() < 1e-12);
/// assert!((y.epistemic_std()[0] - 3.0).abs() < 1e-12);
/// assert!((y.aleatoric_std()[0] - 5f64.sqrt()).abs() < 1e-12);
/// assert_eq!(y.quantile(0.5), [4.0]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture<C> {
    /// In the order `[example, target, draw]`, so that what is mixed lies together.
    pub(super) components: Vec<C>,
    pub(super) draws: usize,
    pub(super) targets: usize,
}

impl<C: Distribution> Mixture<C> {
    /// The mixture of `draws[draw][example · targets + target]`.
    ///
    /// # Panics
    ///
    /// Panics without draws or target columns, if the draws differ in length, if a length is no multiple of `targets`,
    /// or if a component is not valid.
    pub fn from_draws(draws: impl IntoIterator<Item = Vec<C>>, targets: usize) -> Self {
        match Self::try_from_draws(draws, targets) {
            Ok(mixture) => mixture,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`from_draws`](Self::from_draws) of a network's outputs, which may have become NaN or infinite.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first component that is not valid.
    ///
    /// # Panics
    ///
    /// Panics without draws or target columns, if the draws differ in length, or if a length is no multiple of
    /// `targets`.
    pub fn try_from_draws(
        draws: impl IntoIterator<Item = Vec<C>>,
        targets: usize,
    ) -> Result<Self, MixtureError> {
        let draws: Vec<Vec<C>> = draws.into_iter().collect();
        assert!(
            !draws.is_empty(),
            "a predictive distribution needs at least one draw, got 0"
        );
        assert!(
            targets > 0,
            "a predictive distribution needs target columns, got 0"
        );
        let len = draws[0].len();
        for (index, draw) in draws.iter().enumerate() {
            assert!(
                draw.len() == len && len.is_multiple_of(targets),
                "every draw needs the same whole number of rows of {targets} targets, got {len} and {} values",
                draw.len()
            );
            if let Some(i) = draw.iter().position(|component| !component.is_valid()) {
                return Err(MixtureError::NonFinite {
                    draw: index,
                    example: i / targets,
                    what: format!(
                        "the distribution of target {} is {:?}",
                        i % targets,
                        draw[i]
                    ),
                });
            }
        }
        let element = |i: usize| draws.iter().map(move |draw| draw[i].clone());
        Ok(Self {
            components: (0..len).flat_map(element).collect(),
            draws: draws.len(),
            targets,
        })
    }

    /// The number of draws S.
    pub fn draws(&self) -> usize {
        self.draws
    }

    /// The number of target columns.
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// The number of examples times the number of targets.
    pub fn len(&self) -> usize {
        self.components.len() / self.draws
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }

    /// The distributions that are mixed for each example and target, one for each draw.
    pub fn components(&self) -> impl Iterator<Item = &[C]> {
        self.components.chunks(self.draws)
    }

    /// The predictive means.
    pub fn mean(&self) -> Vec<f64> {
        self.map(mean)
    }

    /// The predictive deviations, epistemic and aleatoric together.
    pub fn std_dev(&self) -> Vec<f64> {
        self.map(|components| deviation_of_means(components).hypot(noise(components)))
    }

    /// The deviation of the means between the draws: what more data could reduce.
    ///
    /// Zero for a single draw.
    pub fn epistemic_std(&self) -> Vec<f64> {
        self.map(deviation_of_means)
    }

    /// The root of the draws' mean variance, the noise: what more data cannot reduce.
    pub fn aleatoric_std(&self) -> Vec<f64> {
        self.map(noise)
    }

    /// The logarithm of the density, or of the probability, of each target; NaN of a NaN.
    ///
    /// # Panics
    ///
    /// Panics unless there is one target for each prediction.
    pub fn log_density(&self, targets: &[f64]) -> Vec<f64> {
        self.map_with(targets, ln_pdf)
    }

    /// `−ln p(y | x)` of each target, in nats; NaN of a NaN. Of several target columns each is scored by itself: the
    /// columns of one draw depend on each other through its weights, and the sum over columns is not the score of an
    /// example's targets together.
    ///
    /// # Panics
    ///
    /// Panics unless there is one target for each prediction.
    pub fn nll(&self, targets: &[f64]) -> Vec<f64> {
        self.map_with(targets, |components, y| -ln_pdf(components, y))
    }

    /// `P(Y ≤ y)` at each target. Continuous targets have it uniform over (0, 1) if the predictions are calibrated.
    ///
    /// # Panics
    ///
    /// Panics unless there is one target for each prediction.
    pub fn cdf(&self, targets: &[f64]) -> Vec<f64> {
        self.map_with(targets, cdf)
    }

    /// The `p`-quantiles: the smallest values whose distribution function is at least `p`.
    ///
    /// # Panics
    ///
    /// Panics unless `p` lies inside (0, 1).
    pub fn quantile(&self, p: f64) -> Vec<f64> {
        assert!(p > 0.0 && p < 1.0, "a quantile needs 0 < p < 1, got {p}");
        self.quantile_or_end(p)
    }

    /// The `p`-quantiles for p in [0, 1]: those of 0 and 1 are the ends of the support.
    pub(crate) fn quantile_or_end(&self, p: f64) -> Vec<f64> {
        self.map(|components| quantile(components, p))
    }

    /// The central intervals that hold the target with probability `level`: between the quantiles `(1 − level)/2` and
    /// `(1 + level)/2`.
    ///
    /// They are exact for the mixture whatever the number of draws, since every draw has its noise; what few draws
    /// leave open is the mixture itself, mainly far in its tails.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1).
    pub fn interval(&self, level: f64) -> Vec<Interval> {
        Interval::check_level(level);
        let [below, above] = Interval::central_probabilities(level);
        let (lower, upper) = (self.quantile(below), self.quantile(above));
        let pairs = lower.into_iter().zip(upper);
        pairs
            .map(|(lower, upper)| Interval { lower, upper })
            .collect()
    }

    /// The intervals between sample quantiles of the draws' means: where `E[y | x]` lies with posterior probability
    /// `level`, noise left out.
    ///
    /// Unlike [`interval`](Self::interval) this knows the draws alone. Of S draws the extreme ones stand at the
    /// quantiles `1/(S + 1)` and `S/(S + 1)`, and nothing is known beyond them, so a level needs `2/(1 − level) − 1`
    /// draws: 19 for 90 %, 39 for 95 %, 199 for 99 %.
    ///
    /// # Errors
    ///
    /// Returns an error if there are fewer draws.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1).
    pub fn try_credible_interval(&self, level: f64) -> Result<Vec<Interval>, MixtureError> {
        Interval::check_level(level);
        // Rounded first: 2/(1 − 0.9) − 1 is a little above 19 in floating point.
        let needed = (2.0 / (1.0 - level) - 1.0 - 1e-6).ceil().max(1.0) as usize;
        if self.draws < needed {
            return Err(MixtureError::TooFewDraws {
                level,
                needed,
                draws: self.draws,
            });
        }
        Ok(self.map(|components| {
            let mut means: Vec<f64> = components.iter().map(C::mean).collect();
            means.sort_by(f64::total_cmp);
            Interval {
                lower: sample_quantile(&means, 0.5 - 0.5 * level),
                upper: sample_quantile(&means, 0.5 + 0.5 * level),
            }
        }))
    }

    pub(super) fn map<T>(&self, f: impl FnMut(&[C]) -> T) -> Vec<T> {
        self.components().map(f).collect()
    }

    fn map_with<T>(&self, targets: &[f64], f: impl Fn(&[C], f64) -> T) -> Vec<T> {
        assert!(
            targets.len() == self.len(),
            "{} predictions need as many targets, got {}",
            self.len(),
            targets.len()
        );
        let pairs = self.components().zip(targets);
        pairs.map(|(components, y)| f(components, *y)).collect()
    }
}

impl<C: Rescale> Mixture<C> {
    /// The same predictions in other units: `y · std + mean`, per target column. Undoes a standardization.
    ///
    /// # Panics
    ///
    /// Panics unless both have one value per target column, and every `std` is positive.
    #[must_use]
    pub fn rescale(mut self, mean: &[f64], std: &[f64]) -> Self {
        assert!(
            mean.len() == self.targets && std.len() == self.targets,
            "{} target columns need as many means and deviations, got {} and {}",
            self.targets,
            mean.len(),
            std.len()
        );
        for std in std {
            assert!(*std > 0.0, "a deviation must be positive, got {std}");
        }
        for (i, components) in self.components.chunks_mut(self.draws).enumerate() {
            let column = i % self.targets;
            for component in components {
                *component = component.rescale(mean[column], std[column]);
            }
        }
        self
    }
}

impl<C: Distribution> Predictive for Mixture<C> {
    fn append(&mut self, more: Self) {
        assert!(
            (self.draws, self.targets) == (more.draws, more.targets),
            "predictions of {} targets from {} draws go with their like, got {} targets from {} draws",
            self.targets,
            self.draws,
            more.targets,
            more.draws
        );
        self.components.extend(more.components);
    }

    fn examples(&self) -> usize {
        self.len() / self.targets
    }
}

fn mean<C: Distribution>(components: &[C]) -> f64 {
    crate::numbers::mean(components.iter().map(C::mean))
}

/// The root of the components' mean variance.
fn noise<C: Distribution>(components: &[C]) -> f64 {
    root_mean_square(components.iter().map(C::std_dev))
}

/// Divided by S, not by S − 1, since the draws *are* the mixture.
fn deviation_of_means<C: Distribution>(components: &[C]) -> f64 {
    let mean = mean(components);
    let distances = components.iter().map(|c| c.mean() - mean);
    if distances.clone().all(f64::is_finite) || !mean.is_finite() {
        return root_mean_square(distances);
    }
    2.0 * root_mean_square(components.iter().map(|c| 0.5 * c.mean() - 0.5 * mean))
}

fn survival<C: Distribution>(components: &[C], y: f64) -> f64 {
    components.iter().map(|c| c.survival(y)).sum::<f64>() / components.len() as f64
}

pub(super) fn cdf<C: Distribution>(components: &[C], y: f64) -> f64 {
    components.iter().map(|c| c.cdf(y)).sum::<f64>() / components.len() as f64
}

fn ln_pdf<C: Distribution>(components: &[C], y: f64) -> f64 {
    let log_densities: Vec<f64> = components.iter().map(|c| c.ln_pdf(y)).collect();
    // `max` would lose it.
    if log_densities.iter().any(|l| l.is_nan()) {
        return f64::NAN;
    }
    // Relative to the best draw, so that none underflows.
    let best = log_densities
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    if best.is_infinite() {
        return best;
    }
    let mean = |f: fn(f64) -> f64| {
        let terms = log_densities.iter().map(|l| f(l - best));
        terms.sum::<f64>() / log_densities.len() as f64
    };
    // Of draws that nearly agree, what they differ by has digits that the sum has not.
    let difference = mean(f64::exp_m1);
    best + match difference > -0.5 {
        true => difference.ln_1p(),
        false => mean(f64::exp).ln(),
    }
}

/// The mixture's quantile lies between the extreme components' own.
pub(super) fn quantile<C: Distribution>(components: &[C], p: f64) -> f64 {
    let quantiles = components.iter().map(|c| c.quantile(p));
    let (lowest, highest) = quantiles.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), q| {
        (low.min(q), high.max(q))
    });
    if p >= 1.0 {
        // The mixture ends where the last of its components does.
        return highest;
    }
    if p <= 0.0 || lowest >= highest {
        return lowest;
    }
    let (climb, p) = climb(
        C::SUPPORT,
        p,
        |y| cdf(components, y),
        |y| survival(components, y),
    );
    // A component may have its quantile beyond the numbers where the mixture has not.
    if lowest < f64::MIN && climb(f64::MIN) >= p {
        return f64::NEG_INFINITY;
    }
    if highest > f64::MAX && climb(f64::MAX) < p {
        return f64::INFINITY;
    }
    let (lower, upper) = (lowest.max(f64::MIN), highest.min(f64::MAX));
    let mut masses: Vec<f64> = match C::SUPPORT {
        Support::Mixed => components.iter().flat_map(C::masses).collect(),
        Support::Continuous | Support::Discrete => Vec::new(),
    };
    masses.sort_by(f64::total_cmp);
    masses.dedup();
    let places = search::Places {
        support: C::SUPPORT,
        masses: &masses,
        ln_pdf: Some(&|y| ln_pdf(components, y)),
    };
    search::between(climb, p, lower, upper, places)
}

/// Weibull's sample quantile (type 6 of Hyndman and Fan 1996), for which the k-th of n values stands at `k/(n + 1)`:
/// its expected probability.
fn sample_quantile(sorted: &[f64], p: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = (p * (sorted.len() + 1) as f64 - 1.0).clamp(0.0, last as f64);
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    between(sorted[below], sorted[above], position - position.floor())
}
