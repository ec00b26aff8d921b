//! What both sides compute, to be compared.

use blitz_train::blitz_core::noise::layout;
use blitz_train::prelude::*;
use blitz_train::{PredictError, predict_moments};
use burn::module::Module;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Bytes, Device, Tensor};

use crate::model;

/// The seed of the draws.
pub const SEED: u64 = 7;

/// Draws of the weights in a prediction.
pub const DRAWS: usize = 100;

/// How much noise is compared by its bits.
pub const NOISE: usize = 4096;

/// The predictive distribution of one input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The output of the first draw alone.
    pub first_draw: f64,
    /// The mean.
    pub mean: f64,
    /// Where the central 95 % begin.
    pub lower: f64,
    /// Where they end.
    pub upper: f64,
    /// The same three from one pass, without a draw of the weights.
    pub in_one_pass: [f64; 3],
}

/// The inputs to predict at: the training data lie between −1 and 1, so the outer ones are extrapolated.
pub fn inputs() -> Vec<f32> {
    (-8..=8).map(|i| i as f32 / 4.0).collect()
}

/// Why a saved model does not predict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record is of something else.
    #[error("the record: {0}")]
    Record(#[from] RecordError),
    /// The model does not compute.
    #[error(transparent)]
    Predict(#[from] PredictError),
}

/// The predictions at [`inputs`] of the model saved in `record`, by the draws of [`SEED`] and in one pass.
pub fn predict(record: Vec<u8>) -> Result<Vec<Prediction>, Error> {
    let device = Device::flex();
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(record))?;
    let model = model(&device).try_load_record(record)?;
    let x = || Tensor::<1>::from_floats(inputs().as_slice(), &device).unsqueeze_dim::<2>(1);
    let first = model
        .network
        .with_draw(SEED, layout::prediction(0), |network| network.forward(x()));
    let first: Vec<f32> = first
        .into_data()
        .try_into_vec()
        .unwrap_or_else(|error| unreachable!("f32: {error:?}"));
    let predictive = model.try_predict(x(), DRAWS, SEED)?;
    let once = predict_moments(&model.network, x(), &model.likelihood)?;
    let rows = |predictive: NormalMixture| {
        let rows = predictive.mean().into_iter().zip(predictive.interval(0.95));
        rows.map(|(mean, interval)| [mean, interval.lower, interval.upper])
            .collect::<Vec<_>>()
    };
    Ok(first
        .iter()
        .zip(rows(predictive))
        .zip(rows(once))
        .map(
            |((&first_draw, [mean, lower, upper]), in_one_pass)| Prediction {
                first_draw: first_draw.into(),
                mean,
                lower,
                upper,
                in_one_pass,
            },
        )
        .collect())
}

/// The first [`NOISE`] normals of the first parameter's stream, in draw 0 of [`SEED`].
pub fn noise() -> Vec<f32> {
    let mut noise = vec![0.0; NOISE];
    NoiseKey::new(SEED, 0, 0).fill_standard_normal(0, &mut noise);
    noise
}
