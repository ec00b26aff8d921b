//! Methods that update weights themselves, in the place of the optimizer.

use blitz_train::prelude::*;
use blitz_train::{UpdatedBy, WeightUpdate};
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::nn::LinearConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsAccumulator, GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use burn::train::{Learner, SupervisedTraining, TrainStep};

use crate::line::{line, loader};
use crate::{LinearNet as Net, values};

/// Moves a weight by the learning rate over the number of losses, whatever its gradient.
#[derive(Debug)]
struct Upwards {
    weight: ParamId,
}

impl WeightUpdate for Upwards {
    fn update<M: Module>(
        &self,
        module: M,
        grads: &mut GradientsParams,
        lr: &ModuleLearningRate,
        losses: usize,
    ) -> M {
        let step = lr.lr_from_param(self.weight, None) / losses as f64;
        module.map(&mut Step {
            weight: self.weight,
            grads,
            step,
        })
    }
}

struct Step<'a> {
    weight: ParamId,
    grads: &'a mut GradientsParams,
    step: f64,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.weight || self.grads.remove::<D>(param.id).is_none() {
            return param;
        }
        param.map(|weight| Tensor::from_inner(weight.inner() + self.step).require_grad())
    }
}

type Model = ElboModel<Net, GaussianLikelihood>;

/// y = 0 x + 0, for a target of 2 x + 1; the weight is moved by the update, the bias by the optimizer.
fn model() -> Model {
    let device = Device::flex().autodiff();
    let layer = LinearConfig::new(1, 1).init(&device).map(&mut Zero);
    let update = Upwards {
        weight: layer.weight.id,
    };
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(1.0))
        .init(&device);
    let elbo = ElboConfig::new(40).init();
    ElboModel::new(Net { layer }, likelihood, elbo).with_update(update)
}

struct Zero;

impl ModuleMapper for Zero {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.zeros_like().require_grad())
    }
}

fn batch() -> LabeledBatch<Tensor<2>, Tensor<2>> {
    let x = Tensor::<2>::from_floats([[0.5], [1.0]], &Device::flex().autodiff());
    LabeledBatch {
        inputs: x.clone(),
        targets: x * 2.0 + 1.0,
    }
}

fn weight(model: &Model) -> f64 {
    values(model.network.layer.weight.val())[0]
}

fn bias(model: &Model) -> f64 {
    values(model.network.layer.bias.as_ref().unwrap().val())[0]
}

#[test]
fn an_update_of_ones_own_moves_its_weight_and_the_optimizer_the_others() {
    let model = model();
    let grads = TrainStep::step(&model, batch()).grads;
    let stepped = model.optimize(&mut SgdConfig::new().init(), 0.125.into(), grads);
    assert_eq!(weight(&stepped), 0.125);
    // −∂/∂b of ½ (b − 2)² and ½ (b − 3)², averaged.
    assert!((bias(&stepped) - 0.125 * 2.5).abs() < 1e-6);
}

#[test]
fn it_is_told_how_many_losses_the_gradients_are_the_sum_of() {
    let model = model();
    let mut accumulator = GradientsAccumulator::new();
    for _ in 0..4 {
        accumulator.accumulate(&model, TrainStep::step(&model, batch()).grads);
    }
    let stepped = model.optimize(
        &mut SgdConfig::new().init(),
        0.5.into(),
        accumulator.grads(),
    );
    assert_eq!(weight(&stepped), 0.125);
}

#[test]
fn it_stays_with_the_model_through_clones_forks_and_validation() {
    let device = Device::flex().autodiff();
    let model = model().clone().valid().train().fork(&device);
    let grads = TrainStep::step(&model, batch()).grads;
    let stepped = model.optimize(&mut SgdConfig::new().init(), 0.125.into(), grads);
    assert_eq!(weight(&stepped), 0.125);
}

#[test]
fn the_learner_takes_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let training = SupervisedTraining::new(folder.path(), loader(line()), loader(line()))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(2);
    let learner = Learner::new(model(), SgdConfig::new().init(), 0.125);
    let fitted = fit(training, learner).unwrap().model;
    assert_eq!((fitted.steps(), weight(&fitted)), (10, 1.25));
    assert!(bias(&fitted) > 0.5, "{}", bias(&fitted));

    // A finished training's model has it still.
    let model = fitted.train();
    let grads = TrainStep::step(&model, batch()).grads;
    let stepped = model.optimize(&mut SgdConfig::new().init(), 0.125.into(), grads);
    assert_eq!(weight(&stepped), 1.375);
}

/// A part of a network that names its update.
#[derive(Module, Debug)]
struct Claimed {
    net: Net,
    update: UpdatedBy<Upwards>,
}

impl Network for Claimed {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.net.forward(input)
    }
}

fn claimed() -> ElboModel<Claimed, GaussianLikelihood> {
    let Model {
        network,
        likelihood,
        ..
    } = model();
    let network = Claimed {
        net: network,
        update: UpdatedBy::new(),
    };
    ElboModel::new(network, likelihood, ElboConfig::new(40).init())
}

#[test]
fn a_part_that_names_its_update_trains_with_it() {
    let model = claimed();
    let update = Upwards {
        weight: model.network.net.layer.weight.id,
    };
    let model = model.with_update(update);
    let grads = TrainStep::step(&model, batch()).grads;
    let stepped = model.optimize(&mut SgdConfig::new().init(), 0.125.into(), grads);
    assert_eq!(values(stepped.network.net.layer.weight.val()), [0.125]);
    assert!(stepped.to_string().contains("UpdatedBy<Upwards>"));
}

#[test]
#[should_panic(expected = "network is trained by Upwards, which the model was not given")]
fn a_part_that_names_its_update_does_not_train_without_it() {
    TrainStep::step(&claimed(), batch());
}
