//! A network with a tied weight, trained by its model.

use std::path::Path;

use blitz_train::laplace::{
    DiagonalLaplace, EvidenceEpoch, EvidenceTrainingConfig, NetworkLaplace,
};
use blitz_train::prelude::*;
use blitz_train::{Checkpoints, NetworkPosterior, SwagConfig};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use burn::train::{Learner, SupervisedTraining, TrainStep};

use crate::{scalar, values};

/// One layer in two places, of which the second is read first.
#[derive(Module, Debug)]
struct Twice {
    first: Linear,
    second: Option<Linear>,
}

impl Network for Twice {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let second = self.second.as_ref().unwrap_or(&self.first);
        self.first.forward(second.forward(input).tanh())
    }
}

/// The losses and the last means of a few steps, before each of which a strategy of Burn's for several devices forks
/// the model.
fn train(tied: bool, bayesian: bool, forked: bool) -> (Vec<f64>, Vec<f64>) {
    let device = Device::flex().autodiff();
    let mut network = twice(tied);
    if bayesian {
        network = network.bayesianize(&BayesianizeConfig::new());
    }
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .with_noise(LikelihoodParam::Fixed(0.5))
        .init(&device);
    let elbo = ElboConfig::new(10).with_samples(2).init();
    let mut model = ElboModel::new(network, likelihood, elbo);
    // Adam would hide a gradient of another length.
    let mut descent = SgdConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..5 {
        let x = Tensor::<2>::from_floats([[1.0, -1.0], [0.5, 2.0]], &device);
        let batch = LabeledBatch {
            inputs: x.clone(),
            targets: x,
        };
        if forked {
            model = model.fork(&device);
        }
        let output = TrainStep::step(&model, batch);
        losses.push(scalar(output.item.loss.clone()));
        model = model.optimize(&mut descent, 0.05.into(), output.grads);
        if let Some(second) = &model.network.second {
            let first = values(model.network.first.weight.base());
            assert_eq!(values(second.weight.base()), first);
        }
    }
    (losses, values(model.network.first.weight.base()))
}

#[test]
fn a_tied_network_trains_as_one_that_uses_its_layer_twice() {
    for (bayesian, forked) in [(true, false), (true, true), (false, false), (false, true)] {
        let (tied, tied_means) = train(true, bayesian, forked);
        let (once, once_means) = train(false, bayesian, forked);
        for (a, b) in tied
            .iter()
            .zip(&once)
            .chain(tied_means.iter().zip(&once_means))
        {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a}, {b}");
        }
    }
}

/// The deterministic network, its layer in two places or read twice.
fn twice(tied: bool) -> Twice {
    let device = Device::flex().autodiff();
    let mut layer = LinearConfig::new(2, 2).with_bias(false).init(&device);
    layer.weight = Param::from_tensor(Tensor::from_floats([[0.5, -0.3], [0.2, 0.8]], &device));
    let second = tied.then(|| layer.clone());
    Twice {
        first: layer,
        second,
    }
}

fn assert_tied(network: &Twice) {
    let second = network.second.as_ref().unwrap();
    assert_eq!(
        values(network.first.weight.val()),
        values(second.weight.val())
    );
}

struct One;

impl Batcher<[f32; 2], Tensor<2>> for One {
    fn batch(&self, items: Vec<[f32; 2]>, device: &Device) -> Tensor<2> {
        Tensor::from_floats([items[0]], device)
    }
}

