//! What a module can do once some of its weights have posteriors.

mod draws;
mod freeze;
mod kl;
mod marginals;
mod module;
mod moments;
mod movement;
mod pruning;
mod sharpening;
mod summary;

pub use draws::{AsymmetricPosterior, DrawnWeight};
pub use marginals::{AttachedPosterior, WeightMarginals, posterior_in};
pub use module::BayesianModule;
pub use moments::MomentsError;
pub use movement::{FromStart, WeightMovement};
pub use pruning::{PrunedTensor, PruningReport};
pub use sharpening::{SharpenedDraw, Sharpening, SharpeningConfig};
pub use summary::{BayesianSummary, BayesianWeight};
