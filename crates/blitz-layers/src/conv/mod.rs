//! Convolutions with a posterior over their kernels, in one, two and three dimensions, and their transposes.
//!
//! Each is Burn's layer of the same name: the same options, fields and parameter paths, and its outputs where the
//! deviations vanish. One option differs: with `Same` an output has `⌈length / stride⌉` positions on each axis, as in
//! PyTorch and TensorFlow, also for dilations above 1, for which Burn 0.22 returns fewer, and in three dimensions for
//! kernels and strides that Burn refuses. All of them offer the three [estimators](crate::Estimator); in a convolution,
//! where many positions share few weights, shared weights cost the least and [flipout](crate::Estimator::Flipout) is
//! the cheapest way to noise of each row's own.

mod check;
mod convolution;
mod layer;
mod padding;
mod transposed;

pub use convolution::{
    BayesianConv1d, BayesianConv1dConfig, BayesianConv2d, BayesianConv2dConfig, BayesianConv3d,
    BayesianConv3dConfig,
};
pub use transposed::{
    BayesianConvTranspose1d, BayesianConvTranspose1dConfig, BayesianConvTranspose2d,
    BayesianConvTranspose2dConfig, BayesianConvTranspose3d, BayesianConvTranspose3dConfig,
};
