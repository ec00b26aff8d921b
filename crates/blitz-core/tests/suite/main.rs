//! Tests of the public surface, in one binary. Names are claims.

mod convert;
mod draw;
mod empirical_bayes;
mod kl;
mod net;
mod posterior_families;
mod posterior_modules;
mod prior_families;
mod sampling;
mod statistics;
