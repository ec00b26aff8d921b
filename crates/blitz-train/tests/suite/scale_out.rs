//! Training on several devices, with the two CPU backends for two devices. Remote devices: `tests/backends`.

use std::collections::BTreeSet;

use blitz_train::prelude::*;
use blitz_train::{FitError, fit_on};
use burn::optim::{AdamConfig, SgdConfig};
use burn::tensor::Device;
use burn::train::{ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining};

use super::close::assert_close;
use crate::learner::{Model, learner, model, recording, training, weights};
use crate::line::{Row, line, loader};

const STRATEGIES: [MultiDeviceOptim; 2] = [
    MultiDeviceOptim::OptimMainDevice,
    MultiDeviceOptim::OptimSharded,
];

#[allow(deprecated)] // ndarray stays supported here.
fn two_devices() -> Vec<Device> {
    vec![Device::flex(), Device::ndarray()]
}

/// 32 points, and the order in which one device meets the batches of 8 that two devices meet side by side.
fn points() -> [Vec<Row>; 2] {
    let mut items = line();
    items.truncate(32);
    let (first, second) = items.split_at(16);
    let pairs = first.chunks(8).zip(second.chunks(8));
    let interleaved = pairs.flat_map(|(a, b)| [a, b].concat()).collect();
    [items, interleaved]
}

/// Plain descent: Adam would hide a gradient of another length.
fn descent() -> Learner<Model> {
    Learner::new(model(), SgdConfig::new().init(), 0.01)
}

#[test]
fn two_devices_train_as_one_that_accumulates_two_batches() {
    let [items, interleaved] = points();
    let folder = tempfile::tempdir().unwrap();
    let one = training(folder.path(), interleaved, 4).grads_accumulation(2);
    let expected = fit(one, descent()).unwrap().model;
    for optim in STRATEGIES {
        let folder = tempfile::tempdir().unwrap();
        let two = training(folder.path(), items.clone(), 4);
        let strategy = ExecutionStrategy::multi(two_devices(), optim);
        let model = fit_on(two, descent(), strategy).unwrap().model;
        assert_eq!(model.steps(), expected.steps());
        assert_close(&weights(&model), &weights(&expected), 1e-5);
    }
}

#[test]
fn two_trainings_of_one_seed_on_two_devices_are_the_same_to_the_bit() {
    let weights = [(); 3].map(|()| {
        let folder = tempfile::tempdir().unwrap();
        let strategy = ExecutionStrategy::multi(two_devices(), MultiDeviceOptim::OptimMainDevice);
        let fitted = fit_on(training(folder.path(), line(), 3), learner(), strategy);
        weights(&fitted.unwrap().model)
    });
    assert_eq!(weights[0], weights[1]);
    assert_eq!(weights[0], weights[2]);
}

#[test]
fn one_device_by_a_strategy_is_one_device_to_the_bit() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [expected, single, multi] = [0, 1, 2].map(|i| training(folders[i].path(), line(), 2));
    let expected = weights(&fit(expected, learner()).unwrap().model);
    let device = Device::flex().autodiff();
    let strategies = [
        ExecutionStrategy::single(device.clone()),
        ExecutionStrategy::multi(vec![device], MultiDeviceOptim::OptimMainDevice),
    ];
    for (training, strategy) in [single, multi].into_iter().zip(strategies) {
        let model = fit_on(training, learner(), strategy).unwrap().model;
        assert_eq!(weights(&model), expected);
    }
}

#[test]
fn a_model_trained_again_has_the_draws_of_the_first_time_on_however_many_devices() {
    let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let [fresh, first, two, last] = [0, 1, 2, 3].map(|i| training(folders[i].path(), line(), 1));
    let expected = weights(&fit(fresh, learner()).unwrap().model);
    let model = model();
    let learner = || Learner::new(model.clone(), AdamConfig::new().init(), 0.05);
    let strategy = ExecutionStrategy::multi(two_devices(), MultiDeviceOptim::OptimMainDevice);

    assert_eq!(weights(&fit(first, learner()).unwrap().model), expected);
    fit_on(two, learner(), strategy).unwrap();
    assert_eq!(weights(&fit(last, learner()).unwrap().model), expected);
}

#[test]
fn a_loss_that_is_not_finite_names_the_epoch_that_two_devices_count() {
    let folder = tempfile::tempdir().unwrap();
    let strategy = || ExecutionStrategy::multi(two_devices(), MultiDeviceOptim::OptimMainDevice);
    fit_on(training(folder.path(), line(), 2), learner(), strategy()).unwrap();

    // The second device's first batch; twenty points a device in batches of eight are three steps an epoch.
    let mut items = line();
    items[20].1 = [f32::NAN];
    let training = training(folder.path(), items, 5).checkpoint(2);
    let Err(FitError::NonFiniteLoss(error)) = fit_on(training, learner(), strategy()) else {
        panic!("the training went on");
    };
    assert_eq!((error.epoch, error.step), (3, 7));
}

/// Burn's, not ours: what `docs/scale-out.md` says of its distributed strategy.
#[test]
#[should_panic(expected = "Distributed operations are not supported for device")]
fn cpu_devices_have_no_distributed_strategy() {
    use burn::tensor::distributed::{DistributedConfig, ReduceOperation};

    let all_reduce_op = ReduceOperation::Mean;
    ExecutionStrategy::ddp(two_devices(), DistributedConfig { all_reduce_op });
}

#[test]
fn no_two_workers_of_a_training_share_a_draw_even_on_one_device() {
    let device = Device::flex().autodiff();
    let (model, seen) = recording();

    let folder = tempfile::tempdir().unwrap();
    let training = SupervisedTraining::new(folder.path(), loader(line()), loader(Vec::new()))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .grads_accumulation(2)
        .num_epochs(3);
    let strategy = ExecutionStrategy::multi(vec![device; 2], MultiDeviceOptim::OptimMainDevice);
    // The weights stay where they are, so that equal ones are equal draws.
    let learner = Learner::new(model, SgdConfig::new().init(), 0.0);
    fit_on(training, learner, strategy).unwrap();

    let seen = seen.take();
    // Two workers, two draws a loss, three batches in each of three epochs.
    assert_eq!(seen.len(), 2 * 2 * 3 * 3);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
}
