//! Predictive distributions: the equal mixture of what each draw predicts.

mod categorical_mixture;
mod normal_mixture;

pub use categorical_mixture::CategoricalMixture;
pub use normal_mixture::{Interval, NormalMixture};
