//! Tests of the public surface, in one binary. Names are claims.

mod convert;
mod draw;
mod kl;
mod net;
mod sampling;