#[test]
fn a_laplace_approximation_counts_a_tied_weight_once_and_draws_it_once() {
    let fit = |tied| {
        let rows = vec![[1.0, -1.0], [0.5, 2.0], [-0.3, 0.1]];
        let data = DataLoaderBuilder::new(One)
            .batch_size(1)
            .set_device(Device::flex().autodiff())
            .build(InMemDataset::new(rows));
        let nll = |network: &Twice, x: Tensor<2>| {
            let output = network.forward(x.clone());
            (output - x).square().sum()
        };
        DiagonalLaplace::fit(twice(tied), data.as_ref(), nll, 2.0).unwrap()
    };
    let (tied, once) = (fit(true), fit(false));
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a} for {b}");
    close(
        tied.log_marginal_likelihood(),
        once.log_marginal_likelihood(),
    );
    let (of_tied, of_once) = (tied.variances(), once.variances());
    assert_eq!(of_tied[1], None);
    for (a, b) in of_tied[0].iter().flatten().zip(of_once[0].iter().flatten()) {
        close(*a, *b);
    }
    let drawn = tied.sample_network(3, 1);
    assert_tied(&drawn);
    let alone = once.sample_network(3, 1);
    for (a, b) in values(drawn.first.weight.val())
        .into_iter()
        .zip(values(alone.first.weight.val()))
    {
        close(a, b);
    }
}

/// What a training by the evidence makes of a network.
fn trained_by_evidence<N>(
    config: &EvidenceTrainingConfig,
    network: N,
) -> (NetworkLaplace<N, GaussianLikelihood>, Vec<EvidenceEpoch>)
where
    N: Network<Input = Tensor<2>, Output = Tensor<2>>,
{
    let device = Device::flex().autodiff();
    let loader = |batch| {
        let rows = [[1.0, -1.0], [0.5, 2.0], [-0.3, 0.1]];
        let rows = rows.map(|row: [f32; 2]| (row, row)).to_vec();
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(batch)
            .set_device(device.clone())
            .build(InMemDataset::new(rows))
    };
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .with_noise(LikelihoodParam::Fixed(0.5))
        .init(&device);
    let (batches, examples) = (loader(3), loader(1));
    let trained = config.fit(
        network,
        &likelihood,
        SgdConfig::new().init(),
        (batches.as_ref(), examples.as_ref()),
        NetworkLaplace::with_best_prior_precision,
        |_| {},
    );
    trained.unwrap()
}

#[test]
fn a_training_by_the_evidence_steps_a_tied_weight_in_all_its_places() {
    let train = |tied| {
        let config = EvidenceTrainingConfig::new(12, 0.02).with_every(5);
        let (laplace, epochs) = trained_by_evidence(&config, twice(tied));
        if tied {
            assert_tied(&laplace.network);
        }
        let mut numbers = values(laplace.network.first.weight.val());
        numbers.extend(epochs.iter().map(|at| at.nll));
        numbers
    };
    for (a, b) in train(true).into_iter().zip(train(false)) {
        assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a}, {b}");
    }
}

/// A frozen copy has the ids of what it is a copy of, and Burn's optimizer gives a gradient to the first of them.
#[test]
fn a_training_by_the_evidence_leaves_a_frozen_copy_as_it_is() {
    let student = twice(false).first;
    let known = values(student.weight.base());
    for student_at in [0, 1] {
        let net = Distilled::new(student.clone(), student.clone().freeze(), student_at);
        let config = EvidenceTrainingConfig::new(5, 0.02);
        let (laplace, _) = trained_by_evidence(&config, net);
        let [student, teacher] = laplace.network.both().map(|l| values(l.weight.base()));
        assert_eq!(teacher, known);
        assert_ne!(student, known);
    }
}

#[test]
fn swag_draws_a_tied_weight_once() {
    let network = |step: f32| {
        let mut network = twice(true);
        let moved = (network.first.weight.val() + 0.1 * step).detach();
        network.first.weight = Param::from_tensor(moved);
        network.second = Some(network.first.clone());
        network
    };
    for rank in [0, 3] {
        let mut swag = SwagConfig::new().with_rank(rank).init(&network(0.0));
        for step in 1..=5_u8 {
            swag.collect(&network(f32::from(step * step))).unwrap();
        }
        assert_tied(&swag.mean_network());
        let drawn = swag.draw_network(7, 1);
        assert_tied(&drawn);
        assert_ne!(
            values(drawn.first.weight.val()),
            values(swag.mean_network().first.weight.val())
        );
    }
}

