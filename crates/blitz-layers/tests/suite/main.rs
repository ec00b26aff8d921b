//! Tests of the public surface, in one binary. Names are claims.

mod adapted;
mod antithetic;
mod attention;
mod conv;
#[path = "../../../blitz-core/tests/suite/digest.rs"]
mod digest;
mod draw_digests;
mod dtypes;
#[path = "../../../blitz-core/tests/suite/elementwise.rs"]
mod elementwise;
mod embedding;
mod empty_batches;
mod families;
mod linear;
mod mc_dropout;
mod models;
mod moments_covariances;
mod moments_functions;
mod moments_layers;
mod moments_refusals;
#[path = "../../../blitz-core/tests/suite/priors.rs"]
mod priors;
mod pytorch;
mod pytorch_names;
mod pytorch_posteriors;
mod quantized;
mod rank_one;
mod rnn;
mod rounding;
mod seeded;
mod shapes;
mod sharpening;
mod statistics;
#[path = "../../../blitz-core/tests/suite/types.rs"]
mod types;
