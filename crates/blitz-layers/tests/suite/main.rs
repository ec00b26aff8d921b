//! Tests of the public surface, in one binary. Names are claims.

mod linear;