/// A student that trains beside a teacher that does not, in this order or the other.
#[derive(Module, Debug)]
struct Distilled {
    first: Linear,
    second: Linear,
    #[module(skip)]
    student_at: usize,
}

impl Distilled {
    fn new(student: Linear, teacher: Linear, student_at: usize) -> Self {
        let mut both = [student, teacher];
        both.rotate_right(student_at);
        let [first, second] = both;
        Self {
            first,
            second,
            student_at,
        }
    }

    fn both(&self) -> [&Linear; 2] {
        let mut both = [&self.first, &self.second];
        both.rotate_left(self.student_at);
        both
    }
}

impl Network for Distilled {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let [student, teacher] = self.both();
        student.forward(input.clone()) - teacher.forward(input)
    }
}

fn elbo_model<N: Network<Output = Tensor<2>>>(network: N) -> ElboModel<N, GaussianLikelihood> {
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .with_noise(LikelihoodParam::Fixed(0.5))
        .init(&Device::flex().autodiff());
    ElboModel::new(network, likelihood, ElboConfig::new(8).init())
}

/// Epochs of two steps.
fn two_steps_of<N>(
    folder: &Path,
    epochs: usize,
) -> SupervisedTraining<ElboModel<N, GaussianLikelihood>>
where
    N: Network<Input = Tensor<2>, Output = Tensor<2>>,
{
    let rows: Vec<_> = (0..8)
        .map(|i| i as f32 / 8.0)
        .map(|x| ([x, 1.0 - x], [2.0, -1.0]))
        .collect();
    let loader = || {
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(4)
            .build(InMemDataset::new(rows.clone()))
    };
    SupervisedTraining::new(folder, loader(), loader())
        .num_epochs(epochs)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .with_application_logger(None)
}

fn fitted<N>(network: N) -> N
where
    N: Network<Input = Tensor<2>, Output = Tensor<2>>,
{
    let folder = tempfile::tempdir().unwrap();
    let learner = Learner::new(elbo_model(network), SgdConfig::new().init(), 0.05);
    let training = two_steps_of(folder.path(), 3);
    fit(training, learner).unwrap().model.network
}

#[test]
fn a_frozen_teacher_stays_and_its_student_learns_wherever_they_stand() {
    let base = twice(false).first;
    let student = |bayesian: bool| match bayesian {
        true => base.clone().bayesianize(&BayesianizeConfig::new()),
        false => base.clone(),
    };
    let pairs = [
        (
            base.clone().moped(&MopedConfig::new()),
            base.clone().freeze(),
        ),
        (student(true), student(true).freeze()),
        // A clone of what is Bayesian has its posterior's identity as well.
        {
            let student = student(true);
            (student.clone(), student.freeze())
        },
        (student(false), base.clone().freeze()),
    ];
    for (student, teacher) in pairs {
        let known = values(teacher.weight.base());
        let trained = [0, 1].map(|student_at| {
            let network = Distilled::new(student.clone(), teacher.clone(), student_at);
            let network = fitted(network);
            let [student, teacher] = network.both().map(|layer| values(layer.weight.base()));
            assert_eq!(teacher, known);
            student
        });
        for (moved, at) in trained[0].iter().zip(&known) {
            assert!((moved - at).abs() > 1e-3, "{moved} for {at}");
        }
    }
}

#[test]
fn two_networks_from_one_file_train_apart() {
    let layer = || LinearConfig::new(2, 2).init(&Device::flex().autodiff());
    let bias = |layer: &Linear| values(layer.bias.as_ref().unwrap().base());
    let weight = |layer: &Linear| values(layer.weight.base());
    let all = BayesianizeConfig::new();
    // Also in what has no posterior.
    for config in [all.clone().only(WeightFilter::matrices()), all] {
        let file = layer().bayesianize(&config).into_record();
        let loaded = || layer().bayesianize(&config).load_record(file.clone());
        let network = Distilled::new(loaded(), loaded(), 0);
        let start = [weight(&network.first), bias(&network.first)].concat();
        let network = fitted(network);
        let [first, second] = network
            .both()
            .map(|layer| [weight(layer), bias(layer)].concat());
        // One is added and one subtracted: what moves one up moves the other down.
        for ((first, second), start) in first.iter().zip(&second).zip(&start) {
            assert!(
                (first - start) * (second - start) < 0.0,
                "{first}, {second} from {start}"
            );
        }
    }
}

