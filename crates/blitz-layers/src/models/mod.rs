//! Well-known networks made of Bayesian layers.

mod lenet;
mod vgg;

pub use lenet::{LeNet, LeNetConfig};
pub use vgg::{Vgg, VggBlock, VggConfig, VggConvolution, VggDepth};
