//! The predictive distribution of a regression with normal noise.

use super::equal::Mixture;
use crate::distribution::Normal;

/// `p(y | x) = 1/S Σ_s N(y; f_s(x), σ_s²)` for each example and target column.
///
/// All numbers are in the units of the network's output; [`rescale`](Mixture::rescale) puts them into the units of the
/// data.
///
/// ```
/// use blitz_predict::NormalMixture;
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
pub type NormalMixture = Mixture<Normal>;

impl Mixture<Normal> {
    /// The mixture of `means[draw][example · targets + target]` with noise of deviation `noise_std[target]`.
    ///
    /// # Panics
    ///
    /// Panics without draws, if the draws differ in length, if a length is no multiple of `targets`, if a mean is not
    /// finite, or if a deviation is not positive.
    pub fn new(means: Vec<Vec<f64>>, noise_std: Vec<f64>, targets: usize) -> Self {
        assert!(
            targets > 0 && noise_std.len() == targets,
            "{targets} target columns need as many noise deviations, got {}",
            noise_std.len()
        );
        for std in &noise_std {
            assert!(*std > 0.0, "a noise deviation must be positive, got {std}");
        }
        let draw = |means: Vec<f64>| {
            let noise = noise_std.iter().cycle();
            let pairs = means.into_iter().zip(noise);
            pairs
                .map(|(mean, std)| Normal { mean, std: *std })
                .collect()
        };
        Self::from_draws(means.into_iter().map(draw), targets)
    }
}
