//! Predictive distributions: the equal mixture of what each draw predicts, its intervals and its samples.

mod bernoulli;
mod categorical;
mod equal;
mod highest_density;
mod interval;
mod labels;
mod normal;
mod sample;

pub use categorical::CategoricalMixture;
pub use equal::Mixture;
pub use interval::Interval;
pub use normal::NormalMixture;
pub(crate) use sample::class_at;

/// Predictions of one batch that those of another can be put behind.
pub trait Predictive {
    /// Puts the predictions of further examples behind these.
    ///
    /// # Panics
    ///
    /// Panics unless both are of the same kind: the same numbers of draws, and of targets or classes.
    fn append(&mut self, more: Self);

    /// The number of examples.
    fn examples(&self) -> usize;
}
