//! What is loaded or fitted has running statistics of its own: Burn's clones share those of a batch norm.

use std::thread;

use blitz_train::laplace::{
    DiagonalLaplace, EvidenceTrainingConfig, NetworkLaplace, NetworkLaplaceConfig,
};
use blitz_train::prelude::*;
use blitz_train::{BlobConfig, Ensemble, FitError, load_adapter, save_adapter};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataset::InMemDataset;
use burn::module::{Lora, Module};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{DType, Device, Tensor};
use burn::train::{Learner, SupervisedTraining};

use crate::digest::given;
use crate::values;

#[derive(Module, Debug)]
struct Net {
    norm: BatchNorm,
    dropout: Dropout,
    layer: Linear,
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.layer
            .forward(self.dropout.forward(self.norm.forward(x)))
    }
}

type Model = ElboModel<Net, GaussianLikelihood>;

fn certain(device: &Device) -> Net {
    let layer = LinearConfig::new(2, 1).init(device);
    Net {
        norm: BatchNormConfig::new(2).init(device),
        dropout: DropoutConfig::new(0.0).init(),
        layer: given(layer, 0.5, DType::F32),
    }
}

fn net(device: &Device) -> Net {
    let mut net = certain(device);
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    net.layer = net.layer.bayesianize(&config);
    net
}

fn model(device: &Device) -> Model {
    let likelihood = GaussianLikelihoodConfig::new().init(device);
    ElboModel::new(net(device), likelihood, ElboConfig::new(16).init())
}

fn statistics(net: &Net) -> Vec<f64> {
    let norm = &net.valid().norm;
    [&norm.running_mean, &norm.running_var]
        .map(|state| values(state.value_sync()))
        .concat()
}

/// Statistics that have moved to inputs about `mean`.
fn moved(model: Model, mean: f64) -> Model {
    train(&model.network, mean);
    model.valid()
}

/// Runs the network as a training does, on inputs about `mean`.
fn train(net: &Net, mean: f64) {
    let device = Device::flex().autodiff();
    let rows = Tensor::<2>::from_floats([[-1.0, 2.0], [1.0, -2.0]], &device) + mean;
    let _ = net.forward(rows.clone());
    let _ = net.forward(rows);
}

#[test]
fn models_loaded_into_clones_keep_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex().autodiff();
    let path = |name: &str| folder.path().join(name);
    let saved = [(1.0, "a"), (50.0, "b")].map(|(mean, name)| {
        let model = moved(model(&device), mean);
        model.save(path(name)).unwrap();
        statistics(&model.network)
    });
    assert!(saved[0] != saved[1]);
    for blank in [model(&device), model(&Device::flex())] {
        let of_blank = statistics(&blank.network);
        let first = blank.clone().load(path("a")).unwrap();
        let second = blank.clone().load(path("b")).unwrap();
        assert_eq!(statistics(&first.network), saved[0]);
        assert_eq!(statistics(&second.network), saved[1]);
        assert_eq!(statistics(&blank.network), of_blank);
        // What is refused is not read in by half.
        let other = ElboModel::new(
            blank.network.clone(),
            GaussianLikelihoodConfig::new()
                .with_targets(3)
                .init(&device),
            blank.elbo().clone(),
        );
        assert!(other.load(path("b")).is_err());
        assert_eq!(statistics(&blank.network), of_blank);

        // All else of the model is as it was.
        let trains = |net: &Net| {
            let param = &net.layer.weight;
            (param.is_require_grad(), net.dropout.training.is_enabled())
        };
        assert_eq!(trains(&first.network), trains(&blank.network));
        assert_eq!(first.network.devices(), blank.network.devices());
        let bayesian = first.network.num_bayesian_weights();
        assert_eq!(bayesian, blank.network.num_bayesian_weights());
    }
}

#[test]
fn adapters_of_one_base_keep_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex().autodiff();
    let base = Net {
        layer: given(LinearConfig::new(2, 1).init(&device), 0.5, DType::F32),
        ..net(&device)
    };
    let adapted = || {
        let net = base.clone().apply_lora(Lora::new(1, 2.0));
        BlobConfig::new().attach(net).unwrap()
    };
    let mut saved = Vec::new();
    for mean in [1.0, 50.0] {
        let rows = Tensor::<2>::from_floats([[-1.0, 2.0], [1.0, -2.0]], &device) + mean;
        // Of its own: the first is saved before the second moves.
        let net = adapted();
        let _ = net.forward(rows);
        save_adapter(&net, folder.path().join(format!("{mean}"))).unwrap();
        saved.push(statistics(&net));
    }
    let load = |mean: f64| load_adapter(adapted(), folder.path().join(format!("{mean}"))).unwrap();
    let (first, second) = (load(1.0), load(50.0));
    assert_eq!(statistics(&first), saved[0]);
    assert_eq!(statistics(&second), saved[1]);
}

