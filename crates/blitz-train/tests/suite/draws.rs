//! With one seed, no two of training, validation and prediction share a draw.

use std::collections::BTreeSet;

use blitz_train::blitz_core::noise::layout;
use blitz_train::prelude::*;
use blitz_train::{DrawCache, Ensemble, TrainingStep, predict_draws};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, TrainStep};

use crate::learner::recording;

const SEED: u64 = 0;
const DRAWS: usize = 12;

fn batch(device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
    let x = Tensor::<2>::from_floats([[0.5], [1.0]], device);
    LabeledBatch {
        inputs: x.clone(),
        targets: x,
    }
}

/// The weight of each draw of the predictions.
fn predicted() -> Vec<Vec<u32>> {
    let device = Device::flex();
    let inputs = || batch(&device).inputs;
    let (model, seen) = recording();
    let model = model.valid();
    let mut all = Vec::new();

    model.predict(inputs(), DRAWS, SEED);
    all.push(seen.take());
    predict_draws(&model.network, DRAWS, SEED, |net| net.forward(inputs()));
    all.push(seen.take());
    for weights in [DrawCache::Kept, DrawCache::Redrawn] {
        let config = PredictorConfig::new(DRAWS)
            .with_seed(SEED)
            .with_weights(weights);
        let predictor = config.init(&model.network, &model.likelihood);
        predictor.predict(inputs()).unwrap();
        all.push(seen.take());
    }
    let ensemble = Ensemble::new(vec![model.network.clone()]);
    let config = PredictorConfig::new(DRAWS).with_seed(SEED);
    let predictor = config.init_with(&ensemble, &model.likelihood);
    predictor.predict(inputs()).unwrap();
    all.push(seen.take());
    for draw in 0..DRAWS as u64 {
        let index = layout::prediction(draw);
        model
            .network
            .with_draw(SEED, index, |net| net.forward(inputs()));
    }
    all.push(seen.take());
    all
}

#[test]
fn all_predictors_have_the_draws_of_the_layout() {
    let all = predicted();
    assert_eq!(all[0].len(), DRAWS);
    for of_one in &all {
        assert_eq!(of_one, &all[0]);
    }
}

#[test]
fn training_validation_and_prediction_share_no_draw() {
    let autodiff = Device::flex().autodiff();
    let (model, seen) = recording();
    let mut draws = Vec::new();

    // The model's own steps, two losses in each, and those of a loop by hand further on.
    let mut training = model.clone();
    for _ in 0..3 {
        for _ in 0..2 {
            TrainStep::step(&training, batch(&autodiff));
        }
        let none = burn::optim::GradientsParams::new();
        let mut sgd = burn::optim::SgdConfig::new().init();
        training = training.optimize(&mut sgd, 0.0.into(), none);
    }
    for index in [3, 4, 1 << 20] {
        for accumulated in [0, 1, 9] {
            let step = TrainingStep { index, accumulated };
            model.elbo().loss(&model.network, step, |net| {
                net.forward(batch(&autodiff).inputs).squeeze_dim(1)
            });
        }
    }
    draws.extend(seen.take());
    assert_eq!(draws.len(), 2 * (3 * 2 + 3 * 3));

    let valid = model.valid();
    InferenceStep::step(&valid, batch(&Device::flex()));
    let validation = seen.take();
    InferenceStep::step(&valid, batch(&Device::flex()));
    assert_eq!(seen.take(), validation);
    assert_eq!(validation.len(), 3);
    draws.extend(validation);

    valid.predict(batch(&Device::flex()).inputs, DRAWS, SEED);
    draws.extend(seen.take());
    assert_eq!(draws.iter().collect::<BTreeSet<_>>().len(), draws.len());
}
