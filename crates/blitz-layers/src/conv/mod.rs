//! Convolutions with a posterior over their kernels, in one, two and three dimensions, and their transposes.
//!
//! Each is Burn's layer of the same name: the same options, fields, parameter paths and padding rules. All of them
//! offer the three [estimators](crate::Estimator); in a convolution, where many positions share few weights, shared weights
//! cost the least and [flipout](crate::Estimator::Flipout) is the cheapest way to noise of each row's own.

mod check;
mod convolution;
mod layer;
mod transposed;

pub use convolution::{
    BayesianConv1d, BayesianConv1dConfig, BayesianConv2d, BayesianConv2dConfig, BayesianConv3d,
    BayesianConv3dConfig,
};
pub use transposed::{
    BayesianConvTranspose1d, BayesianConvTranspose1dConfig, BayesianConvTranspose2d,
    BayesianConvTranspose2dConfig, BayesianConvTranspose3d, BayesianConvTranspose3dConfig,
};
