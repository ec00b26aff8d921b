//! The moments of Burn's own layers, Bayesian or not.

mod activation;
mod conv;
mod embedding;
mod linear;
mod norm;
mod pool;

pub(crate) use linear::of_linear;
