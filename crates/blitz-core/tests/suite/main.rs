//! Tests of the public surface, in one binary. Names are claims.

mod adapters;
mod burn_modules;
mod checkpoint;
mod constants;
mod convert;
mod digest;
mod draw;
mod draw_digests;
mod dtypes;
mod empirical_bayes;
mod filter;
mod fused;
mod kl;
mod moped;
mod movement;
mod names;
mod net;
mod posterior_families;
mod posterior_modules;
mod prior_families;
mod pruning;
mod round_trips;
mod sampling;
mod simulation;
mod statistics;
mod ties;
