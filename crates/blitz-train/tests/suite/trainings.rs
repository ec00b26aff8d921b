//! Two trainings share nothing, whatever they were cloned from.

use std::thread;

use blitz_train::FitError;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use burn::train::{Learner, TrainStep};

use crate::learner::{Model, Net, model, recording, training, weights};
use crate::line::{line, loader};

fn batch() -> LabeledBatch<Tensor<2>, Tensor<2>> {
    let x = Tensor::<2>::from_floats([[0.5], [1.0]], &Device::flex().autodiff());
    LabeledBatch {
        inputs: x.clone(),
        targets: x * 2.0 + 1.0,
    }
}

fn learner(model: Model) -> Learner<Model> {
    Learner::new(model, AdamConfig::new().init(), 0.05)
}

/// The weights after three epochs.
fn fitted(model: Model) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let training = training(folder.path(), line(), 3).grads_accumulation(2);
    weights(&fit(training, learner(model)).unwrap().model)
}

#[test]
fn clones_fitted_one_after_the_other_are_the_same_to_the_bit() {
    let model = model();
    let first = fitted(model.clone());
    assert_eq!(fitted(model.clone()), first);
    assert_eq!(fitted(model), first);
}

#[test]
fn clones_fitted_at_the_same_time_are_the_same_to_the_bit() {
    let model = model();
    let alone = fitted(model.clone());
    let threads = [(); 2].map(|()| {
        let model = model.clone();
        thread::spawn(move || fitted(model))
    });
    for thread in threads {
        assert_eq!(thread.join().unwrap(), alone);
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_its_own_training_alone() {
    let model = model();
    let alone = fitted(model.clone());
    let broken = model.clone();
    let broken = thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        let mut items = line();
        items[3].1 = [f32::NAN];
        fit(training(folder.path(), items, 3), learner(broken)).unwrap_err()
    });
    let sound = fitted(model.clone());
    let error = broken.join().unwrap();
    assert!(matches!(error, FitError::NonFiniteLoss(_)), "{error}");
    assert_eq!(sound, alone);
    // Nor one that begins after it.
    assert_eq!(fitted(model), alone);
}

/// Two optimizer steps by hand, each of two losses.
fn by_hand(mut model: Model) -> Vec<f64> {
    let mut adam = AdamConfig::new().init();
    for _ in 0..2 {
        let mut accumulator = burn::optim::GradientsAccumulator::new();
        for _ in 0..2 {
            accumulator.accumulate(&model, TrainStep::step(&model, batch()).grads);
        }
        model = model.optimize(&mut adam, 0.05.into(), accumulator.grads());
    }
    weights(&model)
}

#[test]
fn clones_trained_by_hand_are_the_same_to_the_bit() {
    let model = model();
    let first = by_hand(model.clone());
    assert_eq!(by_hand(model.clone()), first);
    let threads = [(); 2].map(|()| {
        let model = model.clone();
        thread::spawn(move || by_hand(model))
    });
    for thread in threads {
        assert_eq!(thread.join().unwrap(), first);
    }

    // In turns.
    let [mut a, mut b] = [model.clone(), model];
    let mut optimizers = [(); 2].map(|()| AdamConfig::new().init());
    for _ in 0..2 {
        let mut sums = [(); 2].map(|()| burn::optim::GradientsAccumulator::new());
        for _ in 0..2 {
            for (model, sum) in [&a, &b].into_iter().zip(&mut sums) {
                sum.accumulate(model, TrainStep::step(model, batch()).grads);
            }
        }
        let [of_a, of_b] = &mut sums;
        a = a.optimize(&mut optimizers[0], 0.05.into(), of_a.grads());
        b = b.optimize(&mut optimizers[1], 0.05.into(), of_b.grads());
    }
    assert_eq!(weights(&a), first);
    assert_eq!(weights(&b), first);
}

