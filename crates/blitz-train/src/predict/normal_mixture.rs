//! The predictive distribution of a regression: an equal mixture of normals, one for each draw.

use statrs::distribution::{ContinuousCDF, Normal};

/// `p(y | x) = 1/S Σ_s N(y; f_s(x), σ²)` for each example and target column.
///
/// Its variance splits into what is not known of the network and what is not known given the network:
/// `Var[y] = Var_s[f_s(x)] + σ²`, epistemic plus aleatoric. All numbers are in the units of the network's output;
/// [`rescale`](Self::rescale) puts them into the units of the data. Results are in row-major order, `[example, target]`.
///
/// ```
/// use blitz_train::prelude::*;
///
/// // Two draws that disagree about one example, with noise of deviation 0.5:
/// let y = NormalMixture::new(vec![vec![1.0], vec![3.0]], vec![0.5], 1);
/// assert_eq!(y.mean(), [2.0]);
/// assert_eq!((y.epistemic_std()[0], y.aleatoric_std()[0]), (1.0, 0.5));
/// assert!((y.std_dev()[0] - 1.25f64.sqrt()).abs() < 1e-12);
/// let median = y.quantile(0.5)[0];
/// assert!((median - 2.0).abs() < 1e-9);
/// let interval = y.interval(0.95)[0];
/// assert!(interval.contains(1.0) && interval.contains(3.0) && !interval.contains(5.0));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NormalMixture {
    /// For each draw, the means of all examples and targets.
    means: Vec<Vec<f64>>,
    /// For each target column, the deviation of the noise.
    noise_std: Vec<f64>,
    targets: usize,
}

/// An interval `[lower, upper]` of the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Interval {
    /// Whether `y` lies inside, the ends included.
    pub fn contains(&self, y: f64) -> bool {
        (self.lower..=self.upper).contains(&y)
    }

    /// `upper − lower`.
    pub fn width(&self) -> f64 {
        self.upper - self.lower
    }
}

impl NormalMixture {
    /// The mixture of `means[draw][example · targets + target]` with noise of deviation `noise_std[target]`.
    ///
    /// # Panics
    ///
    /// Panics without draws, if the draws differ in length, if a length is no multiple of `targets`, or if a deviation
    /// is not positive.
    pub fn new(means: Vec<Vec<f64>>, noise_std: Vec<f64>, targets: usize) -> Self {
        assert!(
            !means.is_empty(),
            "a predictive distribution needs at least one draw, got 0"
        );
        assert!(
            targets > 0 && noise_std.len() == targets,
            "{targets} target columns need as many noise deviations, got {}",
            noise_std.len()
        );
        let len = means[0].len();
        for draw in &means {
            assert!(
                draw.len() == len && len.is_multiple_of(targets),
                "every draw needs the same whole number of rows of {targets} targets, got {len} and {} values",
                draw.len()
            );
        }
        for std in &noise_std {
            assert!(*std > 0.0, "a noise deviation must be positive, got {std}");
        }
        Self {
            means,
            noise_std,
            targets,
        }
    }

    /// The number of draws S.
    pub fn draws(&self) -> usize {
        self.means.len()
    }

    /// The number of examples times the number of targets.
    pub fn len(&self) -> usize {
        self.means[0].len()
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

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
        for draw in &mut self.means {
            for (i, value) in draw.iter_mut().enumerate() {
                *value = *value * std[i % std.len()] + mean[i % mean.len()];
            }
        }
        let scaled = self
            .noise_std
            .iter()
            .zip(std)
            .map(|(noise, std)| noise * std);
        let scaled = scaled.collect();
        Self::new(self.means, scaled, self.targets)
    }

    /// The predictive means.
    pub fn mean(&self) -> Vec<f64> {
        self.map(|components, _| mean(components))
    }

    /// The predictive deviations, epistemic and aleatoric together.
    pub fn std_dev(&self) -> Vec<f64> {
        self.map(|components, noise| (variance(components) + noise * noise).sqrt())
    }

    /// The deviation of the means between the draws: what more data could reduce.
    ///
    /// Zero for a single draw.
    pub fn epistemic_std(&self) -> Vec<f64> {
        self.map(|components, _| variance(components).sqrt())
    }

