//! Tests of the public surface, in one binary. Names are claims.

mod attention;
mod conv;
mod dtypes;
mod embedding;
mod families;
mod linear;
mod mc_dropout;
mod models;
mod rnn;
mod seeded;
mod sharpening;
mod statistics;