/// Two networks as a program makes them at each of its starts, with what is the same in all of them.
fn pairs() -> Vec<(&'static str, Distilled)> {
    let device = Device::flex().autodiff();
    let layer = |value: f64| {
        let config = LinearConfig::new(2, 2).with_initializer(Initializer::Constant { value });
        let layer = config.init(&device);
        // Clones that Burn has not initialized share whether they train.
        drop((layer.weight.base(), layer.bias.as_ref().map(Param::base)));
        layer
    };
    let all = BayesianizeConfig::new();
    let (base, mut head) = (layer(0.3), layer(-0.4));
    head.weight = base.weight.clone();
    let bayesian = base.clone().bayesianize(&all);
    vec![
        (
            "tied, Bayesian at one place",
            Distilled::new(base.clone(), head.bayesianize(&all), 0),
        ),
        (
            "a Bayesian teacher",
            Distilled::new(bayesian.clone(), bayesian.clone().freeze(), 1),
        ),
        (
            "a certain teacher",
            Distilled::new(bayesian, base.freeze(), 0),
        ),
    ]
}

#[test]
fn what_a_training_saves_is_read_by_the_model_as_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    for (at, (what, network)) in pairs().into_iter().enumerate() {
        let run = |name: &str, epochs: usize, from: Option<usize>| {
            let folder = folder.path().join(format!("{at} {name}"));
            let training = two_steps_of(&folder, epochs);
            let checkpoints = Checkpoints::new(folder.join("checkpoint"));
            let training = checkpoints.keep(training);
            let training = match from {
                Some(epoch) => training.checkpoint(epoch),
                None => training,
            };
            let (_, network) = pairs().swap_remove(at);
            let learner = Learner::new(elbo_model(network), SgdConfig::new().init(), 0.05);
            fit(training, learner).unwrap().model
        };
        let whole = run("whole", 4, None);
        run("parts", 2, None);
        let parts = run("parts", 4, Some(2));
        let input = Tensor::<2>::ones([1, 2], &Device::flex());
        let predicted = |model: &ElboModel<Distilled, GaussianLikelihood>| {
            let predictive = model.predict(input.clone(), 7, 1);
            [predictive.mean(), predictive.std_dev()].concat()
        };
        assert_eq!(predicted(&whole), predicted(&parts), "{what}");

        let path = folder.path().join(format!("{at}.bpk"));
        whole.save(&path).unwrap();
        let loaded = elbo_model(network).load(&path).unwrap().valid();
        assert_eq!(predicted(&whole), predicted(&loaded), "{what}");
        let draw = |model: &ElboModel<Distilled, GaussianLikelihood>| {
            let network = model.network.sample_network(5, 0);
            [network.first, network.second].map(|layer| values(layer.weight.val()))
        };
        assert_eq!(draw(&whole), draw(&loaded), "{what}");
    }
}

#[test]
#[should_panic(
    expected = "network.first.weight and network.second.weight are two weights with one identity"
)]
fn a_loop_of_ones_own_is_told_of_two_weights_with_one_identity() {
    let student = twice(false).first;
    let teacher = student.clone().freeze();
    let mut model = elbo_model(Distilled::new(student.clone(), twice(false).first, 1));
    // A model tells apart what it is made of.
    model.network = Distilled::new(student.moped(&MopedConfig::new()), teacher, 1);
    let x = Tensor::<2>::ones([2, 2], &Device::flex().autodiff());
    let batch = LabeledBatch {
        inputs: x.clone(),
        targets: x,
    };
    TrainStep::step(&model, batch);
}
