//! Tests of the public surface, in one binary. Names are claims.

mod calibration;
mod conjugate;
mod density;
mod errors;
mod export;
mod files;
mod networks;
mod runs;
