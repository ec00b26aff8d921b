//! Tests of the public surface, in one binary. Names are claims.

mod conv;
mod linear;
mod statistics;