#[test]
fn a_fitted_model_begins_another_training() {
    let folder = tempfile::tempdir().unwrap();
    let (model, seen) = recording();
    let training =
        burn::train::SupervisedTraining::new(folder.path(), loader(line()), loader(Vec::new()))
            .with_application_logger(None)
            .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
            .num_epochs(1);
    let learner = Learner::new(model, burn::optim::SgdConfig::new().init(), 0.0);
    let model = fit(training, learner).unwrap().model.train();
    seen.take();
    let clones = [model.clone(), model];
    let [a, b] = clones.map(|model| {
        TrainStep::step(&model, batch());
        seen.take()
    });
    assert_eq!(a, b);
}

#[test]
#[should_panic(expected = "run a training on several devices with `fit_on`")]
fn clones_that_compute_the_losses_of_one_step_would_share_draws() {
    let model = model();
    let mut accumulator = burn::optim::GradientsAccumulator::new();
    for worker in [model.clone(), model.clone()] {
        accumulator.accumulate(&model, TrainStep::step(&worker, batch()).grads);
    }
    let _ = model.optimize(
        &mut AdamConfig::new().init(),
        0.05.into(),
        accumulator.grads(),
    );
}

#[test]
fn a_loss_by_hand_that_is_not_finite_panics() {
    let model = model();
    let mut batch = batch();
    batch.targets = batch.targets * f32::NAN;
    let step = || TrainStep::step(&model, batch);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(step));
    let message = *panic.err().unwrap().downcast::<String>().unwrap();
    assert!(message.contains("epoch 1, step 1"), "{message}");
}

/// A Gaussian likelihood of a noise that is learned from 0.5.
fn learned(device: &Device) -> GaussianLikelihood {
    GaussianLikelihoodConfig::new().init(device)
}

fn of(network: Net, likelihood: GaussianLikelihood) -> Model {
    ElboModel::new(network, likelihood, ElboConfig::new(40).init())
}

#[test]
fn what_is_off_the_autodiff_graph_is_trained_as_what_is_on_it() {
    let (plain, autodiff) = (Device::flex(), Device::flex().autodiff());
    let fitted = |model: Model| {
        let folder = tempfile::tempdir().unwrap();
        let training = training(folder.path(), line(), 3);
        let model = fit(training, learner(model)).unwrap().model;
        (weights(&model), model.likelihood.noise_std())
    };
    let network = model().network;
    let expected = fitted(of(network.clone(), learned(&autodiff)));
    assert_ne!(expected.0, weights(&model()));
    assert!((expected.1[0] - 0.5).abs() > 1e-3);
    let others = [
        of(network.valid(), learned(&autodiff)),
        of(network.clone(), learned(&plain)),
        of(network.valid(), learned(&plain)),
        of(network, learned(&autodiff)).valid(),
    ];
    for model in others {
        assert_eq!(fitted(model), expected);
    }
}

#[test]
fn a_checkpoint_goes_on_in_a_model_off_the_autodiff_graph() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fit(training(folder.path(), line(), 4), learner(model())).unwrap();
    let resumed = training(folder.path(), line(), 4).checkpoint(2);
    let resumed = fit(resumed, learner(model().valid())).unwrap();
    assert_eq!(weights(&resumed.model), weights(&whole.model));
}

#[test]
#[should_panic(
    expected = "network.layer.weight is to train and is not on the autodiff graph, so no step would move it"
)]
fn a_step_by_hand_of_a_network_off_the_autodiff_graph_is_refused() {
    let autodiff = Device::flex().autodiff();
    TrainStep::step(&of(model().network.valid(), learned(&autodiff)), batch());
}

#[test]
#[should_panic(expected = "likelihood.log_std is to train and is not on the autodiff graph")]
fn a_step_by_hand_of_a_noise_off_the_autodiff_graph_is_refused() {
    TrainStep::step(&of(model().network, learned(&Device::flex())), batch());
}