    /// The deviation of the noise: what more data cannot reduce.
    pub fn aleatoric_std(&self) -> Vec<f64> {
        self.map(|_, noise| noise)
    }

    /// The `p`-quantiles of the mixture, to a relative precision of 1e-12 of its deviation.
    ///
    /// # Panics
    ///
    /// Panics unless `p` lies inside (0, 1).
    pub fn quantile(&self, p: f64) -> Vec<f64> {
        assert!(p > 0.0 && p < 1.0, "a quantile needs 0 < p < 1, got {p}");
        let z = standard_normal().inverse_cdf(p);
        self.map(|components, noise| quantile(components, noise, p, z))
    }

    /// The central intervals that hold the target with probability `level`: between the quantiles `(1 − level)/2` and
    /// `(1 + level)/2`.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1).
    pub fn interval(&self, level: f64) -> Vec<Interval> {
        assert!(
            level > 0.0 && level < 1.0,
            "an interval needs a level inside (0, 1), got {level}"
        );
        let lower = self.quantile(0.5 - 0.5 * level);
        let upper = self.quantile(0.5 + 0.5 * level);
        let pairs = lower.into_iter().zip(upper);
        pairs
            .map(|(lower, upper)| Interval { lower, upper })
            .collect()
    }

    /// The distribution function at each target: uniform over (0, 1) if the predictions are calibrated.
    ///
    /// # Panics
    ///
    /// Panics unless there is one target for each prediction.
    pub fn cdf(&self, targets: &[f64]) -> Vec<f64> {
        self.map_with(targets, cdf)
    }

    /// `−ln p(y | x)` of each target, in nats.
    ///
    /// # Panics
    ///
    /// Panics unless there is one target for each prediction.
    pub fn nll(&self, targets: &[f64]) -> Vec<f64> {
        self.map_with(targets, nll)
    }

    fn map<T>(&self, f: impl Fn(&[f64], f64) -> T) -> Vec<T> {
        self.map_indexed(|_, components, noise| f(components, noise))
    }

    fn map_with<T>(&self, targets: &[f64], f: impl Fn(&[f64], f64, f64) -> T) -> Vec<T> {
        assert!(
            targets.len() == self.len(),
            "{} predictions need as many targets, got {}",
            self.len(),
            targets.len()
        );
        self.map_indexed(|i, components, noise| f(components, noise, targets[i]))
    }

    fn map_indexed<T>(&self, f: impl Fn(usize, &[f64], f64) -> T) -> Vec<T> {
        let mut components = Vec::with_capacity(self.draws());
        (0..self.len())
            .map(|i| {
                components.clear();
                components.extend(self.means.iter().map(|draw| draw[i]));
                f(i, &components, self.noise_std[i % self.targets])
            })
            .collect()
    }
}

fn standard_normal() -> Normal {
    Normal::standard()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The variance of the equal mixture's means: divided by S, not by S − 1, since the draws *are* the mixture.
fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64
}

fn cdf(components: &[f64], noise: f64, y: f64) -> f64 {
    let normal = standard_normal();
    let sum: f64 = components.iter().map(|m| normal.cdf((y - m) / noise)).sum();
    sum / components.len() as f64
}

fn nll(components: &[f64], noise: f64, y: f64) -> f64 {
    let half_square = |m: &f64| 0.5 * ((y - m) / noise).powi(2);
    let nearest = components
        .iter()
        .map(half_square)
        .fold(f64::INFINITY, f64::min);
    let sum: f64 = components
        .iter()
        .map(|m| (nearest - half_square(m)).exp())
        .sum();
    nearest - (sum / components.len() as f64).ln()
        + noise.ln()
        + 0.5 * (2.0 * std::f64::consts::PI).ln()
}

/// Bisection on the mixture's distribution function, between the extreme components' own quantiles.
fn quantile(components: &[f64], noise: f64, p: f64, z: f64) -> f64 {
    let lowest = components.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = components.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut lower, mut upper) = (lowest + z * noise, highest + z * noise);
    let precision = 1e-12 * (noise + (upper - lower));
    while upper - lower > precision {
        let middle = 0.5 * (lower + upper);
        if middle <= lower || middle >= upper {
            break;
        }
        if cdf(components, noise, middle) < p {
            lower = middle;
        } else {
            upper = middle;
        }
    }
    0.5 * (lower + upper)
}
