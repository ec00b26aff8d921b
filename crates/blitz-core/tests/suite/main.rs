//! Tests of the public surface, in one binary. Names are claims.

mod burn_modules;
mod checkpoint;
mod convert;
mod draw;
mod filter;
mod kl;
mod moped;
mod net;
mod pruning;
mod sampling;