/// What is fitted to a clone of a network, which is trained on, or given one.
#[test]
fn approximations_ensembles_and_trainings_by_the_evidence_keep_their_own() {
    let device = Device::flex().autodiff();
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(0.5))
        .init(&device);
    let loader = |batch| {
        let rows = [[1.0, -1.0], [0.5, 2.0], [-0.3, 0.1], [2.0, 0.4]];
        let rows = rows.map(|row: [f32; 2]| (row, [row[0] - row[1]])).to_vec();
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(batch)
            .set_device(device.clone())
            .build(InMemDataset::new(rows))
    };
    let net = certain(&device);
    let ensemble = Ensemble::new(vec![net.clone()]);
    let laplace = NetworkLaplaceConfig::new()
        .fit(net.clone(), &likelihood, loader(1).as_ref(), |_| {})
        .unwrap();
    let nll = |net: &Net, batch: LabeledBatch<Tensor<2>, Tensor<2>>| {
        (net.forward(batch.inputs) - batch.targets).square().sum()
    };
    let diagonal = DiagonalLaplace::fit(net.clone(), loader(1).as_ref(), nll, 1.0).unwrap();
    let kept = || {
        [
            statistics(&ensemble.members()[0]),
            statistics(&laplace.network),
            statistics(&diagonal.sample_network(1, 0)),
        ]
    };
    let before = kept();
    let trained = EvidenceTrainingConfig::new(2, 0.01)
        .fit(
            net.clone(),
            &likelihood,
            SgdConfig::new().init(),
            (loader(4).as_ref(), loader(1).as_ref()),
            NetworkLaplace::with_best_prior_precision,
            |_| {},
        )
        .unwrap();
    assert_eq!(statistics(&net), before[0]);
    assert_ne!(statistics(&trained.0.network), before[0]);
    train(&net, 50.0);
    assert_ne!(statistics(&net), before[0]);
    assert_eq!(kept(), before);
}

fn fitted(model: Model, mean: f32, rate: f64) -> Result<Model, FitError> {
    let folder = tempfile::tempdir().unwrap();
    let loader = || {
        let rows = (0..16).map(|i| {
            let x = [(i as f32).sin() + mean, (2.0 * i as f32).cos() + mean];
            (x, [x[0] - mean])
        });
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(8)
            .build(InMemDataset::new(rows.collect()))
    };
    let training = SupervisedTraining::new(folder.path(), loader(), loader())
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(4);
    let learner = Learner::new(model, SgdConfig::new().init(), rate);
    fit(training, learner).map(|fitted| fitted.model)
}

#[test]
fn folds_of_one_model_keep_their_own_one_after_the_other_and_at_the_same_time() {
    let model = model(&Device::flex().autodiff());
    let before = statistics(&model.network);
    let fold = |mean| statistics(&fitted(model.clone(), mean, 0.01).unwrap().network);
    let alone = [0.0, 100.0].map(fold);
    assert!((alone[1][0] - alone[0][0]).abs() > 30.0, "{alone:?}");
    assert_eq!([0.0, 100.0].map(fold), alone);
    let together = thread::scope(|scope| {
        let folds = [0.0, 100.0].map(|mean| {
            let model = model.clone();
            scope.spawn(move || statistics(&fitted(model, mean, 0.01).unwrap().network))
        });
        folds.map(|fold| fold.join().unwrap())
    });
    assert_eq!(together, alone);
    assert_eq!(statistics(&model.network), before);
}

#[test]
fn a_training_that_ends_in_nan_leaves_the_others_as_they_were() {
    let model = model(&Device::flex().autodiff());
    let stopped = fitted(model.clone(), f32::NAN, 0.01);
    assert!(
        matches!(stopped, Err(FitError::NonFiniteLoss(_))),
        "{stopped:?}"
    );
    assert!(statistics(&model.network).iter().all(|v| v.is_finite()));
    let model = fitted(model.clone(), 0.0, 0.01).unwrap();
    let x = Tensor::<2>::zeros([1, 2], &Device::flex());
    assert!(model.try_predict(x, 3, 0).is_ok());
}
